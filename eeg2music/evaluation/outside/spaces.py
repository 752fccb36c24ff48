"""From a manifest to vectors: reads audio or arrays, refuses what cannot be scored honestly, embeds the rest.

All files are looked at before any is embedded. Nothing is scored here.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from eeg2music.errors import DataError, InputError, LeakError
from eeg2music.evaluation.embedders.base import Embedder
from eeg2music.evaluation.embedding_cache import EmbeddingCache
from eeg2music.evaluation.outside import clips as audio
from eeg2music.evaluation.outside import vectors
from eeg2music.evaluation.outside.alike import sounds_alike
from eeg2music.evaluation.outside.by_clip import Cut, Pieces, common_cut
from eeg2music.evaluation.outside.clips import Clip
from eeg2music.evaluation.outside.manifest import Clips
from eeg2music.evaluation.outside.measure import Space
from eeg2music.files import sha256_json
from eeg2music.pipeline import Hook

HEARD = "references"
FOLDER = "reference folder"
GENERATED = "generated"
LEAVE_OUT = "leave one of them out, and its line with it"


@dataclass(frozen=True)
class Material:
    """What is scored.

    Attributes
    ----------
    spaces : one for each embedding
    facts : {group: number, seconds, rates, levels}
    remarks : what a reader has to know, in words
    gallery_sha256 : of what the candidates are, whatever their names and order; None without candidates
    """

    spaces: tuple[Space, ...]
    facts: Mapping[str, Any]
    remarks: tuple[str, ...] = ()
    resampled: bool = False
    cached: Mapping[str, int] = field(default_factory=dict)
    gallery_sha256: str | None = None


@dataclass(frozen=True)
class Looked:
    """The audio that a manifest and a reference folder name, by name, as far as it can be scored by any embedding."""

    generated: Mapping[str, Clip]
    heard: Mapping[str, Clip]
    reference: Mapping[str, Clip]

    @property
    def everything(self) -> list[Clip]:
        """All of it."""
        return [*self.generated.values(), *self.heard.values(), *self.reference.values()]


def look_at(clips: Clips, folder: str | None, *, resample: bool) -> Looked:
    """Look at all audio, and refuse what has to be refused whichever embedding scores.

    Parameters
    ----------
    folder : of reference audio, if any
    resample : several sample rates are meant

    Raises
    ------
    InputError, DataError, LeakError
        Naming the file and what is wrong with it.
    """
    generated = {name: audio.inspect(name, clips.path(name)) for name in clips.items()}
    heard = {name: audio.inspect(name, clips.path(name)) for name in clips.gallery}
    reference = {} if folder is None else {n: audio.inspect(n, path) for n, path in audio.audio_files(folder).items()}
    looked = Looked(generated, heard, reference)
    _refuse_audio(clips, looked, resample=resample)
    return looked


def audio_material(
    clips: Clips, looked: Looked, embedders: Sequence[Embedder], *, hook: Hook, in_pieces: bool = False
) -> Material:
    """Refuse audio that one of the embeddings cannot score, embed the rest.

    Parameters
    ----------
    in_pieces : embed clips and reference in pieces too, where there is a reference

    Raises
    ------
    InputError, DataError, LeakError
        Naming the file and what is wrong with it.
    """
    generated, heard, reference = looked.generated, looked.heard, looked.reference
    audio.refuse_short(looked.everything, {embedder.name: embedder.shortest_s for embedder in embedders})
    for embedder in embedders:
        if embedder.one_length:
            audio.refuse_lengths(looked.everything, embedder.name)
    groups = {GENERATED: list(generated.values()), HEARD: list(heard.values()), FOLDER: list(reference.values())}
    groups = {name: of for name, of in groups.items() if of}
    cuts: dict[str, Cut] = {}
    if in_pieces and reference:
        compared = [*generated.values(), *reference.values()]
        cuts = {embedder.name: common_cut(compared, embedder.name, embedder.shortest_s) for embedder in embedders}
    spaces, cached = [], {}
    for embedder in embedders:
        hook(f"embedding with {embedder.name}")
        cache = EmbeddingCache(embedder)
        spaces.append(_embedded(cache, looked, cuts.get(embedder.name)))
        cached[embedder.name] = cache.found
    for space in spaces:
        _refuse_vectors(clips, space, tuple(reference))
    hook("listening for copies")
    alike = sounds_alike(clips, generated, heard, reference)
    needed = {embedder.name: embedder.sample_rate_hz for embedder in embedders}
    rates = {clip.sample_rate_hz for of in groups.values() for clip in of}
    return Material(
        tuple(spaces),
        {name: audio.facts(of) for name, of in groups.items()},
        (*audio.remarks(groups, needed), *_shared_content(clips, generated), *alike),
        resampled=len(rates) > 1,
        cached=cached,
        gallery_sha256=_content(clip.sha256 for clip in heard.values()),
    )


def array_material(clips: Clips, reference: str | os.PathLike[str] | None) -> Material:
    """Read arrays of embeddings and refuse what has to be refused.

    Parameters
    ----------
    reference : .npy or .npz of music as a whole, if any
    """
    header = clips.header
    array = vectors.load_array(clips.path(str(header.array)))
    own = header.reference_array
    targets = array if own is None else vectors.load_array(clips.path(own))
    used = {int(item) for item in clips.items()}
    _refuse_length("array", len(array), used | ({int(i) for i in _indices(clips)} if own is None else set()))
    beyond = [item for item in _indices(clips) if item >= len(targets)]
    if beyond:
        raise LeakError(
            f"The gallery is truncated: it has {len(targets)} rows, and row {beyond[0]} is a target",
            allowed="a gallery that holds the target of every clip",
            remedy="write the whole array again",
        )
    whole = None if reference is None else vectors.load_array(Path(reference))
    for name, other in (("references", targets), ("--reference", whole)):
        if other is not None and other.shape[1] != array.shape[1]:
            raise InputError(
                f"{name} have {other.shape[1]} dimensions, the clips {array.shape[1]}",
                allowed="one number of dimensions",
                remedy="embed both with one model",
            )
    space = Space(
        name=header.embedding_name,
        dim=array.shape[1],
        generated={item: array[int(item)] for item in clips.items()},
        gallery=targets[_indices(clips)] if clips.gallery else None,
        reference=whole,
        unit_norm=True,
        scaled=False,
    )
    _refuse_vectors(clips, space, tuple(map(str, range(0 if whole is None else len(whole)))))
    facts = {GENERATED: {"rows": len(used)}, HEARD: {"rows": len(clips.gallery)}}
    if whole is not None:
        facts[FOLDER] = {"rows": len(whole)}
    candidates = () if space.gallery is None else space.gallery
    content = _content(sha256(np.ascontiguousarray(row).tobytes()).hexdigest() for row in candidates)
    return Material((space,), facts, gallery_sha256=content)


def _content(hashes: Iterable[str]) -> str | None:
    """One hash of several, whatever their order."""
    known = sorted(hashes)
    return sha256_json(known) if known else None


def _refuse_audio(clips: Clips, looked: Looked, *, resample: bool) -> None:
    generated, heard, reference = looked.generated, looked.heard, looked.reference
    others = [*heard.values(), *reference.values()]
    audio.refuse_rates(generated.values(), clips.header.sample_rate_hz, others, resample=resample)
    audio.refuse_unusable(looked.everything)
    audio.refuse_same_content(list(heard.values()), "the gallery", LEAVE_OUT)
    audio.refuse_same_content(list(reference.values()), "the reference folder", "leave one of them out")
    for condition in clips.conditions:
        own = [generated[name] for name in clips.items(condition)]
        if condition not in clips.header.repeated:
            remedy = (
                f"make them again, or name {condition!r} under `repeated` if one clip answers for several on purpose"
            )
            audio.refuse_same_content(own, f"the condition {condition!r}", remedy)
        if condition not in clips.header.copied:
            audio.refuse_copies(own, others)


def _embedded(cache: EmbeddingCache, looked: Looked, cut: Cut | None) -> Space:
    embedder = cache.embedder
    generated, heard, reference = looked.generated, looked.heard, looked.reference

    def embed(clip: Clip) -> np.ndarray:
        return np.asarray(cache.embed(audio.audio_of(clip, embedder.sample_rate_hz)), dtype=np.float64)

    def in_pieces(clip: Clip, cut: Cut) -> np.ndarray:
        parts = cut.of(audio.audio_of(clip, embedder.sample_rate_hz), embedder.sample_rate_hz)
        return np.stack([np.asarray(cache.embed(part), dtype=np.float64) for part in parts])

    pieces = None
    if cut is not None:
        of_reference = np.stack([in_pieces(clip, cut) for clip in reference.values()])
        pieces = Pieces(cut, {name: in_pieces(clip, cut) for name, clip in generated.items()}, of_reference)

    return Space(
        name=embedder.name,
        dim=embedder.dim,
        generated={name: embed(clip) for name, clip in generated.items()},
        gallery=np.stack([embed(clip) for clip in heard.values()]) if heard else None,
        reference=np.stack([embed(clip) for clip in reference.values()]) if reference else None,
        unit_norm=embedder.unit_norm,
        scaled=embedder.scaled,
        pieces=pieces,
    )


def _refuse_vectors(clips: Clips, space: Space, reference_names: Sequence[str]) -> None:
    fixed = {"the gallery": (space.gallery, clips.gallery), "the reference": (space.reference, reference_names)}
    known = {where: (of, names) for where, (of, names) in fixed.items() if of is not None}
    for where, (of, names) in known.items():
        vectors.refuse_bad(of, names, f"{where} ({space.name})")
        vectors.refuse_near(of, names, f"{where} ({space.name})", "leave one of them out")
    for condition in clips.conditions:
        items = clips.items(condition)
        own, where = space.stacked(items), f"the condition {condition!r} ({space.name})"
        if condition in clips.header.repeated:
            vectors.refuse_finite(own, items, where)
        else:
            vectors.refuse_bad(own, items, where)
            remedy = f"leave one out, or name {condition!r} under `repeated` if one clip answers for several on purpose"
            vectors.refuse_near(own, items, where, remedy)
        if condition not in clips.header.copied:
            for of, names in known.values():
                vectors.refuse_copied(own, items, of, names, condition)


def _indices(clips: Clips) -> list[int]:
    """The gallery's rows."""
    wrong = [item for item in clips.gallery if not item.isdecimal()]
    if wrong:
        raise InputError(
            f"The reference {wrong[0]!r} of a row",
            allowed="a row of the reference array, from 0",
            remedy="name references as rows, too",
        )
    return [int(item) for item in clips.gallery]


def _refuse_length(name: str, rows: int, used: set[int]) -> None:
    if used != set(range(rows)):
        raise DataError(
            f"The {name} has {rows} rows, the manifest names {len(used)} of which the last is {max(used)}",
            allowed="one line or more for each row, and no others",
            remedy="write both again, from the same list",
        )


def _shared_content(clips: Clips, generated: Mapping[str, Clip]) -> list[str]:
    """Different files with one content in different conditions, in words."""
    first: dict[str, tuple[str, str]] = {}
    found: dict[tuple[str, str], int] = {}
    for condition in clips.conditions:
        for name in clips.items(condition):
            other, file = first.setdefault(generated[name].sha256, (condition, name))
            if other != condition and file != name:
                found[other, condition] = found.get((other, condition), 0) + 1
    return [f"{count} clips of {second!r} are copies of clips of {one!r}." for (one, second), count in found.items()]
