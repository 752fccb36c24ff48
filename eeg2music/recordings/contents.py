"""What a file holds before any channel has been chosen.

Every format's reader produces a `FileContents`; everything after that is the same for all
formats. Carries no name, date or free text of a header.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from eeg2music.registry import Registry
from eeg2music.types import Event, FloatArray

# Slower signals do not hold the rhythm of music.
MIN_RATE_HZ = 50.0
Load = Callable[[Sequence[int], int, int], FloatArray]


@dataclass(frozen=True)
class FileContents:
    """Channels, rate and a way to load samples.

    Attributes
    ----------
    load : (channel indices, first sample, one past the last) -> (channel, time) float32, in volts
        (tesla for MEG)
    names, types, units : one per channel; types in MNE's words ("eeg", "eog", "stim", "mag", ...);
        a unit is None where the format does not store one
    positions_m : (channel, 3) metres in head coordinates, NaN where unknown
    fiducials : whether the positions were placed by nasion and ears, so that their origin can be trusted
    dropped : {channel name: why} for channels that the reader could not bring along
    """

    load: Load
    sfreq_hz: float
    n_samples: int
    names: tuple[str, ...]
    types: tuple[str, ...]
    units: tuple[str | None, ...]
    positions_m: FloatArray
    fiducials: bool = False
    events: tuple[Event, ...] = ()
    marked_bad: Mapping[str, str] = field(default_factory=dict)
    dropped: Mapping[str, str] = field(default_factory=dict)
    line_freq_hz: float | None = None
    notes: tuple[str, ...] = ()

    def replace(self, **changes: Any) -> FileContents:
        return replace(self, **changes)


class Reader(ABC):
    """One family of file formats.

    `suffixes` are in lower case and begin with a dot; `title` names the family to people.
    """

    suffixes: ClassVar[tuple[str, ...]]
    title: ClassVar[str]

    @abstractmethod
    def read(self, path: Path, wanted: Sequence[str] = ()) -> FileContents:
        """Read the header and prepare loading.

        Parameters
        ----------
        wanted : names of channels; of several recordings in one file, the one that has them is read

        Raises
        ------
        InputError
            If the file is damaged, truncated, or not of this format.
        """


READERS: Registry[type[Reader]] = Registry("recording reader", "eeg2music.recordings.formats")


def no_positions(count: int) -> FloatArray:
    """(channel, 3) of NaN."""
    return np.full((count, 3), np.nan, dtype=np.float32)


def all_suffixes() -> tuple[str, ...]:
    """Every suffix that some reader takes, sorted."""
    return tuple(sorted({suffix for name in READERS for suffix in READERS[name].suffixes}))
