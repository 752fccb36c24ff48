"""Synthesizers: subtractive voices with a filter envelope, and frequency modulation.

The filter of a subtractive voice is applied to the harmonics themselves: rows of the wavetable are the same oscillator
behind ever more open filters, and the filter envelope is the position. FM follows Chowning (1973).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eeg2music.simulation.instruments.engine import (
    Array,
    NoteRequest,
    dial,
    envelope,
    lowpass_response,
    noise_slice,
    one_pole,
    oscillate,
    partial_count,
    phase_track,
    tables_from,
)
from eeg2music.types import SAMPLE_RATE_HZ

_CUTOFFS = 9


@dataclass(frozen=True)
class Subtractive:
    """Oscillators, a resonant low-pass with its own envelope, an amplifier.

    Attributes:
        wave: ``saw``, ``square``, ``pulse`` or ``triangle``.
        cutoff_hz: where the filter rests; ``sweep_octaves`` is how far its envelope opens it.
        sweep_s: decay of the filter envelope (negative: it opens slowly instead).
        voices: detuned oscillators.
        sub: level of an oscillator one octave below.
    """

    wave: str
    cutoff_hz: float
    sweep_octaves: float
    sweep_s: float
    resonance: float = 0.3
    voices: int = 1
    spread_cents: float = 12.0
    attack_s: float = 0.005
    decay_s: float = 1.0
    sustain: float = 0.8
    release_s: float = 0.1
    sub: float = 0.0
    vibrato_cents: float = 0.0
    tracking: float = 0.5

    def __call__(self, note: NoteRequest) -> Array:
        timbre = note.timbre
        attack = min(self.attack_s * dial(timbre.attack, 0.4, 2.5), 0.7 * note.duration_s)
        gain = envelope(
            note.duration_s, attack, self.decay_s, self.sustain, self.release_s * dial(timbre.release, 0.5, 2)
        )
        seconds = np.arange(gain.size) / SAMPLE_RATE_HZ
        sweep_s = abs(self.sweep_s) * dial(timbre.release, 0.6, 1.7)
        opening = np.exp(-seconds / sweep_s) if self.sweep_s > 0 else 1.0 - np.exp(-seconds / sweep_s)
        position = (_CUTOFFS - 1) * opening * (0.35 + 0.65 * note.velocity)
        tables = tables_from(self._rows(note))
        spread = self.spread_cents * dial(timbre.detune, 0.4, 2.2)
        depth = self.vibrato_cents * 2 * timbre.vibrato
        audio = np.zeros(gain.size, dtype=np.float32)
        for voice in range(self.voices):
            place = (voice / max(self.voices - 1, 1) - 0.5) * spread if self.voices > 1 else 0.0
            detuned = note.frequency_hz * 2 ** (place / 1200)
            phase = phase_track(detuned, gain.size, vibrato_hz=5.0 + 0.3 * voice, depth_cents=depth)
            audio += oscillate(tables, phase + 0.29 * voice, position)
        audio /= np.sqrt(self.voices)
        if self.sub:
            audio += self.sub * oscillate(tables, phase_track(note.frequency_hz / 2, gain.size), position * 0.5)
        return audio * gain * (0.3 + 0.7 * note.velocity)

    def _rows(self, note: NoteRequest) -> Array:
        timbre = note.timbre
        harmonic = np.arange(1, partial_count(note.frequency_hz) + 1)
        width = 0.12 + 0.34 * timbre.character
        amplitudes = {
            "saw": 1.0 / harmonic,
            "square": np.where(harmonic % 2 == 1, 1.0, 0.03) / harmonic,
            "pulse": np.abs(np.sin(np.pi * harmonic * width)) / harmonic,
            "triangle": np.where(harmonic % 2 == 1, 1.0, 0.2) / harmonic**1.35,
        }[self.wave]
        rest = self.cutoff_hz * dial(timbre.brightness, 0.45, 2.2) * (note.frequency_hz / 261.6) ** self.tracking
        rest = max(rest, 2.2 * note.frequency_hz)
        cutoffs = rest * 2.0 ** (np.linspace(0.0, self.sweep_octaves, _CUTOFFS))
        resonance = min(0.95, self.resonance * dial(timbre.character, 0.5, 1.8))
        filters = [lowpass_response(harmonic * note.frequency_hz, min(c, 14_000.0), resonance) for c in cutoffs]
        return amplitudes * np.stack(filters)


@dataclass(frozen=True)
class FrequencyModulation:
    """Two modulators on one carrier.

    Attributes:
        ratio, index: first modulator's frequency ratio and peak index, which decays within ``index_s``
            (negative: it rises, as brass does).
        bell_ratio, bell_index: second modulator, short, for the strike.
        decay_s: amplitude decay; ``sustain`` its floor.
    """

    ratio: float
    index: float
    index_s: float
    decay_s: float
    sustain: float
    bell_ratio: float = 7.0
    bell_index: float = 0.0
    attack_s: float = 0.003
    release_s: float = 0.15
    feedback: float = 0.0
    index_floor: float = 0.25
    vibrato_cents: float = 0.0
    tremolo_hz: float = 0.0

    def __call__(self, note: NoteRequest) -> Array:
        timbre = note.timbre
        attack = min(self.attack_s * dial(timbre.attack, 0.5, 2.5), 0.6 * note.duration_s)
        decay = self.decay_s * dial(timbre.release, 0.6, 1.6) * (261.6 / note.frequency_hz) ** 0.2
        gain = envelope(note.duration_s, attack, decay, self.sustain, self.release_s * dial(timbre.release, 0.5, 2.0))
        seconds = np.arange(gain.size) / SAMPLE_RATE_HZ
        move = np.exp(-seconds / abs(self.index_s))
        if self.index_s < 0:
            move = 1.0 - move
        strength = self.index * dial(timbre.brightness, 0.5, 1.9) * (0.4 + 0.6 * note.velocity)
        strength = min(strength, max(0.6, 9_000.0 / (note.frequency_hz * max(self.ratio, 1.0)) - 1.0))
        index = strength * (self.index_floor + (1 - self.index_floor) * move)
        depth = self.vibrato_cents * 2 * timbre.vibrato
        turn = 2 * np.pi * phase_track(note.frequency_hz, gain.size, vibrato_hz=5.2, depth_cents=depth)
        detune = 1.0 + 0.0015 * (timbre.detune - 0.5)
        modulation = index * np.sin(turn * self.ratio * detune)
        if self.bell_index and note.frequency_hz * self.bell_ratio < 9_500.0:
            strike = self.bell_index * dial(timbre.character, 0.3, 2.0) * (0.3 + note.velocity)
            modulation += strike * np.exp(-seconds / 0.09) * np.sin(turn * self.bell_ratio)
        audio = np.sin(turn + modulation).astype(np.float32)
        if self.feedback:
            audio += self.feedback * np.sin(2 * turn + 0.7 * modulation)
        if self.tremolo_hz:
            rate = self.tremolo_hz * dial(timbre.vibrato, 0.6, 1.6)
            audio *= 1.0 + 0.3 * timbre.vibrato * np.sin(2 * np.pi * rate * seconds)
        click = one_pole(noise_slice(note, gain.size), 3000.0) * np.exp(-seconds / 0.003)
        return (audio + 0.08 * click) * gain * (0.25 + 0.75 * note.velocity)
