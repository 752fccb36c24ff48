"""The one training loop. It runs any task: devices, processes, precision, schedule, average, checkpoints.

A run is resumed by the same command, and the weights, the average, the optimizer and the losses then equal
those of an uninterrupted run to the bit: items and dropout depend on (seed, step) alone, and a checkpoint
appears whole or not at all. The loop prints nothing; it reports to `progress` and to the log.

Files in `train.out`: config.json, log.jsonl, checkpoints/step-…/, tensorboard/, export/.
"""

from __future__ import annotations

import contextlib
import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from eeg2music import __version__
from eeg2music.errors import ConfigError, DataError
from eeg2music.files import atomic_folder, check_new_folder, read_json, write_json
from eeg2music.origin import code_origin
from eeg2music.seeding import derive_seed
from eeg2music.training import checkpoint, runtime
from eeg2music.training.config import RunConfig, check_same, identity, resolve
from eeg2music.training.ema import Ema
from eeg2music.training.first_stage import stages_until
from eeg2music.training.gather import gather
from eeg2music.training.history import History, finite
from eeg2music.training.optimization import learning_rate, make_optimizer
from eeg2music.training.order import Plan, micro_batches
from eeg2music.training.registry import TASKS
from eeg2music.training.signals import stop_requests
from eeg2music.training.task import Batch, Task
from eeg2music.weights import MANIFEST_NAME

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Progress:
    """Where a run stands. `losses` are means since the last report."""

    step: int
    steps: int
    losses: dict[str, float]
    seconds_per_step: float
    seconds_left: float


@dataclass(frozen=True)
class TrainResult:
    """How a run ended. `finished` is False if the time limit or a stop request ended it."""

    out: Path
    export: Path
    step: int
    finished: bool
    losses: dict[str, float]
    figures: dict[str, float]


