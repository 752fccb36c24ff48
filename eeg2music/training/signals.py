"""SIGINT and SIGTERM as a request to stop: what they ask for is done at the next good moment.

Knows nothing of what is stopped.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator

STOPPING = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def stop_requests() -> Iterator[Callable[[], bool]]:
    """Yield a function that is True once the process has been asked to stop.

    Only the first signal is a request: the next does what it did before, so that Ctrl-C twice ends a process that
    takes too long. Only the main thread can listen to signals; elsewhere nothing is ever asked.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    asked = threading.Event()
    before = {number: signal.getsignal(number) for number in STOPPING}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def ask(number: int, frame: object) -> None:
        asked.set()
        restore()

    for number in STOPPING:
        signal.signal(number, ask)
    try:
        yield asked.is_set
    finally:
        restore()


def leave_interrupts_to_the_main_process(worker: int) -> None:
    """For a helper process: Ctrl-C reaches it too, but whether to go on is not its business."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
