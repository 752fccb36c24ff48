"""Takes what the project needs out of an MNE `Raw`, and turns MNE's complaints into plain errors.

Never touches `subject_info`, dates or descriptions of a header, and keeps MNE's own logging off.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from eeg2music.errors import InputError
from eeg2music.recordings.contents import FileContents, no_positions
from eeg2music.types import MARKED_BAD, Event, FloatArray, is_marked_bad

_CHUNK_S = 30.0
_DAMAGE = re.compile(r"truncat|incomplete|corrupt|unexpected end|not match|fewer|less (data|samples)", re.IGNORECASE)
# Annotations are free text of a header. Only what reads like a marker is kept.
_MARKER = re.compile(
    r"^(stimulus|response|trigger|marker|event|comment|new segment|boundary|edge[ _]\w*|[a-z]{1,2})"
    r"?[\s/,:_-]*[a-z]?\s*\d{0,6}$",
    re.IGNORECASE,
)
_NEEDS = re.compile(r"(?:[Tt]he |No module named ')(\w+)(?: module is needed| package is required|')")


@contextmanager
def quiet() -> Iterator[list[warnings.WarningMessage]]:
    """Catch every warning of the block; nothing reaches the console."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield caught


def read_through_mne(
    path: Path,
    reader: Callable[..., Any],
    *,
    title: str,
    remedy: str | None = None,
    checked: bool = False,
    **options: Any,
) -> FileContents:
    """Open `path` with one of MNE's readers.

    Parameters
    ----------
    checked : whether the caller has compared header and size itself, so that MNE's remarks on them count for nothing

    Raises
    ------
    InputError
        If MNE cannot read the file, or says that it is damaged.
    """
    with quiet() as caught:
        try:
            raw = reader(path, preload=False, verbose="ERROR", **options)
        except Exception as error:
            raise unreadable(path, title, error, remedy) from None
    if not checked and any(_DAMAGE.search(str(warning.message)) for warning in caught):
        raise InputError(
            f"{path} is damaged or truncated: its {title} header and its data do not agree",
            allowed="a complete file",
            remedy=remedy or "copy the file again, or export it anew from the recording software",
        )
    return contents_of(raw, path, title)


def unreadable(path: Path, title: str, error: BaseException, remedy: str | None = None) -> InputError:
    """The error for a file that its reader refuses. Says nothing of what the header holds."""
    needed = _NEEDS.search(str(error)) if isinstance(error, ImportError | RuntimeError) else None
    if needed:
        return InputError(
            f"Reading {path} as {title} needs the package {needed.group(1)!r}",
            allowed="an installed reader",
            remedy=f"pip install {needed.group(1)}, or export the recording as EDF or BrainVision",
        )
    return InputError(
        f"{path} cannot be read as {title} ({type(error).__name__})",
        allowed=f"a complete {title} file",
        remedy=remedy or "check that the file is what its name says and that no companion file is missing",
    )


def contents_of(raw: Any, path: Path, title: str) -> FileContents:
    """Names, types, positions and events of an MNE `Raw`."""
    info = raw.info
    names = tuple(str(name) for name in raw.ch_names)
    units = getattr(raw, "_orig_units", None) or {}
    positions, fiducials = _positions(info)
    return FileContents(
        load=_loader(raw, path, title),
        sfreq_hz=float(info["sfreq"]),
        n_samples=int(raw.n_times),
        names=names,
        types=tuple(raw.get_channel_types()),
        units=tuple(_unit(units.get(name)) for name in names),
        positions_m=positions,
        fiducials=fiducials,
        events=_annotations(raw) + _stim_events(raw),
        marked_bad={str(name): "marked bad in the file" for name in info["bads"]},
        line_freq_hz=None if info.get("line_freq") is None else float(info["line_freq"]),
    )


def _unit(unit: Any) -> str | None:
    """MNE says "n/a" where the file names none."""
    return None if unit in (None, "", "n/a") else str(unit)


def _loader(raw: Any, path: Path, title: str) -> Callable[[Sequence[int], int, int], FloatArray]:
    """Load in stretches, so that the double-precision copy never holds a whole recording."""

    def load(channels: Sequence[int], first: int, last: int) -> FloatArray:
        out = np.empty((len(channels), last - first), dtype=np.float32)
        step = max(1, int(_CHUNK_S * raw.info["sfreq"]))
        for start in range(first, last, step):
            stop = min(start + step, last)
            with quiet():
                try:
                    out[:, start - first : stop - first] = raw.get_data(
                        picks=list(channels), start=start, stop=stop, verbose="ERROR"
                    )
                except Exception as error:
                    raise unreadable(path, title, error) from None
        return out

    return load


def _positions(info: Any) -> tuple[FloatArray, bool]:
    """(channel, 3) in head coordinates; MEG coils are moved there from the device."""
    positions = no_positions(len(info["chs"]))
    transform = None if info.get("dev_head_t") is None else np.asarray(info["dev_head_t"]["trans"])
    for row, channel in enumerate(info["chs"]):
        where = np.asarray(channel["loc"][:3], dtype=float)
        if not np.isfinite(where).all() or not where.any():
            continue
        if int(channel["coord_frame"]) == 1 and transform is not None:  # FIFFV_COORD_DEVICE
            where = transform[:3, :3] @ where + transform[:3, 3]
        positions[row] = where
    kinds = {int(point["kind"]) for point in info.get("dig") or ()}
    return positions, 1 in kinds  # FIFFV_POINT_CARDINAL


def _annotations(raw: Any) -> tuple[Event, ...]:
    """Annotations as events, from the first sample on: MNE's onsets include the time before it."""
    shift = float(raw.first_time)
    events = []
    for onset, duration, text in zip(
        raw.annotations.onset, raw.annotations.duration, raw.annotations.description, strict=True
    ):
        events.append(Event(float(onset - shift), float(duration), _kind(str(text).strip())))
    return tuple(events)


def _kind(text: str) -> str:
    if is_marked_bad(text):
        return MARKED_BAD
    return text if _MARKER.match(text) else "annotation"


def _stim_events(raw: Any) -> tuple[Event, ...]:
    """Steps of the trigger channels that MNE itself types as such (BDF status, FIF STI)."""
    if "stim" not in raw.get_channel_types():
        return ()
    import mne

    with quiet():
        try:
            found = mne.find_events(
                raw, shortest_event=1, mask=0xFFFF, mask_type="and", initial_event=False, verbose="ERROR"
            )
        except Exception:  # an empty or analogue trigger channel has no events to give
            return ()
    rate = raw.info["sfreq"]
    return tuple(Event(float((sample - raw.first_samp) / rate), 0.0, f"trigger {code}") for sample, _, code in found)
