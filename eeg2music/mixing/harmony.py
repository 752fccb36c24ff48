"""What key a stem is in: pitch classes, tuning and key, read off the sound.

A log-frequency folding of spectral peaks (harmonic pitch class profile, Gómez 2006) on which harmonics are taken
away from the notes they belong to, matched with key profiles. Estimates only; never changes audio.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from eeg2music.types import SAMPLE_RATE_HZ, FloatArray

Float64 = NDArray[np.float64]

PITCH_NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
# Temperley 2001, The Cognition of Basic Musical Structures, ch. 7: weights of the scale degrees.
MAJOR = np.array([5.0, 2.0, 3.5, 2.0, 4.5, 4.0, 2.0, 4.5, 2.0, 3.5, 1.5, 4.0])
MINOR = np.array([5.0, 2.0, 3.5, 4.5, 2.0, 4.0, 2.0, 4.5, 3.5, 2.0, 1.5, 4.0])

FFT = 16_384
HOP = 6_144
LOWEST_PITCH = 28
HIGHEST_PITCH = 100
PEAK_RANGE_DB = 50.0
# Share of a note's strength expected at its 2nd to 7th harmonic, generous so that bright timbres leave no ghosts.
HARMONIC_SHARE = {12: 0.7, 19: 0.55, 24: 0.45, 28: 0.4, 31: 0.35, 34: 0.25}
SILENCE = 1e-5


@dataclass(frozen=True)
class Harmony:
    """Pitch content of one stem.

    Attributes
    ----------
    frames : (frame, 12) strength of each pitch class, C first, every quarter of a second
    tuning : deviation from A4 = 440 Hz in semitones, in [-0.5, 0.5]
    tonality : [0, 1] how well the spectral peaks agree on one tuning: below 0.3 for drums and noise
    """

    frames: Float64
    tuning: float
    tonality: float

    @property
    def chroma(self) -> Float64:
        """(12,) share of each pitch class, sum 1; all 0 for silence."""
        total = self.frames.sum(axis=0)
        return total / max(float(total.sum()), 1e-12)

    @property
    def key(self) -> tuple[int, str]:
        """(tonic pitch class, "major" or "minor") that fits best."""
        mode, tonic = np.unravel_index(int(profile_fit(self.chroma).argmax()), (2, 12))
        return int(tonic), ("major", "minor")[mode]

    @property
    def fit(self) -> float:
        """[-1, 1] correlation of the pitch classes with the profile of the key that fits best; 0 for silence."""
        return float(profile_fit(self.chroma).max())

    @property
    def confidence(self) -> float:
        """[0, 1] of the key: tonality, times fit, times whether there are enough pitch classes to tell."""
        variety = np.clip((effective_classes(self.chroma) - 1.5) / 3.0, 0.0, 1.0)
        return float(self.tonality * max(self.fit, 0.0) * variety)

    def transposed(self, semitones: int) -> Harmony:
        """The same after a transposition by whole semitones."""
        return replace(self, frames=np.roll(self.frames, semitones, axis=1))


def analyse_harmony(audio: FloatArray) -> Harmony:
    """Pitch classes in time, and tuning, of one stem.

    Parameters
    ----------
    audio : (samples,) at 24 kHz
    """
    frame, pitch, amplitude = spectral_peaks(audio)
    if pitch.size == 0:
        return Harmony(np.zeros((1, 12)), 0.0, 0.0)
    tuning, tonality = estimate_tuning(frame, pitch, amplitude)
    return Harmony(fold(note_table(frame, pitch - tuning, amplitude)), tuning, tonality)


def key_name(key: tuple[int, str]) -> str:
    """Such as "F# minor"."""
    return f"{PITCH_NAMES[key[0]]} {key[1]}"


def scale_fit(chroma: Float64) -> Float64:
    """(12,) fit of each diatonic collection, named by its major tonic: as that major key or its relative minor.

    Modes and relative keys share a collection, so that a stem in A minor does not clash with one in C major.
    """
    major, minor = profile_fit(chroma)
    return np.maximum(major, np.roll(minor, 3))


def spectral_peaks(audio: FloatArray) -> tuple[NDArray[np.int64], Float64, Float64]:
    """Peaks of the spectrum with their exact pitch.

    Returns
    -------
    frame, pitch (MIDI number, fractional), amplitude: (peak,) each, within 50 dB of their frame's strongest.
    """
    magnitude = _spectrogram(audio)
    low, high = (round(440.0 * 2 ** ((p - 69) / 12) * FFT / SAMPLE_RATE_HZ) for p in (LOWEST_PITCH, HIGHEST_PITCH))
    band = magnitude[:, low - 1 : high + 2]
    loudest = magnitude.max(axis=1, keepdims=True)
    floor = np.maximum(loudest * 10.0 ** (-PEAK_RANGE_DB / 20.0), SILENCE)
    middle = band[:, 1:-1]
    is_peak = (middle > band[:, :-2]) & (middle >= band[:, 2:]) & (middle > floor)
    frame, column = np.nonzero(is_peak)
    left, centre, right = (np.log(np.maximum(band[frame, column + i], 1e-12)) for i in range(3))
    # Parabola through the log magnitudes: exact for a Gaussian window, good for Hann.
    bend = left - 2.0 * centre + right
    offset = np.clip(np.where(bend < 0.0, 0.5 * (left - right) / np.where(bend < 0.0, bend, -1.0), 0.0), -0.5, 0.5)
    hz = (column + low + offset) * SAMPLE_RATE_HZ / FFT
    return frame, 69.0 + 12.0 * np.log2(hz / 440.0), np.exp(centre).astype(np.float64)


def estimate_tuning(frame: NDArray[np.int64], pitch: Float64, amplitude: Float64) -> tuple[float, float]:
    """Common deviation from the semitone grid, and how far the peaks agree on it (mean resultant length).

    The circular mean of the fractional pitch, weighted by power relative to the frame's strongest peak, so that
    the many weak peaks of vibrato and noise count little and every frame counts alike.
    """
    strongest = np.full(int(frame.max()) + 1, 1e-12)
    np.maximum.at(strongest, frame, amplitude)
    weight = (amplitude / strongest[frame]) ** 2
    mean = np.sum(weight * np.exp(2j * np.pi * pitch)) / weight.sum()
    return float(np.angle(mean) / (2.0 * np.pi)), float(np.abs(mean))


def note_table(frame: NDArray[np.int64], pitch: Float64, amplitude: Float64) -> Float64:
    """(frame, note) strength by semitone from LOWEST_PITCH on, harmonics removed from the notes that cause them."""
    nearest = np.rint(pitch)
    weight = np.cos(np.pi * (pitch - nearest)) ** 2
    count = HIGHEST_PITCH - LOWEST_PITCH + 1
    column = np.clip(nearest.astype(np.int64) - LOWEST_PITCH, 0, count - 1)
    rows = int(frame.max()) + 1
    table = np.bincount(frame * count + column, weights=weight * amplitude, minlength=rows * count)
    notes: Float64 = np.asarray(table.reshape(rows, count), dtype=np.float64)
    for note in range(count):
        for interval, share in HARMONIC_SHARE.items():
            if note + interval < count:
                notes[:, note + interval] = np.maximum(notes[:, note + interval] - share * notes[:, note], 0.0)
    return notes


def fold(notes: Float64) -> Float64:
    """(..., note) strengths to (..., 12) pitch classes, as roots, so that loud notes don't drown soft ones."""
    soft = np.sqrt(notes)
    classes = (np.arange(notes.shape[-1]) + LOWEST_PITCH) % 12
    return np.stack([soft[..., classes == c].sum(axis=-1) for c in range(12)], axis=-1)


