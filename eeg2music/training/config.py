"""How a training runs: the `train:` section that every task shares, and the whole of a run.

The `task:` section belongs to the task (`Task.Config`). Holds values only.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, create_model, field_validator, model_validator

from eeg2music.config import Config, load_config
from eeg2music.config_words import Unfit
from eeg2music.errors import ConfigError
from eeg2music.training.registry import TASKS

# What may differ when a run is resumed: how long it goes, where it lies, what it writes, and on how many threads, which
# moves the last digits of sums. Everything else decides the weights.
CHANGEABLE = (
    "steps", "out", "time_limit_minutes", "log_every", "save_every", "valid_every", "export_every",
    "keep", "tensorboard", "workers", "threads",
)  # fmt: skip


class TrainConfig(Config):
    """What the loop needs to know.

    `batch_size` counts the items of one optimizer step over all processes and all micro-batches:
    a micro-batch holds batch_size / accumulation / processes items.
    `schedule`: after `warmup_steps` of linear rise, "cosine" falls to zero at `steps`, "constant" stays,
    "cooldown" stays and falls linearly to zero over the last `cooldown_steps` before `steps` (so that a run
    of unknown length can be ended well by resuming it with its final `steps`).
    `precision`: "no" is fp32 throughout; "bf16" and "fp16" are mixed precision.
    `device`: auto (a CUDA GPU where there is one), cpu, cuda, mps, or cuda:N for a single process on that GPU; under a
    launcher, cuda gives each process its own. With cpu, launched processes train on the CPU.
    `time_limit_minutes` ends this start of the run with a checkpoint and an export; the same command goes on.
    """

    out: str
    steps: int = Field(1000, ge=1)
    batch_size: int = Field(16, ge=1)
    accumulation: int = Field(1, ge=1)
    learning_rate: float = Field(3e-4, gt=0)
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = Field(0.0, ge=0)
    warmup_steps: int = Field(100, ge=0)
    schedule: Literal["cosine", "constant", "cooldown"] = "cosine"
    cooldown_steps: int = Field(500, ge=1)
    grad_clip: float | None = Field(1.0, gt=0)
    ema_decay: float = Field(0.999, ge=0, lt=1)
    precision: Literal["no", "bf16", "fp16"] = "no"
    device: str = "auto"
    seed: int = Field(0, ge=0)
    workers: int = Field(0, ge=0)
    threads: int | None = Field(None, ge=1)
    log_every: int = Field(10, ge=1)
    save_every: int = Field(500, ge=1)
    valid_every: int = Field(500, ge=0)
    export_every: int = Field(0, ge=0)
    keep: int = Field(2, ge=1)
    tensorboard: bool = True
    time_limit_minutes: float | None = Field(None, gt=0)

    @field_validator("precision", mode="before")
    @classmethod
    def _yaml_no(cls, value: Any) -> Any:
        return "no" if value is False else value  # YAML reads a bare `no` as false

    @field_validator("device")
    @classmethod
    def _known_device(cls, value: str) -> str:
        # Whether it is there is asked when the run starts: a config may be written for another machine.
        if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", value):
            raise Unfit(allowed="cpu, cuda, cuda:N, mps or auto")
        return value


class RunConfig(Config):
    """The whole of a run. `task` is replaced by the task's own config type."""

    task: Any
    train: TrainConfig

    @model_validator(mode="before")
    @classmethod
    def _sections(cls, values: Any) -> Any:
        return {"task": {}, "train": {}, **values} if isinstance(values, dict) else values


def resolve(name: str, config_path: str | None = None, overrides: Sequence[str] = ()) -> RunConfig:
    """The config of a run as it would be used: file, then `task.key=value` / `train.key=value` overrides.

    Raises
    ------
    ConfigError
        An unknown task or key, a value that does not fit, or a batch that cannot be divided.
    """
    kind = create_model("RunConfig", __base__=RunConfig, task=(TASKS[name].Config, ...))
    config = load_config(kind, config_path, overrides)
    train = config.train
    if train.batch_size % train.accumulation:
        raise ConfigError(
            f"train.batch_size = {train.batch_size} is not a multiple of train.accumulation = {train.accumulation}",
            allowed="a batch of equal parts",
            remedy="choose a batch size that is a multiple",
        )
    return config


def identity(values: dict[str, Any], name: str) -> dict[str, Any]:
    """What of a dumped run config has to be the same for a run to be resumed."""
    changeable = {"train": CHANGEABLE, "task": TASKS[name].changeable}
    return {
        section: {key: value for key, value in entries.items() if key not in changeable[section]}
        for section, entries in values.items()
    }


def check_same(before: dict[str, Any], now: dict[str, Any], out: Path) -> None:
    """Refuse to go on with a run under another config, naming what differs.

    Raises
    ------
    ConfigError
    """
    old, new = _flat(before), _flat(now)
    changed = [key for key in sorted(old | new) if old.get(key) != new.get(key)]
    if changed:
        key = changed[0]
        more = f" (and {len(changed) - 1} more differ)" if len(changed) > 1 else ""
        raise ConfigError(
            f"{out} was begun with {key} = {old.get(key)!r}, not {new.get(key)!r}{more}",
            allowed="a change of steps, time limit, logging and saving only",
            remedy="use the values it was begun with, or give another train.out",
        )


def _flat(values: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(values, dict):
        return {prefix: values}
    below = (_flat(child, f"{prefix}.{name}".lstrip(".")) for name, child in values.items())
    return {key: value for part in below for key, value in part.items()}
