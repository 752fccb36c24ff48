"""Degradations of waveforms: what a mediocre generator, codec or player does to music.

For the evaluation of the scorer on sound that it was not trained on (training degrades spectra, see
`scoring.spectral`). All functions take and return (samples,) float32 at 24 kHz unless they say
otherwise; all randomness is the caller's generator; levels are the caller's affair.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.signal import fftconvolve, istft, stft

from eeg2music.types import SAMPLE_RATE_HZ, FloatArray

Rng = np.random.Generator
_FFT = 1024
_HOP = 256


def filtered(audio: FloatArray, rng: Rng, spread_db: float = 8.0) -> FloatArray:
    """A random smooth equalizer."""
    freqs = np.fft.rfftfreq(audio.size, 1.0 / SAMPLE_RATE_HZ)
    octaves = np.log2(np.maximum(freqs, 20.0) / 20.0)
    gains_db = np.interp(octaves, np.linspace(0.0, 9.5, 7), rng.normal(0.0, spread_db, 7))
    return _float(np.fft.irfft(np.fft.rfft(audio) * 10.0 ** (gains_db / 20.0), audio.size))


def band_limited(audio: FloatArray, rng: Rng) -> FloatArray:
    """Nothing above 2.5 to 6 kHz and below 30 to 150 Hz, as a narrow codec leaves it."""
    freqs = np.fft.rfftfreq(audio.size, 1.0 / SAMPLE_RATE_HZ)
    keep = (freqs < rng.uniform(2500.0, 6000.0)) & (freqs > rng.uniform(30.0, 150.0))
    return _float(np.fft.irfft(np.fft.rfft(audio) * keep, audio.size))


def noisy(audio: FloatArray, rng: Rng, snr_db: float = 10.0) -> FloatArray:
    """Pink noise at a signal-to-noise ratio."""
    spectrum = np.fft.rfft(rng.standard_normal(audio.size))
    pink = np.fft.irfft(spectrum / np.sqrt(np.arange(spectrum.size) + 10.0), audio.size)
    return _float(audio + pink * _rms(audio) / _rms(pink) * 10.0 ** (-snr_db / 20.0))


def reverberant(audio: FloatArray, rng: Rng) -> FloatArray:
    """Noise that decays over 0.3 to 1 s (to -60 dB), at about the level of the direct sound."""
    decay_s = rng.uniform(0.3, 1.0)
    time = np.arange(round(decay_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    tail = rng.standard_normal(time.size) * 10.0 ** (-3.0 * time / decay_s)
    wet = fftconvolve(audio, tail)[: audio.size]
    return _float(audio + rng.uniform(0.3, 1.0) * wet * _rms(audio) / max(_rms(wet), 1e-9))


def quantized(audio: FloatArray, rng: Rng, steps: int = 6) -> FloatArray:
    """Each spectral frame rounded to a few levels: the musical noise of a low bit rate."""
    spectrum = _stft(audio)
    unit = np.abs(spectrum).max(0, keepdims=True) / steps + 1e-9
    dither = rng.uniform(-0.5, 0.5, spectrum.shape)
    magnitude = np.maximum(0.0, np.round(np.abs(spectrum) / unit + dither)) * unit
    return _istft(magnitude * np.exp(1j * np.angle(spectrum)), audio.size)


def smeared(audio: FloatArray, rng: Rng, iterations: int = 4) -> FloatArray:
    """Resynthesized from magnitudes blurred over frequency and time, phases guessed (Griffin & Lim 1984)."""
    magnitude = np.abs(_stft(audio))
    for axis, width in ((0, int(rng.integers(2, 6))), (1, int(rng.integers(1, 4)))):
        kernel = np.ones(width) / width
        magnitude = np.apply_along_axis(np.convolve, axis, magnitude, kernel, "same")
    phase = np.exp(2j * np.pi * rng.random(magnitude.shape))
    for _ in range(iterations):
        again = _stft(_istft(magnitude * phase, audio.size))
        phase = np.exp(1j * np.angle(again))
    return _istft(magnitude * phase, audio.size)


def detuned(audio: FloatArray, rng: Rng, semitones: float = 0.5) -> FloatArray:
    """Played up to half a semitone (3 %) too fast or too slow."""
    speed = 2.0 ** (rng.uniform(-semitones, semitones) / 12.0)
    where = np.arange(audio.size) * speed
    return _float(np.interp(where, np.arange(audio.size), audio, right=0.0))


def shifted(audio: FloatArray, rng: Rng, shift_s: float = 0.06) -> FloatArray:
    """Moved in time by up to `shift_s`, silence where nothing is left."""
    shift = round(rng.uniform(-shift_s, shift_s) * SAMPLE_RATE_HZ)
    out = np.zeros_like(audio)
    if shift >= 0:
        out[shift:] = audio[: audio.size - shift]
    else:
        out[:shift] = audio[-shift:]
    return out


DEGRADATIONS: dict[str, Callable[[FloatArray, Rng], FloatArray]] = {
    "filtered": filtered,
    "band_limited": band_limited,
    "noisy": noisy,
    "reverberant": reverberant,
    "quantized": quantized,
    "smeared": smeared,
    "detuned": detuned,
    "shifted": shifted,
}


def remixed(stems: FloatArray, rng: Rng, spread_db: float = 6.0, drop: float = 0.15) -> FloatArray:
    """(stem, samples) -> (samples,): other gains, stems left out at random, never all of them."""
    gains = 10.0 ** (rng.normal(0.0, spread_db, len(stems)) / 20.0)
    keep = rng.random(len(stems)) >= drop
    keep[int(np.argmax(np.square(stems).sum(-1)))] = True
    return _float((gains * keep) @ stems)


def heavily_degraded(stems: FloatArray, rng: Rng, count: int = 4) -> FloatArray:
    """(stem, samples) -> (samples,): remixed, then several degradations one after the other."""
    audio = remixed(stems, rng)
    for name in rng.permutation(list(DEGRADATIONS))[:count]:
        audio = DEGRADATIONS[name](audio, rng)
    return audio


def _stft(audio: FloatArray) -> np.ndarray:
    return np.asarray(stft(audio, nperseg=_FFT, noverlap=_FFT - _HOP)[2])


def _istft(spectrum: np.ndarray, samples: int) -> FloatArray:
    audio = istft(spectrum, nperseg=_FFT, noverlap=_FFT - _HOP)[1]
    return _float(np.pad(audio[:samples], (0, max(0, samples - audio.size))))


def _rms(audio: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(audio)) + 1e-18))


def _float(audio: np.ndarray) -> FloatArray:
    return np.asarray(audio, dtype=np.float32)
