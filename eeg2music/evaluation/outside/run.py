"""`eeg2music score MANIFEST`: the scores of what others made, beside every reason to doubt them.

Reads a manifest, audio or arrays, and embeddings that did not condition what they judge. Trains nothing and generates
nothing.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eeg2music.evaluation.comparisons import corrected, seed_remarks
from eeg2music.evaluation.embedders.base import Embedder, Options
from eeg2music.evaluation.embedders.registry import EMBEDDERS
from eeg2music.evaluation.outside.circular import conditioned_on, judge, judge_array
from eeg2music.evaluation.outside.config import ScoreConfig, check_score
from eeg2music.evaluation.outside.expected import judge_controls
from eeg2music.evaluation.outside.listening import listen_to
from eeg2music.evaluation.outside.manifest import Clips
from eeg2music.evaluation.outside.measure import Space, distances, heard_in_reference, identification
from eeg2music.evaluation.outside.nearness import Limits
from eeg2music.evaluation.outside.page import write_page_of
from eeg2music.evaluation.outside.permuted import permuted_labels
from eeg2music.evaluation.outside.pictures import first_condition, score_pictures, searches
from eeg2music.evaluation.outside.sounds import measure_sounds
from eeg2music.evaluation.outside.spaces import Material, array_material, audio_material, look_at
from eeg2music.evaluation.outside.stems import Stems, look_at_stems
from eeg2music.evaluation.tables import CIRCULAR
from eeg2music.origin import made_with
from eeg2music.pipeline import Hook, default_checkpoint, no_hook

SCHEMA = 1
LOUDNESS = "as in the files: nothing was normalised"
LOUDNESS_OF_ARRAY = "not known, for these are embeddings; nothing was normalised"


def run_score(
    manifest: str | os.PathLike[str], out: Path, config: ScoreConfig, *, device: str = "auto", hook: Hook = no_hook
) -> dict[str, Any]:
    """Score a manifest into `out/{scores.json, scores.md, card.md, report.html, listen}`; returns the scores.

    Raises
    ------
    InputError, DataError, LeakError
        For everything that would flatter or cannot be scored; nothing is written then.
    """
    clips = check_score(manifest, out, config)
    stems = look_at_stems(clips, resample=config.resample) if config.measures else Stems()
    if clips.is_array:
        about = _about_array(clips, allow_circular=config.allow_circular)
        material = array_material(clips, config.reference)
    else:
        hook("looking at the audio")
        looked = look_at(clips, config.reference, resample=config.resample)
        hook("loading the embeddings")
        embedders = [_load(name, config, device) for name in config.embedding]
        about = _about_embedders(clips, embedders, config)
        in_pieces = "frechet_per_clip" in config.distances
        material = audio_material(clips, looked, embedders, hook=hook, in_pieces=in_pieces)
    hook("scoring")
    scored = {condition: _condition(clips, condition, material.spaces, config) for condition in clips.conditions}
    _correct(scored)
    judged = judge_controls(clips, scored, about)
    sounds = measure_sounds(
        clips,
        stems,
        material.spaces,
        measures=config.measures,
        limits=Limits(config.measured_clips, config.measured_seconds),
        seed=config.seed,
        permutations=config.permutations,
        hook=hook,
    )
    found = searches(clips, material.spaces) if config.identification else {}
    first, judge_name = first_condition(clips), material.spaces[0].name
    listened = listen_to(clips, first, found.get(judge_name, {}).get(first), judge_name, config.listened)
    scores = {
        "schema": SCHEMA,
        **made_with(),
        "kind": "outside",
        "manifest": {"name": clips.name, "sha256": clips.sha256, "rows": len(clips.rows)},
        "header": clips.header.model_dump(mode="json"),
        # Where files lie on this machine is no part of the result.
        "config": config.model_dump(mode="json", exclude={"reference", "checkpoint", "sources"}),
        "reference": Path(config.reference).name if config.reference else None,
        "seed": config.seed,
        "gallery_size": len(clips.gallery),
        "gallery_sha256": material.gallery_sha256,
        "loudness": {"declared": clips.header.loudness, "handling": LOUDNESS_OF_ARRAY if clips.is_array else LOUDNESS},
        "material": {**material.facts, **stems.facts()},
        "embeddings": {name: {**of, "cached": material.cached.get(name, 0)} for name, of in about.items()},
        "scores": scored,
        "sounds": sounds,
        "listening": listened.facts,
        **judged._asdict(),
        "stamps": _stamps(clips, about, material, scored),
        "warnings": [
            *material.remarks,
            *permuted_labels(scored),
            *_heard_again(material.spaces),
            *(sounds or {}).get("warnings", ()),
            *_uneven(clips),
            *_unnamed_songs(clips),
            *_few_seeds(clips),
        ],
    }
    hook("writing")
    write_page_of(out, scores, score_pictures(clips, found), listened.waves)
    return scores


def _load(name: str, config: ScoreConfig, device: str) -> Embedder:
    checkpoint = Path(config.checkpoint) if config.checkpoint else default_checkpoint()
    return EMBEDDERS[name](Options(checkpoint, config.sources.get(name), device))


def _about_embedders(clips: Clips, embedders: Sequence[Embedder], config: ScoreConfig) -> dict[str, dict[str, Any]]:
    circular = judge(
        {embedder.name: embedder.known_as() for embedder in embedders},
        conditioned_on(clips),
        allow=config.allow_circular,
    )
    return {
        one.name: {
            "identity": one.identity(),
            "dim": one.dim,
            "sample_rate_hz": one.sample_rate_hz,
            "vectors": "one for each clip",
            "followed_conditions": list(one.followed),
            "note": one.note,
            "learned": one.learned,
            "circular": circular[one.name],
        }
        for one in embedders
    }


def _about_array(clips: Clips, *, allow_circular: bool) -> dict[str, dict[str, Any]]:
    circular = judge_array(clips, allow=allow_circular)
    header, vectors = clips.header, "one for each row"
    of = {"identity": header.embedding_sha256, "vectors": vectors, "learned": True, "circular": circular}
    return {header.embedding_name: of}


def _condition(clips: Clips, condition: str, spaces: Sequence[Space], config: ScoreConfig) -> dict[str, Any]:
    """{embedding: {identification, distances}} of one condition."""
    rows, items = clips.of(condition), clips.items(condition)
    return {
        space.name: {
            "identification": identification(space, rows, clips, seed=config.seed, permutations=config.permutations)
            if config.identification
            else None,
            "distances": distances(
                space,
                items,
                config.distances,
                songs=clips.songs_of(condition),
                allow_small=config.allow_small,
                seed=config.seed,
                condition=condition,
            ),
        }
        for space in spaces
    }


def _correct(scored: Mapping[str, Mapping[str, dict[str, Any]]]) -> None:
    """Give every identification its p-value corrected (Holm) over all conditions and embeddings."""
    found = [of["identification"] for spaces in scored.values() for of in spaces.values() if of["identification"]]
    for one, value in zip(found, corrected([one["p_value"] for one in found]), strict=True):
        one["p_corrected"] = value


def _unnamed_songs(clips: Clips) -> list[str]:
    """Where no line says of which song its reference is: windows of one song would then count as songs."""
    if not clips.gallery or any(row.song is not None or row.work is not None for row in clips.rows):
        return []
    return [
        "The table says of no reference which song it is of: each counts as a song of its own, and where several are "
        "windows of one song, intervals are too short and p-values too small. Fill the column `song`."
    ]


def _few_seeds(clips: Clips) -> list[str]:
    """Where the manifest names seeds, but few; where it names none there may be none."""
    seeds = {row.seed for row in clips.rows if row.seed is not None}
    return seed_remarks(len(seeds), "The manifest names") if seeds else []


def _heard_again(spaces: Sequence[Space]) -> list[str]:
    """Where the music to compare with holds what was heard, in words."""
    again = max((heard_in_reference(space) for space in spaces), default=0)
    if not again:
        return []
    return [
        f"{again} of the reference {'is' if again == 1 else 'are'} what was heard: distances from it come out too low. "
        "Compare with music that nobody heard."
    ]


def _stamps(
    clips: Clips, about: Mapping[str, Mapping[str, Any]], material: Material, scored: Mapping[str, Any]
) -> list[str]:
    """What holds of these scores and has to be said wherever they are shown."""
    stamps = []
    for name, of in about.items():
        if of["circular"]:
            stamps.append(f"{CIRCULAR}: the embedding {name!r} conditioned the clips that it scores.")
        elif of["circular"] is None and of["learned"]:
            stamps.append(
                f"UNDECLARED: the embedding {name!r} may have conditioned the clips that it scores; nobody says what "
                "did, or what the embedding is."
            )
    for condition, spaces in scored.items():
        for name, of in spaces.items():
            found = of["distances"]
            if found and "frechet" in found and not found["enough"]:
                stamps.append(
                    f"SMALL: the Fréchet distance of {condition!r} in {name!r} is over {found['songs']} songs and "
                    f"{found['n_reference']} references in {found['dim']} dimensions, and biased upward."
                )
    if material.resampled:
        stamps.append("Files of several sample rates were resampled.")
    for name, what in (("repeated", "one clip answers for several recordings"), ("copied", "made of the reference")):
        stamps += [f"{condition!r}: {what}, by declaration." for condition in getattr(clips.header, name)]
    return stamps


def _uneven(clips: Clips) -> list[str]:
    """Conditions that answer other recordings than the first one, or have another number of clips, in words."""
    first, *others = clips.conditions
    asked = {(row.subject, row.reference) for row in clips.of(first)}
    found = []
    for condition in others:
        own = {(row.subject, row.reference) for row in clips.of(condition)}
        if own != asked:
            found.append(
                f"{condition!r} answers {len(own & asked)} of the {len(asked)} pairs of listener and reference that "
                f"{first!r} answers, and {len(own - asked)} others: their figures are not of the same questions."
            )
        if len(clips.items(condition)) != len(clips.items(first)):
            found.append(
                f"{condition!r} has {len(clips.items(condition))} clips, {first!r} has {len(clips.items(first))}: a "
                "Fréchet distance falls with their number; compare the kernel distances."
            )
    return found
