"""How the weights are moved: AdamW and the learning rate of each step. Keeps no state of its own."""

from __future__ import annotations

import math

import torch
from torch import nn

from eeg2music.training.config import TrainConfig


def make_optimizer(model: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """AdamW (Loshchilov & Hutter 2019) over the parameters that are trained."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    matrices = [parameter for parameter in trained if parameter.ndim >= 2]
    vectors = [parameter for parameter in trained if parameter.ndim < 2]
    groups = [  # biases, norms and temperatures are not shrunk
        {"params": matrices, "weight_decay": config.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]], lr=config.learning_rate, betas=config.betas, fused=True
    )


def learning_rate(config: TrainConfig, step: int) -> float:
    """The rate of optimizer step number `step` (from 0)."""
    rate = config.learning_rate
    if step < config.warmup_steps:
        return rate * (step + 1) / config.warmup_steps
    if config.schedule == "constant":
        return rate
    if config.schedule == "cooldown":
        return rate * min(1.0, (config.steps - step) / config.cooldown_steps)
    share = (step - config.warmup_steps) / max(1, config.steps - config.warmup_steps)
    return rate * 0.5 * (1 + math.cos(math.pi * min(1.0, share)))
