"""Tiny tasks for the tests of the loop, and a way to be killed for real at a chosen point.

Run as a script it takes a JSON list of runs, does each in a forked child (so that torch is imported once), and
prints how each child ended. A run is {"overrides": […]} with, if need be, "name", "config" and "kill".
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from eeg2music.config import Config
from eeg2music.seeding import torch_generator
from eeg2music.training.registry import TASKS
from eeg2music.training.task import Batch, Gather, ItemSource, Task


class ToyConfig(Config):
    n_items: int = 11
    width: int = 8
    dropout: float = 0.3
    data_hash: str = "d0"


class ToyItems:
    def __init__(self, config: ToyConfig, seed: int) -> None:
        self.config, self.seed = config, seed

    def __len__(self) -> int:
        return self.config.n_items

    def item(self, index: int, draw: int) -> Mapping[str, Any]:
        noise = torch.randn(self.config.width, generator=torch_generator(self.seed, "toy", index, draw))
        return {"x": noise, "y": noise.flip(0) * 2, "index": index, "draw": draw}


class ToyModel(nn.Module):
    def __init__(self, config: ToyConfig) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(config.width, 16), nn.BatchNorm1d(16), nn.Dropout(config.dropout), nn.Linear(16, config.width)
        )
        self.tied = self.layers[3].weight  # shared memory, as in language models

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


@TASKS.add("toy")
class Toy(Task):
    Config = ToyConfig

    def train_items(self) -> ItemSource:
        return ToyItems(self.config, self.seed)

    def build_model(self) -> nn.Module:
        return ToyModel(self.config)

    def loss(self, model: nn.Module, batch: Batch, *, step: int, gather: Gather) -> dict[str, Tensor]:
        loss = F.mse_loss(model(batch["x"]), batch["y"])
        return {"loss": loss, "twice": 2 * loss}

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        torch.rand(3)  # uses the global generator: must not matter
        return {"norm": float(sum(parameter.square().sum() for parameter in model.parameters()))}

    def export(self, model: nn.Module, folder: Path) -> None:
        (folder / "weights.txt").write_text(str(sum(float(p.double().sum()) for p in model.parameters())))

    def manifest(self) -> dict[str, Any]:
        return {"data_hash": self.config.data_hash, "songs": ["a"]}


class PairModel(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(width, 16), nn.Linear(width, 16)
        self.scale = nn.Parameter(torch.tensor(2.0))

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return F.normalize(self.left(x), dim=-1), F.normalize(self.right(y), dim=-1), self.scale.exp()


@TASKS.add("toy_contrastive")
class ToyContrastive(Toy):
    def build_model(self) -> nn.Module:
        return PairModel(self.config.width)

    def loss(self, model: nn.Module, batch: Batch, *, step: int, gather: Gather) -> dict[str, Tensor]:
        left, right, scale = model(batch["x"], batch["y"])
        left, right = gather(left), gather(right)
        scores = scale * left @ right.T
        labels = torch.arange(len(scores))
        return {"loss": (F.cross_entropy(scores, labels) + F.cross_entropy(scores.T, labels)) / 2}


@TASKS.add("toy_contrastive_free")
class ToyPairs(ToyContrastive):
    """The same model with a loss that is a mean over items."""

    def loss(self, model: nn.Module, batch: Batch, *, step: int, gather: Gather) -> dict[str, Tensor]:
        left, right, scale = model(batch["x"], batch["y"])
        return {"loss": (1 - scale * (left * right).sum(dim=1)).mean()}


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def arm(point: str, task: type[Task]) -> None:
    """Have this process kill itself: "loss:STEP:MICRO", "save:N" (the Nth file), "remove", "export", "row:STEP"."""
    from eeg2music.training import checkpoint, history

    kind, *numbers = point.split(":")
    if kind == "loss":
        when, micro = map(int, numbers)
        seen: list[int] = []
        before = task.loss

        def loss(self: Task, model: nn.Module, batch: Batch, *, step: int, gather: Gather) -> dict[str, Tensor]:
            seen.append(step)
            if step == when and seen.count(step) == micro + 1:
                die()
            return before(self, model, batch, step=step, gather=gather)

        task.loss = loss  # type: ignore[method-assign]
    elif kind == "save":
        calls = []
        save_file = checkpoint.save_file

        def save(values: dict[str, Tensor], path: Path) -> None:
            calls.append(path)
            if len(calls) == int(numbers[0]):
                Path(path).write_bytes(b"half a file")
                die()
            save_file(values, path)

        checkpoint.save_file = save
    elif kind == "remove":
        checkpoint.shutil.rmtree = lambda *args, **kwargs: die()
    elif kind == "export":
        task.export = lambda self, model, folder: die()  # type: ignore[method-assign,assignment]
    elif kind == "row":
        append = history.History._append

        def write(self: Any, row: dict[str, Any], tag: str) -> None:
            if row["step"] == int(numbers[0]):
                with (self.out / history.FILE).open("a") as handle:
                    handle.write('{"step": ' + str(row["step"]))
                    handle.flush()
                    die()
            append(self, row, tag)

        history.History._append = write  # type: ignore[method-assign]


def child(overrides: list[str], kill: str = "", name: str = "toy", config: str | None = None) -> int:
    """One run in a forked process; returns what `waitpid` says of it."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            if kill:
                arm(kill, TASKS[name])
            from eeg2music.training.loop import train

            train(name, config, overrides)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    import accelerate  # noqa: F401 - imported before the forks, as is all that the registry finds

    from eeg2music.training import loop  # noqa: F401

    TASKS.names()
    torch.set_num_threads(1)
    print(json.dumps([child(**run) for run in json.loads(sys.argv[1])]))
