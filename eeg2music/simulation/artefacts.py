"""Everything in a recording that the music did not cause.

Background activity with a 1/f spectrum and an alpha rhythm, both through the head's lead fields;
blinks, muscle bursts, line noise, slow drift and sensor noise at the electrodes. Strengths are in
microvolts as measured on people. Never looks at the stimulus.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eeg2music.seeding import numpy_rng
from eeg2music.simulation.head import Head
from eeg2music.types import FloatArray

MICROVOLT = 1e-6
Spectrum = Callable[[NDArray[np.float64]], NDArray[np.float64]]
EYES_M = np.array([[-0.032, 0.092, -0.004], [0.032, 0.092, -0.004]])
EYE_MOMENT = np.array([0.0, 0.75, 0.66])


@dataclass(frozen=True)
class NoiseTraits:
    """How noisy one listener is. Deviations and amplitudes in microvolts at the scalp, rates per second."""

    background_uv: float = 9.0
    exponent: float = 1.1
    source_seed: int = 0
    alpha_uv: float = 5.0
    alpha_hz: float = 10.0
    blink_uv: float = 90.0
    blink_rate_hz: float = 0.2
    muscle_uv: float = 12.0
    muscle_rate_hz: float = 0.05
    line_uv: float = 2.0
    line_hz: float = 50.0
    drift_uv: float = 20.0
    sensor_uv: float = 1.0


def draw_traits(rng: np.random.Generator, line_hz: float = 50.0) -> NoiseTraits:
    """Traits of a listener, varying as they do between people."""

    def around(centre: float, spread: float) -> float:
        return float(centre * np.exp(spread * rng.uniform(-1.0, 1.0)))

    return NoiseTraits(
        background_uv=around(9.0, 0.25),
        exponent=float(rng.uniform(0.9, 1.3)),
        source_seed=int(rng.integers(2**31)),
        alpha_uv=around(5.0, 0.5),
        alpha_hz=float(rng.uniform(9.0, 11.0)),
        blink_uv=around(90.0, 0.3),
        blink_rate_hz=around(0.2, 0.5),
        muscle_uv=around(12.0, 0.4),
        muscle_rate_hz=around(0.05, 0.7),
        line_uv=around(2.0, 0.7),
        line_hz=line_hz,
        drift_uv=around(20.0, 0.4),
        sensor_uv=around(1.0, 0.2),
    )


def make_noise(
    head: Head, traits: NoiseTraits, samples: int, sfreq_hz: float, seed: int, *ids: str | int
) -> FloatArray:
    """All of it together.

    Returns
    -------
    (channel, time) float32, volts. The same for the same (head, traits, samples, rate, seed, ids).
    """

    def rng(part: str) -> np.random.Generator:
        return numpy_rng(seed, "noise", part, *ids)

    noise = background(head, traits, samples, sfreq_hz, rng("background"))
    noise += alpha(head, traits, samples, sfreq_hz, rng("alpha"))
    noise += blinks(head, traits, samples, sfreq_hz, rng("blinks"))
    noise += drift(head, traits, samples, sfreq_hz, rng("drift"))
    noise += line(head, traits, samples, sfreq_hz, rng("line"))
    add_muscle(noise, head, traits, sfreq_hz, rng("muscle"))
    sensor = rng("sensor").standard_normal(noise.shape, dtype=np.float32)
    sensor *= np.float32(traits.sensor_uv * MICROVOLT)
    noise += sensor
    return noise


def background(head: Head, traits: NoiseTraits, samples: int, sfreq_hz: float, rng: np.random.Generator) -> FloatArray:
    """Sources all over the brain, power falling as 1 / f^exponent above half a hertz."""
    strength = np.exp(0.4 * numpy_rng(traits.source_seed, "strengths").standard_normal(head.background.shape[1]))
    lead = head.background * strength

    def shape(freqs_hz: NDArray[np.float64]) -> NDArray[np.float64]:
        return (freqs_hz**2 + 0.5**2) ** (-traits.exponent / 4.0)

    series = _shaped_noise(rng, lead.shape[1], samples, sfreq_hz, shape)
    return _project(lead, series, traits.background_uv)


def alpha(head: Head, traits: NoiseTraits, samples: int, sfreq_hz: float, rng: np.random.Generator) -> FloatArray:
    """A posterior rhythm that waxes and wanes."""

    def shape(freqs_hz: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.exp(-0.5 * ((freqs_hz - traits.alpha_hz) / 0.6) ** 2)

    series = _shaped_noise(rng, head.alpha.shape[1], samples, sfreq_hz, shape)
    return _project(head.alpha, series, traits.alpha_uv)


def blinks(head: Head, traits: NoiseTraits, samples: int, sfreq_hz: float, rng: np.random.Generator) -> FloatArray:
    """Corneo-retinal dipoles in an infinite medium: V ~ p . d / |d|^3, about 12 blinks a minute."""
    distance = head.true_positions_m[:, None] - EYES_M
    pattern = ((distance @ EYE_MOMENT) / np.linalg.norm(distance, axis=2) ** 3).sum(axis=1)
    pattern /= np.abs(pattern).max()
    series = np.zeros(samples, dtype=np.float32)
    for onset_s in _poisson_times(rng, traits.blink_rate_hz, samples / sfreq_hz, dead_s=0.6):
        width = max(4, round(rng.uniform(0.25, 0.4) * sfreq_hz))
        phase = np.linspace(0.0, 1.0, width)
        shape = np.sin(np.pi * phase**0.7) ** 2 * np.exp(0.25 * rng.standard_normal())
        first = round(onset_s * sfreq_hz)
        series[first : first + width] += shape[: max(0, samples - first)].astype(np.float32)
    return np.outer(pattern * traits.blink_uv * MICROVOLT, series).astype(np.float32)


def add_muscle(noise: FloatArray, head: Head, traits: NoiseTraits, sfreq_hz: float, rng: np.random.Generator) -> None:
    """Bursts above 20 Hz under a few electrodes at the rim of the cap, added in place to (channel, time)."""
    rim = np.flatnonzero(head.true_positions_m[:, 2] < np.quantile(head.true_positions_m[:, 2], 0.35))
    samples = noise.shape[1]
    for onset_s in _poisson_times(rng, traits.muscle_rate_hz, samples / sfreq_hz, dead_s=0.5):
        first = round(onset_s * sfreq_hz)
        length = min(samples - first, round(rng.uniform(0.3, 1.5) * sfreq_hz))
        centre = head.true_positions_m[rng.choice(rim)]
        burst = _shaped_noise(rng, 1, max(length, 8), sfreq_hz, lambda f: f**2 / (f**2 + 30.0**2) * (f > 18.0))
        faded = burst[0, :length] * np.hanning(max(length, 8))[:length]
        spread = np.exp(-0.5 * (np.linalg.norm(head.true_positions_m - centre, axis=1) / 0.035) ** 2)
        amplitude = traits.muscle_uv * MICROVOLT * np.exp(0.3 * rng.standard_normal())
        noise[:, first : first + length] += np.outer(spread * amplitude, faded).astype(np.float32)


def line(head: Head, traits: NoiseTraits, samples: int, sfreq_hz: float, rng: np.random.Generator) -> FloatArray:
    """Mains hum and its first harmonic, with an amplitude and a phase of its own at every electrode."""
    channels = len(head.channel_names)
    angle = 2.0 * np.pi * traits.line_hz * np.arange(samples) / sfreq_hz
    waves, weights = [], []
    for harmonic, share in ((1, 1.0), (2, 0.2)):
        if harmonic * traits.line_hz < 0.5 * sfreq_hz:
            waves += [np.cos(harmonic * angle), np.sin(harmonic * angle)]
            weights += [share * rng.standard_normal(channels), share * rng.standard_normal(channels)]
    if not waves:
        return np.zeros((channels, samples), dtype=np.float32)
    mixing = np.stack(weights, axis=1) * traits.line_uv * MICROVOLT
    return mixing.astype(np.float32) @ np.stack(waves).astype(np.float32)


def drift(head: Head, traits: NoiseTraits, samples: int, sfreq_hz: float, rng: np.random.Generator) -> FloatArray:
    """Electrode potentials that wander within tens of seconds (all below half a hertz)."""
    from scipy.interpolate import CubicSpline

    knot_s, memory = 2.0, 0.85
    knots = int(samples / sfreq_hz / knot_s) + 4
    steps = rng.standard_normal((len(head.channel_names), knots))
    walk = np.empty_like(steps)
    walk[:, 0] = steps[:, 0]
    for k in range(1, knots):
        walk[:, k] = memory * walk[:, k - 1] + np.sqrt(1.0 - memory**2) * steps[:, k]
    # Evaluated at 16 Hz, where it is still smooth, and joined by straight lines: fast and enough.
    coarse_s = np.arange(0.0, samples / sfreq_hz + 0.25, 1.0 / 16.0)
    smooth = CubicSpline(knot_s * (np.arange(knots) - 1), walk, axis=1)(coarse_s).astype(np.float32)
    position = np.arange(samples) / sfreq_hz * 16.0
    left = position.astype(np.int64)
    share = (position - left).astype(np.float32)
    wandering = smooth[:, left] + share * (smooth[:, left + 1] - smooth[:, left])
    return np.asarray(wandering * np.float32(traits.drift_uv * MICROVOLT), dtype=np.float32)


def _poisson_times(rng: np.random.Generator, rate_hz: float, duration_s: float, dead_s: float) -> list[float]:
    """Event times with exponential gaps after a dead time."""
    times: list[float] = []
    mean_gap_s = max(1.0 / rate_hz - dead_s, 0.05)
    now_s = float(rng.exponential(mean_gap_s))
    while now_s < duration_s:
        times.append(now_s)
        now_s += dead_s + float(rng.exponential(mean_gap_s))
    return times


def _shaped_noise(rng: np.random.Generator, rows: int, samples: int, sfreq_hz: float, shape: Spectrum) -> FloatArray:
    """(row, time) float32 Gaussian noise of unit expected variance with the amplitude spectrum `shape(freqs_hz)`."""
    from scipy.fft import irfft, next_fast_len

    size = next_fast_len(samples, real=True)
    amplitude = shape(np.fft.rfftfreq(size, 1.0 / sfreq_hz).astype(np.float64))
    amplitude[0] = 0.0
    amplitude *= size / np.sqrt(max(2.0 * np.sum(amplitude**2), 1e-30))
    parts = rng.standard_normal((rows, amplitude.size, 2), dtype=np.float32) * np.float32(np.sqrt(0.5))
    spectrum = parts.view(np.complex64)[..., 0] * amplitude.astype(np.float32)
    return np.asarray(irfft(spectrum, size, axis=1)[:, :samples], dtype=np.float32)


def _project(lead: NDArray[np.float64], series: FloatArray, deviation_uv: float) -> FloatArray:
    """Unit-variance sources through a lead field, scaled to a mean variance over channels of deviation_uv^2."""
    expected = np.sqrt(np.mean(np.sum(lead**2, axis=1)))
    return (lead * (deviation_uv * MICROVOLT / expected)).astype(np.float32) @ series
