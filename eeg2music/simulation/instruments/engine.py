"""The oscillators and envelopes that every instrument is built from.

A harmonic tone is a *morphing wavetable*: a stack of band-limited single-cycle tables (rows: from the first to the last
moment of a decay, from closed to open filter, from soft to loud) through which a position travels while the phase
turns. It costs the same for 4 partials as for 160. Nothing here schedules notes, mixes stems or draws from a
generator: noise comes in with the request, so that the same request gives the same samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from eeg2music.simulation.song import Timbre
from eeg2music.types import SAMPLE_RATE_HZ

Array = NDArray[np.floating[Any]]

TABLE_SIZE = 1024
TOP_HZ = 11_000.0
MAX_PARTIALS = 160
_GOLDEN = 0.6180339887498949


@dataclass(frozen=True)
class NoteRequest:
    """What an instrument is asked to play.

    Attributes:
        frequency_hz: fundamental.
        duration_s: time until the note is let go; the returned audio may ring longer.
        velocity: 0..1.
        timbre: the song's dials for this instrument.
        noise: (samples,) white Gaussian noise of the song, at least 4 s, never written to.
    """

    frequency_hz: float
    duration_s: float
    velocity: float
    timbre: Timbre
    noise: Array


def samples(seconds: float) -> int:
    """Seconds to a whole number of samples, at least one."""
    return max(1, round(seconds * SAMPLE_RATE_HZ))


def dial(value: float, low: float, high: float) -> float:
    """Map a dial in [0, 1] geometrically to [low, high]."""
    return float(low * (high / low) ** value)


def noise_slice(note: NoteRequest, count: int, shift: float = 0.0) -> Array:
    """(count,) noise; where it is taken from depends on pitch, length and ``shift``, so that notes differ."""
    pool = note.noise
    start = int(pool.size * ((note.frequency_hz * 0.0137 + note.duration_s * 0.731 + shift) % 1.0))
    return np.take(pool, np.arange(start, start + count), mode="wrap")


def partial_count(frequency_hz: float) -> int:
    """How many harmonics fit below the top of the band."""
    return int(np.clip(TOP_HZ // frequency_hz, 1, MAX_PARTIALS))


def tables_from(amplitudes: Array, phases: Array | None = None) -> Array:
    """Single-cycle tables from harmonic amplitudes.

    Args:
        amplitudes: (row, partial), first partial = fundamental.
        phases: (partial,) in cycles; golden-ratio phases by default (low crest factor).

    Returns: (row, TABLE_SIZE + 1) float32, last sample = first; the loudest row has an RMS of 1.
    """
    rows, partials = amplitudes.shape
    if phases is None:
        phases = (np.arange(partials) ** 2 * _GOLDEN) % 1.0
    spectrum = np.zeros((rows, TABLE_SIZE // 2 + 1), dtype=np.complex128)
    spectrum[:, 1 : partials + 1] = amplitudes * np.exp(2j * np.pi * phases)
    tables = np.fft.irfft(spectrum, n=TABLE_SIZE, axis=1)
    tables /= np.sqrt(np.mean(tables**2, axis=1)).max() + 1e-12
    return np.concatenate([tables, tables[:, :1]], axis=1).astype(np.float32)


def oscillate(tables: Array, phase: Array, position: Array | None = None) -> Array:
    """Read the stack of tables.

    Args:
        tables: (row, TABLE_SIZE + 1).
        phase: (samples,) in cycles.
        position: (samples,) row to read, fractional; row 0 throughout by default.

    Returns: (samples,) float32.
    """
    where = (phase % 1.0) * TABLE_SIZE
    column = where.astype(np.int32)
    fraction = (where - column).astype(np.float32)
    flat = tables.ravel()
    if position is None or tables.shape[0] == 1:
        return flat[column] * (1 - fraction) + flat[column + 1] * fraction
    row = np.clip(position.astype(np.int32), 0, tables.shape[0] - 2)
    blend = np.clip(position - row, 0.0, 1.0).astype(np.float32)
    column += row * tables.shape[1]
    lower = flat[column] * (1 - fraction) + flat[column + 1] * fraction
    column += tables.shape[1]
    upper = flat[column] * (1 - fraction) + flat[column + 1] * fraction
    return lower + blend * (upper - lower)


def phase_track(
    frequency_hz: float, count: int, *, vibrato_hz: float = 0.0, depth_cents: float = 0.0, onset_s: float = 0.25
) -> Array:
    """(count,) phase in cycles, with a vibrato that fades in over ``onset_s``."""
    time = np.arange(count) / SAMPLE_RATE_HZ
    if depth_cents <= 0.0:
        return frequency_hz * time
    deviation = frequency_hz * (2 ** (depth_cents / 1200.0) - 1.0)
    fade = np.minimum(1.0, time / max(onset_s, 1e-3)) ** 2
    wobble = np.cumsum(fade * np.sin(2 * np.pi * vibrato_hz * time)) / SAMPLE_RATE_HZ
    return frequency_hz * time + deviation * wobble


def envelope(hold_s: float, attack_s: float, decay_s: float, sustain: float, release_s: float) -> Array:
    """(samples,) attack (raised cosine), exponential decay to ``sustain``, exponential release to silence."""
    hold = samples(max(hold_s, 0.01))
    tail = samples(release_s * 1.6 + 0.004)
    time = np.arange(hold + tail) / SAMPLE_RATE_HZ
    rise = 0.5 - 0.5 * np.cos(np.pi * np.minimum(1.0, time / max(attack_s, 5e-4)))
    body = sustain + (1.0 - sustain) * np.exp(-np.maximum(0.0, time - attack_s) / max(decay_s, 1e-3))
    result = rise * body
    let_go = np.exp(-np.arange(tail) / SAMPLE_RATE_HZ / max(release_s / 3.0, 1e-3))
    fade = min(tail, samples(0.01))
    let_go[-fade:] *= np.linspace(1.0, 0.0, fade)
    result[hold:] *= let_go
    return result.astype(np.float32)


def resonances(frequencies_hz: Array, peaks: tuple[tuple[float, float, float], ...], floor: float) -> Array:
    """Amplitude response of a body or a vocal tract.

    Args:
        peaks: (centre in Hz, bandwidth in Hz, gain) of each resonance.
        floor: response far from all peaks.
    """
    response = np.full(np.shape(frequencies_hz), floor, dtype=np.float64)
    for centre, width, gain in peaks:
        response += gain / (1.0 + ((frequencies_hz - centre) / (width / 2.0)) ** 2)
    return response


def lowpass_response(frequencies_hz: Array, cutoff_hz: float, resonance: float, slope: float = 2.0) -> Array:
    """Amplitude response of a resonant low-pass of order ``2 * slope``; resonance 0 = none, 1 = strong."""
    ratio = np.asarray(frequencies_hz) / cutoff_hz
    damping = 1.4 * (1.0 - 0.86 * resonance)
    second_order = 1.0 / np.sqrt((1.0 - ratio**2) ** 2 + (damping * ratio) ** 2)
    return second_order * (1.0 + ratio**4) ** (-(slope - 1.0) / 2.0)


def one_pole(signal: Array, cutoff_hz: float, *, high: bool = False) -> Array:
    """First-order low-pass (or its complement) along the last axis."""
    keep = float(np.exp(-2 * np.pi * cutoff_hz / SAMPLE_RATE_HZ))
    low = lfilter([1.0 - keep], [1.0, -keep], signal)
    return (signal - low if high else low).astype(np.float32)


def band(signal: Array, centre_hz: float, quality: float) -> Array:
    """Second-order band-pass with unit gain at the centre."""
    omega = 2 * np.pi * min(centre_hz, 11_500.0) / SAMPLE_RATE_HZ
    alpha = np.sin(omega) / (2 * quality)
    numerator = np.array([alpha, 0.0, -alpha]) / (1 + alpha)
    denominator = np.array([1.0, -2 * np.cos(omega) / (1 + alpha), (1 - alpha) / (1 + alpha)])
    return lfilter(numerator, denominator, signal).astype(np.float32)


def ring(frequencies_hz: Array, decays_s: Array, gains: Array, excitation: Array) -> Array:
    """A bank of damped resonators (modes) struck by ``excitation``.

    Args:
        decays_s: time to fall by 60 dB.

    Returns: (samples,) like ``excitation``.
    """
    total = np.zeros(excitation.size)
    for frequency, decay, gain in zip(frequencies_hz, decays_s, gains, strict=True):
        if frequency >= TOP_HZ:
            continue
        radius = 10.0 ** (-3.0 / (max(decay, 1e-3) * SAMPLE_RATE_HZ))
        omega = 2 * np.pi * frequency / SAMPLE_RATE_HZ
        total += lfilter([gain * np.sin(omega)], [1.0, -2 * radius * np.cos(omega), radius**2], excitation)
    return total.astype(np.float32)
