"""Temporal convolutions that keep the regions apart, and pooling over time.

Every layer is grouped by region: nothing of one region's stream reaches another's.
Never uses statistics over the batch, so that a window's output does not depend on its
company.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class DilatedBlock(nn.Module):
    """x + conv(gelu(norm(x))), dilated, in `groups` independent groups of channels."""

    def __init__(self, channels: int, groups: int, dilation: int, kernel: int = 5) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(groups, channels)
        self.conv = nn.Conv1d(
            channels, channels, kernel, padding=dilation * (kernel // 2), dilation=dilation, groups=groups
        )
        # Small, so that a deep stack starts close to the identity.
        nn.init.normal_(self.conv.weight, std=0.5 / (channels // groups * kernel) ** 0.5)
        nn.init.zeros_(self.conv.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channel, frame) -> the same."""
        return x + self.conv(F.gelu(self.norm(x), approximate="tanh"))


class TemporalStack(nn.Module):
    """From 64 Hz to 32 Hz features: a strided stem and dilated residual blocks.

    With a stem of 8 taps at 64 Hz, 5 taps and dilations (1, 2, 4, 8, 1), a frame sees 2.1 s.
    """

    def __init__(self, inputs: int, hidden: int, groups: int, dilations: tuple[int, ...], kernel: int = 5) -> None:
        super().__init__()
        self.stem = nn.Conv1d(inputs, hidden, 8, stride=2, padding=3, groups=groups)
        self.blocks = nn.ModuleList(DilatedBlock(hidden, groups, dilation, kernel) for dilation in dilations)
        self.norm = nn.GroupNorm(groups, hidden)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, input, time) -> (batch, hidden, time // 2)."""
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return F.gelu(self.norm(x), approximate="tanh")


class PooledEmbedding(nn.Module):
    """Attentive statistics over time, then two layers, for each group of channels.

    Attentive statistics pooling (Okabe et al. 2018, eqs. 3 to 6), one attention head per
    group, besides the plain mean and deviation.
    """

    def __init__(self, channels: int, groups: int, outputs: int, hidden: int) -> None:
        super().__init__()
        self.groups = groups
        self.attend = nn.Conv1d(channels, groups, 1, groups=groups)
        nn.init.zeros_(self.attend.weight)
        self.first = nn.Conv1d(3 * channels, groups * hidden, 1, groups=groups)
        self.second = nn.Conv1d(groups * hidden, groups * outputs, 1, groups=groups)

    def pool(self, x: Tensor) -> Tensor:
        """(batch, group * channel, frame) -> (batch, group * 3 * channel)."""
        batch, _, frames = x.shape
        weight = self.attend(x).float().softmax(-1)
        grouped = x.float().reshape(batch, self.groups, -1, frames)
        mean = grouped.mean(-1)
        deviation = ((grouped - mean[..., None]).square().mean(-1) + 1e-4).sqrt()
        attended = torch.einsum("bgcf,bgf->bgc", grouped, weight)
        return torch.cat([mean, deviation, attended], dim=-1).flatten(1)

    def forward(self, pooled: Tensor) -> Tensor:
        """(batch, group * 3 * channel) -> (batch, group, output), not normalised."""
        hidden = F.gelu(self.first(pooled[..., None]), approximate="tanh")
        return self.second(hidden)[..., 0].reshape(len(pooled), self.groups, -1)
