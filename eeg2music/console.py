"""What the commands print: results to standard output, progress and mistakes to standard error.

Serves `eeg2music.cli` alone. Decides nothing and reads nothing.
"""

from __future__ import annotations

import re
import threading
import time
from typing import Any

from rich.console import Console

# How a log is told of progress, in seconds.
QUIET_S = 10.0
EVERY_S = 10.0
# Without emoji: a path may hold what rich takes for the code of one.
out = Console(highlight=False, emoji=False)
err = Console(stderr=True, highlight=False, emoji=False)


def tell(text: str) -> None:
    """A result, in full lines and without markup."""
    out.print(text, soft_wrap=True, markup=False)


def say(line: str) -> None:
    """A line of progress."""
    err.print(line, soft_wrap=True, markup=False)


def complain(message: str) -> None:
    """A mistake of the user's."""
    err.print(f"[red]error:[/red] {_plain(message)}", soft_wrap=True)


def show(config: Any) -> None:
    """A resolved config as YAML."""
    import yaml

    values = config if isinstance(config, dict) else config.model_dump(mode="json")
    tell(yaml.safe_dump(values, sort_keys=False, allow_unicode=True).rstrip())


def _plain(text: str) -> str:
    """Escape rich markup, so that a path in brackets stays readable."""
    from rich.markup import escape

    return escape(text)


class Steps:
    """Says what is being done: on a terminal in a line that changes, in a log by a plain line for each step.

    A log is left alone for the first QUIET_S seconds, so that a mistake that is found at once stays one line; the lines
    until then follow. Steps that differ in their numbers only, such as "song 3 of 800", come every EVERY_S seconds.
    """

    def __init__(self) -> None:
        self._status = err.status("starting")
        self._held: list[str] | None = []
        self._last, self._told_s = "", 0.0
        self._lock = threading.Lock()
        self._timer = threading.Timer(QUIET_S, self._release)
        self._timer.daemon = True

    def __enter__(self) -> Steps:
        if err.is_terminal:
            self._status.start()
        else:
            self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        self._status.stop()

    def __call__(self, step: str, artefact: object = None) -> None:
        if err.is_terminal:
            self._status.update(_plain(step))
            return
        kind, now = re.sub(r"[0-9]+", "", step), time.monotonic()
        if kind == self._last and now - self._told_s < EVERY_S:
            return
        self._last, self._told_s = kind, now
        with self._lock:
            if self._held is None:
                say(step)
            else:
                self._held.append(step)

    def _release(self) -> None:
        with self._lock:
            for step in self._held or ():
                say(step)
            self._held = None


class TrainingBar:
    """Training's step, loss and estimate of the time left: a bar on a terminal, in a log a line at each report."""

    def __enter__(self) -> TrainingBar:
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total}"),
            TimeRemainingColumn(),
            console=err,
            transient=True,
            disable=not err.is_terminal,
        )
        self._task = self._bar.add_task("training", total=None)
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def __call__(self, progress: Any) -> None:
        loss = progress.losses.get("loss")
        text = "training" if loss is None else f"loss {loss:.4g}"
        if not err.is_terminal:
            say(f"step {progress.step} of {progress.steps}, {text}, {progress.seconds_left / 60:.1f} min left")
        self._bar.update(self._task, completed=progress.step, total=progress.steps, description=text)
