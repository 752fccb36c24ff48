"""Concatenation over processes that gradients flow through: the negatives of a contrastive loss.

Works with any backend (gloo too); with one process it is the identity.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


class _Gather(torch.autograd.Function):
    """Forward: all-gather along the batch. Backward: sum over processes of the own slice's gradient.

    If each process computes the whole loss from what was gathered, the sum makes its gradient
    `processes` times too large, which the averaging of gradients by DistributedDataParallel undoes.
    The same holds where each computes its own rows' mean.
    """

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        ctx.size = tensor.shape[0]
        parts = [torch.empty_like(tensor) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, tensor.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].contiguous().clone()
        dist.all_reduce(total)
        start = dist.get_rank() * ctx.size
        return total[start : start + ctx.size]


def gather(tensor: Tensor) -> Tensor:
    """(batch, …) of this process -> (processes * batch, …), in order of rank, differentiable.

    All processes must hold the same shape.
    """
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return tensor
    result: Tensor = _Gather.apply(tensor)
    return result
