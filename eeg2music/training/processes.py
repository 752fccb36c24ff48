"""Work that the processes of a run share: each does its part, then all wait for the others.

With one process, its part is everything. What is shared lies on disk; nothing is sent between processes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import torch.distributed as dist

T = TypeVar("T")


def _launched() -> bool:
    return dist.is_available() and dist.is_initialized()


def own_part(work: Sequence[T]) -> Sequence[T]:
    """Every n-th piece of work. All processes must give the same pieces in the same order."""
    return work[dist.get_rank() :: dist.get_world_size()] if _launched() else work


def wait_for_all() -> None:
    """Go on when all processes have come here."""
    if _launched():
        dist.barrier()