def profile_fit(chroma: Float64) -> Float64:
    """(2, 12) Pearson correlation of a chroma with the major and minor profile on every tonic."""
    profiles = np.stack([np.stack([np.roll(p, tonic) for tonic in range(12)]) for p in (MAJOR, MINOR)])
    centred = profiles - profiles.mean(axis=-1, keepdims=True)
    own = chroma - chroma.mean()
    scale = np.linalg.norm(centred, axis=-1) * np.linalg.norm(own)
    return np.divide(centred @ own, scale, out=np.zeros((2, 12)), where=scale > 1e-12)


def effective_classes(chroma: Float64) -> float:
    """How many pitch classes there are, as the exponential of the entropy: 1 to 12."""
    share = chroma[chroma > 0] / chroma.sum() if chroma.sum() > 0 else np.ones(1)
    return float(np.exp(-np.sum(share * np.log(share))))


def _spectrogram(audio: FloatArray) -> FloatArray:
    """(frame, bin) magnitude, Hann; a unit sine peaks at 0.5."""
    samples = np.asarray(audio, dtype=np.float32)
    frames = max(1, 1 + (samples.size - FFT // 2) // HOP)
    padded = np.pad(samples, (FFT // 2, max(0, frames * HOP + FFT - samples.size - FFT // 2)))
    starts = np.arange(frames) * HOP
    window = np.hanning(FFT).astype(np.float32)
    pieces = padded[starts[:, None] + np.arange(FFT)] * window
    return np.abs(np.asarray(fft.rfft(pieces, axis=1))) / window.sum()
