"""The interface between the one training loop and the things that are trained.

A task knows its data, its model, its loss and how to export; the loop knows devices,
processes, precision, schedules, checkpoints and resuming. Neither knows the other's part.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Protocol

from torch import Tensor, nn

from eeg2music.config import Config

Batch = dict[str, Tensor]
Gather = Callable[[Tensor], Tensor]


class ItemSource(Protocol):
    """A training set whose items depend only on (seed, item index, draw).

    `draw` counts how often the item has been visited (the epoch), so that crops and
    augmentations differ from visit to visit, yet never on order, workers or processes.
    """

    def __len__(self) -> int: ...

    def item(self, index: int, draw: int) -> Mapping[str, Any]:
        """A mapping of tensors (or numpy arrays, or numbers), all items of one shape."""
        ...


class Task(ABC):
    """One thing that is trained.

    Subclasses are entered in `eeg2music.training.registry.TASKS` under their name and set
    `Config` to the pydantic model of their `task:` section. `changeable` names keys of that section that decide
    nothing but validation and export, so that a run may be resumed with other values.

    Making a task refuses what can be refused without work, such as data that is not there, and computes nothing: a dry
    run does so and stops. What takes time waits for `train_items`.
    """

    Config: ClassVar[type[Config]]
    changeable: ClassVar[tuple[str, ...]] = ()

    def __init__(self, config: Any, *, seed: int) -> None:
        self.config = config
        self.seed = seed

    @abstractmethod
    def train_items(self) -> ItemSource:
        """The training set."""

    @abstractmethod
    def build_model(self) -> nn.Module:
        """A freshly initialised model (the loop seeds torch before). Called after `train_items`."""

    @abstractmethod
    def loss(self, model: nn.Module, batch: Batch, *, step: int, gather: Gather) -> dict[str, Tensor]:
        """Loss of one micro-batch.

        Call `model(...)` (never a sub-module) so that gradients are synchronised between processes.
        `gather` concatenates a tensor over processes along the batch, differentiably.

        Returns
        -------
        {"loss": scalar, ...parts to be logged}; the loss is the mean over the micro-batch.
        """

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Validation figures, computed on one process with the averaged (EMA) weights."""
        return {}

    @abstractmethod
    def export(self, model: nn.Module, folder: Path) -> None:
        """Write the (averaged) model so that its class's `from_pretrained(folder)` reads it."""

    def manifest(self) -> dict[str, Any]:
        """What was trained on: song ids, subjects, hashes. Stored beside the weights."""
        return {}
