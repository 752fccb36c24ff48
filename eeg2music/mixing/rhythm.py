"""When a stem beats: onset strength, tempo and beats.

Onset strength is half-wave rectified log spectral flux; the tempo is where a comb of the onset
autocorrelation is strongest under a log-normal prior, refined on the onset spectrum; beats come from
dynamic programming (Ellis 2007, "Beat tracking by dynamic programming"). Estimates only; never changes audio.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.ndimage import uniform_filter1d

from eeg2music.types import SAMPLE_RATE_HZ, FloatArray

Float64 = NDArray[np.float64]

FFT = 1024
HOP = 256
RATE_HZ = SAMPLE_RATE_HZ / HOP
SLOWEST_BPM = 45.0
FASTEST_BPM = 220.0
LIKELY_BPM = 110.0
PRIOR_OCTAVES = 1.0
TIGHTNESS = 100.0
COMB = 4
SILENCE = 1e-5
# Of levels relative to the loudest: enough to hear soft notes, not so much that a ghost note equals a beat.
COMPRESSION = 100.0


@dataclass(frozen=True)
class Rhythm:
    """Pulse of one stem.

    Attributes
    ----------
    onset : (frame,) onset strength at 93.75 Hz, standard deviation 1
    tempo_bpm : 0 where no pulse was found
    confidence : [0, 1] mean autocorrelation of the onset strength over the first beats
    beats_s : (beat,) seconds
    """

    onset: Float64
    tempo_bpm: float
    confidence: float
    beats_s: Float64


def analyse_rhythm(audio: FloatArray) -> Rhythm:
    """Onset strength, tempo and beats of one stem.

    Parameters
    ----------
    audio : (samples,) at 24 kHz; below two seconds no pulse is sought
    """
    onset = onset_strength(audio)
    none = Rhythm(onset, 0.0, 0.0, np.zeros(0))
    if len(onset) < 2 * RATE_HZ or not np.any(onset):
        return none
    tempo, confidence = estimate_tempo(onset)
    if tempo == 0.0:
        return none
    return Rhythm(onset, tempo, confidence, track_beats(onset, tempo) / RATE_HZ)


def onset_strength(audio: FloatArray) -> Float64:
    """Half-wave rectified flux of log levels in 28 bands, less its local mean. (samples,) -> (frame,), deviation 1."""
    samples = np.asarray(audio, dtype=np.float32)
    frames = max(2, samples.size // HOP)
    padded = np.pad(samples, (FFT // 2, max(0, frames * HOP + FFT // 2 - samples.size)))
    window = np.hanning(FFT).astype(np.float32)
    pieces = np.lib.stride_tricks.sliding_window_view(padded, FFT)[::HOP][:frames] * window
    power = np.square(np.abs(np.asarray(fft.rfft(pieces, axis=1)))) / window.sum() ** 2
    magnitude = np.sqrt(np.add.reduceat(power, _band_starts(), axis=1).astype(np.float64))
    loudest = float(magnitude.max())
    if loudest < SILENCE:
        return np.zeros(frames)
    level = np.log1p(COMPRESSION * magnitude / loudest)
    rise = np.zeros(frames)
    # Two frames back, because soft attacks take longer than one.
    rise[2:] = np.maximum(level[2:] - level[:-2], 0.0).mean(axis=1)
    rise = np.maximum(rise - uniform_filter1d(rise, round(RATE_HZ / 2)), 0.0)
    spread = float(rise.std())
    return rise / spread if spread > 1e-6 else np.zeros(frames)


def estimate_tempo(onset: Float64) -> tuple[float, float]:
    """Tempo in beats per minute and its confidence; (0, 0) where nothing repeats.

    Parameters
    ----------
    onset : (frame,) at 93.75 Hz
    """
    correlation = _autocorrelation(onset)
    grid = np.geomspace(SLOWEST_BPM, FASTEST_BPM, 600)
    strength = _comb(correlation, grid)
    prior = np.exp(-0.5 * (np.log2(grid / LIKELY_BPM) / PRIOR_OCTAVES) ** 2)
    best = int(np.argmax(np.maximum(strength, 0.0) * prior))
    if strength[best] <= 0.0:
        return 0.0, 0.0
    near = grid[best] * np.linspace(0.985, 1.015, 61)
    tempo = float(near[np.argmax(pulse_strength(onset, near))])
    return tempo, float(np.clip(_comb(correlation, np.array([tempo]))[0], 0.0, 1.0))


def pulse_strength(onset: Float64, tempo_bpm: Float64) -> Float64:
    """Power of the onset strength at each tempo's beat and its 2nd and 4th multiple, as a share of all power.

    The Fourier tempogram (Grosche and Müller 2011) of the whole clip. (frame,), (n,) -> (n,)
    """
    time_s = np.arange(len(onset)) / RATE_HZ
    centred = (onset - onset.mean()) * np.hanning(len(onset))
    hz = np.asarray(tempo_bpm)[:, None] / 60.0 * np.array([1.0, 2.0, 4.0])
    wave = np.exp(-2j * np.pi * hz[..., None] * time_s)
    total = len(onset) * float(np.sum(centred**2))
    return np.sum(np.abs(wave @ centred) ** 2, axis=-1) / max(total, 1e-12)


def track_beats(onset: Float64, tempo_bpm: float) -> Float64:
    """Beat times in frames by dynamic programming (Ellis 2007, eqs. 1 to 4).

    Parameters
    ----------
    onset : (frame,) at 93.75 Hz
    """
    period = 60.0 * RATE_HZ / tempo_bpm
    lags = np.arange(max(1, round(period / 2)), round(2 * period) + 1)
    penalty = -TIGHTNESS * np.log(lags / period) ** 2
    score = onset.copy()
    before = np.full(len(onset), -1)
    for frame in range(lags[0], len(onset)):
        usable = lags[: np.searchsorted(lags, frame, side="right")]
        past = score[frame - usable] + penalty[: len(usable)]
        best = int(past.argmax())
        if past[best] > 0.0:
            score[frame] += past[best]
            before[frame] = frame - usable[best]
    last = len(onset) - 1 - int(np.argmax(score[::-1][: round(2 * period)]))
    beats = [last]
    while before[beats[-1]] >= 0:
        beats.append(before[beats[-1]])
    return np.array(beats[::-1], dtype=np.float64)


def _autocorrelation(onset: Float64) -> Float64:
    """Unbiased, 1 at lag zero."""
    centred = onset - onset.mean()
    size = 2 * len(centred)
    raw = np.fft.irfft(np.abs(np.fft.rfft(centred, size)) ** 2, size)[: len(centred)]
    unbiased = raw / np.arange(len(centred), 0, -1)
    return unbiased / max(float(unbiased[0]), 1e-12)


def _comb(correlation: Float64, tempo_bpm: Float64) -> Float64:
    """Mean autocorrelation at the first beats of each tempo, as far as three quarters of the clip reach."""
    total, count = np.zeros(len(tempo_bpm)), np.zeros(len(tempo_bpm))
    places = np.arange(len(correlation))
    for beat in range(1, COMB + 1):
        lag = beat * 60.0 * RATE_HZ / tempo_bpm
        inside = lag < 0.75 * len(correlation)
        total += np.where(inside, np.interp(lag, places, correlation), 0.0)
        count += inside
    return total / np.maximum(count, 1.0)


def _band_starts() -> NDArray[np.int64]:
    """First bins of bands: one bin wide below, then evenly spaced in pitch."""
    edges = np.geomspace(60.0, 10_500.0, 40) * FFT / SAMPLE_RATE_HZ
    return np.unique(np.rint(edges).astype(np.int64))
