"""The two halves of the small CLAP: a convolutional audio tower and a transformer text tower.

The audio tower sees log-mel frames through dilated convolutions (timbre, register, harmony) and
through a modulation spectrum (tempo and rhythm density: how strongly each band group pulses at
fixed rates in Hz, whatever the phase). Both are pooled over time, so that any length goes in.
The towers never touch files and know nothing of losses.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from eeg2music.audio import mel_filters
from eeg2music.types import SAMPLE_RATE_HZ

MEL_FFT = 2048
MEL_HOP = 480
MEL_RATE_HZ = SAMPLE_RATE_HZ / MEL_HOP
MEL_BANDS = 128
MEL_LOW_HZ = 30.0
MEL_HIGH_HZ = 11_000.0
# Power below this is silence: -80 dB, above the noise of 16-bit audio in a mel band.
MEL_FLOOR = 1e-8
SILENCE = -1.5  # value of the scaled log-mel at the floor
_EPS = 1e-6


class LogMel(nn.Module):
    """Scaled log-mel spectrum: 0 at -50 dB, 1 at -30 dB, never below SILENCE.

    Frames are not padded: frame k holds samples k * 480 to k * 480 + 2048, so that the frames of a
    stretch that starts on the grid are exactly those of the whole.
    """

    filters: Tensor
    window: Tensor

    def __init__(self) -> None:
        super().__init__()
        filters = mel_filters(MEL_FFT, SAMPLE_RATE_HZ, MEL_BANDS, MEL_LOW_HZ, MEL_HIGH_HZ)
        self.register_buffer("filters", torch.from_numpy(filters.astype(np.float32)), persistent=False)
        self.register_buffer("window", torch.hann_window(MEL_FFT), persistent=False)

    def forward(self, audio: Tensor) -> Tensor:
        """(batch, samples) at 24 kHz -> (batch, band, frame) at 50 Hz, float32."""
        with torch.autocast(audio.device.type, enabled=False):
            audio = audio.float()
            audio = F.pad(audio, (0, max(0, MEL_FFT + MEL_HOP - audio.shape[-1])))
            pieces = audio.unfold(-1, MEL_FFT, MEL_HOP) * self.window
            power = (torch.fft.rfft(pieces).abs() / self.window.sum()).square()
            decibel = 10.0 * torch.log10((power @ self.filters).clamp_min(MEL_FLOOR))
            return ((decibel + 50.0) / 20.0).transpose(1, 2)


def frames_of(samples: int) -> int:
    """Number of log-mel frames of so many samples (at least FFT + hop of them)."""
    return 1 + (max(samples, MEL_FFT + MEL_HOP) - MEL_FFT) // MEL_HOP


class ConvBlock(nn.Module):
    """Dilated convolution over time, then a two-layer perceptron per frame, with a skip."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation)
        self.norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, 2 * width)
        self.reduce = nn.Linear(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, frame, width) -> the same shape."""
        mixed = self.norm(self.conv(x.transpose(1, 2)).transpose(1, 2))
        return x + self.reduce(F.relu(self.expand(mixed)))


class ModulationSpectrum(nn.Module):
    """How strongly learned groups of bands pulse at 40 fixed rates between 0.4 and 12 Hz."""

    RATES = 40

    def __init__(self, groups: int = 12) -> None:
        super().__init__()
        self.groups = nn.Linear(MEL_BANDS, groups)
        self.out_features = groups * self.RATES

    def forward(self, mel: Tensor) -> Tensor:
        """(batch, band, frame) -> (batch, group * rate)."""
        flux = F.relu(mel.diff(dim=-1)).transpose(1, 2)
        pulses = self.groups(flux).float()
        with torch.autocast(mel.device.type, enabled=False):
            frames = pulses.shape[1]
            rates = torch.logspace(math.log10(0.4), math.log10(12.0), self.RATES, device=mel.device)
            seconds = torch.arange(frames, device=mel.device) / MEL_RATE_HZ
            phase = 2.0 * math.pi * seconds[:, None] * rates
            taper = torch.hann_window(frames + 2, periodic=False, device=mel.device)[1:-1, None]
            waves = torch.cat([phase.cos(), phase.sin()], 1) * taper / taper.sum()
            # Without its mean a window's level would leak into the slow rates.
            pulses = pulses - pulses.mean(1, keepdim=True)
            real, imaginary = torch.einsum("bfg,fr->bgr", pulses, waves).chunk(2, dim=-1)
            strength = (real.square() + imaginary.square() + _EPS).sqrt()
            return torch.log1p(20.0 * strength).flatten(1)


class AudioTower(nn.Module):
    """Log-mel frames to one vector of unit norm.

    Parameters
    ----------
    embedding_dim : length of the vector
    width : channels of the convolutional trunk, at 12.5 frames per second
    dilations : one block for each
    """

    def __init__(self, embedding_dim: int, width: int, dilations: tuple[int, ...]) -> None:
        super().__init__()
        self.mel = LogMel()
        self.patch = nn.Conv1d(MEL_BANDS, width, 8, stride=4, padding=4)
        self.blocks = nn.ModuleList(ConvBlock(width, dilation) for dilation in dilations)
        self.norm = nn.LayerNorm(width)
        self.attention = nn.Linear(width, 4)
        self.modulation = ModulationSpectrum()
        pooled = 6 * width + self.modulation.out_features
        self.head = nn.Sequential(
            nn.LayerNorm(pooled), nn.Linear(pooled, width), nn.GELU(approximate="tanh"), nn.Linear(width, embedding_dim)
        )

    def forward(self, mel: Tensor) -> Tensor:
        """(batch, band, frame) log-mel -> (batch, embedding) unit norm, float32."""
        x = self.patch(mel).transpose(1, 2)
        for block in self.blocks:
            x = block(x)
        x = self.norm(x).float()
        weights = self.attention(x).float().softmax(1)
        attended = torch.einsum("bfh,bfw->bhw", weights, x).flatten(1)
        spread = (x.var(1, unbiased=False) + _EPS).sqrt()
        pooled = torch.cat([x.mean(1), spread, attended, self.modulation(mel)], 1)
        return unit_norm(self.head(pooled))


class TextTower(nn.Module):
    """Token ids to one vector of unit norm: a pre-norm transformer, mean over the tokens."""

    def __init__(self, embedding_dim: int, tokens: int, max_tokens: int, width: int, layers: int) -> None:
        super().__init__()
        self.token = nn.Embedding(tokens, width)
        self.position = nn.Embedding(max_tokens, width)
        self.layers = nn.ModuleList(_text_layer(width) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, embedding_dim)

    def forward(self, ids: Tensor) -> Tensor:
        """(batch, token) int64, 0 = padding -> (batch, embedding) unit norm, float32."""
        padding = ids == 0
        x = self.token(ids) + self.position(torch.arange(ids.shape[1], device=ids.device))
        for layer in self.layers:
            x = layer(x, src_key_padding_mask=padding)
        keep = (~padding).unsqueeze(-1).float()
        mean = (self.norm(x).float() * keep).sum(1) / keep.sum(1).clamp_min(1.0)
        return unit_norm(self.head(mean))


def _text_layer(width: int) -> nn.Module:
    return nn.TransformerEncoderLayer(
        width, nhead=4, dim_feedforward=3 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
    )


def unit_norm(x: Tensor) -> Tensor:
    """Scale the last axis to length one, in float32; finite even for zeros."""
    x = x.float()
    return x * torch.rsqrt(x.square().sum(-1, keepdim=True) + 1e-12)
