"""Other pitch, same duration; other tempo, same pitch.

Tonal stems go through a phase vocoder with identity phase locking (Laroche and Dolson 1999), percussive
ones through WSOLA (Verhelst and Roelands 1993), which keeps attacks sharp. The clip's start stays
in place and its length is kept.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from eeg2music.audio import resample
from eeg2music.types import SAMPLE_RATE_HZ, FloatArray

FFT = 2048
HOP = FFT // 4
# A frame with this many times the power of what came before it is an attack: phases start afresh.
ATTACK_POWER = 4.0
BLOCK_FRAMES = 1024
WSOLA_FRAME = 1024
WSOLA_HOP = WSOLA_FRAME // 2
WSOLA_REACH = 256
FADE_S = 0.02


def change(audio: FloatArray, *, semitones: float, tempo_factor: float, percussive: bool = False) -> FloatArray:
    """Transpose and change the tempo of one stem.

    Parameters
    ----------
    audio : (samples,) at 24 kHz
    semitones : up (positive) or down
    tempo_factor : above 1 plays faster; the clip then ends early in silence, otherwise its end is cut
    percussive : keep attacks rather than phases (only without a transposition)

    Returns
    -------
    (samples,) float32, as long as the input; the very same array if nothing is to do.
    """
    if semitones == 0.0 and tempo_factor == 1.0:
        return audio
    pitch = 2.0 ** (semitones / 12.0)
    longer = pitch / tempo_factor
    if semitones == 0.0 and percussive:
        result = wsola(audio, longer)
    else:
        result = resample(phase_vocoder(audio, longer), SAMPLE_RATE_HZ * pitch, SAMPLE_RATE_HZ)
    return _fit_length(result, audio.size)


def phase_vocoder(audio: FloatArray, longer: float) -> FloatArray:
    """Stretch by a factor, keeping pitch. (samples,) -> (round(samples * longer),) float32."""
    count = round(audio.size * longer)
    frames = count // HOP + 2
    starts = np.rint(np.arange(frames) * HOP / longer).astype(np.int64)
    left = FFT // 2 + HOP
    padded = np.pad(np.asarray(audio, dtype=np.float64), (left, max(0, int(starts[-1]) + FFT + left - audio.size)))
    out = np.zeros((frames - 1) * HOP + FFT)
    last: NDArray[np.complex128] | None = None
    for first in range(0, frames, BLOCK_FRAMES):
        places = starts[first : first + BLOCK_FRAMES] + HOP
        turned = _lock_phases(_spectra(padded, places), _spectra(padded, places - HOP), last)
        last = turned[-1]
        for k, piece in enumerate(np.asarray(fft.irfft(turned, FFT, axis=1)) * _window(), start=first):
            out[k * HOP : k * HOP + FFT] += piece
    # Squared Hann windows at a quarter overlap add up to 1.5.
    return (out[FFT // 2 : FFT // 2 + count] / 1.5).astype(np.float32)


def _lock_phases(
    here: NDArray[np.complex128], before: NDArray[np.complex128], last: NDArray[np.complex128] | None
) -> NDArray[np.complex128]:
    """Spectra with phases that continue the last one's; `before` lies one hop earlier than `here` in the input."""
    power, power_before = (np.sum(np.abs(spectra) ** 2, axis=1) for spectra in (here, before))
    attack = power > ATTACK_POWER * power_before + 1e-9
    turned = np.empty_like(here)
    for k, spectrum in enumerate(here):
        if attack[k] or last is None:
            last = turned[k] = spectrum
            continue
        # The phase each peak should have advanced by over one hop, given to the bins around it.
        turn = last * np.conj(before[k])
        turn = turn / np.maximum(np.abs(turn), 1e-20)
        last = turned[k] = spectrum * turn[_nearest_peak(np.abs(spectrum))]
    return turned


def wsola(audio: FloatArray, longer: float) -> FloatArray:
    """Stretch by overlapping pieces of the waveform, each taken where it continues the last one best."""
    count = round(audio.size * longer)
    left = WSOLA_FRAME + WSOLA_REACH
    padded = np.pad(audio.astype(np.float64), (left, left + 2 * WSOLA_FRAME))
    window = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(WSOLA_FRAME) / WSOLA_FRAME)
    out = np.zeros(count + 3 * WSOLA_FRAME)
    last = padded.size - 2 * WSOLA_FRAME - WSOLA_REACH
    place = left - WSOLA_HOP
    for k in range(count // WSOLA_HOP + 2):
        ideal = min(left - WSOLA_HOP + round(k * WSOLA_HOP / longer), last)
        if k > 0:
            goal = padded[place + WSOLA_HOP : place + WSOLA_HOP + WSOLA_FRAME]
            region = padded[ideal - WSOLA_REACH : ideal + WSOLA_REACH + WSOLA_FRAME]
            place = ideal - WSOLA_REACH + _best_match(region, goal)
        out[k * WSOLA_HOP : k * WSOLA_HOP + WSOLA_FRAME] += window * padded[place : place + WSOLA_FRAME]
    return out[WSOLA_HOP : WSOLA_HOP + count].astype(np.float32)


def _best_match(region: NDArray[np.float64], goal: NDArray[np.float64]) -> int:
    """Where in the region the goal fits best, by normalised correlation; the middle where all is silent."""
    middle = len(region) // 2 - len(goal) // 2
    if not np.any(goal) or not np.any(region):
        return middle
    size = fft.next_fast_len(len(region), real=True)
    product = fft.irfft(fft.rfft(region, size) * np.conj(fft.rfft(goal, size)), size)[: len(region) - len(goal) + 1]
    energy = np.concatenate([[0.0], np.cumsum(region**2)])
    local = energy[len(goal) :] - energy[: -len(goal)]
    score = product / np.sqrt(local + 1e-6 * energy[-1] + 1e-12)
    # A tiny preference for the middle decides among equals the same way everywhere.
    return int(np.argmax(score - 1e-9 * np.abs(np.arange(len(score)) - middle)))


def _spectra(padded: NDArray[np.float64], starts: NDArray[np.int64]) -> NDArray[np.complex128]:
    """(frame, bin) spectra of Hann frames that begin at `starts`."""
    pieces = padded[starts[:, None] + np.arange(FFT)]
    return np.asarray(fft.rfft(pieces * _window(), axis=1))


def _nearest_peak(magnitude: NDArray[np.float64]) -> NDArray[np.int64]:
    """For each bin the spectral peak it belongs to (a peak tops its two neighbours on either side)."""
    padded = np.pad(magnitude, 2, constant_values=-1.0)
    neighbours = np.maximum.reduce([padded[:-4], padded[1:-3], padded[3:-1], padded[4:]])
    peaks = np.flatnonzero(magnitude > neighbours)
    bins = np.arange(len(magnitude))
    if len(peaks) == 0:
        return bins
    return peaks[np.searchsorted((peaks[:-1] + peaks[1:]) / 2.0, bins)]


def _window() -> NDArray[np.float64]:
    return 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(FFT) / FFT)


def _fit_length(audio: FloatArray, samples: int) -> FloatArray:
    """Cut or pad to a length, with a short fade where the sound now ends."""
    end = min(audio.size, samples)
    result = np.zeros(samples, dtype=np.float32)
    result[:end] = audio[:end]
    fade = min(end, round(FADE_S * SAMPLE_RATE_HZ))
    if fade:
        result[end - fade : end] *= np.cos(np.linspace(0.0, np.pi / 2.0, fade)).astype(np.float32) ** 2
    return result
