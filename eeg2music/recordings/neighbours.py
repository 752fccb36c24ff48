"""Windows of one recording that lie so close in time that they tell of each other.

A brain still answers to what was heard before, and slow drifts last longer than a window: a training window beside
a test window has part of its signal, whatever the songs are called. Works with times only.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeg2music.errors import DataError, InputError, LeakError
from eeg2music.types import EEG_RATE_HZ

# The longest lag at which models here look for an answer of the brain to a sound; fMRI needs some 20 s.
RESPONSE_LAG_S = 0.5

Row = Mapping[str, Any]
Spans = NDArray[np.float64]


def default_gap_s(rows: Sequence[Row], *, lag_s: float = RESPONSE_LAG_S) -> float:
    """The longest window and the longest response lag, in seconds."""
    spans = window_spans(rows)
    return float((spans[:, 1] - spans[:, 0]).max(initial=0.0)) + lag_s


def has_times(row: Row) -> bool:
    """Whether a row says which stretch of which recording it is."""
    seconds = row.get("start_s") is not None and row.get("duration_s") is not None
    samples = row.get("start_sample") is not None and row.get("n_samples") is not None
    return row.get("recording") is not None and (seconds or samples)


def window_spans(rows: Sequence[Row]) -> Spans:
    """Begin and end of each window in its recording. (n, 2) seconds.

    Parameters
    ----------
    rows : with `recording`, and `start_s` and `duration_s` in seconds, or `start_sample` and `n_samples` at 64 Hz as
        in a prepared cache

    Raises
    ------
    DataError
        If a row says neither.
    """
    missing = [row for row in rows if not has_times(row)]
    if missing:
        raise DataError(
            f"{len(missing)} of {len(rows)} windows do not say where in which recording they are",
            allowed="recording, start_s and duration_s for each window",
            remedy="add them: neighbours cannot be excluded otherwise",
        )
    spans = np.array([_span(row) for row in rows], dtype=np.float64).reshape(len(rows), 2)
    if not np.isfinite(spans).all() or (spans[:, 1] <= spans[:, 0]).any():
        raise InputError("A window without a finite start and a duration above 0", allowed="finite seconds")
    return spans


def near(rows: Sequence[Row], others: Sequence[Row], *, gap_s: float) -> NDArray[np.bool_]:
    """Which rows are of the same recording as one of `others` and less than `gap_s` from it. (n,).

    The distance is from the end of one window to the start of the other; windows that touch are 0 s apart, and
    windows that overlap are near at any gap.
    """
    if not (np.isfinite(gap_s) and gap_s >= 0.0):
        raise InputError(f"A gap of {gap_s} s", allowed="0 s or more")
    mine, theirs = window_spans(rows), window_spans(others)
    places: dict[str, list[int]] = defaultdict(list)
    for place, row in enumerate(others):
        places[str(row["recording"])].append(place)
    own: dict[str, list[int]] = defaultdict(list)
    for place, row in enumerate(rows):
        own[str(row["recording"])].append(place)
    found = np.zeros(len(rows), dtype=bool)
    # What is rounding in a time is no overlap.
    margin = gap_s - 1e-9
    for recording in own.keys() & places.keys():
        spans = theirs[places[recording]]
        spans = spans[np.argsort(spans[:, 0], kind="stable")]
        latest_end = np.concatenate([[-np.inf], np.maximum.accumulate(spans[:, 1])])
        begin, end = mine[own[recording]].T
        # Of the others that start before this window's end and the gap, does any end after its start less the gap?
        before = np.searchsorted(spans[:, 0], end + margin, side="left")
        found[own[recording]] = latest_end[before] > begin - margin
    return found


def refuse_adjacent(
    train: Sequence[Row], test: Sequence[Row], *, gap_s: float | None = None, lag_s: float = RESPONSE_LAG_S
) -> float:
    """Raise if a training window lies closer to a test window of its recording than the gap.

    Parameters
    ----------
    train, test : rows as for `window_spans`
    gap_s : None takes the longest window and the longest response lag
    lag_s : the longest response lag

    Returns
    -------
    The gap in seconds that was kept.

    Raises
    ------
    LeakError
        Naming how many windows are too close, and the first.
    """
    gap = default_gap_s([*train, *test], lag_s=lag_s) if gap_s is None else gap_s
    close = near(train, test, gap_s=gap)
    if close.any():
        first = train[int(close.argmax())]
        start_s = window_spans([first])[0, 0]
        raise LeakError(
            f"{close.sum()} of {len(train)} training windows lie less than {gap:g} s from a test window of their "
            f"recording, such as {first['recording']} at {start_s:g} s",
            allowed=f"adjacent windows on one side, or {gap:g} s between the sides",
            remedy="hold out whole recordings, or leave the neighbours out with `without_neighbours`",
        )
    return gap


def _span(row: Row) -> tuple[float, float]:
    if row.get("start_s") is not None and row.get("duration_s") is not None:
        return float(row["start_s"]), float(row["start_s"]) + float(row["duration_s"])
    start = float(row["start_sample"]) / EEG_RATE_HZ
    return start, start + float(row["n_samples"]) / EEG_RATE_HZ
