"""Do the stems of one clip belong together, and how loud is what they make?

Coherence, key and beat agreement, masking, loudness and true peak. Takes arrays and estimates, never a mixer's own
figures: whoever mixes is not the one who measures. Changes no audio.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy import signal

from eeg2music.errors import InputError
from eeg2music.metrics.audio import MEL_BANDS, MEL_FFT, MEL_HOP, magnitude, mel_matrix
from eeg2music.metrics.checks import Float64, finite
from eeg2music.metrics.harmony import Key, key_score
from eeg2music.metrics.rhythm import beat_f_measure
from eeg2music.types import CURVE_RATE_HZ, SAMPLE_RATE_HZ

SEGMENT_S = 1.0
# From one bar in four seconds to sixteenths at 120 a minute.
BAND_HZ = (0.5, 8.0)
# Cells this far below the stem's loudest one are taken as not sounding.
AUDIBLE_DB = 60.0
MASKED_DB = 10.0
BLOCK_S = 0.4
OVERSAMPLING = 4


def stem_coherence(
    curves: ArrayLike,
    *,
    rate_hz: float = CURVE_RATE_HZ,
    segment_s: float = SEGMENT_S,
    band_hz: tuple[float, float] = BAND_HZ,
) -> Float64:
    """Magnitude-squared coherence between the stems' envelopes or onset curves, mean over a band (Welch).

    Segments of `segment_s` overlap by half, Hann. The estimate of unrelated curves is not 0 but about 1 / segments
    (Carter 1987; a little more, since segments overlap), so that short clips all look coherent: see
    `coherence_floor`, and compare with stems of another song.

    Parameters
    ----------
    curves : (..., stem, frame), two stems or more, four segments or more

    Returns
    -------
    (..., stem, stem) in [0, 1], symmetric, 1 on the diagonal; 0 with a stem that never changes.

    >>> curve = np.random.default_rng(0).normal(size=(1, 320))
    >>> stem_coherence(np.concatenate([curve, -2 * curve])).round(6)
    array([[1., 1.],
           [1., 1.]])
    """
    values = finite("curves", curves)
    size = round(segment_s * rate_hz)
    if values.ndim < 2 or values.shape[-2] < 2:
        raise InputError(f"curves has shape {values.shape}", allowed="(..., stem, frame) with two stems or more")
    if size < 4 or values.shape[-1] < 2.5 * size:
        raise InputError(
            f"{values.shape[-1]} frames for segments of {size}", allowed="four segments that overlap by half, or more"
        )
    count = values.shape[-2]
    hz, spectra = signal.csd(
        values[..., :, None, :], values[..., None, :, :], fs=rate_hz, nperseg=size, noverlap=size // 2, axis=-1
    )
    own = np.real(spectra[..., np.arange(count), np.arange(count), :])
    chosen = (hz >= band_hz[0]) & (hz <= band_hz[1])
    if not chosen.any():
        raise InputError(f"The band {band_hz} Hz holds no bin", allowed=f"within {hz[0]:g} to {hz[-1]:g} Hz")
    scale = own[..., :, None, :] * own[..., None, :, :]
    power = np.abs(spectra) ** 2
    coherence = np.divide(power, scale, out=np.zeros_like(power), where=scale > 1e-24)
    result = np.clip(coherence[..., chosen].mean(axis=-1), 0.0, 1.0)
    result[..., np.arange(count), np.arange(count)] = 1.0
    return np.asarray(result, dtype=np.float64)


def coherence_floor(frames: int, *, rate_hz: float = CURVE_RATE_HZ, segment_s: float = SEGMENT_S) -> float:
    """Expected coherence of unrelated white curves: 1 / the effective number of segments.

    Half-overlapping Hann segments are correlated by 1/6, so that k of them count as k / (1 + 2 (1/6)² (k - 1) / k)
    (Welch 1967).

    >>> round(coherence_floor(160), 3)
    0.117
    """
    size = round(segment_s * rate_hz)
    count = (frames - size // 2) // (size - size // 2)
    if count < 1:
        raise InputError(f"{frames} frames for segments of {size}", allowed=f"{size} frames or more")
    return (1.0 + 2.0 / 36.0 * (count - 1) / count) / count


def key_agreement_between(keys: Sequence[Key | str]) -> float:
    """Mean key score over all pairs of stems, in both directions (MIREX weights; symmetric so).

    Give the pitched stems only; chance of uniform keys is 2 / 24.

    >>> key_agreement_between(["C major", "G major"])
    0.25
    """
    if len(keys) < 2:
        raise InputError(f"{len(keys)} key", allowed="of two pitched stems or more")
    return float(np.mean([key_score(a, b) for a, b in itertools.permutations(keys, 2)]))


def beat_agreement_between(beats_s: Sequence[ArrayLike]) -> float:
    """Mean beat F-measure (70 ms) over all pairs of stems.

    Parameters
    ----------
    beats_s : for each stem with a pulse (beat,) seconds

    >>> beat_agreement_between([[0.5, 1.0, 1.5], [0.5, 1.0, 1.5]])
    1.0
    """
    if len(beats_s) < 2:
        raise InputError(f"The beats of {len(beats_s)} stem", allowed="of two stems or more")
    return float(np.mean([beat_f_measure(a, b) for a, b in itertools.combinations(beats_s, 2)]))


def masked_share(
    stems: ArrayLike,
    *,
    margin_db: float = MASKED_DB,
    sample_rate_hz: int = SAMPLE_RATE_HZ,
    bands: int = MEL_BANDS,
) -> Float64:
    """Share of a stem's time-frequency cells that lie more than `margin_db` below the sum of the others.

    Cells are mel bands of an STFT (1024 points, hop 256). Only cells within 60 dB of the stem's own loudest count:
    a pause is not masked. This compares levels; it is no model of the ear.

    Parameters
    ----------
    stems : (..., stem, samples), as they stand in the mix, two or more, none silent

    Returns
    -------
    (..., stem) in [0, 1].

    >>> low, high = (np.sin(2 * np.pi * hz * np.arange(4800) / 24000) for hz in (200, 4000))
    >>> masked_share([low, 0.001 * low]).round(2), masked_share([low, high]).max() < 0.5
    (array([0., 1.]), np.True_)
    """
    audio = finite("stems", stems)
    if audio.ndim < 2 or audio.shape[-2] < 2:
        raise InputError(f"stems has shape {audio.shape}", allowed="(..., stem, samples) with two stems or more")
    silent = ~np.any(audio != 0.0, axis=-1)
    if silent.any():
        where = [int(place) for place in np.argwhere(silent)[0]]
        raise InputError(f"The stem at index {where} is silent", allowed="stems that sound", remedy="leave it out")
    others = audio.sum(axis=-2, keepdims=True) - audio
    own, rest = (_mel_power(part, sample_rate_hz, bands) for part in (audio, others))
    audible = own > own.max(axis=(-2, -1), keepdims=True) * 10.0 ** (-AUDIBLE_DB / 10.0)
    hidden = audible & (own < rest * 10.0 ** (-margin_db / 10.0))
    return np.asarray(hidden.sum(axis=(-2, -1)) / audible.sum(axis=(-2, -1)), dtype=np.float64)


def loudness_lufs(audio: ArrayLike, *, sample_rate_hz: int = SAMPLE_RATE_HZ) -> float:
    """Integrated, gated loudness in LUFS (ITU-R BS.1770-4, pyloudnorm); minus infinity where all is below the gate.

    Parameters
    ----------
    audio : (samples,) or (channel, samples), mono or left and right. Shorter than the standard's 0.4 s block it is
        measured as one block.

    >>> tone = np.sin(2 * np.pi * 997 * np.arange(24000) / 24000)
    >>> round(loudness_lufs(tone) - loudness_lufs(0.1 * tone), 6)
    20.0
    """
    import pyloudnorm

    data = _channels(audio).T
    meter = pyloudnorm.Meter(sample_rate_hz, block_size=min(BLOCK_S, len(data) / sample_rate_hz))
    # A silent block is the logarithm of zero: minus infinity is meant.
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(meter.integrated_loudness(data)) if np.any(data) else -np.inf


def true_peak_dbtp(audio: ArrayLike, *, oversampling: int = OVERSAMPLING) -> float:
    """Largest absolute value of the oversampled waveform in dB (ITU-R BS.1770-4, annex 2); minus infinity for silence.

    Parameters
    ----------
    audio : (samples,) or (channel, samples)
    oversampling : 4 reads at most 0.7 dB too low, and only for a tone at half the sampling rate

    >>> quarter = np.sin(np.pi / 4 + np.pi / 2 * np.arange(2400))  # its samples reach 0.707 only
    >>> round(abs(true_peak_dbtp(quarter * np.hanning(2400))), 2)
    0.0
    """
    data = _channels(audio)
    if not oversampling >= 1:
        raise InputError(f"oversampling = {oversampling}", allowed="1 or more; the standard asks for 4")
    # 32 samples on either side: the 12 that the standard gives as an example lose the highest frequencies.
    window = (
        signal.firwin(64 * oversampling + 1, 1.0 / oversampling, window=("kaiser", 5.0)) if oversampling > 1 else None
    )
    fine = data if window is None else signal.resample_poly(data, oversampling, 1, axis=-1, window=window)
    peak = max(float(np.abs(fine).max()), float(np.abs(data).max()))
    return 20.0 * float(np.log10(peak)) if peak > 0.0 else -np.inf


def _mel_power(audio: Float64, sample_rate_hz: int, bands: int) -> Float64:
    """(..., samples) -> (..., frame, band) power."""
    return magnitude(audio, MEL_FFT, MEL_HOP) ** 2 @ mel_matrix(MEL_FFT, sample_rate_hz, bands)


def _channels(audio: ArrayLike) -> Float64:
    data = np.atleast_2d(finite("audio", audio))
    if data.ndim != 2 or data.shape[0] > 2:
        raise InputError(
            f"audio has shape {data.shape}", allowed="(samples,) or (channel, samples), at most 2 channels"
        )
    return data
