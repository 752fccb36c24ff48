"""Room and amplifier: the reverberation of a song and saturation of a stem. Pure functions on arrays."""

from __future__ import annotations

import numpy as np
from scipy import fft
from scipy.signal import lfilter

from eeg2music.simulation.instruments.engine import Array, one_pole, samples
from eeg2music.simulation.song import Room
from eeg2music.types import SAMPLE_RATE_HZ


def impulse_response(room: Room, noise: Array) -> Array:
    """(samples,) a synthetic room: early reflections, then noise whose treble dies first. Unit energy."""
    length = samples(room.predelay_s + 0.8 * room.decay_s + 0.05)
    tail = noise[:length].astype(np.float64)
    time = np.arange(length) / SAMPLE_RATE_HZ
    low = one_pole(tail, 1800.0)
    treble_s = room.decay_s * (0.75 - 0.5 * room.damping)
    response = low * np.exp(-6.9 * time / room.decay_s) + 0.6 * (tail - low) * np.exp(-6.9 * time / treble_s)
    response[: samples(0.004)] *= 0.2
    for place in range(6):
        tap = samples(0.006 + 0.05 * abs(noise[-1 - place]) / 2.0)
        response[min(tap, length - 1)] += 4.0 * np.sign(noise[-10 - place]) / (place + 1.5)
    response = np.roll(one_pole(response, 140.0, high=True), samples(room.predelay_s))
    response[: samples(room.predelay_s)] = 0.0
    return (response / np.sqrt(np.sum(response**2))).astype(np.float32)


def reverberate(stems: Array, response: Array, wet: Array) -> Array:
    """Add the room.

    Args:
        stems: (stem, samples) dry.
        response: (samples,) impulse response of unit energy.
        wet: (stem,) amplitude of the room beside the dry sound.

    Returns: (stem, samples) float32.
    """
    count = stems.shape[-1]
    size = fft.next_fast_len(count + response.size, real=True)
    spectrum = fft.rfft(stems.astype(np.float32), size) * fft.rfft(response.astype(np.float32), size)
    return (stems + wet[:, None] * fft.irfft(spectrum, size)[:, :count]).astype(np.float32)


def saturate(signal: Array, drive: float) -> Array:
    """An amplifier: tanh after gain, then a cabinet for high gain.

    Soft sounds keep their level, loud ones are held at about ``3 / drive`` times the RMS of the input.
    """
    level = float(np.sqrt(np.mean(signal**2))) + 1e-9
    pushed = np.tanh(drive * signal / (level * 3.0)) * level * 3.0 / drive
    if drive > 3.0:
        pushed = one_pole(one_pole(pushed, 4200.0), 90.0, high=True)
    return pushed.astype(np.float32)


def tame_peaks(signal: Array, ratio: float) -> Array:
    """Round off peaks higher than ``ratio`` times the RMS of the sounding parts."""
    ceiling = ratio * active_rms(signal)
    knee = 0.6 * ceiling
    over = np.maximum(np.abs(signal) - knee, 0.0)
    rounded = (ceiling - knee) * np.tanh(over / (ceiling - knee + 1e-9))
    return (np.sign(signal) * (np.minimum(np.abs(signal), knee) + rounded)).astype(np.float32)


def active_rms(signal: Array) -> float:
    """RMS over the 50 ms frames within 35 dB of the loudest one, after a gentle loudness weighting."""
    weighted = lfilter([1.0, -0.97], [1.0, -0.9], signal) * 0.6 + 0.5 * signal
    size = samples(0.05)
    frames = weighted[: weighted.size // size * size].reshape(-1, size)
    power = np.mean(frames**2, axis=1)
    loud = power[power > power.max() * 10**-3.5]
    return float(np.sqrt(loud.mean())) if loud.size else 1e-6
