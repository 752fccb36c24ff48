"""How near generated or reconstructed sound comes to a reference, sample by sample or frame by frame.

Everything takes (..., samples) or (..., frame) arrays of equal shape and returns one value for
each leading index. Nothing aligns, normalises or repairs the audio, except where a
docstring says so. A silent reference is refused: a ratio to nothing says nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike
from scipy import fft

from eeg2music.audio import mel_filters
from eeg2music.errors import InputError
from eeg2music.metrics.checks import Float64, finite, same_shape
from eeg2music.types import SAMPLE_RATE_HZ

STFT_SIZES = (2048, 1024, 512, 256, 128)
MEL_FFT = 1024
MEL_HOP = 256
MEL_BANDS = 80
AMPLITUDE_FLOOR = 1e-5


class OnsetCorrelation(NamedTuple):
    """Correlation of each pair of curves at the one lag that suits all of them best.

    correlation : (...,) Pearson
    mean : over all pairs
    lag_frames : positive when the generated curves come late
    """

    correlation: Float64
    mean: float
    lag_frames: int


def si_sdr(estimate: ArrayLike, reference: ArrayLike, *, zero_mean: bool = True) -> Float64:
    """Scale-invariant signal-to-distortion ratio in dB (Le Roux et al. 2019).

    Parameters
    ----------
    estimate, reference : (..., samples)
    zero_mean : subtract each signal's mean first

    Returns
    -------
    (...,) dB; infinite for a perfect estimate up to scale, minus infinity for an uncorrelated or silent one.

    >>> float(si_sdr([2.0, -2.0, 0.0, 0.0], [1.0, -1.0, 0.0, 0.0]))
    inf
    """
    ours, ref = _pair("estimate", estimate, "reference", reference)
    if zero_mean:
        ours, ref = ours - ours.mean(-1, keepdims=True), ref - ref.mean(-1, keepdims=True)
    _refuse_silence(ref)
    scale = np.sum(ours * ref, axis=-1, keepdims=True) / np.sum(ref**2, axis=-1, keepdims=True)
    target = np.sum((scale * ref) ** 2, axis=-1)
    noise = np.sum((ours - scale * ref) ** 2, axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = 10.0 * np.log10(target / noise)
    return np.where(target == 0.0, -np.inf, ratio)


def log_mel_distance(
    estimate: ArrayLike, reference: ArrayLike, *, sample_rate_hz: int = SAMPLE_RATE_HZ, bands: int = MEL_BANDS
) -> Float64:
    """Mean absolute difference of log-mel spectra, in dB (HiFi-GAN's mel loss, Kong et al. 2020, in dB).

    Magnitude of an STFT (1024 points, hop 256, Hann), triangles on the HTK mel scale from 0 Hz to Nyquist,
    each a weighted mean over its bins; levels below -100 dB count as -100 dB.

    Parameters
    ----------
    estimate, reference : (..., samples)

    Returns
    -------
    (...,) dB.

    >>> noise = np.random.default_rng(0).normal(size=4800)
    >>> round(float(log_mel_distance(10 * noise, noise)), 3)
    20.0
    """
    ours, ref = _pair("estimate", estimate, "reference", reference)
    levels = [log_mel(audio, sample_rate_hz=sample_rate_hz, bands=bands) for audio in (ours, ref)]
    return np.abs(levels[0] - levels[1]).mean(axis=(-2, -1))


def mel_correlation(
    estimate: ArrayLike,
    reference: ArrayLike,
    *,
    kind: Literal["band", "cell"] = "band",
    sample_rate_hz: int = SAMPLE_RATE_HZ,
    bands: int = MEL_BANDS,
) -> Float64:
    """Pearson correlation of log-mel spectra, those of `log_mel_distance`.

    "band" correlates each mel band over time and takes the mean over the bands that vary in the reference (Pasley
    et al. 2012, who so score spectrograms read from the brain). "cell" correlates all cells of the spectrogram at
    once: then bass louder than treble in both already counts as likeness, and unrelated music lies far above 0.

    Parameters
    ----------
    estimate, reference : (..., samples)

    Returns
    -------
    (...,) in [-1, 1]; a gain changes nothing as long as no level falls below the floor.

    >>> noise = np.random.default_rng(0).normal(size=4800)
    >>> round(float(mel_correlation(10 * noise, noise)), 6)
    1.0
    """
    if kind not in ("band", "cell"):
        raise InputError(f"Unknown kind of mel correlation {kind!r}", allowed="band, cell")
    ours, ref = _pair("estimate", estimate, "reference", reference)
    _refuse_silence(ref)
    left, right = (log_mel(audio, sample_rate_hz=sample_rate_hz, bands=bands) for audio in (ours, ref))
    if kind == "cell":
        return correlation(left.reshape(*left.shape[:-2], -1), right.reshape(*right.shape[:-2], -1))
    by_band = correlation(np.swapaxes(left, -1, -2), np.swapaxes(right, -1, -2))
    varies = np.ptp(right, axis=-2) > 0.0
    return np.asarray(np.where(varies, by_band, 0.0).sum(-1) / np.maximum(varies.sum(-1), 1))


def log_mel(audio: ArrayLike, *, sample_rate_hz: int = SAMPLE_RATE_HZ, bands: int = MEL_BANDS) -> Float64:
    """Log-mel spectrum in dB, nowhere below -100. (..., samples) -> (..., frame, band)."""
    filters = mel_matrix(MEL_FFT, sample_rate_hz, bands)
    values = magnitude(finite("audio", audio), MEL_FFT, MEL_HOP) @ filters
    return 20.0 * np.log10(np.maximum(values, AMPLITUDE_FLOOR))


def multi_scale_stft_distance(
    estimate: ArrayLike, reference: ArrayLike, *, sizes: Sequence[int] = STFT_SIZES
) -> Float64:
    """Spectral convergence plus mean log-magnitude difference, averaged over window sizes.

    Yamamoto et al. 2020 (Parallel WaveGAN); natural logarithm, hop a quarter of the window.

    Parameters
    ----------
    estimate, reference : (..., samples)
    sizes : window lengths in samples

    Returns
    -------
    (...,) dimensionless; 0 for equal signals.
    """
    ours, ref = _pair("estimate", estimate, "reference", reference)
    _refuse_silence(ref)
    total = np.zeros(ref.shape[:-1])
    for size in sizes:
        a, b = magnitude(ours, size, size // 4), magnitude(ref, size, size // 4)
        convergence = np.sqrt(np.sum((b - a) ** 2, axis=(-2, -1)) / np.sum(b**2, axis=(-2, -1)))
        log_gap = np.abs(np.log(np.maximum(a, AMPLITUDE_FLOOR)) - np.log(np.maximum(b, AMPLITUDE_FLOOR)))
        total += convergence + log_gap.mean(axis=(-2, -1))
    return total / len(sizes)


def correlation(x: ArrayLike, y: ArrayLike) -> Float64:
    """Pearson correlation along the last axis; 0 where one of the two is constant.

    Parameters
    ----------
    x, y : (..., frame), at least 2 frames

    >>> round(float(correlation([0.0, 1.0, 2.0], [0.0, 2.0, 4.0])), 6)
    1.0
    """
    left, right = _pair("x", x, "y", y)
    if left.shape[-1] < 2:
        raise InputError("A correlation over one frame", allowed="two frames or more")
    left, right = left - left.mean(-1, keepdims=True), right - right.mean(-1, keepdims=True)
    scale = np.linalg.norm(left, axis=-1) * np.linalg.norm(right, axis=-1)
    product = np.sum(left * right, axis=-1)
    return np.clip(np.divide(product, scale, out=np.zeros_like(product), where=scale > 1e-12), -1.0, 1.0)


def envelope(audio: ArrayLike, *, sample_rate_hz: int = SAMPLE_RATE_HZ, rate_hz: float = 32.0) -> Float64:
    """Root-mean-square of consecutive stretches of 1 / rate_hz, unsmoothed. (..., samples) -> (..., frame)."""
    values = finite("audio", audio)
    hop = round(sample_rate_hz / rate_hz)
    frames = values.shape[-1] // hop
    if frames == 0:
        raise InputError(f"{values.shape[-1]} samples are shorter than one frame", allowed=f"{hop} samples or more")
    pieces = values[..., : frames * hop].reshape(*values.shape[:-1], frames, hop)
    return np.sqrt(np.mean(pieces**2, axis=-1))


def envelope_correlation(
    generated: ArrayLike, heard: ArrayLike, *, sample_rate_hz: int = SAMPLE_RATE_HZ, rate_hz: float = 32.0
) -> Float64:
    """Pearson correlation of the RMS envelopes of two signals. (..., samples) -> (...,)."""
    return correlation(
        envelope(generated, sample_rate_hz=sample_rate_hz, rate_hz=rate_hz),
        envelope(heard, sample_rate_hz=sample_rate_hz, rate_hz=rate_hz),
    )


def onset_correlation(generated: ArrayLike, heard: ArrayLike, max_lag: int = 0) -> OnsetCorrelation:
    """Correlation of onset-strength curves at one lag common to all pairs; no smoothing.

    One lag for the whole set: a lag for each clip would let noise pick its best.

    Parameters
    ----------
    generated, heard : (..., frame), e.g. (clip, stem, frame) at 32 Hz; row by row the same stem
    max_lag : lags from -max_lag to max_lag frames are tried; the ends that don't overlap are cut

    >>> heard = np.array([0.0, 0, 1, 0, 0, 2, 0, 0, 1, 0])
    >>> onset_correlation(np.roll(heard, 1), heard, max_lag=2).lag_frames
    1
    """
    ours, ref = _pair("generated", generated, "heard", heard)
    frames = ref.shape[-1]
    if not 0 <= max_lag <= frames // 2:
        raise InputError(f"max_lag = {max_lag}", allowed=f"0 to half the curve, {frames // 2} frames")
    best: OnsetCorrelation | None = None
    # Small lags first, so that among equals the smallest stands.
    for lag in sorted(range(-max_lag, max_lag + 1), key=abs):
        late, early = max(lag, 0), max(-lag, 0)
        values = correlation(ours[..., late : frames - early], ref[..., early : frames - late])
        if best is None or float(values.mean()) > best.mean:
            best = OnsetCorrelation(values, float(values.mean()), lag)
    if best is None:
        raise InputError("No lag was tried", allowed="max_lag >= 0")
    return best


def magnitude(audio: Float64, size: int, hop: int) -> Float64:
    """STFT magnitude, Hann, zero-padded so that frame f is centred on sample f * hop; a unit sine peaks at 0.5.

    (..., samples) -> (..., frame, size // 2 + 1)
    """
    pad = [(0, 0)] * (audio.ndim - 1) + [(size // 2, size // 2)]
    pieces = sliding_window_view(np.pad(audio, pad), size, axis=-1)[..., ::hop, :]
    window = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(size) / size)
    return np.abs(np.asarray(fft.rfft(pieces * window, axis=-1))) / window.sum()


def mel_matrix(size: int, sample_rate_hz: int, bands: int) -> Float64:
    """(size // 2 + 1, bands) triangles of unit sum on the mel scale from 0 to Nyquist."""
    return mel_filters(size, sample_rate_hz, bands, 0.0, sample_rate_hz / 2.0)


def _pair(name_x: str, x: ArrayLike, name_y: str, y: ArrayLike) -> tuple[Float64, Float64]:
    left, right = finite(name_x, x), finite(name_y, y)
    same_shape(name_x, left, name_y, right)
    return left, right


def _refuse_silence(reference: Float64) -> None:
    silent = ~np.any(reference != 0.0, axis=-1)
    if np.any(silent):
        where = [int(i) for i in np.argwhere(np.atleast_1d(silent))[0]]
        raise InputError(
            f"The reference at index {where} is silent", allowed="sound", remedy="leave silent clips out, and say so"
        )
