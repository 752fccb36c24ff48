"""Do the stems of a clip belong together, and is their mix sound? One row for each measure.

Coherence of onsets, key and beat are compared between the stems of one clip; the null pairs each stem with the other
stems of another song's clip, which shows what any two pieces have in common. Loudness, true peak and masking are of the
plain sum of the stems, before any mixer. Compares with nothing that was heard, and changes no audio.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from eeg2music.errors import InputError
from eeg2music.evaluation.controls import derangement
from eeg2music.evaluation.reconstruction import Reading, interval_of, mean_of
from eeg2music.metrics.checks import finite
from eeg2music.metrics.stems import (
    beat_agreement_between,
    coherence_floor,
    key_agreement_between,
    loudness_lufs,
    masked_share,
    stem_coherence,
    true_peak_dbtp,
)
from eeg2music.seeding import numpy_rng
from eeg2music.targets.curves import control_curves_numpy
from eeg2music.types import STEMS, FloatArray

TONAL = ("bass", "harmony", "melody")
SHARE = (0.0, 1.0)


class Stem(NamedTuple):
    """One stem of one clip. onsets : (frame,) onset strength at 32 Hz"""

    reading: Reading
    onsets: FloatArray
    pitched: bool


def _coherence(one: Stem, other: Stem) -> float | None:
    if not (one.reading.sounds and other.reading.sounds):
        return None
    return float(stem_coherence(np.stack([one.onsets, other.onsets]))[0, 1])


def _key(one: Stem, other: Stem) -> float | None:
    if not all(stem.pitched and stem.reading.sounds and stem.reading.tonal for stem in (one, other)):
        return None
    return key_agreement_between([one.reading.harmony.key, other.reading.harmony.key])


def _beat(one: Stem, other: Stem) -> float | None:
    if not all(stem.reading.sounds and stem.reading.has_pulse for stem in (one, other)):
        return None
    return beat_agreement_between([one.reading.rhythm.beats_s, other.reading.rhythm.beats_s])


# Of two stems; symmetric, None where one of them has nothing to agree with.
BETWEEN: dict[str, Callable[[Stem, Stem], float | None]] = {
    "onset_coherence": _coherence,
    "key_agreement": _key,
    "beat_agreement": _beat,
}


def _loudness(stems: FloatArray) -> float | None:
    value = loudness_lufs(stems.sum(0))
    return value if np.isfinite(value) else None


def _peak(stems: FloatArray) -> float | None:
    value = true_peak_dbtp(stems.sum(0))
    return value if np.isfinite(value) else None


def _masked(stems: FloatArray) -> float | None:
    sounding = stems[[Reading(stem).sounds for stem in stems]]
    return float(masked_share(sounding).mean()) if len(sounding) > 1 else None


# Of the sum, or of each stem beside it: (stem, samples) -> value and its bounds.
OF_THE_MIX: dict[str, tuple[Callable[[FloatArray], float | None], tuple[float, float] | None]] = {
    "loudness_lufs": (_loudness, None),
    "true_peak_dbtp": (_peak, None),
    "masked_share": (_masked, SHARE),
}


def mix_scores(
    clips: ArrayLike,
    *,
    songs: Sequence[Hashable],
    seed: int,
    stems: Sequence[str] = STEMS,
    tonal: Sequence[str] = TONAL,
) -> list[dict[str, Any]]:
    """Score how the stems of each clip go together, and their sum.

    Parameters
    ----------
    clips : (clip, stem, samples) at 24 kHz, 2.5 s or more
    songs : (clip,) song (work) of each clip: the clusters, and never the null of its own
    seed : of the null's pairing
    tonal : stems whose keys are compared

    Returns
    -------
    Rows ready for JSON with "measure", "n" (clips), "mean" (over clips, of the mean over pairs of stems), "ci95" (over
    songs), "null" (None for measures of the mix), "left_out" (clips without two stems that sound, have a key or a
    pulse; or a silent mix), "interval", and, for the coherence, "floor": what unrelated curves of this length have.

    Raises
    ------
    InputError
        For a wrong shape, or values that are not finite.
    DataError
        If one song makes up more than half of the clips: the null cannot be paired.
    """
    audio = np.asarray(finite("clips", clips), dtype=np.float32)
    if audio.ndim != 3 or audio.shape[1] != len(stems):
        raise InputError(f"clips has shape {audio.shape}", allowed=f"(clip, {len(stems)} stems, samples)")
    if len(songs) != len(audio):
        raise InputError(f"{len(songs)} songs for {len(audio)} clips", allowed="one each")
    others = derangement(list(songs), numpy_rng(seed, "mix", "null"))
    onsets = control_curves_numpy(audio)[:, :, 0]
    read = [
        [Stem(Reading(part), curve, name in tonal) for part, curve, name in zip(clip, curves, stems, strict=True)]
        for clip, curves in zip(audio, onsets, strict=True)
    ]
    rows = []
    for measure, between in BETWEEN.items():
        own = [_mean_of_pairs(between, clip, clip) for clip in read]
        strange = [_mean_of_pairs(between, clip, read[other]) for clip, other in zip(read, others, strict=True)]
        rows.append(_row(measure, own, songs, SHARE, null=mean_of(strange)))
    rows[0]["floor"] = coherence_floor(onsets.shape[-1])
    rows += [
        _row(measure, [score(clip) for clip in audio], songs, bounds) for measure, (score, bounds) in OF_THE_MIX.items()
    ]
    return rows


def _mean_of_pairs(
    between: Callable[[Stem, Stem], float | None], ours: Sequence[Stem], theirs: Sequence[Stem]
) -> float | None:
    """Each stem of one clip with the later ones of the other."""
    return mean_of([between(ours[i], theirs[j]) for i, j in itertools.combinations(range(len(ours)), 2)])


def _row(
    measure: str,
    values: Sequence[float | None],
    songs: Sequence[Hashable],
    bounds: tuple[float, float] | None,
    *,
    null: float | None = None,
) -> dict[str, Any]:
    interval = interval_of(values, songs, bounds)
    return {
        "measure": measure,
        "n": sum(value is not None for value in values),
        "mean": mean_of(values),
        "ci95": None if interval is None else [interval.low, interval.high],
        "null": null,
        "left_out": sum(value is None for value in values),
        "interval": None if interval is None else interval.method,
    }


def by_measure(rows: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Rows by their measure."""
    return {row["measure"]: row for row in rows}
