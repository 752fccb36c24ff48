"""Control curves: when and how loud, read off audio at 32 Hz.

Three curves per stem: onset strength (half-wave rectified log-mel flux; Böck & Widmer
2013, without the vibrato suppression), loudness (log root-mean-square) and brightness
(log spectral centroid, zero where the loudness is 0.1 or less). Scales are fixed, not per clip, so that
a curve means the same in every song. Never estimates pitch and never smooths in time.
"""

from __future__ import annotations

import functools

import numpy as np
import torch
from torch import Tensor

from eeg2music.audio import mel_filters
from eeg2music.types import CURVE_RATE_HZ, SAMPLE_RATE_HZ, FloatArray

HOP = SAMPLE_RATE_HZ // CURVE_RATE_HZ
FFT = 2048
MEL_BANDS = 40
FLOOR_DB = -60.0
# Divides the mean log-mel flux (in units of ln(1 + 1000 * magnitude)) so that a clear
# drum hit is about 1.
ONSET_SCALE = 1.0
BRIGHTNESS_LOW_HZ = 60.0
BRIGHTNESS_HIGH_HZ = 8000.0


def control_curves(audio: Tensor) -> Tensor:
    """Onset strength, loudness and brightness of audio.

    Parameters
    ----------
    audio : (..., samples) float tensor at 24 kHz

    Returns
    -------
    (..., 3, curve_frame) at 32 Hz, frame f centred on sample f * 750; values about in [0, 1].
    The number of frames is round(samples / 750).
    """
    flat = audio.reshape(-1, audio.shape[-1]).float()
    frames = max(1, round(flat.shape[-1] / HOP))
    magnitude = _magnitude(flat, frames + 1)
    power = magnitude.square()
    # The extra first frame is the past of frame 0, so that an onset at the very start counts.
    mel = torch.log1p(1000.0 * (power @ _mel_filters(flat.device)).sqrt())
    flux = (mel[:, 1:] - mel[:, :-1]).clamp_min(0.0).mean(-1)
    onset = flux / ONSET_SCALE
    power = power[:, 1:]
    loudness = _loudness(flat, frames)
    brightness = _brightness(power) * (loudness > 0.1)
    curves = torch.stack([onset, loudness, brightness], dim=1)
    return curves.reshape(*audio.shape[:-1], 3, frames)


def control_curves_numpy(audio: FloatArray) -> FloatArray:
    """`control_curves` for numpy arrays: (..., samples) -> (..., 3, curve_frame) float32."""
    with torch.no_grad():
        return control_curves(torch.from_numpy(np.ascontiguousarray(audio, dtype=np.float32))).numpy()


def _magnitude(flat: Tensor, frames: int) -> Tensor:
    """(batch, samples) -> (batch, frames, bins): windows centred on (f - 1) * HOP, unit sine -> 0.5."""
    left = FFT // 2 + HOP
    needed = (frames - 1) * HOP + FFT
    padded = torch.nn.functional.pad(flat, (left, max(0, needed - left - flat.shape[-1])))
    window = torch.hann_window(FFT, device=flat.device)
    pieces = padded[:, :needed].unfold(-1, FFT, HOP)
    return torch.fft.rfft(pieces * window).abs() / window.sum()


def _loudness(flat: Tensor, frames: int) -> Tensor:
    """Log RMS of 62.5 ms around each frame: 0 at -60 dBFS and below, 1 at 0 dBFS."""
    padded = torch.nn.functional.pad(flat, (HOP, max(0, (frames + 1) * HOP - flat.shape[-1])))
    rms = padded[:, : (frames + 1) * HOP].unfold(-1, 2 * HOP, HOP).square().mean(-1).sqrt()
    level_db = 20.0 * torch.log10(rms.clamp_min(1e-6))
    return ((level_db - FLOOR_DB) / -FLOOR_DB).clamp(0.0, 1.2)


def _brightness(power: Tensor) -> Tensor:
    """Log2 spectral centroid, 0 at 60 Hz and 1 at 8 kHz. (batch, frame, bin) -> (batch, frame)."""
    freqs = torch.fft.rfftfreq(FFT, 1.0 / SAMPLE_RATE_HZ).to(power)
    centroid = (power * freqs).sum(-1) / power.sum(-1).clamp_min(1e-10)
    span = np.log2(BRIGHTNESS_HIGH_HZ / BRIGHTNESS_LOW_HZ)
    return (torch.log2(centroid.clamp_min(BRIGHTNESS_LOW_HZ) / BRIGHTNESS_LOW_HZ) / span).clamp(0.0, 1.0)


@functools.lru_cache(maxsize=4)
def _mel_filters(device: torch.device) -> Tensor:
    """(bin, band) triangles on the HTK mel scale, 40 Hz to 11 kHz."""
    filters = mel_filters(FFT, SAMPLE_RATE_HZ, MEL_BANDS, 40.0, 11_000.0)
    return torch.from_numpy(filters.astype(np.float32)).to(device)
