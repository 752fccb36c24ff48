"""Stretches of a recording in which nothing was recorded, or that somebody marked as bad.

Recorders pad with zeros or hold a value; lost packets become NaN. Left alone, the step at such an
edge rings through every filter. Gaps are bridged by a straight line, and left out of every statistic.
So are stretches marked bad: an artefact that was cut out after the filters would have rung into its neighbours.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eeg2music.types import MARKED_BAD, FloatArray, Recording

MIN_GAP_S = 0.1


def find_gaps(signal: FloatArray, sfreq_hz: float, *, usable: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(time,) True where every usable channel of (channel, time) stands still, or is not finite, for 0.1 s."""
    if not usable.any():
        return np.zeros(signal.shape[1], dtype=bool)
    still = np.ones(signal.shape[1], dtype=bool)
    candidates = np.arange(1, signal.shape[1])
    for row in np.flatnonzero(usable):
        # Few samples stay candidates after the first channels, so this is far less than a full pass.
        here, before = signal[row, candidates], signal[row, candidates - 1]
        candidates = candidates[(here == before) | ~np.isfinite(here)]
        if not candidates.size:
            break
    still[:] = False
    still[candidates] = True
    return _long_runs(still, max(2, round(MIN_GAP_S * sfreq_hz)))


def bad_stretches(recording: Recording) -> list[tuple[float, float]]:
    """(start, stop) in seconds of what is marked bad, in order and merged; of a mere cut both are the same."""
    merged: list[tuple[float, float]] = []
    for event in sorted((e for e in recording.events if e.kind == MARKED_BAD), key=lambda e: e.onset_s):
        start, stop = max(0.0, event.onset_s), min(recording.duration_s, event.onset_s + event.duration_s)
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], stop))
        elif start <= stop:
            merged.append((start, stop))
    return merged


def marked_bad(recording: Recording) -> NDArray[np.bool_]:
    """(time,) True where the recording is marked bad."""
    marked = np.zeros(recording.signal_v.shape[1], dtype=bool)
    for start, stop in bad_stretches(recording):
        marked[round(start * recording.sfreq_hz) : round(stop * recording.sfreq_hz)] = True
    return marked


def _long_runs(flags: NDArray[np.bool_], shortest: int) -> NDArray[np.bool_]:
    """Keep runs of at least `shortest` steps; a run of steps also covers the sample before it."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    out = np.zeros_like(flags)
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        if stop - start >= shortest:
            out[max(0, start - 1) : stop] = True
    return out


def bridge(signal: FloatArray, gaps: NDArray[np.bool_], *, copy: bool = True) -> FloatArray:
    """(channel, time) with gaps and non-finite samples replaced by straight lines, in place if not `copy`."""
    out = signal.astype(np.float32, copy=copy)
    whole = np.flatnonzero(~gaps)
    if whole.size and whole.size < gaps.size:
        for row in out:
            row[gaps] = np.interp(np.flatnonzero(gaps), whole, row[whole])
    for row in out:
        finite = np.isfinite(row)
        if not finite.all():
            good = np.flatnonzero(finite)
            row[:] = np.interp(np.arange(row.size), good, row[good]) if good.size else 0.0
    return out
