"""Temporal response functions: how a sound feature becomes activity of a source.

Each feature has one kernel, a sum of three Gaussian deflections in the manner of the auditory
P1-N1-P2 complex (50 to 300 ms), narrow enough that rhythm up to about 12 Hz survives. A second
family, later and wider, is kept for testing transfer to listeners unlike those trained on.
Never knows where a source lies.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eeg2music.errors import ConfigError
from eeg2music.types import FloatArray

FEATURES = ("envelope", "onset", "pitch", "brightness")
KERNEL_S = 0.45


@dataclass(frozen=True)
class Deflection:
    """One Gaussian peak: signed height, time of the peak, standard deviation in time."""

    height: float
    latency_s: float
    width_s: float


# By family and feature. Onset: the classic complex; envelope: a little earlier and narrower P1
# with a shallow P2; pitch and brightness: the later, slower onset responses of secondary cortex.
FAMILIES: dict[str, dict[str, tuple[Deflection, ...]]] = {
    "default": {
        "envelope": (
            Deflection(0.9, 0.060, 0.013), Deflection(-1.0, 0.105, 0.018), Deflection(0.45, 0.190, 0.028),
        ),
        "onset": (
            Deflection(0.6, 0.065, 0.011), Deflection(-1.0, 0.110, 0.015), Deflection(0.6, 0.180, 0.024),
        ),
        "pitch": (
            Deflection(0.4, 0.080, 0.014), Deflection(-1.0, 0.130, 0.018), Deflection(0.6, 0.220, 0.028),
        ),
        "brightness": (
            Deflection(0.7, 0.070, 0.013), Deflection(-1.0, 0.120, 0.017), Deflection(0.3, 0.240, 0.030),
        ),
    },
}  # fmt: skip
# Forty milliseconds later, a third wider, another balance of the peaks.
FAMILIES["late"] = {
    feature: tuple(
        Deflection(d.height * balance, d.latency_s + 0.040, d.width_s * 1.35)
        for d, balance in zip(deflections, (0.8, 1.0, 1.3), strict=True)
    )
    for feature, deflections in FAMILIES["default"].items()
}


def kernels(family: str, rate_hz: float, latency_s: float = 0.0) -> FloatArray:
    """The kernels of all features, shifted by a listener's latency.

    Returns
    -------
    (feature, lag) float32, lag k at k / rate_hz seconds, each with unit sum of squares:
    white noise of unit deviation stays at unit deviation.

    Raises
    ------
    ConfigError
        If the family is unknown.
    """
    if family not in FAMILIES:
        raise ConfigError(
            f"No family of response functions named {family!r}", allowed=", ".join(FAMILIES), remedy="take one of these"
        )
    return _kernels(family, float(rate_hz), float(latency_s))


@functools.lru_cache(maxsize=256)
def _kernels(family: str, rate_hz: float, latency_s: float) -> FloatArray:
    lags_s = np.arange(round(KERNEL_S * rate_hz)) / rate_hz
    rows = []
    for feature in FEATURES:
        row = np.zeros_like(lags_s)
        for peak in FAMILIES[family][feature]:
            row += peak.height * np.exp(-0.5 * ((lags_s - peak.latency_s - latency_s) / peak.width_s) ** 2)
        rows.append(row / np.sqrt(np.sum(row**2)))
    return np.asarray(rows, dtype=np.float32)


def respond(features: NDArray[np.floating], taps: FloatArray) -> FloatArray:
    """Convolve every feature with its kernel.

    Parameters
    ----------
    features : (..., feature, time)
    taps : (feature, lag) from `kernels`, same rate

    Returns
    -------
    (..., feature, time + lag - 1) float32: the response outlasts the sound.
    """
    from scipy.fft import irfft, next_fast_len, rfft

    length = features.shape[-1] + taps.shape[-1] - 1
    size = next_fast_len(length, real=True)
    spectrum = rfft(features.astype(np.float64), size) * rfft(taps.astype(np.float64), size)
    return np.asarray(irfft(spectrum, size)[..., :length], dtype=np.float32)
