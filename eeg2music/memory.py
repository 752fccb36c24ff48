"""How much memory music takes, and how this process deals with what it freed.

The latter is set by whoever owns the process: the command line, a training, a worker.
"""

from __future__ import annotations

import ctypes
import logging
import sys

_LOG = logging.getLogger(__name__)

# Of `generate` with the shipped models on a CPU: the sound is made in stretches, but mixed as a whole.
BASE_GB = 1.7
GB_PER_MINUTE = 0.17
# Less than this goes without saying.
UNSAID_GB = 3.0
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3


def keep_freed_memory() -> bool:
    """Let glibc keep the large buffers it would give back and take again at every step.

    Saves the audio models page faults at every step on CPU. Returns False where it does not apply.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # no glibc
        return False
    gibibyte = 1 << 30
    return bool(mallopt(_M_MMAP_THRESHOLD, gibibyte)) and bool(mallopt(_M_TRIM_THRESHOLD, gibibyte))


def needed_gb(duration_s: float, recording_bytes: int) -> float:
    """Roughly how many gigabytes it takes to turn a recording of that length, and of that size in memory, into music.

    >>> round(needed_gb(60.0, 0), 2), round(needed_gb(1800.0, 0), 1)
    (1.87, 6.8)
    """
    return BASE_GB + GB_PER_MINUTE * duration_s / 60.0 + recording_bytes / 1e9


def warn_of_length(duration_s: float, recording_bytes: int) -> None:
    """Say, before the work begins, how much memory a long recording takes and how to take less of it."""
    needed = needed_gb(duration_s, recording_bytes)
    if needed > UNSAID_GB:
        _LOG.warning(
            "%.1f min of music take roughly %.0f GB of memory; --start and --stop take a stretch of the recording",
            duration_s / 60.0,
            needed,
        )
