"""Loudness and peaks: measured as broadcasters do, set without clipping.

Integrated loudness after ITU-R BS.1770-4 (pyloudnorm), true peak by fourfold oversampling (its annex 2),
and a look-ahead limiter. Never clips a waveform.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import convolve1d, maximum_filter1d
from scipy.signal import firwin, resample_poly

from eeg2music.types import SAMPLE_RATE_HZ, FloatArray

Float64 = NDArray[np.float64]

# The standard's absolute gate: quieter than this counts as silence and is reported as this.
SILENCE_LUFS = -70.0
SILENCE_DBTP = -120.0
BLOCK_S = 0.4
OVERSAMPLING = 4
LOOKAHEAD_S = 0.005
RELEASE_S = 0.08
# The limiter aims this far below the ceiling: peaks move a little between samples when a gain changes.
MARGIN_DB = 0.1
TOLERANCE_LU = 0.02
ROUNDS = 12
STRETCH = 20 * SAMPLE_RATE_HZ
# Samples on either side that the oversampling filter looks at: more than the standard's 12 taps a phase, which miss
# half a decibel of peaks made of the highest frequencies (a hi-hat at this sampling rate).
FILTER_REACH = 32
MARGIN_SAMPLES = 2 * FILTER_REACH


class Mastered(NamedTuple):
    """A mix at its loudness.

    audio : (channel, samples) float32
    gain_db : added before the limiter
    reduction_db : the limiter's largest gain reduction
    """

    audio: FloatArray
    gain_db: float
    reduction_db: float
    loudness_lufs: float
    true_peak_dbtp: float


def integrated_loudness(audio: FloatArray) -> float:
    """Gated loudness in LUFS; -70 for silence. (samples,) or (channel, samples) at 24 kHz.

    Clips shorter than the standard's 0.4 s block are measured as one block.
    """
    import pyloudnorm

    data = np.atleast_2d(np.asarray(audio, dtype=np.float64)).T
    if not np.any(data):
        return SILENCE_LUFS
    block_s = min(BLOCK_S, len(data) / SAMPLE_RATE_HZ)
    loudness = float(pyloudnorm.Meter(SAMPLE_RATE_HZ, block_size=block_s).integrated_loudness(data))
    return max(loudness, SILENCE_LUFS) if np.isfinite(loudness) else SILENCE_LUFS


def true_peak_dbtp(audio: FloatArray) -> float:
    """Largest absolute value of the 4x oversampled waveform, in dB; -120 for silence."""
    peak = float(_peaks(np.atleast_2d(audio)).max())
    return max(20.0 * float(np.log10(max(peak, 1e-12))), SILENCE_DBTP)


def limit(audio: FloatArray, ceiling_dbtp: float) -> tuple[FloatArray, float]:
    """Keep the true peak under a ceiling by turning the gain down ahead of peaks, all channels alike.

    Parameters
    ----------
    audio : (channel, samples)
    ceiling_dbtp : dB

    Returns
    -------
    Limited audio (the very same array if nothing peaks), and the largest gain reduction in dB.
    """
    excess = 20.0 * np.log10(np.maximum(_peaks(audio).max(axis=0), 1e-12)) - (ceiling_dbtp - MARGIN_DB)
    if float(excess.max()) <= MARGIN_DB:  # under the ceiling itself
        return audio, 0.0
    reduction = _gain_curve(np.maximum(excess, 0.0))
    limited = np.asarray(audio * 10.0 ** (-reduction / 20.0), dtype=np.float32)
    over = true_peak_dbtp(limited) - ceiling_dbtp
    if over > 0.0:
        limited = np.asarray(limited * 10.0 ** (-(over + 1e-3) / 20.0), dtype=np.float32)
    return limited, float(reduction.max()) + max(over, 0.0)


def master(audio: FloatArray, *, target_lufs: float, ceiling_dbtp: float, max_gain_db: float) -> Mastered:
    """Bring a mix to its loudness under its ceiling; both are measured on the result.

    Parameters
    ----------
    audio : (channel, samples)
    """
    before = integrated_loudness(audio)
    if before <= SILENCE_LUFS:
        silent = np.asarray(audio, dtype=np.float32)
        return Mastered(silent, 0.0, 0.0, SILENCE_LUFS, true_peak_dbtp(silent))
    gain = min(target_lufs - before, max_gain_db)
    for _ in range(ROUNDS):
        result, reduction = limit(np.asarray(audio * 10.0 ** (gain / 20.0), dtype=np.float32), ceiling_dbtp)
        loudness = integrated_loudness(result)
        missing = target_lufs - loudness
        # Limiting costs loudness: give it back before the limiter, not after.
        if abs(missing) <= TOLERANCE_LU or gain + missing > max_gain_db:
            break
        gain += missing
    return Mastered(result, gain, reduction, loudness, true_peak_dbtp(result))


def _peaks(audio: FloatArray) -> Float64:
    """(channel, samples) largest absolute value from each sample to the next, stretch by stretch to save memory."""
    window = firwin(2 * FILTER_REACH * OVERSAMPLING + 1, 1.0 / OVERSAMPLING, window=("kaiser", 5.0))
    peaks = np.empty(audio.shape)
    samples = audio.shape[-1]
    for start in range(0, samples, STRETCH):
        stop, left = min(start + STRETCH, samples), max(start - MARGIN_SAMPLES, 0)
        piece = np.asarray(audio[:, left : stop + MARGIN_SAMPLES], dtype=np.float64)
        fine = np.abs(resample_poly(piece, OVERSAMPLING, 1, axis=-1, window=window))
        highest = fine.reshape(*piece.shape, OVERSAMPLING).max(axis=-1)
        peaks[:, start:stop] = highest[:, start - left : stop - left]
    return peaks


def _gain_curve(excess_db: Float64) -> Float64:
    """Smooth gain reduction in dB, nowhere below the excess: rises ahead of a peak, falls exponentially after it."""
    samples = np.arange(len(excess_db))
    release = RELEASE_S * SAMPLE_RATE_HZ
    with np.errstate(divide="ignore"):
        # The exponential decay from every earlier peak, as a running maximum in the log domain.
        held = np.exp(np.maximum.accumulate(np.log(excess_db) + samples / release) - samples / release)
    reach = round(LOOKAHEAD_S * SAMPLE_RATE_HZ)
    window = np.hanning(2 * reach + 3)[1:-1]
    # Widened by the window's reach first, so that averaging cannot dip below the peak itself.
    widened = maximum_filter1d(held, 2 * reach + 1, mode="nearest")
    return convolve1d(widened, window / window.sum(), mode="nearest")
