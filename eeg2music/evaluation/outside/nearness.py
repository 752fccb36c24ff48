"""How near generated audio comes to what was heard, and how its stems go together: one condition at a time.

Loads what is measured, hands it to `reconstruction_scores` and `mix_scores`, and says what the manifest does not allow.
Measures on equally long beginnings at 24 kHz; normalises and aligns nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from eeg2music.audio import audio_duration_s, read_audio
from eeg2music.errors import DataError
from eeg2music.evaluation.mix_scores import mix_scores
from eeg2music.evaluation.outside.clips import LENGTH_TOLERANCE
from eeg2music.evaluation.outside.manifest import Clips, Row
from eeg2music.evaluation.outside.stems import Folder, Stems
from eeg2music.evaluation.reconstruction import (
    LEAST_S,
    MIX,
    MONOPHONIC,
    SI_SDR_LIMIT_DB,
    SILENT_RMS,
    reconstruction_scores,
)
from eeg2music.evaluation.units import spread
from eeg2music.metrics.audio import si_sdr
from eeg2music.types import FloatArray

# Coherence of onsets takes two and a half windows of a second.
LEAST_OF_STEMS_S = 2.5
# Stems without a key, and those of a single voice; by name, as far as one is known.
UNPITCHED = ("drums", "percussion")
VOICES = (*MONOPHONIC, "vocals")
# Below this the stems are not the clip in other words: at 20 dB a tenth of the amplitude is something else.
SUM_DB = 20.0
Rows = list[dict[str, Any]]


class Limits(NamedTuple):
    """How many clips of a condition are measured, and how much of each at most, in seconds."""

    clips: int
    seconds: float


@dataclass(frozen=True)
class Near:
    """What was measured of one condition.

    Attributes
    ----------
    rows : that were measured
    seconds : of each
    reconstruction : rows of `reconstruction_scores`: of the whole ("mix"), and of each stem where both sides have it
    stems : rows of `mix_scores`
    why : {measure: what does not allow it}
    remarks : what a reader has to know, in words
    """

    rows: tuple[Row, ...]
    seconds: float | None
    reconstruction: Rows | None
    stems: Rows | None
    why: Mapping[str, str]
    remarks: tuple[str, ...] = ()


def measure_near(
    clips: Clips, condition: str, stems: Stems, *, measures: Sequence[str], limits: Limits, seed: int
) -> Near:
    """Measure one condition.

    Parameters
    ----------
    measures : of "reconstruction" and "stems"; others are not for here
    """
    everything = clips.asked(condition)
    rows = tuple(everything[place] for place in spread(len(everything), limits.clips))
    found: dict[str, Rows | None] = {"reconstruction": None, "stems": None}
    why: dict[str, str] = {}
    remarks: list[str] = []
    seconds = None
    takes: dict[str, Callable[[], tuple[Rows, float]]] = {
        "reconstruction": lambda: _reconstruction(clips, rows, stems, limits.seconds, seed),
        "stems": lambda: _stems(rows, stems.generated, limits.seconds, seed),
    }
    for measure in [name for name in takes if name in measures]:
        try:
            found[measure], seconds = takes[measure]()
        except DataError as error:
            why[measure] = str(error)
    if found["stems"] is not None and seconds is not None:
        remarks = _not_the_sum(clips, rows, stems, seconds)
    return Near(rows, seconds, found["reconstruction"], found["stems"], why, tuple(remarks))


def measure_heard(clips: Clips, stems: Stems, *, limits: Limits, seed: int) -> Rows | None:
    """How the stems of what was heard go together: the measure of the others. None where it has none."""
    first = {row.reference: row for row in clips.rows if row.reference in stems.heard}
    # As if it were the clip.
    heard = [first[name].model_copy(update={"file": name}) for name in sorted(map(str, first))]
    chosen = [heard[place] for place in spread(len(heard), limits.clips)]
    try:
        return _stems(chosen, stems.heard, limits.seconds, seed)[0]
    except DataError:
        return None


def _reconstruction(clips: Clips, rows: Sequence[Row], stems: Stems, longest_s: float, seed: int) -> tuple[Rows, float]:
    if any(row.reference is None for row in rows):
        raise DataError("The table names no reference for it")
    names = (lambda row: row.item), (lambda row: str(row.reference))
    sides = [[[clips.path(name(row))] for row in rows] for name in names]
    seconds = _common_s([*sides[0], *sides[1]], LEAST_S, longest_s)
    songs = [row.cluster for row in rows]
    made, heard = (_loaded(side, seconds) for side in sides)
    found = reconstruction_scores(made, heard, songs=songs, seed=seed, stems=(MIX,), summed=False)
    common = stems.in_both()
    if common and all(row.item in stems.generated and row.reference in stems.heard for row in rows):
        folders = [stems.generated[row.item] for row in rows], [stems.heard[str(row.reference)] for row in rows]
        made, heard = (_loaded([[of[name].path for name in common] for of in side], seconds) for side in folders)
        voices = [name for name in common if name in VOICES]
        parts = reconstruction_scores(
            made, heard, songs=songs, seed=seed, stems=common, monophonic=voices, summed=False
        )
        found = [*parts, *found]
    return found, seconds


def _stems(rows: Sequence[Row], folders: Mapping[str, Folder], longest_s: float, seed: int) -> tuple[Rows, float]:
    # One clip that answers for several recordings is measured once.
    chosen = list({row.item: row for row in rows}.values())
    if not all(row.item in folders for row in chosen):
        raise DataError("The table names no stems for it")
    names = list(folders[chosen[0].item])
    parts = [[folders[row.item][name].path for name in names] for row in chosen]
    seconds = _common_s(parts, LEAST_OF_STEMS_S, longest_s)
    songs = [row.cluster for row in chosen]
    pitched = [name for name in names if name not in UNPITCHED]
    return mix_scores(_loaded(parts, seconds), songs=songs, seed=seed, stems=names, tonal=pitched), seconds


def _not_the_sum(clips: Clips, rows: Sequence[Row], stems: Stems, seconds: float) -> list[str]:
    """In words, where the stems do not add up to the clip, up to one factor for each clip."""
    found = []
    for row in rows:
        parts = [stem.path for stem in stems.generated[row.item].values()]
        total = _loaded([parts], seconds)[0].sum(0)
        mix = _loaded([[clips.path(row.item)]], seconds)[0, 0]
        if float(np.sqrt(np.mean(mix**2))) > SILENT_RMS:
            found.append(max(float(si_sdr(total, mix)), -SI_SDR_LIMIT_DB))
    apart = [value for value in found if value < SUM_DB]
    if not apart:
        return []
    return [
        f"The stems of {len(apart)} of {len(found)} clips of {rows[0].condition!r} do not add up to the clip (the "
        f"worst to {min(apart):.0f} dB SI-SDR; {SUM_DB:g} dB or more are expected): what is said of their sum is not "
        "said of the clip. A mixer does that; so do stems of another clip."
    ]


def _common_s(files: Sequence[Sequence[Path]], least_s: float, longest_s: float) -> float:
    """Length of the beginning that all have.

    Raises
    ------
    DataError
        If they are too short, or of different lengths.
    """
    lengths = [min(audio_duration_s(path), longest_s) for of in files for path in of]
    shortest, longest = min(lengths), max(lengths)
    if shortest < least_s:
        raise DataError(f"A clip is {shortest:.2f} s long, and it takes {least_s:g} s")
    if longest > (1.0 + LENGTH_TOLERANCE) * shortest:
        raise DataError(f"The clips are {shortest:.2f} to {longest:.2f} s long, and it takes one length")
    return shortest


def _loaded(files: Sequence[Sequence[Path]], seconds: float) -> FloatArray:
    """(clip, part, samples) at 24 kHz."""
    return np.stack([np.stack([read_audio(path, duration_s=seconds) for path in of]) for of in files])
