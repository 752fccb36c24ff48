"""XDF (Lab Streaming Layer): several streams with their own clocks; the EEG stream is chosen.

Clocks are reset and packets get lost. The longest stretch without a gap is used, put on a
uniform grid where its time stamps are not uniform, and the notes say so.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from logging.handlers import BufferingHandler
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeg2music.errors import InputError
from eeg2music.recordings.channel_words import BRAIN_TYPES, type_in_words, volts_per
from eeg2music.recordings.contents import READERS, FileContents, Reader, no_positions
from eeg2music.recordings.through_mne import unreadable
from eeg2music.types import Event

_GAP_S = 0.1


@READERS.add("xdf")
class XdfReader(Reader):
    """Extensible Data Format."""

    suffixes = (".xdf", ".xdfz")
    title = "XDF"

    def read(self, path: Path, wanted: Sequence[str] = ()) -> FileContents:
        import pyxdf

        with _complaints() as damage:
            try:
                streams, _ = pyxdf.load_xdf(str(path), dejitter_timestamps=True, handle_clock_resets=True)
            except Exception as error:
                raise unreadable(path, self.title, error) from None
        brain = _brain_streams(path, streams)
        stream = _choose(brain, wanted)
        rest = [other for other in streams if all(other is not one for one in brain)]
        markers = [other for other in rest if not _is_signal(other)]
        notes = [f"{len(markers)} other stream(s) of the XDF file were used for events only"] if markers else []
        notes += _not_used(stream, brain, [other for other in rest if _is_signal(other)])
        contents = _contents(stream, markers, notes)
        return contents.replace(notes=(*contents.notes, *_cut(stream, bool(damage))))


@contextmanager
def _complaints() -> Iterator[list[logging.LogRecord]]:
    """Catch what pyxdf logs as errors: it passes over what it cannot read. Nothing reaches the console."""
    log, found = logging.getLogger("pyxdf"), BufferingHandler(sys.maxsize)
    before = log.level, log.propagate
    log.setLevel(logging.ERROR)
    log.propagate = False
    log.addHandler(found)
    try:
        yield found.buffer
    finally:
        log.removeHandler(found)
        log.setLevel(before[0])
        log.propagate = before[1]


def _cut(stream: dict[str, Any], damaged: bool) -> Iterator[str]:
    """What is to be said of a file that is not whole: what a recorder that crashed has left is worth reading."""
    if damaged:
        yield "parts of the file are damaged and were passed over"
    if "footer" not in stream:
        yield "the stream has no end: the file was cut off or its recorder stopped; what is there was used"


def _text(value: Any) -> str:
    """XDF wraps every entry in a list."""
    while isinstance(value, list):
        value = value[0] if value else ""
    return "" if value is None else str(value)


def _brain_streams(path: Path, streams: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The streams that can be decoded, in the order of the file."""
    numeric = [
        stream
        for stream in streams
        if isinstance(stream["time_series"], np.ndarray)
        and np.issubdtype(stream["time_series"].dtype, np.number)
        and len(stream["time_stamps"]) > 1
    ]
    brain = [stream for stream in numeric if _text(stream["info"]["type"]).upper() in ("EEG", "IEEG", "ECOG", "MEG")]
    if not brain:
        # Whoever recorded may have written anything there, also a name.
        kinds = sorted({type_in_words(_text(stream["info"]["type"])) for stream in streams})
        raise InputError(
            f"{path} has no EEG stream, only: {', '.join(kinds) or 'nothing'}",
            allowed="an XDF file with a stream of type EEG",
            remedy="record the EEG stream too",
        )
    return brain


def _choose(brain: Sequence[dict[str, Any]], wanted: Sequence[str]) -> dict[str, Any]:
    """The stream with the channels asked for; of those the one with most brain channels, then with most samples.

    Channels before samples: a fast stream of a few electrodes is not the cap.
    """
    asked = _as_asked(wanted)
    having = [stream for stream in brain if asked <= _as_asked(_names(stream))]

    def size(stream: dict[str, Any]) -> tuple[int, int]:
        samples, count = stream["time_series"].shape
        return sum(kind in BRAIN_TYPES for kind in _channels(stream, count)[1]), samples

    return max(having or brain, key=size)


def _as_asked(names: Sequence[str]) -> set[str]:
    return {name.strip().upper() for name in names}


def _names(stream: dict[str, Any]) -> tuple[str, ...]:
    return _channels(stream, stream["time_series"].shape[1])[0]


def _not_used(
    stream: dict[str, Any], brain: Sequence[dict[str, Any]], signals: Sequence[dict[str, Any]]
) -> Iterator[str]:
    """What is left lying: other brain streams, and how to have them instead, and other signals."""
    for other in brain:
        if other is stream:
            continue
        names, step_s = _names(other), float(np.median(np.diff(other["time_stamps"])))
        rate = f"{1 / step_s:.4g} Hz" if step_s > 0 else "no regular rate"
        same = _as_asked(names) <= _as_asked(_names(stream))
        how = "save it as a file of its own" if same else f"name its channels, --channels {names[0]},…,"
        yield f"not used: another brain stream of {len(names)} channels at {rate} ({how} to decode it)"
    if signals:
        kinds = sorted({type_in_words(_text(other["info"]["type"])) for other in signals})
        yield f"not used: {len(signals)} stream(s) of other signals ({', '.join(kinds)})"


