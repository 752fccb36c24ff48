"""Exponential moving average of a model's weights, in float32.

Holds a second copy of the model; never touches the one that is trained.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn


class Ema:
    """The averaged twin of a model.

    The decay rises with the step as (1 + step) / (10 + step) up to `decay`, so that the first
    weights, which are noise, are forgotten. Buffers are copied, not averaged.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.model = copy.deepcopy(model).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Average in the weights of `model` after optimizer step number `step` (from 0)."""
        decay = min(self.decay, (1 + step) / (10 + step))
        mine: list[Tensor] = list(self.model.parameters())
        theirs: list[Tensor] = list(model.parameters())
        torch._foreach_lerp_(mine, theirs, 1.0 - decay)
        for buffer, source in zip(self.model.buffers(), model.buffers(), strict=True):
            buffer.copy_(source)
