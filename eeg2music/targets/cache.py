"""Keys for those who keep targets: what values read off audio depend on besides the audio.

The weights of a model and the scales of the curves. Holds no targets: `training.encoder_targets` keeps them, under
these keys and the audio's own, so that an entry cannot go stale.
"""

from __future__ import annotations

import hashlib
from typing import Protocol

import torch
from torch import Tensor, nn

from eeg2music.files import sha256_json
from eeg2music.targets import curves
from eeg2music.types import CURVES, SAMPLE_RATE_HZ


class AudioEmbedder(Protocol):
    """What `load_clap` returns, as far as targets are concerned."""

    def embed_audio(self, audio: Tensor) -> Tensor: ...


def model_hash(model: nn.Module) -> str:
    """Hex digest of a model's weights: names, shapes, types and bytes."""
    digest = hashlib.sha256(type(model).__name__.encode())
    for name, tensor in sorted(model.state_dict().items()):
        stored = tensor.detach().cpu().contiguous()
        digest.update(f"{name} {tuple(stored.shape)} {stored.dtype}".encode())
        digest.update(stored.flatten().view(torch.uint8).numpy().tobytes() if stored.numel() else b"")
    return digest.hexdigest()


def conditioning_space(clap: nn.Module) -> str:
    """Hash of what a generator is conditioned on: a CLAP's embeddings and the scales of the curves.

    Weights count as rounded to bfloat16, so that storing them in it keeps the hash; names do not count, because they
    differ between versions of libraries.
    """
    weights = [tensor.detach() for tensor in clap.state_dict().values() if tensor.is_floating_point()]
    parts = sorted(_content(tensor) for tensor in weights)
    return sha256_json([parts, curve_scales()])


def _content(tensor: Tensor) -> str:
    values = tensor.cpu().to(torch.bfloat16).float().contiguous().numpy()
    return hashlib.sha256(f"{values.shape}".encode() + values.astype("<f4").tobytes()).hexdigest()


def curve_scales() -> dict[str, object]:
    """Everything the control curves are scaled by."""
    names = ("HOP", "FFT", "MEL_BANDS", "FLOOR_DB", "ONSET_SCALE", "BRIGHTNESS_LOW_HZ", "BRIGHTNESS_HIGH_HZ")
    return {name: getattr(curves, name) for name in names} | {"curves": CURVES, "rate": SAMPLE_RATE_HZ}
