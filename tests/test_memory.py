"""Freed memory is kept: buffers taken again cost no page faults. How much music takes is said where it is much."""

from __future__ import annotations

import subprocess
import sys

import pytest

from eeg2music.memory import warn_of_length

FAULTS = """
import resource, sys
import numpy as np
from eeg2music.memory import keep_freed_memory
if sys.argv[1] == "keep" and not keep_freed_memory():
    sys.exit("not glibc")
for turn in range(11):
    if turn == 1:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    buffer = np.ones(1 << 23)  # 64 MiB
    del buffer
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc only")
def test_buffers_that_were_freed_cost_no_page_faults_again() -> None:
    def faults(how: str) -> int:
        ran = subprocess.run([sys.executable, "-c", FAULTS, how], capture_output=True, text=True)
        if "not glibc" in ran.stderr:
            pytest.skip("glibc only")
        assert ran.returncode == 0, ran.stderr
        return int(ran.stdout)

    assert faults("keep") < 0.2 * faults("give back")


def test_how_much_a_long_recording_takes_is_said(caplog: pytest.LogCaptureFixture) -> None:
    warn_of_length(300.0, 10_000_000)
    assert caplog.messages == []
    warn_of_length(1800.0, 1_000_000_000)
    assert caplog.messages == [
        "30.0 min of music take roughly 8 GB of memory; --start and --stop take a stretch of the recording"
    ]
