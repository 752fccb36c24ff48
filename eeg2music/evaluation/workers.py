"""Scores units here or in several processes, and says how far it is.

Units are independent of each other, so that who computes one does not change it. Reads and writes no files.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from functools import lru_cache
from multiprocessing import active_children, get_context, parent_process
from pathlib import Path

import torch
from threadpoolctl import threadpool_limits

from eeg2music.errors import Eeg2MusicError
from eeg2music.evaluation.config import EvaluateConfig
from eeg2music.evaluation.units import Bench, Unit, UnitResult
from eeg2music.memory import keep_freed_memory
from eeg2music.pipeline import Hook

_LOG = logging.getLogger(__name__)

Finished = Callable[[Unit, UnitResult], None]


class Tally:
    """Counts finished units and estimates the time left from the time that the finished ones took."""

    def __init__(self, done: int, pending: Sequence[Unit], clock: Callable[[], float] = time.monotonic) -> None:
        self._done, self._total = done, done + len(pending)
        self._left, self._spent = sum(unit.cost for unit in pending), 0.0
        self._clock, self._start = clock, clock()

    def add(self, unit: Unit) -> None:
        """One more is finished."""
        self._done += 1
        self._left -= unit.cost
        self._spent += unit.cost

    def text(self) -> str:
        """How far it is, in words."""
        text = f"{self._done} of {self._total} units finished"
        if not self._spent or self._done == self._total:
            return text
        return f"{text}, {_duration((self._clock() - self._start) * self._left / self._spent)} left"


def _duration(seconds: float) -> str:
    if seconds < 50:
        return "less than a minute"
    minutes = round(seconds / 60)
    return f"about {minutes} min" if minutes < 100 else f"about {minutes / 60:.1f} h"


def score_units(
    units: Sequence[Unit],
    config: EvaluateConfig,
    folder: Path,
    device: str,
    *,
    done: int,
    finished: Finished,
    hook: Hook,
) -> None:
    """Score the units in their order; `finished` gets each result as it comes.

    Parameters
    ----------
    folder : of the models
    done : how many were finished before, for messages

    Raises
    ------
    Eeg2MusicError
        As the scoring raises them, in whichever process; the others are then ended.
    """
    tally = Tally(done, units)

    def note(unit: Unit, result: UnitResult) -> None:
        finished(unit, result)
        tally.add(unit)
        _LOG.info("%s: %s", unit.label, tally.text())
        hook(tally.text())

    workers = min(config.workers, len(units))
    if workers > 1:
        hook(tally.text())
        _spread(units, config, folder, device, workers, note)
    elif units:
        bench = Bench(config, folder, device, hook)
        for unit in units:
            bench.evidence(unit)
            hook(f"{tally.text()}; {unit.label}")
            note(unit, unit.score(bench))


def _spread(
    units: Sequence[Unit], config: EvaluateConfig, folder: Path, device: str, workers: int, finished: Finished
) -> None:
    before = set(active_children())
    # The share of what this process would use, which knows of OMP_NUM_THREADS.
    threads = max(1, torch.get_num_threads() // workers)
    # spawn: a fork would inherit the locks of threads that a caller may hold, and could not use a GPU
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_enter, initargs=(threads,))
    try:
        futures = {pool.submit(_work, config, folder, device, unit): unit for unit in units}
        for future in as_completed(futures):
            finished(futures[future], future.result())
    except BaseException as error:
        # Else the interpreter would wait for units that nobody wants any more.
        for process in set(active_children()) - before:
            process.terminate()
        if isinstance(error, BrokenProcessPool):
            raise Eeg2MusicError(
                "A worker process was ended from outside, perhaps for lack of memory",
                remedy="set fewer workers; the same command goes on where it was",
            ) from None
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _enter(threads: int) -> None:
    """Make a fresh process a worker."""
    # Ctrl-C reaches every process of a terminal: the parent decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    keep_freed_memory()
    torch.set_num_threads(threads)
    threadpool_limits(threads)


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for work forever."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(config: EvaluateConfig, folder: Path, device: str, unit: Unit) -> UnitResult:
    return unit.score(_bench(config.model_dump_json(), folder, device))


@lru_cache(maxsize=1)
def _bench(config: str, folder: Path, device: str) -> Bench:
    """This process's own. `config` as JSON: mappings have no hash."""
    return Bench(EvaluateConfig.model_validate_json(config), folder, device)
