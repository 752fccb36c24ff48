"""The sounds of an evaluation side by side: what scores.json says of them, and the files to listen to.

Puts together what the units measured; generates nothing and writes no file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from eeg2music.evaluation.config import EvaluateConfig
from eeg2music.evaluation.material import further_songs, gallery_songs
from eeg2music.evaluation.song_classes import agreement_of_classes, song_classes
from eeg2music.evaluation.sound_files import FOLDER, at_one_level, bytes_of, safe_names
from eeg2music.evaluation.sounds import CODEC, SOURCES, SoundUnit, sound_units, sounds_level, sounds_seed
from eeg2music.evaluation.units import Matched, Unit, UnitResult, unit_of
from eeg2music.types import STEMS, FloatArray

Read = Callable[[Unit], UnitResult]


class Sounds(NamedTuple):
    """What came of it.

    scores : ready for JSON
    waves : by path relative to the result, (samples,) to write
    """

    scores: dict[str, Any]
    waves: dict[str, FloatArray]


def gather_sounds(config: EvaluateConfig, read: Read, further: Callable[[], Sequence[FloatArray]]) -> Sounds:
    """Everything about the sounds of an evaluation whose units are finished.

    Parameters
    ----------
    read : gives the result of a finished unit
    further : gives the reference songs beyond the heard ones in the scorer's embedding, (song, dim) each

    Returns
    -------
    Scores with "level", "snr_db", "seed", "clips" (windows measured), "reconstruction" and "stems" (rows by condition),
    "classes", "files" (one mapping for each written window), "gain", "bytes", and "why" for what is absent.
    """
    level, units = sounds_level(config), sound_units(config)
    scores: dict[str, Any] = {"level": level.name, "snr_db": level.snr_db, "seed": sounds_seed(config), "clips": 0}
    if not units:
        off = "sounds.clips is 0" if not config.sounds.clips else f"no clips are scored at the level {level.name}"
        return Sounds({**scores, "why": {"sounds": off}}, {})
    found = {unit.condition: read(unit) for unit in units}
    entries = {name: result.entry for name, result in found.items() if result.entry is not None}
    first = entries[SOURCES[0]]
    waves, files, gain = _files(found, first)
    scores |= {
        "clips": len(first["windows"]),
        "songs": len({window[0] for window in first["windows"]}),
        "listeners": len({window[1] for window in first["windows"]}),
        "reconstruction": _with_ceiling({name: of["reconstruction"] for name, of in entries.items()}),
        "stems": {name: of["stems"] for name, of in entries.items() if of["stems"]},
        "classes": _classes(config, read, units, further),
        "files": files,
        "gain": gain,
        "bytes": bytes_of(waves),
        "why": _absent(config, found),
    }
    return Sounds(scores, waves)


def _absent(config: EvaluateConfig, found: Mapping[str, UnitResult]) -> dict[str, str]:
    """Conditions and measures that are not there, and why."""
    why = {name: "the level does not score it" for name in config.sounds.conditions if name not in found}
    why |= {name: str(result.why) for name, result in found.items() if result.entry is None}
    unmeasured = next((of.entry["why"] for of in found.values() if of.entry and of.entry["why"]), None)
    return {**why, **({"measures": unmeasured} if unmeasured else {})}


def _with_ceiling(rows: Mapping[str, list[dict[str, Any]] | None]) -> dict[str, list[dict[str, Any]]]:
    """Rows of every condition, the codec's mean as the ceiling of the others."""
    ceiling = {(row["measure"], row["stem"]): row["mean"] for row in rows.get(CODEC) or ()}
    return {
        name: [
            {**row, "ceiling": None if name == CODEC else ceiling.get((row["measure"], row["stem"]))} for row in found
        ]
        for name, found in rows.items()
        if found
    }


def _classes(
    config: EvaluateConfig, read: Read, units: Sequence[SoundUnit], further: Callable[[], Sequence[FloatArray]]
) -> dict[str, Any]:
    """Agreement of classes over all clips that the level's units scored, which are more than those measured above."""
    if config.prepared:
        return {"why": {"classes": "prepared music comes without classes, and without other songs of known class"}}
    level, listening, seed = sounds_level(config), config.listening, sounds_seed(config)
    found = {unit.condition: read(unit_of(level, unit.condition, seed)) for unit in units[len(SOURCES) :]}
    made: dict[str, Matched] = {name: of.made for name, of in found.items() if of.made is not None}
    why = {name: of.why or "its clips are not scored" for name, of in found.items() if of.made is None}
    names = further_songs(listening, config.reference_songs)
    if not made or not names:
        lack = "there are no reference songs beside the heard ones" if made else "no clips are scored"
        return {"why": {**why, "classes": lack}}
    result = agreement_of_classes(
        made,
        songs=gallery_songs(listening),
        classes=song_classes(gallery_songs(listening), listening.song_seconds),
        bank=np.concatenate(list(further())),
        bank_classes=song_classes(names, listening.song_seconds),
        seed=seed,
    )
    return {**result, "why": {**result["why"], **why}}


def _files(
    found: Mapping[str, UnitResult], first: Mapping[str, Any]
) -> tuple[dict[str, FloatArray], list[dict[str, Any]], float]:
    """Waves by path, the paths of each written window by condition, and the one gain that keeps all from clipping."""
    windows = [first["windows"][place] for place in first["written"]]
    names = _names(windows)
    waves: dict[str, FloatArray] = {}
    files: list[dict[str, Any]] = [
        {"song": " from ".join([song, *start]), "listener": listener, "files": {}, "stems": {}}
        for song, listener, *start in windows
    ]
    for condition, result in found.items():
        for place, (name, listed) in enumerate(zip(names, files, strict=True)):
            if result.sounds is None:
                continue
            # What was heard is the same for every listener.
            stem = f"{FOLDER}/{condition}/{'-'.join(name[:1] + name[2:] if condition in SOURCES else name)}"
            waves[f"{stem}.wav"] = result.sounds["mix"][place]
            listed["files"][condition] = f"{stem}.wav"
            if "stems" in result.sounds:
                paths = [f"{stem}/{part}.wav" for part in STEMS]
                waves |= dict(zip(paths, result.sounds["stems"][place], strict=True))
                listed["stems"][condition] = paths
    waves, gain = at_one_level(waves)
    return waves, files, gain


def _names(windows: Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
    """Song, listener and start, where that is told, as parts of a file's name."""
    return list(zip(*(safe_names(part) for part in zip(*windows, strict=True)), strict=True))
