"""Targets read off audio (CLAP embeddings and control curves), computed once and kept on disk.

An entry is found by what it depends on: the bytes of the audio, the weights of the CLAP, the curves'
scales. Nothing else leads to it, no path and no date, so that an entry cannot go stale; one that is
damaged is computed again, and the log says so. Never decides which windows are worth keeping.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from eeg2music.errors import InputError
from eeg2music.files import atomic_path, sha256_json
from eeg2music.targets import curves
from eeg2music.types import CURVES, SAMPLE_RATE_HZ, Conditions, FloatArray

logger = logging.getLogger(__name__)

# Raised when what an entry holds, or how it is computed, changes.
SCHEMA = 1
_PARTS = ("global_embedding", "stem_embedding", "curves")


class AudioEmbedder(Protocol):
    """What `load_clap` returns, as far as targets are concerned."""

    def embed_audio(self, audio: Tensor) -> Tensor: ...


def window_targets(clap: AudioEmbedder, stems: FloatArray | Tensor) -> Conditions:
    """The conditions that audio itself would give: what a perfect decoder of it would say.

    Parameters
    ----------
    stems : (stem, samples) or (batch, stem, samples) at 24 kHz; their sum is the mix

    Returns
    -------
    Conditions on the CPU with a batch axis in any case (1 for a single window), float32, no masks.
    Each window is computed by itself, so that it is the same alone and in a batch.
    """
    batch = torch.as_tensor(stems, dtype=torch.float32)
    if batch.ndim not in (2, 3):
        raise InputError(f"Stems of shape {tuple(batch.shape)}", allowed="(stem, samples) or (batch, stem, samples)")
    return join([_one(clap, window) for window in batch.reshape(-1, *batch.shape[-2:])])


def _one(clap: AudioEmbedder, stems: Tensor) -> Conditions:
    with torch.no_grad():
        tracks = torch.cat([stems.sum(0, keepdim=True), stems])
        embedded = clap.embed_audio(tracks).float().cpu()
        course = curves.control_curves(stems)
    return Conditions(embedded[:1], embedded[None, 1:], course[None].cpu())


def join(windows: Sequence[Conditions]) -> Conditions:
    """Concatenate conditions without masks along the batch."""
    return Conditions(*(torch.cat([getattr(window, part) for window in windows]) for part in _PARTS))


def model_hash(model: nn.Module) -> str:
    """Hex digest of a model's weights: names, shapes, types and bytes."""
    digest = hashlib.sha256(type(model).__name__.encode())
    for name, tensor in sorted(model.state_dict().items()):
        stored = tensor.detach().cpu().contiguous()
        digest.update(f"{name} {tuple(stored.shape)} {stored.dtype}".encode())
        digest.update(stored.flatten().view(torch.uint8).numpy().tobytes() if stored.numel() else b"")
    return digest.hexdigest()


class TargetCache:
    """`window_targets` with a memory.

    Parameters
    ----------
    folder : where the entries lie; made if it is not there
    clap : what `load_clap` returns. Its weights are hashed here, once: do not train it afterwards.
    """

    def __init__(self, folder: str | os.PathLike[str], clap: AudioEmbedder) -> None:
        if not isinstance(clap, nn.Module):
            raise InputError(
                f"{type(clap).__name__} is not a model whose weights can be hashed", remedy="use load_clap"
            )
        self.folder, self.clap = Path(folder), clap
        self._recipe = sha256_json({"schema": SCHEMA, "model": model_hash(clap), "curves": curve_scales()})

    def targets(self, stems: FloatArray) -> Conditions:
        """`window_targets` of one window, (stem, samples), from the cache where it is there."""
        file = self.path(stems)
        found = _read(file)
        if found is None:
            found = window_targets(self.clap, stems)
            _write(file, found)
        return found

    def path(self, stems: FloatArray) -> Path:
        """Where the entry of this audio lies, whether it is there or not."""
        audio = np.ascontiguousarray(stems, dtype=np.float32)
        digest = hashlib.sha256(f"{self._recipe} {audio.shape}".encode())
        digest.update(audio.tobytes())
        name = digest.hexdigest()
        return self.folder / name[:2] / f"{name}.safetensors"


def curve_scales() -> dict[str, object]:
    """Everything the control curves are scaled by."""
    names = ("HOP", "FFT", "MEL_BANDS", "FLOOR_DB", "ONSET_SCALE", "BRIGHTNESS_LOW_HZ", "BRIGHTNESS_HIGH_HZ")
    return {name: getattr(curves, name) for name in names} | {"curves": CURVES, "rate": SAMPLE_RATE_HZ}


def _read(file: Path) -> Conditions | None:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not file.is_file():
        return None
    try:
        return Conditions(**load_file(file))
    except (SafetensorError, TypeError, OSError) as error:
        logger.warning("The cached targets %s are damaged (%s) and are computed again", file.name, error)
        return None


def _write(file: Path, targets: Conditions) -> None:
    from safetensors.torch import save_file

    with atomic_path(file) as temporary:
        save_file({part: getattr(targets, part).contiguous().clone() for part in _PARTS}, temporary)
