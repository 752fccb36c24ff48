"""Building blocks of the joint stem transformer: rotary positions, attention in time, attention across stems.

Holds layers only: it knows nothing of noise, of conditions or of music. Written for few, large operations,
because on a CPU it is the small ones that cost the time.

Shapes: tokens are (batch, stem, token, width); a modulation is (batch, stem, 1, width).
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

NORM_EPS = 1e-5


class _Rotate(torch.autograd.Function):
    """Rotation of the halves of the last axis by given angles; its gradient is the rotation back."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        return _rotate_halves(x, cos, sin)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        cos, sin = ctx.saved_tensors
        return _rotate_halves(grads[0], cos, -sin), None, None


def _rotate_halves(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    half = x.shape[-1] // 2
    first, second = x[..., :half], x[..., half:]
    out = torch.empty_like(x, memory_format=torch.contiguous_format)
    torch.mul(first, cos, out=out[..., :half]).addcmul_(second, sin, value=-1.0)
    torch.mul(second, cos, out=out[..., half:]).addcmul_(first, sin)
    return out


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary position embedding (Su et al. 2021, eq. 34, halves instead of interleaved pairs).

    Parameters
    ----------
    x : (..., token, head, channel)
    cos, sin : (token, 1, channel // 2) of `rotary_tables`
    """
    rotated: Tensor = _Rotate.apply(x, cos, sin)  # type: ignore[no-untyped-call]
    return rotated


def rotary_tables(
    tokens: int, channels: int, *, base: float, device: torch.device, dtype: torch.dtype, offset: int = 0
) -> tuple[Tensor, Tensor]:
    """Cosines and sines of the angles of positions offset … offset + tokens - 1, each (token, 1, channels // 2).

    Attention depends on differences of positions only, so that `offset` changes nothing but rounding.
    """
    exponent = torch.arange(0, channels, 2, device=device, dtype=torch.float32) / channels
    position = torch.arange(offset, offset + tokens, device=device, dtype=torch.float32)
    angle = (position[:, None] * base ** -exponent[None]).unsqueeze(1)
    return angle.cos().to(dtype), angle.sin().to(dtype)


def modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """Layer norm without parameters, then an affine map that the conditions decide (adaLN; Peebles & Xie 2023)."""
    return torch.addcmul(shift, F.layer_norm(x, x.shape[-1:], eps=NORM_EPS), scale)


class TimeEmbedding(nn.Module):
    """Sinusoids of a time in [0, 1] and a two-layer perceptron: (…,) -> (…, width)."""

    def __init__(self, width: int, frequencies: int = 64, scale: float = 1000.0) -> None:
        super().__init__()
        self.frequencies = frequencies
        self.scale = scale
        self.mlp = nn.Sequential(nn.Linear(2 * frequencies, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, time: Tensor) -> Tensor:
        step = -math.log(10_000.0) / self.frequencies
        rates = torch.exp(step * torch.arange(self.frequencies, device=time.device, dtype=torch.float32))
        angle = self.scale * time.float()[..., None] * rates
        embedded: Tensor = self.mlp(torch.cat([angle.cos(), angle.sin()], dim=-1))
        return embedded


def attend(query: Tensor, key: Tensor, value: Tensor, hidden: Tensor | None = None) -> Tensor:
    """Softmax attention of short sequences, (…, token, channel).

    Written out: for a hundred tokens the gradient of the fused CPU kernel takes several times as long.
    `hidden` (broadcast to (…, query, key)) is True where a query must not look.
    """
    scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)
    if hidden is not None:
        scores = scores.masked_fill(hidden, -torch.inf)
    return scores.softmax(-1).to(value.dtype) @ value


class _Attention(nn.Module):
    """The four projections of an attention layer."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        # Separate ones: the gradient of a split copies a whole tensor.
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width, bias=False)
        self.out = nn.Linear(width, width, bias=False)

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(…, width) -> three of (…, head, channel)."""
        shape = (self.heads, -1)
        return tuple(layer(x).unflatten(-1, shape) for layer in (self.query, self.key, self.value))  # type: ignore


class TimeAttention(_Attention):
    """Self-attention along time within each stem, rotary positions, any number of tokens."""

    def forward(self, x: Tensor, rotary: tuple[Tensor, Tensor]) -> Tensor:
        query, key, value = self.project(x)
        query, key = rotate(query, *rotary), rotate(key, *rotary)
        mixed = attend(query.transpose(2, 3), key.transpose(2, 3), value.transpose(2, 3))
        out: Tensor = self.out(mixed.transpose(2, 3).flatten(3))
        return out


class StemAttention(_Attention):
    """Self-attention across the stems at each time token.

    `visible` (batch, stem, stem) says which stem (row) may look at which (column).
    """

    def forward(self, x: Tensor, visible: Tensor) -> Tensor:
        # (batch, token, head, stem, channel): tiny matrices, one per token and head.
        query, key, value = (part.permute(0, 2, 3, 1, 4) for part in self.project(x))
        mixed = attend(query, key, value, ~visible[:, None, None])
        out: Tensor = self.out(mixed.permute(0, 3, 1, 2, 4).flatten(3))
        return out


class GatedMLP(nn.Module):
    """SwiGLU feed-forward (Shazeer 2020)."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.gate = nn.Linear(width, hidden, bias=False)
        self.value = nn.Linear(width, hidden, bias=False)
        self.out = nn.Linear(hidden, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.out(F.silu(self.gate(x)) * self.value(x))
        return out


class Modulation(nn.Module):
    """Shifts, scales and gates of one block, read off the condition vector through a narrow layer.

    A full adaLN layer per block would hold a third of all parameters; `rank` keeps it small. The last layer
    begins at zero, so that every block begins as the identity (adaLN-Zero; Peebles & Xie 2023).
    """

    def __init__(self, width: int, parts: int, rank: int) -> None:
        super().__init__()
        self.parts = parts
        self.down = nn.Linear(width, rank, bias=False)
        self.up = nn.Linear(rank, parts * width)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, condition: Tensor) -> tuple[Tensor, ...]:
        """(batch, stem, width) -> `parts` tensors (batch, stem, 1, width)."""
        return self.up(F.silu(self.down(condition))).unsqueeze(-2).chunk(self.parts, dim=-1)
