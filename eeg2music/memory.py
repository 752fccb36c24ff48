"""How this process deals with freed memory. Set by whoever owns the process: the command line, a training, a worker."""

from __future__ import annotations

import ctypes
import sys

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
