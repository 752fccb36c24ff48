"""From a file on disk to a `Recording`: reader, brain channels, positions, events.

Samples are loaded for the brain channels only and are not filtered. Nothing of a header's
names, dates and free text goes into the result.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from eeg2music.errors import InputError
from eeg2music.recordings.channels import ChannelChoice, choose_channels
from eeg2music.recordings.contents import MIN_RATE_HZ, READERS, FileContents, Reader, all_suffixes
from eeg2music.recordings.electrodes_tsv import head_positions
from eeg2music.recordings.montages import resolve_montage
from eeg2music.recordings.positions import locate
from eeg2music.recordings.sidecars import Sidecars
from eeg2music.types import MARKED_BAD, Event, FloatArray, Recording

MIN_DURATION_S = 2.0
MAX_RATE_HZ = 100_000.0
MAINS_HZ = (45.0, 65.0)
_SAMPLE_S = 30.0
_OTHER_THINGS = {
    "audio": (".wav", ".mp3", ".flac", ".ogg", ".m4a", ".aif", ".aiff", ".mid"),
    "text": (".txt", ".csv", ".tsv", ".json", ".md", ".html", ".py", ".yaml", ".log", ".pdf"),
    "an image": (".png", ".jpg", ".jpeg", ".svg", ".gif"),
    "a brain image": (".nii", ".gz", ".mgz"),
}
FOLDER_SUFFIXES = (".mff", ".ds", ".mefd")
_COMPANIONS = {".eeg": ".vhdr", ".vmrk": ".vhdr", ".fdt": ".set"}


def read_recording(
    path: str | os.PathLike[str],
    *,
    channels: Sequence[str] | None = None,
    montage: str | None = None,
    start_s: float | None = None,
    stop_s: float | None = None,
    line_freq_hz: float | None = None,
) -> Recording:
    """Read the brain channels of a recording.

    Parameters
    ----------
    path : EDF, BDF, BrainVision, FIF, EEGLAB, XDF and whatever else MNE reads; or a BIDS folder
        with exactly one recording
    channels : names to use instead of the channels found
    montage : standard montage to take positions from instead of the file's
    start_s, stop_s : the stretch to read, seconds from the first sample
    line_freq_hz : mains frequency, instead of what the data set says

    Raises
    ------
    InputError
        If the file is missing, is no recording, is damaged, or an argument does not fit it.
    DataError
        For a BIDS folder whose files are missing.
    """
    file = check_recording(path, montage=montage, start_s=start_s, stop_s=stop_s, line_freq_hz=line_freq_hz)
    contents = reader_of(file).read(file, channels or ())
    sidecars = Sidecars.of(file)
    contents = _with_sidecars(contents, sidecars)
    _check_rate(file, contents.sfreq_hz)
    first, last = _stretch(file, contents, start_s, stop_s)
    head = min(last, first + int(_SAMPLE_S * contents.sfreq_hz))
    choice = choose_channels(
        contents.names,
        contents.types,
        contents.units,
        sample=lambda index: contents.load([index], first, head)[0],
        wanted=channels,
        kind=sidecars.suffix if sidecars is not None else None,
        positions_m=contents.positions_m,
    )
    return _assemble(contents, choice, sidecars, first, last, montage=montage, line_freq_hz=line_freq_hz)


def check_recording(
    path: str | os.PathLike[str],
    *,
    montage: str | None = None,
    start_s: float | None = None,
    stop_s: float | None = None,
    line_freq_hz: float | None = None,
) -> Path:
    """What can be refused without opening a file: arguments as for `read_recording`. Returns the file to open.

    Raises
    ------
    InputError
        As for `read_recording`.
    DataError
        For a BIDS folder whose files are missing.
    """
    _check_line(line_freq_hz)
    _check_times(start_s, stop_s)
    if stop_s is not None and stop_s - (start_s or 0.0) < MIN_DURATION_S - 1e-9:
        raise _too_short(Path(path), stop_s - (start_s or 0.0), "widen --start and --stop")
    if montage is not None:
        resolve_montage(montage)
    file = _single_file(Path(path))
    reader_of(file)
    return file


def reader_of(path: Path) -> Reader:
    """The reader whose suffix the file has.

    Raises
    ------
    InputError
        Naming what the file seems to be, and the formats that can be read.
    """
    name = path.name.lower()
    for entry in READERS:
        reader = READERS[entry]
        if any(name.endswith(suffix) for suffix in reader.suffixes):
            return reader()
    suffix = path.suffix.lower()
    if suffix in _COMPANIONS:
        remedy = f"name the header {path.with_suffix(_COMPANIONS[suffix]).name} instead"
    else:
        kind = next((kind for kind, suffixes in _OTHER_THINGS.items() if suffix in suffixes), None)
        remedy = f"this looks like {kind}; name the recording itself" if kind else "export it as EDF or BrainVision"
    raise InputError(
        f"{path} is not a recording" + (f" (suffix {suffix})" if suffix else " (it has no suffix)"),
        allowed=", ".join(all_suffixes()),
        remedy=remedy,
    )


def _single_file(path: Path) -> Path:
    if path.is_symlink() and not path.exists():
        raise InputError(
            f"{path} is a link to a file that is not here",
            allowed="the file itself",
            remedy="fetch it first: `datalad get` or `git annex get`",
        )
    if not path.exists():
        raise InputError(f"No file at {path}", allowed="an existing recording", remedy="check the path")
    if path.is_dir() and path.suffix.lower() not in FOLDER_SUFFIXES:
        from eeg2music.recordings.bids import BidsDataset

        dataset = BidsDataset(path)
        if not dataset.recordings:
            dataset.check()
        found = dataset.recordings
        if len(found) != 1:
            raise InputError(
                f"{path} holds {len(found)} recordings, one is needed",
                allowed="one file, such as " + ", ".join(str(r.path.relative_to(path)) for r in found[:2]),
                remedy="name one of them, or use `eeg2music prepare` for all",
            )
        return found[0].path
    if path.is_file() and path.stat().st_size == 0:
        raise InputError(f"{path} is empty", allowed="a recording", remedy="copy or export the file again")
    return path


def _with_sidecars(contents: FileContents, sidecars: Sidecars | None) -> FileContents:
    """What a BIDS data set says overrides what the file says."""
    if sidecars is None:
        return contents
    types, units, bad = list(contents.types), list(contents.units), dict(contents.marked_bad)
    index = {name: i for i, name in enumerate(contents.names)}
    for row in sidecars.channels():
        name = row.get("name", "")
        if name not in index:
            continue
        if row.get("type", "").lower() not in ("", "n/a"):
            types[index[name]] = row["type"].lower()
        if units[index[name]] is None and row.get("units", "").lower() not in ("", "n/a"):
            units[index[name]] = row["units"]
        if row.get("status", "").lower() == "bad":
            bad[name] = "marked bad in channels.tsv"
    return contents.replace(
        types=tuple(types),
        units=tuple(units),
        marked_bad=bad,
        events=_told(sidecars.events(), contents.events),
        line_freq_hz=sidecars.line_freq_hz or contents.line_freq_hz,
    )


def _told(by_table: tuple[Event, ...], by_file: tuple[Event, ...]) -> tuple[Event, ...]:
    """The events of events.tsv where it has any, and what is marked bad there or in the file."""
    if not by_table:
        return by_file
    known = {_place(event) for event in by_table if event.kind == MARKED_BAD}
    return by_table + tuple(event for event in by_file if event.kind == MARKED_BAD and _place(event) not in known)


def _place(event: Event) -> tuple[float, float]:
    return round(event.onset_s, 3), round(event.duration_s, 3)


def _check_rate(path: Path, sfreq_hz: float) -> None:
    if not math.isfinite(sfreq_hz) or not MIN_RATE_HZ <= sfreq_hz <= MAX_RATE_HZ:
        raise InputError(
            f"{path} has an impossible sampling rate: {sfreq_hz:g} Hz",
            allowed=f"{MIN_RATE_HZ:g} to {MAX_RATE_HZ:g} Hz",
            remedy="correct the header, or record faster: rhythm lies above what slower signals hold",
        )


def _check_line(line_freq_hz: float | None) -> None:
    if line_freq_hz is not None and not MAINS_HZ[0] <= line_freq_hz <= MAINS_HZ[1]:
        raise InputError(
            f"The line frequency cannot be {line_freq_hz:g} Hz",
            allowed="50 or 60 Hz (45 to 65)",
            remedy="leave --line-freq out to have it found in the signal",
        )


def _check_times(start_s: float | None, stop_s: float | None) -> None:
    for name, value in (("start", start_s), ("stop", stop_s)):
        if value is not None and not (math.isfinite(value) and value >= 0):
            raise InputError(
                f"{name} = {value:g} s is no time in a recording",
                allowed="0 s or more, up to the recording's end",
                remedy=f"change --{name} or leave it out",
            )
    if stop_s is not None and (start_s or 0.0) >= stop_s:
        raise InputError(
            f"start = {start_s or 0.0:g} s is not before stop = {stop_s:g} s",
            allowed=f"at least {MIN_DURATION_S:g} s between them",
            remedy="change --start or --stop",
        )


def _stretch(path: Path, contents: FileContents, start_s: float | None, stop_s: float | None) -> tuple[int, int]:
    """First sample and one past the last."""
    if contents.n_samples == 0:
        raise _too_short(path, 0.0, "use a longer recording")
    total = contents.n_samples / contents.sfreq_hz
    start, stop = start_s or 0.0, total if stop_s is None else stop_s
    for name, value in (("start", start), ("stop", stop)):
        if not math.isfinite(value) or not 0 <= value <= total + 1 / contents.sfreq_hz:
            raise InputError(
                f"{name} = {value:g} s lies outside {path}",
                allowed=f"0 to {total:.3f} s",
                remedy=f"change --{name} or leave it out",
            )
    _check_times(start, stop)
    first, last = round(start * contents.sfreq_hz), min(contents.n_samples, round(stop * contents.sfreq_hz))
    if (last - first) / contents.sfreq_hz < MIN_DURATION_S - 0.5 / contents.sfreq_hz:
        remedy = "use a longer recording" if start_s is None and stop_s is None else "widen --start and --stop"
        raise _too_short(path, (last - first) / contents.sfreq_hz, remedy)
    return first, last


def _too_short(path: Path, seconds: float, remedy: str) -> InputError:
    return InputError(
        f"{path} gives only {seconds:.3g} s of signal", allowed=f"at least {MIN_DURATION_S:g} s", remedy=remedy
    )


def _assemble(
    contents: FileContents,
    choice: ChannelChoice,
    sidecars: Sidecars | None,
    first: int,
    last: int,
    *,
    montage: str | None,
    line_freq_hz: float | None,
) -> Recording:
    kept = list(choice.kept)
    names = tuple(contents.names[i] for i in kept)
    positions, where = _positions(contents, choice, sidecars, names, montage)
    signal = contents.load(kept, first, last)
    start_s = first / contents.sfreq_hz
    return Recording(
        signal_v=signal,
        sfreq_hz=contents.sfreq_hz,
        channel_names=names,
        positions_m=positions,
        kind=choice.kind,
        key=sidecars.key if sidecars is not None else content_key(signal, contents.sfreq_hz, names),
        subject=sidecars.subject if sidecars is not None else "unknown",
        bad_channels={name: why for name, why in contents.marked_bad.items() if name in names},
        left_out={**contents.dropped, **choice.left_out},
        events=_shifted(contents.events, start_s, (last - first) / contents.sfreq_hz),
        line_freq_hz=line_freq_hz or contents.line_freq_hz,
        notes=(*contents.notes, *choice.notes, *where),
    )


def _positions(
    contents: FileContents,
    choice: ChannelChoice,
    sidecars: Sidecars | None,
    names: tuple[str, ...],
    montage: str | None,
) -> tuple[FloatArray, tuple[str, ...]]:
    own, fiducials, origin = contents.positions_m[list(choice.kept)], contents.fiducials, "the file"
    if sidecars is not None:
        places, system = sidecars.electrodes()
        if places:
            own, fiducials = head_positions(names, places, system)
            origin = "electrodes.tsv"
    return locate(names, own, origin=origin, fiducials=fiducials, kind=choice.kind, montage=montage)


def _shifted(events: Sequence[Event], start_s: float, duration_s: float) -> tuple[Event, ...]:
    """Events that lie at least partly inside the stretch, from its first sample on."""
    moved = (
        Event(event.onset_s - start_s, event.duration_s, event.kind, event.stimulus, event.fields) for event in events
    )
    return tuple(
        event
        for event in moved
        if event.onset_s < duration_s and (event.onset_s >= 0 or event.onset_s + event.duration_s > 0)
    )


def content_key(signal: FloatArray, sfreq_hz: float, names: tuple[str, ...]) -> str:
    """A name from the brain's signal alone: no file name (it may be a person's), no left-out channel.

    The same inside and outside a BIDS data set, whatever the recording is called there.
    """
    digest = hashlib.blake2b(digest_size=6)
    digest.update(f"{sfreq_hz!r} {names!r}".encode())
    digest.update(np.ascontiguousarray(signal).data)
    return f"recording-{digest.hexdigest()}"
