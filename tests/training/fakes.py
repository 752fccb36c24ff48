"""A codec and a CLAP that cost nothing, for tests of the diffusion model's training."""

from __future__ import annotations

import torch
from torch import Tensor


class FakeCodec:
    """Four statistics of each frame in place of latents."""

    latent_std = torch.full((4,), 0.1)

    def latent_space(self) -> str:
        return "four statistics"

    def encode(self, audio: Tensor) -> Tensor:
        frames = audio.unflatten(-1, (-1, 320))
        return torch.stack([frames.mean(-1), frames.std(-1), frames[..., 0], frames[..., 9]], dim=1)

    def normalize(self, latents: Tensor) -> Tensor:
        return latents * 10


class FakeClap:
    """Levels of eight stretches in place of an embedding."""

    space = "eight levels"

    def embed_audio(self, audio: Tensor) -> Tensor:
        return torch.nn.functional.normalize(audio.unflatten(-1, (8, -1)).abs().mean(-1), dim=-1)
