"""Degradations of music in the domain of semitone-band power: cheap enough for every training item.

They stand for what a generator gets wrong: balance and colour of the stems, smeared or noisy
spectra, transposed or re-invented notes under the right envelope. `scoring.degradations` does the
same to waveforms, for evaluation. Nothing here is learned; all randomness is the caller's generator.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d
from scipy.signal import lfilter

from eeg2music.types import FloatArray

Rng = np.random.Generator
Power = NDArray[np.float32]
_TINY = np.float32(1e-12)


def degrade_power(stems: Power, donor: Power, stranger: Power, strength: float, rng: Rng) -> Power:
    """One degraded rendering of a window, as band power of its mix.

    Parameters
    ----------
    stems : (stem, band, frame) power of the window's stems
    donor : (stem, band, frame) the same stems at another time of the song, for invented notes
    stranger : (stem, band, frame) stems of another song, for what a generator makes up from habit
    strength : 0 leaves nearly everything as it is, 1 is a bad generator

    Returns
    -------
    (band, frame) float32 power
    """
    sources = [stranger if rng.random() < 0.3 * strength else donor for _ in stems]
    parts = [_degrade_stem(stem, sources[k][k], strength, rng) for k, stem in enumerate(stems)]
    loudest = int(np.argmax([part.sum() for part in parts]))
    mix = np.zeros_like(parts[0])
    for index, part in enumerate(parts):
        gain_db = rng.normal(0.0, 7.0 * strength)
        if rng.random() >= 0.3 * strength or index == loudest:
            mix += part * np.float32(10.0 ** (gain_db / 10.0))
    if rng.random() < 0.8 * strength:
        mix = contaminate(mix, stranger.sum(0), float(rng.uniform(-20.0, 0.0)))
    return degrade_mix(mix, strength, rng)


def _degrade_stem(stem: Power, donor: Power, strength: float, rng: Rng) -> Power:
    if rng.random() < 0.8 * strength:
        stem = revoice(stem, donor)
    if rng.random() < 0.4 * strength:
        stem = transpose(stem, float(rng.integers(-7, 8)))
    if rng.random() < 0.4 * strength:
        stem = blur(stem, axis=0, width=int(rng.integers(2, 24)))
    if rng.random() < 0.5 * strength:
        stem = blur(stem, axis=1, width=int(rng.integers(2, 9)))
    if rng.random() < 0.3 * strength:
        stem = delay(stem, int(rng.integers(-3, 4)))
    if rng.random() < 0.8 * strength:
        stem = stem * _wobble(stem.shape[1], 8.0 * strength, rng)
    return stem


def degrade_mix(mix: Power, strength: float, rng: Rng) -> Power:
    """The part of `degrade_power` that befalls the sum: tuning, room, colour, random phases, noise."""
    mix = transpose(mix, float(rng.normal(0.0, 0.3 * strength)))
    if rng.random() < 0.6 * strength:
        mix = reverberate(mix, decay_frames=float(rng.uniform(3.0, 25.0)), wet=float(rng.uniform(0.05, 0.5)))
    if rng.random() < 0.6 * strength:
        mix = blur(mix, axis=0, width=int(rng.integers(2, 12)))
    mix = mix * colour(mix.shape[0], 10.0 * strength, rng)[:, None]
    # Components of random phase add up to power that fluctuates around the sum (gamma of order `looks`).
    looks = 1.0 / (0.02 + rng.uniform(0.0, 1.0) * strength)
    mix = mix * rng.gamma(looks, 1.0 / looks, mix.shape).astype(np.float32)
    return add_noise(mix, strength, rng)


def contaminate(mix: Power, other: Power, level_db: float) -> Power:
    """Other music under this one, at a level relative to it."""
    share = np.float32(10.0 ** (level_db / 10.0)) * mix.sum() / (other.sum() + _TINY)
    return np.asarray(mix + share * other, dtype=np.float32)


def delay(power: Power, frames: int) -> Power:
    """Move in time (25 ms a frame); the first or last frame is held."""
    index = np.clip(np.arange(power.shape[1]) - frames, 0, power.shape[1] - 1)
    return power[:, index]


def revoice(stem: Power, donor: Power) -> Power:
    """The donor's spectra under the stem's envelope: right rhythm and timbre, other notes."""
    envelope = stem.sum(0)
    spectrum = donor / (donor.sum(0) + _TINY)
    silent = donor.sum(0) < 1e-4 * donor.sum(0).max(initial=0.0)
    spectrum = np.where(silent, stem / (envelope + _TINY), spectrum)
    return np.asarray(spectrum * envelope, dtype=np.float32)


def transpose(power: Power, semitones: float) -> Power:
    """Shift by (fractional) bands; what enters from outside is the outermost band, 20 dB down."""
    whole = int(np.floor(semitones))
    share = np.float32(semitones - whole)
    return (1 - share) * _roll(power, whole) + share * _roll(power, whole + 1)


def _roll(power: Power, bands: int) -> Power:
    if bands == 0:
        return power
    out = np.roll(power, bands, axis=0)
    edge = slice(0, bands) if bands > 0 else slice(bands, None)
    out[edge] = 0.01 * power[0 if bands > 0 else -1]
    return out


def blur(power: Power, *, axis: int, width: int) -> Power:
    """Moving average over bands (axis 0) or frames (axis 1)."""
    return np.asarray(uniform_filter1d(power, width, axis=axis, mode="nearest"), dtype=np.float32)


def reverberate(power: Power, *, decay_frames: float, wet: float) -> Power:
    """Add an exponential tail; `decay_frames` is the time to 1/e."""
    keep = np.exp(-1.0 / decay_frames)
    tail = lfilter([1.0 - keep], [1.0, -keep], power, axis=1)
    return np.asarray((1.0 - wet) * power + wet * decay_frames**0.5 * tail, dtype=np.float32)


def colour(bands: int, spread_db: float, rng: Rng) -> Power:
    """(band,) gains of a random smooth filter, now and then with a low or high cut."""
    knots = np.linspace(0, bands - 1, 7)
    curve = np.interp(np.arange(bands), knots, rng.normal(0.0, spread_db, 7))
    if rng.random() < 0.25:
        curve[int(rng.uniform(0.7, 1.0) * bands) :] -= 30.0
    if rng.random() < 0.25:
        curve[: int(rng.uniform(0.0, 0.25) * bands)] -= 30.0
    return np.asarray(10.0 ** (curve / 10.0), dtype=np.float32)


def add_noise(mix: Power, strength: float, rng: Rng) -> Power:
    """Stationary coloured noise, and noise that follows the signal as coarse quantization makes it."""
    bands, frames = mix.shape
    level = mix.mean()
    snr_db = rng.uniform(35.0 - 30.0 * strength, 45.0)
    hiss = colour(bands, 6.0, rng)[:, None] * rng.exponential(1.0, (bands, frames)).astype(np.float32)
    mix = mix + hiss * np.float32(level * 10.0 ** (-snr_db / 10.0) / hiss.mean())
    floor_db = rng.uniform(45.0 - 30.0 * strength, 55.0)
    following = mix.max(0, keepdims=True) * np.float32(10.0 ** (-floor_db / 10.0))
    return np.asarray(mix + following * rng.exponential(1.0, (bands, frames)), dtype=np.float32)


def _wobble(frames: int, spread_db: float, rng: Rng) -> FloatArray:
    """(frame,) slowly varying gains, one knot each 10 frames."""
    knots = np.arange(0, frames + 10, 10)
    curve = np.interp(np.arange(frames), knots, rng.normal(0.0, spread_db, knots.size))
    return np.asarray(10.0 ** (curve / 10.0), dtype=np.float32)