def _contents(stream: dict[str, Any], markers: Sequence[dict[str, Any]], notes: list[str]) -> FileContents:
    stamps = np.asarray(stream["time_stamps"], dtype=float)
    first, last, gaps = longest_stretch(stamps, _GAP_S)
    if gaps:
        notes.append(
            f"the stream has {gaps} gap(s) or clock reset(s); the longest stretch was used "
            f"({stamps[last - 1] - stamps[first]:.1f} s of {stamps[-1] - stamps[0]:.1f} s)"
        )
    stamps, signal = stamps[first:last], np.asarray(stream["time_series"], dtype=np.float64)[first:last].T
    sfreq, uniform = true_rate(stamps)
    nominal = float(_text(stream["info"].get("nominal_srate")) or 0.0)
    if nominal and abs(sfreq / nominal - 1) > 0.005:
        notes.append(f"the stream claims {nominal:g} Hz; its time stamps say {sfreq:.4g} Hz, which was used")
    if not uniform:
        signal = on_grid(stamps, signal, sfreq)
        notes.append("irregular time stamps; the signal was interpolated onto a uniform grid")
    names, types, units = _channels(stream, signal.shape[0])
    if any(unit is None for unit in units):
        notes.append("the stream names no unit; microvolts assumed")
    signal = (signal * np.array([_scale(unit) for unit in units])[:, None]).astype(np.float32)
    return FileContents(
        load=lambda channels, start, stop: signal[list(channels), start:stop],
        sfreq_hz=sfreq,
        n_samples=signal.shape[1],
        names=names,
        types=types,
        units=tuple(units),
        positions_m=no_positions(len(names)),
        events=_markers(markers, stamps[0], stamps[-1]),
        notes=tuple(notes),
    )


def longest_stretch(stamps: NDArray[np.float64], gap_s: float) -> tuple[int, int, int]:
    """First index, one past the last, and number of gaps of the longest run of (n,) stamps without one."""
    steps = np.diff(stamps)
    usual = float(np.median(steps)) if steps.size else 0.0
    breaks = np.flatnonzero((steps > max(gap_s, 3 * usual)) | (steps < 0)) + 1
    edges = [0, *breaks.tolist(), len(stamps)]
    lengths = np.diff(edges)
    longest = int(np.argmax(lengths))
    return edges[longest], edges[longest + 1], len(breaks)


def true_rate(stamps: NDArray[np.float64]) -> tuple[float, bool]:
    """Rate in Hz by least squares, and whether no stamp lies half a sample off the grid."""
    index = np.arange(len(stamps), dtype=float)
    if len(stamps) < 2 or stamps[-1] <= stamps[0]:
        return 0.0, True
    slope, offset = np.polyfit(index, stamps - stamps[0], 1)
    off = np.abs(stamps - stamps[0] - (slope * index + offset)).max()
    return float(1 / slope), bool(off < 0.5 * slope)


def on_grid(stamps: NDArray[np.float64], signal: NDArray[np.float64], sfreq_hz: float) -> NDArray[np.float64]:
    """Linear interpolation of (channel, time) onto a uniform grid from the first stamp to the last."""
    grid = stamps[0] + np.arange(int((stamps[-1] - stamps[0]) * sfreq_hz) + 1) / sfreq_hz
    return np.stack([np.interp(grid, stamps, row) for row in signal])


def _channels(stream: dict[str, Any], count: int) -> tuple[tuple[str, ...], tuple[str, ...], list[str | None]]:
    """Names, types and units from the stream's description, or numbered ones."""
    try:
        described = stream["info"]["desc"][0]["channels"][0]["channel"]
    except (KeyError, IndexError, TypeError):
        described = []
    default = _text(stream["info"]["type"]).lower()
    # The type of the stream is none that was stated for each of its channels.
    default = "ieeg" if default == "ecog" else default
    if len(described) != count:
        return tuple(f"EEG{i + 1}" for i in range(count)), (default,) * count, [None] * count
    names = [_text(channel.get("label")) or f"EEG{i + 1}" for i, channel in enumerate(described)]
    names = [name if names.count(name) == 1 else f"{name}-{i}" for i, name in enumerate(names)]
    types = [_text(channel.get("type")).lower() or default for channel in described]
    return tuple(names), tuple(types), [_text(channel.get("unit")) or None for channel in described]


def _scale(unit: str | None) -> float:
    """Factor to volts; a unit that is no voltage keeps its numbers (the channel is left out by its unit)."""
    factor = volts_per("microvolts" if unit is None else unit)
    return 1.0 if factor is None else factor


def _markers(streams: Sequence[dict[str, Any]], first_s: float, last_s: float) -> tuple[Event, ...]:
    """Markers inside the stretch. Their text is free, so only numbers are kept."""
    events: list[Event] = []
    for stream in streams:
        for stamp, value in zip(stream["time_stamps"], stream["time_series"], strict=True):
            text = _text(value if isinstance(value, list) else list(np.atleast_1d(value)))
            if first_s <= stamp <= last_s:
                events.append(Event(float(stamp - first_s), 0.0, f"trigger {text}" if text.isdigit() else "marker"))
    return tuple(sorted(events, key=lambda event: event.onset_s))


def _is_signal(stream: dict[str, Any]) -> bool:
    """Whether a stream is a signal of its own, not markers: these are texts, or integers at no regular rate."""
    values = stream["time_series"]
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "iuf":
        return False
    return values.dtype.kind == "f" or float(_text(stream["info"].get("nominal_srate")) or 0.0) > 0