def train(
    name: str,
    config_path: str | None = None,
    overrides: Sequence[str] = (),
    *,
    progress: Callable[[Progress], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
    stop_on_signals: bool = False,
) -> TrainResult:
    """Train a task, or go on with it.

    Parameters
    ----------
    name : an entry of `TASKS`
    config_path : YAML with sections `task` and `train`; overrides are "train.steps=100"
    progress : called every `train.log_every` steps on the main process
    should_stop : asked after each step; True ends the run with a checkpoint and an export
    stop_on_signals : SIGINT and SIGTERM end it in the same way, from the first step on

    Raises
    ------
    ConfigError, DataError, CheckpointError
    """
    config = resolve(name, config_path, overrides)
    return run(name, config, progress=progress, should_stop=should_stop, stop_on_signals=stop_on_signals)


def check_run(name: str, config: RunConfig) -> Task:
    """Refuse what can be refused without work: the folder, the device, another run, data and models that are not there.

    Returns
    -------
    The task, which has computed nothing yet.

    Raises
    ------
    ConfigError, InputError, DataError, CheckpointError, LeakError
    """
    out = Path(config.train.out)
    check_new_folder(out)
    runtime.check_device(config.train.device)
    found = checkpoint.complete(out / "checkpoints")
    if found:
        _check_begun(name, config, found[-1].state)
    return TASKS[name](config.task, seed=config.train.seed)


def _check_begun(name: str, config: RunConfig, state: dict[str, Any]) -> None:
    out = Path(config.train.out)
    if state["name"] != name:
        raise ConfigError(
            f"{out} holds a training of {state['name']!r}",
            allowed="a new folder, or one of the same training",
            remedy="give another train.out",
        )
    check_same(identity(state["identity"], name), identity(config.model_dump(mode="json"), name), out)


def run(
    name: str,
    config: RunConfig,
    *,
    progress: Callable[[Progress], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
    stop_on_signals: bool = False,
) -> TrainResult:
    """`train` with a resolved config."""
    task = check_run(name, config)
    should_stop = should_stop or (lambda: False)
    with runtime.process_settings(config.train):
        loop = _Loop(name, config, task)
        loop.resume()
        with stop_requests() if stop_on_signals else contextlib.nullcontext(lambda: False) as asked:
            return loop.go(progress or (lambda _: None), lambda: should_stop() or asked())


class _Loop:
    """The state of a run: what is trained, with what, and how far it is."""

    def __init__(self, name: str, config: RunConfig, task: Task) -> None:
        self.began = time.monotonic()
        self.name, self.config, self.train = name, config, config.train
        self.accelerator = runtime.start(self.train)
        self.main = self.accelerator.is_main_process
        self.out = Path(self.train.out)
        self.task = task
        self.items = self.task.train_items()
        self.manifest = self.task.manifest()
        self.plan = Plan(
            n_items=len(self.items),
            batch_size=self.train.batch_size,
            accumulation=self.train.accumulation,
            seed=self.train.seed,
            rank=self.accelerator.process_index,
            processes=self.accelerator.num_processes,
        )
        torch.manual_seed(derive_seed(self.train.seed, "init"))
        self.model = self.task.build_model()
        self.ema = Ema(self.model, self.train.ema_decay)
        self.ema.model.to(self.accelerator.device)
        self.optimizer = make_optimizer(self.model, self.train)
        self.wrapped, self.stepper = self.accelerator.prepare(self.model, self.optimizer)
        self.history = History(self.out, active=self.main, tensorboard=self.train.tensorboard)
        self.step = 0
        self.seconds_before = 0.0
        self.figures: dict[str, float] = {}
        # Read now: what the folder holds may be another model by the time of the export.
        self.stages = stages_until(getattr(config.task, "start_from", None))
        self.code = [{"step": 0, "origin": code_origin() if self.main else None}]

    # -- resuming ------------------------------------------------------------------------------

    def resume(self) -> None:
        """Take up the newest complete checkpoint, if there is one."""
        root = self.out / "checkpoints"
        found = checkpoint.complete(root)
        newest = found[-1] if found else None
        if newest is not None:  # a refusal leaves everything as it was
            self._check_data(newest.state)
            self._take_up(newest)
        self.accelerator.wait_for_everyone()
        if self.main:
            checkpoint.clean(root, self.out / "export")
            write_json(self.out / "config.json", self.config.model_dump(mode="json"))
        self.history.restart(self.step, newest.state["sums"] if newest is not None else {})
        if newest is not None:
            logger.info("%s goes on at step %d of %d", self.name, self.step, self.train.steps)

    def _take_up(self, newest: checkpoint.Checkpoint) -> None:
        state = checkpoint.load(newest, model=self.model, ema=self.ema.model, optimizer=self.optimizer)
        if self.accelerator.scaler is not None and state["scaler"]:
            self.accelerator.scaler.load_state_dict(state["scaler"])
        self.step, self.seconds_before, self.figures = newest.step, state["seconds"], state["figures"]
        # Other code may go on with a run: the card names each from its first step on.
        before = state["code"]
        now = self.code[0]["origin"]
        self.code = before if before[-1]["origin"] == now else [*before, {"step": self.step, "origin": now}]

    def _check_data(self, state: dict[str, Any]) -> None:
        if state["data_hash"] != self.manifest.get("data_hash"):
            raise DataError(
                f"The training data of {self.out} has changed since the run was begun",
                remedy="restore the data, or give another train.out",
            )

    @property
    def _identity(self) -> dict[str, Any]:
        return identity(self.config.model_dump(mode="json"), self.name)

    # -- training ------------------------------------------------------------------------------

    def go(self, progress: Callable[[Progress], None], should_stop: Callable[[], bool]) -> TrainResult:
        """Train to the end, the time limit or a stop request."""
        batches = micro_batches(self.items, self.plan, self.step, self.train.steps, self.train.workers)
        clock = runtime.Clock()
        stopped = False
        while self.step < self.train.steps and not stopped:
            self.history.add(self._one_step(batches))
            self.step += 1
            clock.tick()
            if self.step % self.train.log_every == 0 or self.step == self.train.steps:
                self._log(progress, clock)
            stopped = self._agree(should_stop() or self._out_of_time())
            self._write_up(last=stopped or self.step == self.train.steps)
            clock.resume()
        if not self._is_exported():  # killed between the last checkpoint and the export
            self._export()
        self.history.close()
        self.accelerator.wait_for_everyone()
        return TrainResult(
            out=self.out, export=self.out / "export", step=self.step,
            finished=self.step >= self.train.steps, losses=self.history.latest, figures=self.figures,
        )  # fmt: skip

    def _one_step(self, batches: Iterator[Batch]) -> dict[str, Tensor]:
        rate = learning_rate(self.train, self.step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.wrapped.train()
        self.optimizer.zero_grad(set_to_none=True)
        totals: dict[str, Tensor] = {}
        for micro in range(self.train.accumulation):
            runtime.reseed(self.step, micro, self.accelerator.process_index, seed=self.train.seed)
            batch = {key: value.to(self.accelerator.device) for key, value in next(batches).items()}
            last = micro == self.train.accumulation - 1
            with contextlib.nullcontext() if last else self.accelerator.no_sync(self.wrapped):
                parts = self.task.loss(self.wrapped, batch, step=self.step, gather=gather)
                self.accelerator.backward(parts["loss"] / self.train.accumulation)
            for key, value in parts.items():
                part = value.detach().double() / self.train.accumulation
                totals[key] = totals[key] + part if key in totals else part
        if self.train.grad_clip is not None:
            totals["grad_norm"] = self.accelerator.clip_grad_norm_(
                self.wrapped.parameters(), self.train.grad_clip
            ).double()
        self.stepper.step()
        self.ema.update(self.model, self.step)
        return totals

    def _write_up(self, *, last: bool) -> None:
        """Validate, save and export where it is time to, but never a model that cannot go on."""
        every = {
            self._validate: self.train.valid_every,
            self._save: self.train.save_every,
            self._export: self.train.export_every,
        }
        due = [act for act, steps in every.items() if last or (steps and self.step % steps == 0)]
        if due:
            self._refuse_broken(self.history.totals(self.accelerator).get("loss", 0.0))
        for act in due:
            act()

    def _refuse_broken(self, loss: float) -> None:
        """End the run if the loss or the weights are not finite; the states saved before stay."""
        what = f"The loss of {self.name} is {loss}"
        if math.isfinite(loss):
            if all(bool(torch.isfinite(parameter).all()) for parameter in self.model.parameters()):
                return
            what = f"Weights of {self.name} are not finite"
        gentler = "a lower train.learning_rate" + ("" if self.train.precision == "no" else " or train.precision=no")
        raise ConfigError(f"{what} at step {self.step}", remedy=f"begin again in another train.out with {gentler}")

    def _log(self, progress: Callable[[Progress], None], clock: runtime.Clock) -> None:
        losses = self.history.write(self.step, self.accelerator, learning_rate(self.train, self.step - 1))
        self._refuse_broken(losses["loss"])
        if not self.main:
            return
        left = (self.train.steps - self.step) * clock.seconds_per_step
        if self.train.time_limit_minutes is not None:
            left = min(left, self.train.time_limit_minutes * 60 - (time.monotonic() - self.began))
        left = max(0.0, left)
        progress(Progress(self.step, self.train.steps, losses, clock.seconds_per_step, left))
        logger.info(
            "%s step %d/%d loss %.4f %.3f s/step, %.1f min left",
            self.name, self.step, self.train.steps, losses["loss"], clock.seconds_per_step, left / 60,
        )  # fmt: skip

    def _validate(self) -> None:
        if self.main:
            with torch.no_grad():
                found = self.task.evaluate(self.ema.model)
            self.figures = finite(found)
            if missing := [key for key in found if key not in self.figures]:
                logger.warning("%s step %d: not finite, left out: %s", self.name, self.step, ", ".join(missing))
            self.history.validated(self.step, self.figures)
            logger.info("%s step %d: %s", self.name, self.step, _readable(self.figures))
        self.accelerator.wait_for_everyone()

    # -- writing -------------------------------------------------------------------------------

    @property
    def _seconds(self) -> float:
        return self.seconds_before + time.monotonic() - self.began

    def _save(self) -> None:
        sums = self.history.state(self.accelerator)
        if self.main:
            scaler = self.accelerator.scaler
            state = {
                "name": self.name,
                "identity": self._identity,
                "data_hash": self.manifest.get("data_hash"),
                "scaler": scaler.state_dict() if scaler is not None else {},
                "sums": sums,
                "seconds": self._seconds,
                "figures": self.figures,
                "code": self.code,
            }
            checkpoint.save(
                self.out / "checkpoints", self.step, model=self.model, ema=self.ema.model,
                optimizer=self.optimizer, state=state, keep=self.train.keep,
            )  # fmt: skip
        self.accelerator.wait_for_everyone()

    def _export(self) -> None:
        if self.main:
            with atomic_folder(self.out / "export") as folder, torch.no_grad():
                self.task.export(self.ema.model, folder)
                write_json(folder / MANIFEST_NAME, self._card())
            logger.info("%s exported at step %d", self.name, self.step)
        self.accelerator.wait_for_everyone()

    def _is_exported(self) -> bool:
        file = self.out / "export" / MANIFEST_NAME
        return file.is_file() and read_json(file)["step"] == self.step

    def _card(self) -> dict[str, Any]:
        return {
            "trained": self.name,
            "version": __version__,
            "step": self.step,
            "config": self.config.model_dump(mode="json"),
            "parameters": sum(parameter.numel() for parameter in self.model.parameters()),
            "seconds": round(self._seconds, 1),
            "hardware": runtime.hardware(self.accelerator.device),
            "processes": self.accelerator.num_processes,
            "code": self.code,
            "stages": self.stages,
            "figures": self.figures,
            **self.manifest,
        }

    # -- stopping ------------------------------------------------------------------------------

    def _out_of_time(self) -> bool:
        limit = self.train.time_limit_minutes
        return limit is not None and time.monotonic() - self.began >= limit * 60

    def _agree(self, stop: bool) -> bool:
        """All processes stop at the same step: where one wants to."""
        if self.accelerator.num_processes == 1:
            return stop
        votes = self.accelerator.reduce(torch.tensor(float(stop), device=self.accelerator.device), "sum")
        return bool(votes > 0)


def _readable(figures: dict[str, float]) -> str:
    return ", ".join(f"{key} {value:.4g}" for key, value in figures.items())
