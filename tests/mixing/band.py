"""A small band for the mixer's tests: four stems of a progression, in any key and tempo each, synthesised here.

Nothing of the package makes these sounds, so that what the mixer did can be compared with stems that were right from
the start.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

RATE = 24_000
Audio = NDArray[np.float32]

# I vi IV V (V7 over the last beats), as semitones above the tonic; the melody by beat.
CHORDS = ((0, 4, 7), (9, 12, 16), (5, 9, 12), (7, 11, 14))
TUNE = (7, 9, 7, 4, 9, 12, 11, 9, 5, 9, 12, 14, 11, 14, 7, 2)


def note(pitch: float, seconds: float, *, decay: float = 3.0, bright: float = 0.6) -> NDArray[np.float64]:
    """A harmonic tone with an attack of 5 ms."""
    time = np.arange(round(seconds * RATE)) / RATE
    hz = 440.0 * 2.0 ** ((pitch - 69.0) / 12.0)
    partials = [bright ** (k - 1) * np.sin(2 * np.pi * k * hz * time) for k in range(1, 9) if k * hz < 11_000]
    return np.sum(partials, axis=0) * np.exp(-decay * time) * np.minimum(time / 0.005, 1.0)


def place(events: list[tuple[float, NDArray[np.float64]]], seconds: float, level: float) -> Audio:
    """Sum sounds at their onsets and scale the peak."""
    out = np.zeros(round(seconds * RATE))
    for onset, sound in events:
        start = round(onset * RATE)
        end = min(start + len(sound), len(out))
        if start < len(out):
            out[start:end] += sound[: end - start]
    return (level * out / max(np.abs(out).max(), 1e-9)).astype(np.float32)


def drums(bpm: float, seconds: float = 10.0) -> Audio:
    rng = np.random.default_rng(0)
    beat = 60.0 / bpm
    time = np.arange(round(0.2 * RATE)) / RATE
    kick = np.sin(2 * np.pi * 55.0 * time) * np.exp(-25 * time)
    events = []
    for k in range(int(seconds / beat * 2) + 1):
        hat = rng.normal(size=len(time)) * np.exp(-80 * time)
        events.append((k * beat / 2, 0.3 * hat if k % 2 else hat + (kick if k % 4 == 0 else 0.0)))
    return place(events, seconds, 0.5)


def bass(bpm: float, tonic: float = 0.0, seconds: float = 10.0) -> Audio:
    beat = 60.0 / bpm
    roots = [CHORDS[(k // 4) % 4][(0, 0, 2, 1)[k % 4]] for k in range(int(seconds / beat) + 1)]
    return place([(k * beat, note(36 + tonic + r % 12, beat)) for k, r in enumerate(roots)], seconds, 0.4)


def harmony(bpm: float, tonic: float = 0.0, seconds: float = 10.0) -> Audio:
    beat = 60.0 / bpm
    events = [
        (k * beat, note(60 + tonic + pitch, beat, decay=2.0))
        for k in range(int(seconds / beat) + 1)
        for pitch in CHORDS[(k // 4) % 4]
    ]
    return place(events, seconds, 0.3)


def melody(bpm: float, tonic: float = 0.0, seconds: float = 10.0) -> Audio:
    beat = 60.0 / bpm
    events = [
        (k * beat, note(72 + tonic + TUNE[k % len(TUNE)], beat, bright=0.4)) for k in range(int(seconds / beat) + 1)
    ]
    return place(events, seconds, 0.4)


def band(bpm: float = 120.0, tonic: float = 0.0, seconds: float = 10.0) -> Audio:
    """(4, samples): drums, bass, harmony, melody that agree."""
    stems = [drums(bpm, seconds), bass(bpm, tonic, seconds), harmony(bpm, tonic, seconds), melody(bpm, tonic, seconds)]
    return np.stack(stems)


def strongest_hz(audio: Audio, low: float, high: float) -> float:
    """Frequency of the strongest spectral line in a range, to a hundredth of a hertz."""
    size = 2**21
    spectrum = np.abs(np.fft.rfft(audio * np.hanning(len(audio)), size))
    freqs = np.fft.rfftfreq(size, 1.0 / RATE)
    inside = (freqs >= low) & (freqs <= high)
    return float(freqs[inside][np.argmax(spectrum[inside])])


def beat_period_s(audio: Audio, guess_s: float) -> float:
    """Period of the loudness envelope near a guess, from the phase of its strongest line (independent of the mixer)."""
    hop = 60
    rms = np.sqrt(np.mean(audio[: len(audio) // hop * hop].astype(float).reshape(-1, hop) ** 2, axis=1))
    flux = np.maximum(np.diff(rms, prepend=0.0), 0.0)
    time = np.arange(len(flux)) * hop / RATE
    flux *= np.hanning(len(flux))
    periods = guess_s * np.linspace(0.95, 1.05, 401)
    power = [sum(abs(flux @ np.exp(-2j * np.pi * h * time / period)) for h in (1, 2, 4)) for period in periods]
    return float(periods[int(np.argmax(power))])
