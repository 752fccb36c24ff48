"""Bowed, blown, sung and organ tones: harmonic spectra that are held and follow the player's effort.

Rows of the wavetable go from soft (dark) to loud (bright); effort and vibrato move through them, as breath and bow do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eeg2music.simulation.instruments.engine import (
    Array,
    NoteRequest,
    band,
    dial,
    envelope,
    noise_slice,
    oscillate,
    partial_count,
    phase_track,
    resonances,
    tables_from,
)
from eeg2music.types import SAMPLE_RATE_HZ

_EFFORTS = np.array([2.1, 1.55, 1.2, 1.0, 0.85])  # exponent of the spectral slope, soft to loud
Peaks = tuple[tuple[float, float, float], ...]


@dataclass(frozen=True)
class Sustained:
    """A tone kept alive by bow, breath or bellows.

    Attributes:
        slope: spectral slope in the middle of the dynamic range.
        even: strength of even harmonics (0.05 = a stopped pipe, 1 = a string).
        formants: resonances of body, bell or vocal tract.
        floor: response between the formants.
        attack_s, release_s: at the default dials.
        breath: level of the noise of bow or air, ``breath_hz`` its centre (0 = at twice the pitch).
        players: detuned voices that play together.
        tremolo: depth of amplitude vibrato that goes with the pitch vibrato.
        swell: share of the loudness reached only after ``swell_s``.
    """

    slope: float
    even: float = 1.0
    formants: Peaks = ()
    floor: float = 1.0
    attack_s: float = 0.05
    release_s: float = 0.12
    breath: float = 0.02
    breath_hz: float = 0.0
    players: int = 1
    spread_cents: float = 9.0
    vibrato_cents: float = 16.0
    vibrato_hz: float = 5.4
    tremolo: float = 0.1
    swell: float = 0.25
    swell_s: float = 0.3

    def __call__(self, note: NoteRequest) -> Array:
        timbre = note.timbre
        attack = min(self.attack_s * dial(timbre.attack, 0.4, 2.5), 0.6 * note.duration_s)
        release = self.release_s * dial(timbre.release, 0.5, 2.0)
        gain = envelope(note.duration_s, attack, 1.0, 0.85, release)
        seconds = np.arange(gain.size) / SAMPLE_RATE_HZ
        swell = 1.0 - self.swell * np.exp(-seconds / self.swell_s)
        rate = self.vibrato_hz * dial(timbre.character, 0.75, 1.3)
        wobble = 1.0 + self.tremolo * timbre.vibrato * np.sin(2 * np.pi * rate * seconds)
        effort = np.clip(gain * swell * wobble * (0.45 + 0.55 * note.velocity), 0.0, 1.0)
        tables = tables_from(self._rows(note))
        audio = self._players(note, tables, effort * (_EFFORTS.size - 1), rate)
        centre = self.breath_hz or 2.0 * note.frequency_hz
        air = band(noise_slice(note, gain.size), centre, 0.9) * (1.0 + 2.5 * np.exp(-seconds / 0.05))
        return (audio + self.breath * 3.0 * air) * gain * swell * wobble * (0.3 + 0.7 * note.velocity)

    def _players(self, note: NoteRequest, tables: Array, position: Array, rate_hz: float) -> Array:
        timbre = note.timbre
        depth = self.vibrato_cents * 2.0 * timbre.vibrato
        spread = self.spread_cents * 2.0 * timbre.detune if self.players > 1 else 0.0
        audio = np.zeros(position.size, dtype=np.float32)
        for player in range(self.players):
            place = (player / max(self.players - 1, 1) - 0.5) * spread
            phase = phase_track(
                note.frequency_hz * 2 ** (place / 1200),
                position.size,
                vibrato_hz=rate_hz * (1.0 + 0.09 * player),
                depth_cents=depth,
            )
            audio += oscillate(tables, phase + 0.37 * player, position)
        return audio / np.sqrt(self.players)

    def _rows(self, note: NoteRequest) -> Array:
        timbre = note.timbre
        harmonic = np.arange(1, partial_count(note.frequency_hz) + 1)
        frequencies = harmonic * note.frequency_hz
        slope = self.slope * dial(timbre.brightness, 1.35, 0.74)
        parity = np.where(harmonic % 2 == 0, self.even, 1.0)
        shift = dial(timbre.character, 0.88, 1.14)
        formants = tuple((centre * shift, width, gain) for centre, width, gain in self.formants)
        body = resonances(frequencies, formants, self.floor) * parity
        return body * harmonic ** -(slope * _EFFORTS[:, None])


@dataclass(frozen=True)
class Organ:
    """Drawbars or pipes: a fixed spectrum, key click, rotor or tremulant.

    Attributes:
        ranks: (harmonic relative to the played pitch, level); 0.5 = an octave below.
        click: level of the key's click.
        rotor_hz: speed of the rotating speaker or tremulant.
    """

    ranks: tuple[tuple[float, float], ...]
    click: float = 0.3
    rotor_hz: float = 5.8
    attack_s: float = 0.008
    release_s: float = 0.05
    overtone_slope: float = 2.6

    def __call__(self, note: NoteRequest) -> Array:
        timbre = note.timbre
        attack = self.attack_s * dial(timbre.attack, 0.5, 2.5)
        gain = envelope(note.duration_s, attack, 5.0, 1.0, self.release_s * dial(timbre.release, 0.5, 2.0))
        seconds = np.arange(gain.size) / SAMPLE_RATE_HZ
        # ranks may lie an octave below, so the table turns once per sub-octave
        base_hz = note.frequency_hz / 2.0
        amplitudes = np.zeros(partial_count(base_hz))
        tilt = dial(timbre.brightness, 0.4, 2.2)
        for rank, (ratio, level) in enumerate(self.ranks):
            wobble = 0.6 + 0.8 * ((timbre.character * 7.13 * (rank + 1)) % 1.0)
            for overtone in range(1, 6):
                place = round(2 * ratio * overtone)
                if 1 <= place <= amplitudes.size:
                    share = level * wobble * max(ratio, 1.0) ** np.log2(tilt) * 0.5
                    amplitudes[place - 1] += share * overtone**-self.overtone_slope
        rotor = self.rotor_hz * dial(timbre.vibrato, 0.25, 1.2)
        phase = phase_track(base_hz, gain.size, vibrato_hz=rotor, depth_cents=7.0 * timbre.vibrato, onset_s=0.01)
        audio = oscillate(tables_from(amplitudes[None, :]), phase)
        audio *= 1.0 + 0.22 * timbre.vibrato * np.sin(2 * np.pi * rotor * seconds)
        click = band(noise_slice(note, gain.size), 2200.0, 0.7) * np.exp(-seconds / 0.006)
        return (audio + self.click * click) * gain * (0.55 + 0.45 * note.velocity)
