"""Cuts a preprocessed recording into the windows that the encoder takes.

Windows start on even samples, so that control curves at 32 Hz fall on the same grid. Never pads:
a recording shorter than a window is one window of its true length.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from eeg2music.errors import InputError
from eeg2music.preprocess.eeg import channel_mask
from eeg2music.types import EEG_RATE_HZ, WINDOW_S, Event, Recording, Window

_GRID = 2


def spread_windows(recording: Recording, *, window_s: float = WINDOW_S, hop_s: float = WINDOW_S / 2) -> list[Window]:
    """Windows that cover a whole preprocessed recording, evenly spread: no two are further apart than `hop_s`."""
    length, starts = cover(recording.signal_v.shape[1], window_s, hop_s)
    last, gaps = starts[-1], max(1, len(starts) - 1)
    return [cut_window(recording, round(last * index / gaps / _GRID) * _GRID, length) for index in range(len(starts))]


def cover(total: int, window_s: float, hop_s: float) -> tuple[int, list[int]]:
    """Length and first samples of windows over `total` samples at EEG_RATE_HZ.

    >>> cover(800, 5.0, 2.5)
    (320, [0, 160, 320, 480])
    >>> cover(200, 5.0, 2.5)
    (200, [0])
    """
    if hop_s <= 0 or window_s <= 0:
        raise InputError(f"window = {window_s:g} s, hop = {hop_s:g} s", allowed="both above 0")
    length = min(_even(window_s * EEG_RATE_HZ), total - total % _GRID)
    hop = max(_GRID, _even(hop_s * EEG_RATE_HZ))
    last = (total - length) // _GRID * _GRID
    starts = list(range(0, last, hop))
    return length, [*starts, last]


def stimulus_windows(
    recording: Recording, *, window_s: float = WINDOW_S, hop_s: float = WINDOW_S / 2
) -> Iterator[tuple[Event, int, int]]:
    """(event, first sample, number of samples) of the windows inside each stimulus.

    A window lies wholly inside its stimulus and inside the recording; stimuli shorter than a window
    give none. Where an event has no duration, its stimulus ends with the next one or the recording.

    Raises
    ------
    InputError
        If two stimuli overlap, so that nobody can say which one a window heard.
    """
    heard = sorted((event for event in recording.events if event.stimulus), key=lambda event: event.onset_s)
    length = _even(window_s * EEG_RATE_HZ)
    hop = max(_GRID, _even(hop_s * EEG_RATE_HZ))
    total = recording.signal_v.shape[1]
    _refuse_overlaps(heard)
    following = [*(event.onset_s for event in heard[1:]), total / EEG_RATE_HZ]
    for event, next_s in zip(heard, following, strict=False):
        end_s = event.onset_s + event.duration_s if event.duration_s > 0 else next_s
        last = min(total, math.floor(end_s * EEG_RATE_HZ + 1e-6)) - length
        first = max(0, math.ceil(event.onset_s * EEG_RATE_HZ / _GRID - 1e-6) * _GRID)
        for start in range(first, last + 1, hop):
            yield event, start, length


def _refuse_overlaps(heard: Sequence[Event]) -> None:
    """Refuse stimuli, in the order of their onsets, of which one begins before another is over.

    By more than a step of the windows' grid: times are rounded.
    """
    step_s = _GRID / EEG_RATE_HZ
    longest: Event | None = None
    for event in heard:
        if longest is not None and event.onset_s < longest.onset_s + max(longest.duration_s - step_s, step_s):
            raise InputError(
                f"The stimuli {longest.stimulus} at {longest.onset_s:g} s and {event.stimulus} at {event.onset_s:g} s "
                "overlap",
                allowed="one stimulus at a time",
                remedy="correct onset and duration in events.tsv, or name a mixture as one stim_file",
            )
        if longest is None or event.onset_s + event.duration_s > longest.onset_s + longest.duration_s:
            longest = event


def cut_window(recording: Recording, start: int, length: int) -> Window:
    """The `length` samples from `start` on of a preprocessed recording."""
    return Window(
        eeg=recording.signal_v[:, start : start + length],
        positions_m=recording.positions_m,
        channel_mask=channel_mask(recording),
        subject=recording.subject,
        window_id=f"{recording.key}/{start}",
        recording=recording.key,
        start_s=start / EEG_RATE_HZ,
    )


def _even(samples: float) -> int:
    return max(_GRID, round(samples / _GRID) * _GRID)
