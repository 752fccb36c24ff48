"""Plucked strings: guitars, harp, basses, harpsichord, koto.

A Karplus-Strong string evaluated in closed form: the loop filter multiplies each harmonic by a fixed factor in every
period, so the state after n periods is the excitation's spectrum times the response to the power n (Karplus and
Strong 1983; Jaffe and Smith 1983). Rows of a morphing wavetable hold the string at chosen moments.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eeg2music.simulation.instruments.engine import (
    Array,
    NoteRequest,
    dial,
    envelope,
    noise_slice,
    one_pole,
    oscillate,
    partial_count,
    phase_track,
    resonances,
    tables_from,
)
from eeg2music.types import SAMPLE_RATE_HZ

_MOMENTS_S = np.array([0.0, 0.008, 0.02, 0.045, 0.09, 0.17, 0.3, 0.55, 1.0, 1.8, 3.2])
Peaks = tuple[tuple[float, float, float], ...]


@dataclass(frozen=True)
class Plucked:
    """A string and what plucks it.

    Attributes:
        decay_s: time to -60 dB of the fundamental at middle C (shorter for higher strings).
        damping: how much faster high harmonics die.
        slope: spectral slope of the excitation, 1 = sharp plectrum, 2 = thumb.
        pick: where along the string it is plucked, 0..0.5.
        roughness: share of noise in the excitation, as in the original Karplus-Strong burst.
        body: resonances of the body.
        strings: number of slightly detuned strings.
    """

    decay_s: float
    damping: float
    slope: float
    pick: float
    roughness: float = 0.35
    body: Peaks = ()
    strings: int = 1
    release_s: float = 0.08

    def __call__(self, note: NoteRequest) -> Array:
        timbre = note.timbre
        gain = envelope(note.duration_s, 0.0015, 9.0, 1.0, self.release_s * dial(timbre.release, 0.5, 2.0))
        tables = tables_from(self._rows(note))
        seconds = np.arange(gain.size) / SAMPLE_RATE_HZ
        position = np.interp(seconds, _MOMENTS_S, np.arange(_MOMENTS_S.size))
        audio = np.zeros(gain.size, dtype=np.float32)
        cents = 9.0 * timbre.detune
        for string in range(self.strings):
            offset = cents * (string - (self.strings - 1) / 2)
            phase = phase_track(note.frequency_hz * 2 ** (offset / 1200), gain.size) + 0.31 * string
            audio += oscillate(tables, phase, position)
        click = one_pole(noise_slice(note, gain.size), 2500.0) * np.exp(-seconds / 0.004)
        return (audio + 0.3 * self.roughness * click) * gain * (0.25 + 0.75 * note.velocity)

    def _rows(self, note: NoteRequest) -> Array:
        """(moment, partial) amplitudes of the string."""
        timbre = note.timbre
        harmonic = np.arange(1, partial_count(note.frequency_hz) + 1)
        slope = self.slope * dial(timbre.brightness, 1.45, 0.7) * (1.25 - 0.35 * note.velocity)
        pick = np.clip(self.pick * dial(timbre.character, 0.55, 1.8), 0.03, 0.5)
        burst = 1.0 + self.roughness * noise_slice(note, harmonic.size, shift=0.37)
        excitation = np.abs(np.sin(np.pi * harmonic * pick)) * harmonic**-slope * np.abs(burst)
        excitation *= resonances(harmonic * note.frequency_hz, self.body, 1.0)
        decay_s = self.decay_s * dial(timbre.release, 0.6, 1.6) * (261.6 / note.frequency_hz) ** 0.35
        rate = 6.9 / decay_s * (1.0 + self.damping * dial(timbre.brightness, 1.5, 0.65) * (harmonic - 1) ** 1.3 / 10.0)
        return excitation * np.exp(-_MOMENTS_S[:, None] * rate)
