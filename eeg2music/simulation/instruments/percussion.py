"""Drum kits: kicks, snares, hats, cymbals, toms and hand percussion from modes and shaped noise.

Each sound is a function of the hit and the kit's own dials, so that no two songs share a kit exactly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from eeg2music.simulation.instruments.engine import Array, band, dial, one_pole, ring, samples
from eeg2music.simulation.song import Timbre
from eeg2music.types import SAMPLE_RATE_HZ

_METAL = np.array([1.0, 1.342, 1.2312, 1.6532, 1.9523, 2.1523, 2.48, 3.07])


@dataclass(frozen=True)
class Kit:
    """How a family of kits differs from the plain one.

    Attributes:
        punch: pitch drop of kicks and toms in octaves; ``body_hz`` where the kick ends.
        ring_s: how long drums ring; ``wires`` the level of the snare's noise.
        metal: share of inharmonic square tones in hats and cymbals, the rest is noise.
        drive: saturation.
    """

    punch: float
    body_hz: float
    ring_s: float
    wires: float
    metal: float
    drive: float
    noise_hz: float
    softness: float = 1.0


@dataclass(frozen=True)
class Hit:
    """One stroke: kit, dials, velocity in [0, 1], (samples,) noise of its own."""

    kit: Kit
    timbre: Timbre
    velocity: float
    noise: Array

    @property
    def bright(self) -> float:
        """Brightness dial moved by the strength of the stroke, about 0.5..1.6."""
        return dial(self.timbre.brightness, 0.65, 1.5) * (0.75 + 0.4 * self.velocity)

    @property
    def length(self) -> float:
        return dial(self.timbre.release, 0.6, 1.7)

    @property
    def tuning(self) -> float:
        return dial(self.timbre.character, 0.78, 1.28)


def _decay(count: int, time_s: float) -> Array:
    return np.exp(-6.9 * np.arange(count) / SAMPLE_RATE_HZ / time_s)


def _swept(hit: Hit, end_hz: float, octaves: float, drop_s: float, length_s: float) -> Array:
    """A membrane: pitch falls by ``octaves`` to ``end_hz``; a second mode keeps it from being a bare sine."""
    count = samples(length_s)
    seconds = np.arange(count) / SAMPLE_RATE_HZ
    frequency = end_hz * 2.0 ** (octaves * np.exp(-seconds / drop_s))
    phase = 2 * np.pi * np.cumsum(frequency) / SAMPLE_RATE_HZ
    tone = np.sin(phase) + 0.28 * np.sin(1.593 * phase + 0.4) * np.exp(-seconds / (0.25 * length_s))
    return tone * _decay(count, length_s)


def _kick(hit: Hit, _: int) -> Array:
    kit = hit.kit
    length = max(0.12, kit.ring_s * hit.length)
    body = _swept(hit, kit.body_hz * hit.tuning, kit.punch * dial(hit.timbre.attack, 0.6, 1.5), 0.028, length)
    click = one_pole(hit.noise[: body.size], 3500.0 * hit.bright) * np.exp(-np.arange(body.size) / 60.0)
    return np.tanh((1.0 + 3 * kit.drive) * body) + 0.5 * click * kit.softness


def _snare(hit: Hit, _: int) -> Array:
    kit = hit.kit
    count = samples(0.34)
    blow = np.zeros(count)
    blow[:24] = np.hanning(24)
    pitch = 185.0 * hit.tuning
    shell = ring(
        pitch * np.array([1.0, 1.72, 2.3, 3.1]),
        0.22 * hit.length * np.array([1, 0.7, 0.6, 0.4]),
        np.array([1, 0.7, 0.4, 0.3]),
        blow,
    )
    wires = one_pole(hit.noise[:count], kit.noise_hz * hit.bright, high=False)
    wires = one_pole(wires, 900.0, high=True) * _decay(count, 0.24 * hit.length * (0.6 + kit.ring_s))
    return 0.22 * shell + 1.1 * kit.wires * wires


def _rim(hit: Hit, _: int) -> Array:
    count = samples(0.09)
    blow = hit.noise[:count] * np.exp(-np.arange(count) / 25.0)
    pitch = 820.0 * hit.tuning
    return 0.5 * ring(
        np.array([pitch, 2.07 * pitch, 3.4 * pitch]), np.array([0.06, 0.05, 0.04]), np.array([0.5, 0.5, 0.4]), blow
    )


def _clap(hit: Hit, _: int) -> Array:
    count = samples(0.28)
    seconds = np.arange(count) / SAMPLE_RATE_HZ
    gap = 0.009 * dial(hit.timbre.attack, 0.7, 1.5)
    shape = sum(np.where(seconds >= k * gap, np.exp(-(seconds - k * gap) / 0.004), 0.0) for k in range(3))
    shape = shape + 0.8 * np.where(seconds >= 3 * gap, np.exp(-(seconds - 3 * gap) / (0.045 * hit.length)), 0.0)
    return 1.8 * band(hit.noise[:count], 1250.0 * hit.tuning * hit.bright**0.5, 1.1) * shape


def _metal(hit: Hit, pitch_hz: float, low_cut_hz: float, length_s: float) -> Array:
    """Hats and cymbals: clangorous square tones and noise, high-passed."""
    count = samples(length_s)
    seconds = np.arange(count) / SAMPLE_RATE_HZ
    squares = np.sign(np.sin(2 * np.pi * pitch_hz * hit.tuning * _METAL[:6, None] * seconds)).sum(axis=0) / 3.0
    source = hit.kit.metal * squares + (1.0 - hit.kit.metal) * hit.noise[:count]
    shaped = one_pole(one_pole(source, low_cut_hz * hit.bright, high=True), low_cut_hz * hit.bright, high=True)
    return shaped * _decay(count, length_s)


def _closed_hat(hit: Hit, _: int) -> Array:
    return 0.8 * _metal(hit, 410.0, 5200.0, 0.09 * hit.length)


def _pedal_hat(hit: Hit, _: int) -> Array:
    return 0.6 * _metal(hit, 380.0, 4200.0, 0.07 * hit.length)


def _open_hat(hit: Hit, _: int) -> Array:
    return 0.8 * _metal(hit, 410.0, 4800.0, 0.42 * hit.length)


def _crash(hit: Hit, _: int) -> Array:
    return 1.1 * _metal(hit, 330.0, 2600.0, 1.5 * hit.length)


def _ride(hit: Hit, _: int) -> Array:
    wash = _metal(hit, 520.0, 3600.0, 0.8 * hit.length)
    ping = ring(
        2650.0 * hit.tuning * np.array([1.0, 1.48, 1.93]), np.array([0.3, 0.25, 0.2]), np.array([0.5, 0.35, 0.3]),
        hit.noise[: wash.size] * np.exp(-np.arange(wash.size) / 14.0),
    )  # fmt: skip
    return 0.45 * wash + 0.22 * ping


def _tom(hit: Hit, key: int) -> Array:
    pitch = 82.0 * 2 ** ((key - 41) / 9.0) * hit.tuning
    tone = _swept(hit, pitch, 0.45 * hit.kit.punch / 1.5, 0.05, 0.42 * hit.length * (0.6 + hit.kit.ring_s))
    skin = one_pole(hit.noise[: tone.size], 1800.0 * hit.bright) * np.exp(-np.arange(tone.size) / 120.0)
    return tone + 0.35 * skin


def _hand_drum(hit: Hit, key: int) -> Array:
    pitch = {60: 420.0, 61: 300.0, 62: 330.0, 63: 240.0, 64: 170.0, 65: 380.0, 66: 260.0}.get(key, 250.0) * hit.tuning
    slap = key in (62, 65)
    tone = _swept(hit, pitch, 0.18, 0.03, (0.12 if slap else 0.28) * hit.length)
    skin = band(hit.noise[: tone.size], 1500.0 * hit.bright, 0.8) * np.exp(-np.arange(tone.size) / 180.0)
    return tone + (0.9 if slap else 0.4) * skin


def _shaker(hit: Hit, key: int) -> Array:
    length = {82: 0.12, 70: 0.07, 69: 0.15, 54: 0.22}.get(key, 0.1) * hit.length
    count = samples(length)
    seconds = np.arange(count) / SAMPLE_RATE_HZ
    rise = np.minimum(1.0, seconds / (0.012 * dial(hit.timbre.attack, 0.5, 2.0)))
    grains = one_pole(hit.noise[:count], 3800.0 * hit.bright, high=True) * rise * _decay(count, length)
    if key == 54:
        jingle = np.sin(2 * np.pi * 5100.0 * hit.tuning * np.array([1.0, 1.31, 1.62])[:, None] * seconds).sum(axis=0)
        grains = 0.6 * grains + 0.25 * jingle * _decay(count, 0.16)
    return 0.9 * grains


def _wood(hit: Hit, key: int) -> Array:
    pitch = {75: 2250.0, 76: 980.0, 77: 690.0}.get(key, 1200.0) * hit.tuning
    count = samples(0.16)
    blow = np.zeros(count)
    blow[:14] = np.hanning(14)
    return 0.25 * ring(
        pitch * np.array([1.0, 2.62, 4.1]),
        0.09 * hit.length * np.array([1.0, 0.5, 0.35]),
        np.array([1.0, 0.5, 0.3]),
        blow,
    )


def _bell(hit: Hit, key: int) -> Array:
    pitch = {56: 560.0, 67: 1050.0, 68: 780.0, 81: 2900.0, 53: 1700.0}.get(key, 900.0) * hit.tuning
    length = {81: 1.0, 56: 0.25, 53: 0.6}.get(key, 0.35) * hit.length
    count = samples(length)
    blow = hit.noise[:count] * np.exp(-np.arange(count) / 20.0)
    ratios = np.array([1.0, 1.503, 2.14, 2.71, 3.6])
    return 0.3 * ring(
        pitch * ratios, length * np.array([1, 0.8, 0.6, 0.5, 0.4]), np.array([0.5, 0.4, 0.25, 0.2, 0.15]), blow
    )


SOUNDS: dict[int, Callable[[Hit, int], Array]] = {
    35: _kick, 36: _kick, 37: _rim, 38: _snare, 39: _clap, 40: _snare, 42: _closed_hat, 44: _pedal_hat, 46: _open_hat,
    41: _tom, 43: _tom, 45: _tom, 47: _tom, 48: _tom, 50: _tom, 49: _crash, 51: _ride, 53: _bell, 54: _shaker,
    56: _bell, 60: _hand_drum, 61: _hand_drum, 62: _hand_drum, 63: _hand_drum, 64: _hand_drum, 65: _hand_drum,
    66: _hand_drum, 67: _bell, 68: _bell, 69: _shaker, 70: _shaker, 75: _wood, 76: _wood, 77: _wood, 81: _bell,
    82: _shaker,
}  # fmt: skip

# Level of each sound in the kit, before velocity.
BALANCE: dict[int, float] = {
    36: 1.0, 35: 1.0, 38: 0.85, 40: 0.85, 39: 0.8, 37: 0.75, 42: 0.5, 44: 0.45, 46: 0.5, 49: 0.5, 51: 0.6, 54: 0.5,
    56: 0.5, 69: 0.6, 70: 0.6, 82: 0.6, 75: 0.6, 76: 0.6, 77: 0.6, 67: 0.5, 68: 0.5, 81: 0.4, 53: 0.45,
}  # fmt: skip

KITS: dict[str, Kit] = {
    "acoustic_kit": Kit(1.4, 58.0, 0.32, 0.8, 0.35, 0.1, 7500.0),
    "rock_kit": Kit(1.7, 54.0, 0.42, 1.1, 0.3, 0.5, 8500.0, 1.5),
    "electronic_kit": Kit(2.6, 48.0, 0.34, 0.9, 0.55, 0.6, 9500.0, 0.8),
    "analog_kit": Kit(1.0, 44.0, 0.75, 0.65, 0.8, 0.15, 6000.0, 0.3),
    "lofi_kit": Kit(1.2, 62.0, 0.22, 0.7, 0.4, 0.7, 3800.0, 0.7),
    "brush_kit": Kit(0.7, 66.0, 0.26, 1.0, 0.15, 0.0, 5200.0, 0.25),
    "latin_kit": Kit(0.9, 72.0, 0.24, 0.5, 0.4, 0.05, 6800.0, 0.6),
    "orchestral_kit": Kit(0.5, 60.0, 0.85, 0.55, 0.25, 0.0, 5500.0, 0.4),
}


def strike(kit: str, timbre: Timbre, key: int, velocity: float, noise: Array) -> Array:
    """One stroke.

    Args:
        kit: name in ``KITS``.
        key: General MIDI percussion key, in ``SOUNDS``.
        velocity: 0..1.
        noise: (samples,) at least 3 s of white noise, different for each variation of the sound.

    Returns: (samples,) float32, faded to zero.
    """
    hit = Hit(KITS[kit], timbre, velocity, noise)
    audio = np.array(SOUNDS[key](hit, key), dtype=np.float32)
    fade = min(audio.size, samples(0.006))
    audio[-fade:] *= np.linspace(1.0, 0.0, fade, dtype=np.float32)
    return audio * np.float32(BALANCE.get(key, 0.8) * velocity**1.4)
