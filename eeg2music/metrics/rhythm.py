"""Agreement of onsets, beats and tempo between two pieces of music, as the field scores it.

Times are in seconds, ascending. The F-measures are mir_eval's (Raffel et al. 2014): the largest possible matching of
events within a tolerance, each event used once. Tempo is in `metrics.harmony.tempo_agreement`. Reads no audio:
`pick_onsets` takes an onset-strength curve.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.ndimage import maximum_filter1d

from eeg2music.errors import InputError
from eeg2music.metrics.checks import Float64, finite

ONSET_TOLERANCE_S = 0.05
BEAT_TOLERANCE_S = 0.07
# Böck et al. 2012, offline: seconds before and after a peak, and the least time between two.
MAX_BEFORE_S = 0.03
MAX_AFTER_S = 0.03
MEAN_BEFORE_S = 0.1
MEAN_AFTER_S = 0.07
LEAST_GAP_S = 0.03


class EventScore(NamedTuple):
    """F-measure, precision and recall, each in [0, 1]."""

    f_measure: float
    precision: float
    recall: float


def onset_f_measure(
    estimated_s: ArrayLike, reference_s: ArrayLike, *, tolerance_s: float = ONSET_TOLERANCE_S
) -> EventScore:
    """F-measure of onset times (MIREX; `mir_eval.onset.f_measure`).

    Parameters
    ----------
    estimated_s : (m,), reference_s : (n,) seconds, ascending
    tolerance_s : an onset within this of a reference may match it (included)

    Returns
    -------
    All 0 where one of the two has no events, as in mir_eval: leave silent references out, and say so.

    Raises
    ------
    InputError
        For times that are not finite, negative or not ascending.

    >>> onset_f_measure([0.01, 1.0, 2.2], [0.0, 1.04, 2.0]).recall
    0.6666666666666666
    """
    ours, ref = _events("estimated_s", estimated_s), _events("reference_s", reference_s)
    _positive("tolerance_s", tolerance_s)
    if not ours.size or not ref.size:
        return EventScore(0.0, 0.0, 0.0)
    import mir_eval

    return EventScore(*(float(value) for value in mir_eval.onset.f_measure(ref, ours, window=tolerance_s)))


def beat_f_measure(
    estimated_s: ArrayLike,
    reference_s: ArrayLike,
    *,
    tolerance_s: float = BEAT_TOLERANCE_S,
    skip_first_s: float = 0.0,
) -> float:
    """F-measure of beat times (Dixon 2007; `mir_eval.beat.f_measure`). Symmetric.

    A beat at twice or half the tempo is not forgiven: two thirds is the most that it gets.

    Parameters
    ----------
    estimated_s : (m,), reference_s : (n,) seconds, ascending
    skip_first_s : beats before this are left out on both sides. MIREX skips 5 s; clips of 5 s allow none.

    Returns
    -------
    [0, 1]; 0 where one of the two has no beats.

    >>> beat_f_measure([0.5, 1.0, 1.5, 2.0], [1.0, 2.0])
    0.6666666666666666
    """
    ours, ref = _events("estimated_s", estimated_s), _events("reference_s", reference_s)
    _positive("tolerance_s", tolerance_s)
    ours, ref = ours[ours >= skip_first_s], ref[ref >= skip_first_s]
    if not ours.size or not ref.size:
        return 0.0
    import mir_eval

    return float(mir_eval.beat.f_measure(ref, ours, f_measure_threshold=tolerance_s))


def pick_onsets(strength: ArrayLike, rate_hz: float, *, threshold: float = 0.5) -> Float64:
    """Onset times of an onset-strength curve (Böck, Krebs and Schedl 2012, section 2.2, offline).

    A frame is an onset if it is the largest within 30 ms on either side, lies at least `threshold` above the mean
    from 100 ms before to 70 ms after it, and comes more than 30 ms after the last one.

    Parameters
    ----------
    strength : (frame,) non-negative, e.g. of unit deviation
    rate_hz : frames a second
    threshold : in units of the curve

    Returns
    -------
    (onset,) seconds, ascending; empty for a flat curve.

    >>> pick_onsets([0, 0, 0, 4, 0, 0, 0, 0, 3, 0, 0, 0], 10.0)
    array([0.3, 0.8])
    """
    values = finite("strength", strength)
    if values.ndim != 1:
        raise InputError(f"strength has shape {values.shape}", allowed="(frame,)")
    _positive("rate_hz", rate_hz)
    before, after = round(MAX_BEFORE_S * rate_hz), round(MAX_AFTER_S * rate_hz)
    reach = max(before, after)
    highest = maximum_filter1d(values, 2 * reach + 1, mode="nearest")
    level = _local_mean(values, round(MEAN_BEFORE_S * rate_hz), round(MEAN_AFTER_S * rate_hz))
    candidates = np.flatnonzero((values == highest) & (values >= level + threshold) & (values > 0.0))
    gap, last, kept = LEAST_GAP_S * rate_hz, -np.inf, []
    for frame in candidates:
        if frame - last > gap:
            kept.append(frame)
            last = float(frame)
    return np.asarray(kept, dtype=np.float64) / rate_hz


def _local_mean(values: Float64, before: int, after: int) -> Float64:
    """Mean over the frames from `before` before to `after` after each, fewer at the ends."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    place = np.arange(len(values))
    first, last = np.maximum(place - before, 0), np.minimum(place + after + 1, len(values))
    return (total[last] - total[first]) / (last - first)


def _events(name: str, times_s: ArrayLike) -> Float64:
    values = np.asarray(times_s, dtype=np.float64)
    if values.size == 0:
        return np.zeros(0)
    values = finite(name, values)
    if values.ndim != 1 or values.min() < 0.0 or np.any(np.diff(values) < 0.0):
        raise InputError(
            f"{name} of shape {values.shape} from {values.min():g} s on",
            allowed="(n,) seconds, ascending, none below 0",
        )
    return values


def _positive(name: str, value: float) -> None:
    if not value > 0.0:
        raise InputError(f"{name} = {value}", allowed="above 0")
