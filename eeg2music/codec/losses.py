"""Distances between decoded and heard sound, differentiable: what the codec is trained and judged by.

Every function takes (batch, samples) at 24 kHz and returns one value per item or a mean over all; none keeps state.
"""

from __future__ import annotations

import functools

import numpy as np
import torch
from torch import Tensor

from eeg2music.audio import mel_filters
from eeg2music.types import SAMPLE_RATE_HZ

STFT_SIZES = (2048, 512, 128)
_FLOOR = 1e-3  # amplitude (−60 dB of full scale) under which differences do not count


def noise_to_signal_db(decoded: Tensor, heard: Tensor, *, best_db: float = -30.0) -> Tensor:
    """10 log10 of error power over signal power, (batch,). Lower is better; `best_db` is the soft limit.

    Silence counts as noise of −60 dB of full scale, so that it can neither dominate nor divide by zero.
    """
    power = heard.square().mean(dim=-1)
    error = (decoded - heard).square().mean(dim=-1)
    floor = _FLOOR**2
    return 10 * torch.log10((error + 10 ** (best_db / 10) * power + floor) / (power + floor))


def si_sdr_db(decoded: Tensor, heard: Tensor) -> Tensor:
    """Scale-invariant signal-to-distortion ratio in dB, (batch,). Le Roux et al. 2019, eq. 3, means removed."""
    decoded = decoded - decoded.mean(dim=-1, keepdim=True)
    heard = heard - heard.mean(dim=-1, keepdim=True)
    tiny = torch.finfo(heard.dtype).tiny
    scale = (decoded * heard).sum(dim=-1, keepdim=True) / heard.square().sum(dim=-1, keepdim=True).clamp_min(tiny)
    target = scale * heard
    ratio = target.square().sum(dim=-1) / (decoded - target).square().sum(dim=-1).clamp_min(tiny)
    return 10 * torch.log10(ratio.clamp_min(tiny))


def spectral_distances(decoded: Tensor, heard: Tensor, *, floor: float = _FLOOR) -> tuple[Tensor, Tensor]:
    """Multi-scale STFT distance: (linear, logarithmic), each a mean over scales.

    Linear: |difference of magnitudes| relative to the item's mean magnitude (spectral convergence in L1).
    Logarithmic: |difference of log magnitudes| in nepers, above the floor (an amplitude).
    """
    linear, logarithmic = [], []
    for size in STFT_SIZES:
        mine, theirs = _magnitude(decoded, size), _magnitude(heard, size)
        level = theirs.mean(dim=(1, 2)) + _FLOOR
        linear.append(((mine - theirs).abs().mean(dim=(1, 2)) / level).mean())
        logarithmic.append((torch.log(mine + floor) - torch.log(theirs + floor)).abs().mean())
    return torch.stack(linear).mean(), torch.stack(logarithmic).mean()


def log_mel_distance(decoded: Tensor, heard: Tensor, *, bands: int = 80) -> Tensor:
    """Root mean square difference of log-mel spectra in dB (80 bands, 1024-point windows), (batch,)."""
    size = 1024
    filters = _mel_filters(bands, size).to(heard.device)
    spectra = [20 * torch.log10(filters @ _magnitude(audio, size) + _FLOOR) for audio in (decoded, heard)]
    return (spectra[0] - spectra[1]).square().mean(dim=(1, 2)).sqrt()


def _magnitude(audio: Tensor, size: int) -> Tensor:
    """(batch, samples) -> (batch, bin, frame), scaled so that a full-scale sine has magnitude about 1."""
    window = _window(size, audio.device)
    spectrum = torch.stft(audio, size, size // 4, window=window, return_complex=True, pad_mode="constant")
    power = spectrum.real.square() + spectrum.imag.square()
    # The root has no gradient at zero.
    return (power + 1e-12).sqrt() * (2.0 / float(size) * 2.0)


@functools.lru_cache(maxsize=16)
def _window(size: int, device: torch.device) -> Tensor:
    return torch.hann_window(size, device=device)


@functools.lru_cache(maxsize=4)
def _mel_filters(bands: int, size: int) -> Tensor:
    """(band, bin) triangles on the mel scale from 20 Hz, each of unit sum."""
    filters = mel_filters(size, SAMPLE_RATE_HZ, bands, 20.0, SAMPLE_RATE_HZ / 2)
    return torch.from_numpy(filters.T.astype(np.float32))
