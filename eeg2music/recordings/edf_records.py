"""Interrupted EDF+ and BDF+ files (EDF+D): when each data record began.

MNE glues their records together. Here the longest uninterrupted run of records is found from the
time-keeping annotation that each record begins with (EDF+ specification, section 2.2.4).
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

# Labels of the signal that holds annotations instead of samples.
ANNOTATION_LABELS = ("EDF Annotations", "BDF Annotations")
_ONSET = re.compile(rb"^\s*([+-]\d+(?:\.\d*)?)[\x14\x15]")


def is_interrupted(path: Path) -> bool:
    """Whether the header calls the file discontinuous."""
    with path.open("rb") as handle:
        handle.seek(192)
        return handle.read(5) in (b"EDF+D", b"BDF+D")


def record_onsets(
    path: Path, header_bytes: int, labels: tuple[str, ...], samples: tuple[int, ...], width: int
) -> NDArray[np.float64]:
    """(record,) seconds at which each data record began; empty where the file does not say.

    Parameters
    ----------
    labels, samples : of each signal; samples per record
    width : bytes per sample
    """
    row = next((i for i, label in enumerate(labels) if label in ANNOTATION_LABELS), None)
    if row is None:
        return np.empty(0)
    size, first = width * sum(samples), width * sum(samples[:row])
    onsets = []
    with path.open("rb") as handle:
        for record in range((path.stat().st_size - header_bytes) // size):
            handle.seek(header_bytes + record * size + first)
            found = _ONSET.match(handle.read(width * samples[row]))
            if found is None:
                return np.empty(0)
            onsets.append(float(found.group(1)))
    return np.asarray(onsets)


def longest_run(onsets: NDArray[np.float64], record_s: float) -> tuple[int, int, int]:
    """First record, one past the last, and number of interruptions of the longest run without one.

    >>> longest_run(np.array([0.0, 1.0, 5.0, 6.0, 7.0]), 1.0)
    (2, 5, 1)
    """
    breaks = np.flatnonzero(np.abs(np.diff(onsets) - record_s) > 0.01 * record_s) + 1
    edges = [0, *breaks.tolist(), len(onsets)]
    longest = int(np.argmax(np.diff(edges)))
    return edges[longest], edges[longest + 1], len(breaks)
