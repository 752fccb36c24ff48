"""A tiny transformer in which every parameter matters, and conditions for it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from eeg2music.diffusion.transformer import JointStemTransformer
from eeg2music.types import Conditions

CHANNELS = 6


@pytest.fixture(scope="session")
def model() -> JointStemTransformer:
    """Two blocks, one with stem attention; what begins at zero is made to differ from zero."""
    generator = torch.Generator().manual_seed(0)
    net = JointStemTransformer(
        latent_dim=CHANNELS, embedding_dim=10, width=32, depth=2, heads=2, hidden=48, modulation_rank=8
    )
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.15 * torch.randn(parameter.shape, generator=generator))
    return net.eval()


@pytest.fixture(scope="session")
def make_conditions() -> Callable[..., Conditions]:
    """Conditions for `batch` clips of `curve_frames`, from a seed."""

    def make(batch: int, curve_frames: int, seed: int = 0) -> Conditions:
        generator = torch.Generator().manual_seed(seed)
        return Conditions(
            torch.nn.functional.normalize(torch.randn(batch, 10, generator=generator), dim=-1),
            torch.nn.functional.normalize(torch.randn(batch, 4, 10, generator=generator), dim=-1),
            torch.rand(batch, 4, 3, curve_frames, generator=generator),
        )

    return make
