"""Which items form which batch: a function of (seed, step), the same for any number of workers and processes.

The training set is walked through in one permutation per epoch, drawn from (seed, epoch). Global step s
takes positions [s * batch, (s + 1) * batch) of that walk; each micro-batch is a stretch of it and each
process takes its slice of the stretch, so that what is gathered over processes has the order of one process.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from eeg2music.errors import ConfigError, DataError
from eeg2music.seeding import numpy_rng
from eeg2music.training.signals import leave_interrupts_to_the_main_process
from eeg2music.training.task import Batch, ItemSource

Visit = tuple[int, int]  # (item index, draw)


@dataclass(frozen=True)
class Plan:
    """How the walk over `n_items` is cut into batches."""

    n_items: int
    batch_size: int
    accumulation: int
    seed: int
    rank: int = 0
    processes: int = 1

    def __post_init__(self) -> None:
        if self.n_items < 1:
            raise DataError("The training set is empty", remedy="check the data path and the split")
        if self.batch_size % (self.accumulation * self.processes):
            raise ConfigError(
                f"train.batch_size = {self.batch_size} cannot be divided into {self.accumulation} micro-batches "
                f"on {self.processes} processes",
                remedy="choose a batch size that is a multiple of their product",
            )

    @property
    def micro_size(self) -> int:
        """Items per micro-batch and process."""
        return self.batch_size // (self.accumulation * self.processes)

    def visits(self, step: int, micro: int) -> list[Visit]:
        """(item index, draw) of this process's part of micro-batch `micro` of global step `step`."""
        stretch = self.batch_size // self.accumulation
        first = step * self.batch_size + micro * stretch + self.rank * self.micro_size
        return [self._visit(position) for position in range(first, first + self.micro_size)]

    def _visit(self, position: int) -> Visit:
        epoch, place = divmod(position, self.n_items)
        return int(_permutation(self.n_items, self.seed, epoch)[place]), epoch


@functools.lru_cache(maxsize=4)
def _permutation(n_items: int, seed: int, epoch: int) -> NDArray[np.int64]:
    return numpy_rng(seed, "order", epoch).permutation(n_items)


class _Items(Dataset[Mapping[str, Any]]):
    def __init__(self, source: ItemSource) -> None:
        self.source = source

    def __getitem__(self, visit: Visit) -> Mapping[str, Any]:
        return self.source.item(*visit)


class _Visits(Sampler[list[Visit]]):
    def __init__(self, plan: Plan, start: int, stop: int) -> None:
        self.plan, self.start, self.stop = plan, start, stop

    def __iter__(self) -> Iterator[list[Visit]]:
        for step in range(self.start, self.stop):
            for micro in range(self.plan.accumulation):
                yield self.plan.visits(step, micro)

    def __len__(self) -> int:
        return (self.stop - self.start) * self.plan.accumulation


def micro_batches(source: ItemSource, plan: Plan, start: int, stop: int, workers: int = 0) -> Iterator[Batch]:
    """The micro-batches of global steps start…stop-1 of this process, in order."""
    loader: DataLoader[Any] = DataLoader(
        _Items(source),
        batch_sampler=_Visits(plan, start, stop),
        num_workers=workers,
        collate_fn=collate,
        worker_init_fn=leave_interrupts_to_the_main_process,
        # Its own generator: the loader would otherwise draw from the global one.
        generator=torch.Generator().manual_seed(0),
    )
    return iter(loader)


def collate(items: list[Mapping[str, Any]]) -> Batch:
    """Stack items of one shape along a new first axis."""
    return {key: torch.stack([_tensor(item[key]) for item in items]) for key in items[0]}


def _tensor(value: Any) -> Tensor:
    return value if isinstance(value, Tensor) else torch.as_tensor(value)
