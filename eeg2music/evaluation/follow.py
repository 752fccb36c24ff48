"""Does each generated stem do what the heard stem did, when it did it?

Onset strength at 32 Hz, unsmoothed, with one global lag or one for each listener; the stems as
generated, before the mixer. The null is the curve of another song, aligned by beat as well as it can be.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeg2music.errors import InputError
from eeg2music.evaluation.controls import derangement
from eeg2music.metrics.audio import onset_correlation
from eeg2music.seeding import numpy_rng
from eeg2music.targets.curves import control_curves_numpy
from eeg2music.types import CURVE_RATE_HZ, STEMS, FloatArray

MAX_LAG_S = 0.5
GLOBAL_LAG_FRAMES = 2
SILENT = 1e-4


def onset_curves(stems: FloatArray) -> FloatArray:
    """(clip, stem, samples) -> (clip, stem, frame): onset strength at 32 Hz."""
    return np.stack([control_curves_numpy(clip)[:, 0] for clip in stems])


def following(
    generated: FloatArray,
    heard: FloatArray,
    *,
    seed: int,
    songs: Sequence[str] | None = None,
    listeners: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Correlation of the onset strength of generated and heard stems.

    Parameters
    ----------
    generated, heard : (clip, stem, samples), clip by clip the same window
    songs : (clip,) which song was heard, where several clips share one; the null pairs different songs
    listeners : (clip,) who heard it

    Returns
    -------
    {"mean", "by_stem", "lag_s", "mean_by_listener", "lag_s_by_listener", "null", "n"}: mean over clips and stems at
    the one lag (at most 62.5 ms) that suits all clips best. "mean_by_listener" allows each listener one such lag,
    because how late a brain answers is an unknown constant of the listener; None without `listeners`. "null" is the
    same against another song's stem, at the lag of up to 0.5 s that suits each pair best, so that beats may fall
    together: it is freer than both. None where there is nothing to compare: a stem that never sounds, one song.
    """
    made, aimed = onset_curves(generated), onset_curves(heard)
    values, lag_s = _at_one_lag(made, aimed)
    by_listener, lags_s = _at_listeners_lags(made, aimed, listeners)
    labels = list(songs) if songs is not None else list(range(len(made)))
    # With one song in most of the clips they cannot all be paired with another song's.
    alone = 2 * max(Counter(labels).values()) > len(labels)
    return {
        "mean": _mean(values),
        "by_stem": {name: _mean(column) for name, column in zip(STEMS, values.T, strict=True)},
        "lag_s": lag_s,
        "mean_by_listener": by_listener,
        "lag_s_by_listener": lags_s,
        "null": None if alone else _null(made, aimed[derangement(labels, numpy_rng(seed, "following"))]),
        "n": len(made),
    }


def _at_one_lag(made: FloatArray, aimed: FloatArray) -> tuple[NDArray[np.float64], float]:
    """(clip, stem) correlations at the lag in seconds that suits all best; NaN where the heard stem is silent."""
    result = onset_correlation(made, aimed, max_lag=GLOBAL_LAG_FRAMES)
    # A stem that is silent in the heard window has no onsets to follow.
    sounding = aimed.std(axis=-1) > SILENT
    return np.where(sounding, result.correlation, np.nan), result.lag_frames / CURVE_RATE_HZ


def _at_listeners_lags(
    made: FloatArray, aimed: FloatArray, listeners: Sequence[str] | None
) -> tuple[float | None, dict[str, float] | None]:
    """Mean over all clips and stems with one lag for each listener, and those lags in seconds."""
    if listeners is None:
        return None, None
    who = np.asarray(listeners)
    if who.shape != (len(made),):
        raise InputError(f"{len(who)} listeners for {len(made)} clips", allowed="one each")
    found = {str(name): _at_one_lag(made[who == name], aimed[who == name]) for name in sorted(set(listeners))}
    together = np.concatenate([values for values, _ in found.values()])
    return _mean(together), {name: lag_s for name, (_, lag_s) in found.items()}


def _mean(values: NDArray[np.float64]) -> float | None:
    """Mean of the values that are there."""
    return float(np.nanmean(values)) if np.isfinite(values).any() else None


def _null(made: FloatArray, other: FloatArray) -> float | None:
    most = round(MAX_LAG_S * CURVE_RATE_HZ)
    values = [
        onset_correlation(curve, target, max_lag=most).mean
        for clip, stranger in zip(made, other, strict=True)
        for curve, target in zip(clip, stranger, strict=True)
        if target.std() > SILENT
    ]
    return float(np.mean(values)) if values else None
