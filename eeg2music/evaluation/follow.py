"""Does each generated stem do what the heard stem did, when it did it?

Onset strength at 32 Hz, unsmoothed, with one global lag or one for each listener; the stems as
generated, before the mixer. The nulls are the curve of another song: at its best lag as it is, and aligned by beat,
that is stretched to the tempo of the song that was heard.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eeg2music.errors import InputError
from eeg2music.evaluation.controls import derangement
from eeg2music.evaluation.statistics import cluster_interval
from eeg2music.metrics.audio import correlation, onset_correlation
from eeg2music.mixing.rhythm import analyse_rhythm
from eeg2music.seeding import numpy_rng
from eeg2music.targets.curves import HOP, control_curves_numpy
from eeg2music.types import CURVE_RATE_HZ, STEMS, FloatArray

MAX_LAG_S = 0.5
GLOBAL_LAG_FRAMES = 2
SILENT = 1e-4
# Beats are sharper than frames of 31 ms: a curve that is stretched is read off three times as finely.
FINER = 3
# Tempi further apart than this are one pulse counted at two levels.
MOST_STRETCH = 2.0
# A curve that is played faster ends early: no correlation over less than this of the clip.
LEAST_SHARED = 1 / 3


def onset_curves(stems: FloatArray) -> FloatArray:
    """(clip, stem, samples) -> (clip, stem, frame): onset strength at 32 Hz."""
    return np.stack([control_curves_numpy(clip)[:, 0] for clip in stems])


def fine_onset_curves(stems: FloatArray) -> FloatArray:
    """(stem, samples) -> (stem, frame): the same onset strength at 96 Hz; every third frame is that of `onset_curves`.

    A sound that begins later by a part of a frame has frames between those it had.
    """
    frames = round(stems.shape[-1] / HOP)
    late = [np.pad(stems, ((0, 0), (HOP * part // FINER, 0))) for part in range(FINER - 1, -1, -1)]
    between = np.stack([control_curves_numpy(audio)[:, 0, :frames] for audio in late], axis=-1)
    # The first ones lie before the clip.
    return between.reshape(len(stems), -1)[:, FINER - 1 :]


def following(
    generated: FloatArray,
    heard: FloatArray,
    *,
    seed: int,
    songs: Sequence[str] | None = None,
    listeners: Sequence[str] | None = None,
    tempi_bpm: Sequence[float] | None = None,
) -> dict[str, Any]:
    """Correlation of the onset strength of generated and heard stems.

    Parameters
    ----------
    generated, heard : (clip, stem, samples), clip by clip the same window
    songs : (clip,) which song was heard, where several clips share one; the null pairs different songs
    listeners : (clip,) who heard it
    tempi_bpm : (clip,) tempo of what was heard, as composed; None estimates it

    Returns
    -------
    {"mean", "by_stem", "lag_s", "mean_by_listener", "lag_s_by_listener", "null", "null_by_beat", "ci95_of", "n",
    "cells"}: mean over clips and stems at the one lag (at most 62.5 ms) that suits all clips best. "mean_by_listener"
    allows each listener one such lag, because how late a brain answers is an unknown constant of the listener; None
    without `listeners`. "null" is the same against another song's stem, at the lag of up to 0.5 s that suits each pair
    best; "null_by_beat" against that stem's curve stretched by the ratio of the two tempi, at the lag of up to one beat
    that suits best. Both are freer than the means. "ci95_of" has the intervals of these four over songs. None where
    there is nothing to compare: a stem that never sounds, one song. "cells": what the mean is of, {"song", "subject",
    "correlation"}, clip by clip, the last one by stem.
    """
    made, aimed = onset_curves(generated), onset_curves(heard)
    values, lag_s = _at_one_lag(made, aimed)
    own, lags_s = _at_listeners_lags(made, aimed, listeners)
    labels = list(songs) if songs is not None else list(range(len(made)))
    # With one song in most of the clips they cannot all be paired with another song's.
    alone = 2 * max(Counter(labels).values()) > len(labels)
    other = None if alone else derangement(labels, numpy_rng(seed, "following"))
    found = {
        "mean": values,
        "mean_by_listener": own,
        "null": None if other is None else _null(made, aimed[other]),
        "null_by_beat": None if other is None else _null_by_beat(made, heard, other, tempi_bpm),
    }
    return {
        **{name: None if one is None else _mean(one) for name, one in found.items()},
        "by_stem": {name: _mean(column) for name, column in zip(STEMS, values.T, strict=True)},
        "lag_s": lag_s,
        "lag_s_by_listener": lags_s,
        "ci95_of": {name: _interval(one, labels, listeners) for name, one in found.items()},
        "n": len(made),
        "cells": {
            "song": [str(label) for label in labels],
            "subject": None if listeners is None else [str(name) for name in listeners],
            "correlation": [[None if np.isnan(value) else float(value) for value in row] for row in values],
        },
    }


def _at_one_lag(made: FloatArray, aimed: FloatArray) -> tuple[NDArray[np.float64], float]:
    """(clip, stem) correlations at the lag in seconds that suits all best; NaN where the heard stem is silent."""
    result = onset_correlation(made, aimed, max_lag=GLOBAL_LAG_FRAMES)
    # A stem that is silent in the heard window has no onsets to follow.
    sounding = aimed.std(axis=-1) > SILENT
    return np.where(sounding, result.correlation, np.nan), result.lag_frames / CURVE_RATE_HZ


def _at_listeners_lags(
    made: FloatArray, aimed: FloatArray, listeners: Sequence[str] | None
) -> tuple[NDArray[np.float64] | None, dict[str, float] | None]:
    """(clip, stem) as `_at_one_lag`, with one lag for each listener, and those lags in seconds."""
    if listeners is None:
        return None, None
    who = np.asarray(listeners)
    if who.shape != (len(made),):
        raise InputError(f"{len(who)} listeners for {len(made)} clips", allowed="one each")
    together, lags_s = np.full(made.shape[:2], np.nan), {}
    for name in sorted(set(listeners)):
        together[who == name], lags_s[str(name)] = _at_one_lag(made[who == name], aimed[who == name])
    return together, lags_s


def _mean(values: NDArray[np.float64]) -> float | None:
    """Mean of the values that are there."""
    return float(np.nanmean(values)) if np.isfinite(values).any() else None


def _interval(
    values: NDArray[np.float64] | None, songs: Sequence[Hashable], listeners: Sequence[str] | None
) -> list[float] | None:
    """Of the mean of (clip, stem) values over songs; None with fewer than two."""
    if values is None:
        return None
    clip, stem = np.nonzero(np.isfinite(values))
    of_clip = [songs[row] for row in clip.tolist()]
    if len(set(of_clip)) < 2:
        return None
    people = None if listeners is None else [listeners[row] for row in clip.tolist()]
    return correlation_limits(values[clip, stem], of_clip, people)


def correlation_limits(
    values: ArrayLike, songs: Sequence[Hashable], subjects: Sequence[Hashable] | None = None
) -> list[float]:
    """`cluster_interval` of a mean of correlations, which has no room beyond -1 and 1.

    >>> correlation_limits([1.0, 0.9], ["a", "b"])[1]
    1.0
    """
    interval = cluster_interval(values, songs, subjects)
    return [max(interval.low, -1.0), min(interval.high, 1.0)]


def _null(made: FloatArray, other: FloatArray) -> NDArray[np.float64]:
    """(clip, stem), each at its best lag; NaN where the other stem is silent."""
    most = round(MAX_LAG_S * CURVE_RATE_HZ)
    values = np.full(made.shape[:2], np.nan)
    for clip, stem in zip(*np.nonzero(other.std(axis=-1) > SILENT), strict=True):
        values[clip, stem] = onset_correlation(made[clip, stem], other[clip, stem], max_lag=most).mean
    return values


def _null_by_beat(
    made: FloatArray, heard: FloatArray, other: NDArray[np.int64], tempi_bpm: Sequence[float] | None
) -> NDArray[np.float64]:
    """(clip, stem), each at its best lag; NaN where the other stem is silent."""
    if tempi_bpm is None:
        tempi_bpm = [analyse_rhythm(clip.sum(0)).tempo_bpm for clip in heard]
    if len(tempi_bpm) != len(made):
        raise InputError(f"{len(tempi_bpm)} tempi for {len(made)} clips", allowed="one each")
    values = np.full(made.shape[:2], np.nan)
    # Several listeners hear one window.
    known: dict[bytes, FloatArray] = {}
    for clip, (curves, tempo, place) in enumerate(zip(made, tempi_bpm, other, strict=True)):
        window = sha256(heard[place].tobytes()).digest()
        if window not in known:
            known[window] = fine_onset_curves(heard[place])
        strange = known[window]
        found = beat_aligned_correlation(curves, strange, tempo, tempi_bpm[place])
        values[clip] = np.where(strange.std(axis=-1) > SILENT, found, np.nan)
    return values


def beat_aligned_correlation(
    curves: FloatArray, other: FloatArray, tempo_bpm: float, other_tempo_bpm: float
) -> NDArray[np.float64]:
    """Correlation with the curves of another song, stretched so that it has the tempo of this one.

    Parameters
    ----------
    curves : (stem, frame) at 32 Hz
    other : (stem, frame) at 96 Hz
    tempo_bpm, other_tempo_bpm : above 0; where one is 0, no pulse was found, and the curves stay as they are

    Returns
    -------
    (stem,) each at the lag of up to one beat that suits it best.
    """
    known = tempo_bpm > 0 and other_tempo_bpm > 0
    ratio = tempo_bpm / other_tempo_bpm if known else 1.0
    while not 1 / MOST_STRETCH <= ratio <= MOST_STRETCH:
        ratio *= 2.0 if ratio < 1.0 else 0.5
    most = round((60.0 / tempo_bpm if known else MAX_LAG_S) * CURVE_RATE_HZ * FINER)
    frames = np.arange(curves.shape[-1])
    best = np.full(len(curves), -1.0)
    for lag in range(-most, most + 1):
        # Where in the other song each frame lies.
        places = np.rint((FINER * frames - lag) * ratio).astype(np.int64)
        inside = (places >= 0) & (places < other.shape[-1])
        if inside.sum() >= max(2, LEAST_SHARED * len(frames)):
            best = np.maximum(best, correlation(curves[:, inside], other[:, places[inside]]))
    return best
