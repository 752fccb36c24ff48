"""The simulated twin of a real listening experiment: same pieces, same design, simulated brains.

Noise and stimulus-driven part are made once and added at any ratio, so that a scan over ratios is
cheap. Serves `calibration` and never scores anything itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from eeg2music.recordings.openmiir import RATE_HZ, Array, Piece, band_pass
from eeg2music.seeding import derive_seed
from eeg2music.simulation.features import FEATURE_RATE_HZ
from eeg2music.simulation.listening import Listener, draw_listener, project, record_noise, source_responses
from eeg2music.simulation.responses import kernels, respond
from eeg2music.types import FloatArray

SFREQ_HZ = 128.0
GAP_S = 1.0
SHRINKAGE = 0.05
# The highest quarter of the mel bands stands in for the drums, the lowest for the bass, and so on.
BAND_ORDER = (3, 0, 1, 2)


@dataclass(frozen=True)
class Twin:
    """Simulated electrodes of all listeners, 1-12 Hz at 64 Hz, not yet mixed.

    signal : per piece (subject, channel, frame), scaled to 0 dB; noise : per piece (subject, trial, channel, frame)
    """

    pieces: tuple[Piece, ...]
    signal: tuple[FloatArray, ...]
    noise: tuple[FloatArray, ...]

    def at(self, snr_db: float, *, learned: bool = True) -> list[Piece]:
        """The pieces with the twin's virtual channel at that signal-to-noise ratio in place of the real one.

        The channel is the most reproducible weighting of all electrodes, or the most reproducible single electrode.
        """
        gain = 10.0 ** (snr_db / 20.0)
        electrodes = [n + gain * s[:, None] for s, n in zip(self.signal, self.noise, strict=True)]
        weights = reproducible_component(electrodes) if learned else reproducible_electrode(electrodes)
        return [
            replace(piece, eeg=np.einsum("c,stcf->stf", weights, values))
            for piece, values in zip(self.pieces, electrodes, strict=True)
        ]


def make_twin(pieces: Sequence[Piece], seed: int, *, subjects: int = 3, trials: int = 5) -> Twin:
    """Play the pieces to simulated listeners. Everything derives from `seed`."""
    features = band_features(pieces)
    signals: list[list[FloatArray]] = [[] for _ in pieces]
    noises: list[list[FloatArray]] = [[] for _ in pieces]
    for subject in range(subjects):
        listener = draw_listener(f"twin{derive_seed(seed, 'twin', subject)}")
        heard = [_evoked(one, listener, piece.flux.size) for one, piece in zip(features, pieces, strict=True)]
        rest = _rest(listener, [piece.flux.size for piece in pieces], trials, seed)
        power = np.mean(np.concatenate([one**2 for one in heard], axis=1))
        other = np.mean(np.concatenate([one.reshape(-1) ** 2 for one in rest]))
        for place in range(len(pieces)):
            signals[place].append(heard[place] * np.float32(np.sqrt(other / power)))
            noises[place].append(rest[place])
    return Twin(tuple(pieces), tuple(map(np.stack, signals)), tuple(map(np.stack, noises)))


def band_features(pieces: Sequence[Piece]) -> list[FloatArray]:
    """Features of the pieces as if four frequency ranges were their stems: (stem, feature, frame) at 240 Hz each.

    Envelope and flux of each range; its strongest band stands in for the pitch and its centre of
    gravity for the brightness. Scaled as composed music is: unit deviation of the response on average.
    """
    rows = [np.stack([_range_features(part) for part in np.split(piece.log_mel, 4)]) for piece in pieces]
    rows = [_to_feature_rate(row[list(BAND_ORDER)]) for row in rows]
    taps = kernels("default", FEATURE_RATE_HZ)
    responses = [respond(row, taps).astype(np.float64) for row in rows]
    driven = np.concatenate([band_pass(one, FEATURE_RATE_HZ) for one in responses], axis=-1)
    scale = np.maximum(driven.std(axis=-1, keepdims=True), 1e-9)
    return [np.asarray(row / scale, dtype=np.float32) for row in rows]


def _range_features(log_mel: Array) -> Array:
    """(band, frame) -> (feature, frame): envelope, onset, pitch, brightness."""
    bands = np.arange(len(log_mel)) - (len(log_mel) - 1) / 2.0
    level = log_mel.mean(axis=0)
    flux = np.maximum(np.diff(log_mel, axis=1, prepend=log_mel[:, :1]), 0.0).mean(axis=0)
    sounding = np.clip(level / 0.5, 0.0, 1.0)
    centre = (bands[:, None] * log_mel).sum(axis=0) / np.maximum(log_mel.sum(axis=0), 1e-6)
    return np.stack([level, flux, bands[np.argmax(log_mel, axis=0)] * sounding, centre * sounding])


def _to_feature_rate(rows: Array) -> Array:
    """Straight lines from 64 to 240 Hz along the last axis."""
    frames = rows.shape[-1]
    position = np.minimum(
        np.arange(int(frames * FEATURE_RATE_HZ / RATE_HZ)) * RATE_HZ / FEATURE_RATE_HZ, frames - 1.001
    )
    left = position.astype(np.int64)
    share = position - left
    return np.asarray(rows[..., left] * (1.0 - share) + rows[..., left + 1] * share)


def _evoked(features: FloatArray, listener: Listener, frames: int) -> FloatArray:
    """(channel, frame) stimulus-driven part of one piece, 1-12 Hz at 64 Hz."""
    return _at_rate(project(source_responses(features, listener, SFREQ_HZ), listener))[:, :frames]


def _rest(listener: Listener, frames: Sequence[int], trials: int, seed: int) -> list[FloatArray]:
    """Per piece (trial, channel, frame): one long stretch of noise per trial number, cut at the pieces."""
    gap = round(GAP_S * RATE_HZ)
    total = sum(frames) + gap * (len(frames) + 1)
    stretches = [
        _at_rate(record_noise(listener, 2 * total, SFREQ_HZ, seed, "twin", trial))[:, :total] for trial in range(trials)
    ]
    starts = np.cumsum([gap, *(count + gap for count in frames[:-1])])
    return [
        np.stack([stretch[:, start : start + count] for stretch in stretches])
        for start, count in zip(starts, frames, strict=True)
    ]


def _at_rate(values: FloatArray) -> FloatArray:
    step = round(SFREQ_HZ / RATE_HZ)
    return np.asarray(band_pass(values.astype(np.float64), SFREQ_HZ)[:, ::step], dtype=np.float32)


def reproducible_component(electrodes: Sequence[FloatArray]) -> NDArray[np.float64]:
    """The weighting of channels whose course is most alike whenever a piece is repeated.

    Correlated components (Dmochowski et al. 2012, doi:10.3389/fnhum.2012.00112): the leading
    eigenvector of between-trial over within-trial covariance, pooled over subjects.

    Parameters
    ----------
    electrodes : per piece (subject, trial, channel, frame)

    Returns
    -------
    (channel,) weights
    """
    from scipy.linalg import eigh

    within, total = _covariances(electrodes)
    channels = len(within)
    loaded = (1.0 - SHRINKAGE) * within + SHRINKAGE * np.trace(within) / channels * np.eye(channels)
    _, vectors = eigh(total - within, loaded)
    return np.asarray(vectors[:, -1])


def reproducible_electrode(electrodes: Sequence[FloatArray]) -> NDArray[np.float64]:
    """The same without learning to combine: weight one for the electrode that repeats itself best."""
    within, total = _covariances(electrodes)
    return np.eye(len(within))[np.argmax(np.diag(total) / np.diag(within))]


def _covariances(electrodes: Sequence[FloatArray]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(channel, channel) sums over trials of their covariance, and covariance of the sums over trials."""
    channels = electrodes[0].shape[2]
    within, total = np.zeros((channels, channels)), np.zeros((channels, channels))
    for values in electrodes:
        flat = values.reshape(-1, channels, values.shape[-1]).astype(np.float64)
        flat = flat - flat.mean(axis=-1, keepdims=True)
        within += np.einsum("tcf,tdf->cd", flat, flat, optimize=True)
        summed = flat.sum(axis=0)
        total += summed @ summed.T
    return within, total
