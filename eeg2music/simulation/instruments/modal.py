"""Struck bars, tines, strings and bells: sums of damped modes set ringing by a hammer or a mallet."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eeg2music.simulation.instruments.engine import Array, NoteRequest, dial, envelope, noise_slice, one_pole, ring
from eeg2music.types import SAMPLE_RATE_HZ


@dataclass(frozen=True)
class Struck:
    """Modes at fixed ratios of the pitch.

    Attributes:
        ratios, gains: of each mode.
        decay_s: time to -60 dB of the first mode at middle C; mode with ratio r decays r ** ``damping`` faster.
        hardness_hz: bandwidth of the mallet's blow.
        tremolo_hz: rotating discs of a vibraphone (0 = none).
        let_ring: whether the sound goes on after the note is let go.
    """

    ratios: tuple[float, ...]
    gains: tuple[float, ...]
    decay_s: float
    damping: float
    hardness_hz: float
    tremolo_hz: float = 0.0
    knock: float = 0.15
    release_s: float = 0.12
    let_ring: bool = False

    def __call__(self, note: NoteRequest) -> Array:
        timbre = note.timbre
        decay = self.decay_s * dial(timbre.release, 0.55, 1.7) * (261.6 / note.frequency_hz) ** 0.5
        hold = max(note.duration_s, min(decay * 0.6, 1.6)) if self.let_ring else note.duration_s
        gain = envelope(hold, 0.0008, 9.0, 1.0, self.release_s * dial(timbre.release, 0.5, 2.0))
        ratios = np.asarray(self.ratios)
        ratios = ratios * np.where(ratios > 1.0, 1.0 + 0.04 * (timbre.character - 0.5), 1.0)
        gains = np.asarray(self.gains) * ratios ** (1.6 * (timbre.brightness - 0.5) + 0.5 * (note.velocity - 0.6))
        decays = decay / ratios**self.damping
        blow = self._blow(note, gain.size)
        audio = ring(ratios * note.frequency_hz, decays, gains / ratios**0.2, blow)
        if self.tremolo_hz:
            seconds = np.arange(gain.size) / SAMPLE_RATE_HZ
            rate = self.tremolo_hz * dial(timbre.vibrato, 0.5, 1.6)
            audio *= 1.0 + 0.5 * timbre.vibrato * np.sin(2 * np.pi * rate * seconds)
        return audio * gain * (0.25 + 0.75 * note.velocity) * (note.frequency_hz / 261.6) ** 0.4

    def _blow(self, note: NoteRequest, count: int) -> Array:
        """(count,) a short raised cosine (hard mallet = shorter) and a little knock."""
        hardness = self.hardness_hz * dial(note.timbre.brightness, 0.6, 1.7) * (0.6 + 0.6 * note.velocity)
        width = min(count, max(3, int(SAMPLE_RATE_HZ / max(hardness, 200.0))))
        blow = np.zeros(count, dtype=np.float32)
        pulse = 1.0 - np.cos(2 * np.pi * (np.arange(width) + 0.5) / width)
        blow[:width] = pulse / pulse.sum()
        burst = min(count, int(0.006 * SAMPLE_RATE_HZ))
        blow[:burst] += self.knock * 0.02 * one_pole(noise_slice(note, burst), 2.0 * hardness)
        return blow


@dataclass(frozen=True)
class Piano:
    """Two or three stiff strings, struck: f_k = k f sqrt(1 + B k^2), two-stage decay."""

    decay_s: float = 5.0
    stiffness: float = 4e-4
    hardness: float = 1.0
    partials: int = 16
    release_s: float = 0.12

    def __call__(self, note: NoteRequest) -> Array:
        timbre = note.timbre
        gain = envelope(note.duration_s, 0.0012, 9.0, 1.0, self.release_s * dial(timbre.release, 0.5, 2.0))
        harmonic = np.arange(1, self.partials + 1)
        stretch = self.stiffness * (note.frequency_hz / 261.6) ** 0.8
        frequencies = note.frequency_hz * harmonic * np.sqrt(1.0 + stretch * harmonic**2)
        slope = dial(timbre.brightness, 1.75, 0.85) * (1.35 - 0.5 * note.velocity) / self.hardness
        strike = np.abs(np.sin(np.pi * harmonic * (0.08 + 0.08 * timbre.character))) + 0.05
        gains = strike * harmonic**-slope
        decay = self.decay_s * dial(timbre.release, 0.6, 1.5) * (261.6 / note.frequency_hz) ** 0.5
        decays = decay / (1.0 + 0.25 * (harmonic - 1))
        blow = np.zeros(gain.size, dtype=np.float32)
        blow[0] = 1.0
        audio = ring(frequencies, decays, gains, blow)
        audio += ring(frequencies[:8] * (1 + 0.0012 * timbre.detune), decays[:8] * 0.35, 0.8 * gains[:8], blow)
        seconds = np.arange(gain.size) / SAMPLE_RATE_HZ
        thump = one_pole(noise_slice(note, gain.size), 700.0) * np.exp(-seconds / 0.012)
        level = (0.2 + 0.8 * note.velocity) * (note.frequency_hz / 261.6) ** 0.3
        return (audio + 0.35 * thump) * gain * level
