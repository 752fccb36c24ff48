"""The protocols' linear decoder: lagged channels to curves, summaries of these to an embedding of the music.

In numpy, without torch. It shows what a protocol does, not how good any model is. Knows nothing of songs or folds:
whoever calls decides which windows train.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eeg2music.encoders.linear import lagged, ridge_predict, ridge_weights
from eeg2music.evaluation.protocols.sketch import ONSETS, Onsets, summarize
from eeg2music.types import FloatArray

LAGS = 13
CURVE_PENALTY = 0.1
EMBEDDING_PENALTY = 0.5
LEAST_POWER = 1e-12
Float64 = NDArray[np.float64]


class Sums(NamedTuple):
    """What a window adds to the regression on curves: x'x, x'y, sums of x and of y, frames."""

    gram: FloatArray
    cross: FloatArray
    x: FloatArray
    y: FloatArray
    frames: int


@dataclass(frozen=True)
class Decoder:
    """Fitted on training windows.

    Attributes
    ----------
    weights, centre : (channel * lag, curve) and (curve,)
    summaries, target : (window, summary) and (window, dim) of the training windows
    onsets : which of the curves are onsets
    """

    weights: Float64
    centre: Float64
    summaries: Float64
    target: Float64
    onsets: Onsets = ONSETS

    @classmethod
    def fit(cls, eeg: Sequence[FloatArray], sums: Iterable[Sums], target: Float64, onsets: Onsets = ONSETS) -> Decoder:
        """From training windows (channel, frame), what they add to the regression, and their embeddings."""
        weights, centre = fit_curves(sums)
        return cls(weights, centre, summaries_of(eeg, weights, centre, onsets), target, onsets)

    def read(self, eeg: Sequence[FloatArray]) -> Float64:
        """(window, dim) embeddings of windows (channel, frame) of one length."""
        found = summaries_of(eeg, self.weights, self.centre, self.onsets)
        return ridge_predict(self.summaries, self.target, found, penalty=EMBEDDING_PENALTY)

    def read_as(self, target: Float64, eeg: Sequence[FloatArray]) -> Float64:
        """(window, dim) of another target, (training window, dim), spread about its mean as widely as it is.

        Least squares draws to the mean, and a generator was conditioned on music, not on means.
        """
        found = summaries_of(eeg, self.weights, self.centre, self.onsets)
        both = ridge_predict(self.summaries, target, np.concatenate([self.summaries, found]), penalty=EMBEDDING_PENALTY)
        mean = target.mean(axis=0)
        spread = np.sqrt(np.square(both[: len(target)] - mean).mean())
        widened = (both[len(target) :] - mean) * np.sqrt(np.square(target - mean).mean()) / max(spread, 1e-12)
        return np.asarray(mean + widened)

    def untrained(self, rng: np.random.Generator) -> Untrained:
        """The same decoder with nothing learned."""
        spread = np.maximum(self.summaries.std(axis=0), 1e-12)
        second = rng.standard_normal((self.summaries.shape[1], self.target.shape[1]))
        return Untrained(
            rng.standard_normal(self.weights.shape) * self.weights.std(),
            self.centre,
            self.summaries.mean(axis=0),
            second * (self.target.std(axis=0) / np.sqrt(len(second))) / spread[:, None],
            self.target.mean(axis=0),
            self.onsets,
        )


@dataclass(frozen=True)
class Untrained:
    """A decoder whose weights were drawn at random; offsets are those of the training windows."""

    weights: Float64
    centre: Float64
    middle: Float64
    second: Float64
    mean: Float64
    onsets: Onsets = ONSETS

    def read(self, eeg: Sequence[FloatArray]) -> Float64:
        """(window, dim) embeddings."""
        return self.mean + (summaries_of(eeg, self.weights, self.centre, self.onsets) - self.middle) @ self.second


def summaries_of(eeg: Sequence[FloatArray], weights: Float64, centre: Float64, onsets: Onsets = ONSETS) -> Float64:
    """(window, summary): of the decoded curves, and the channels' log power."""
    # A channel that was muted has none.
    power = np.stack([np.log(np.square(one, dtype=np.float64).mean(axis=-1).clip(LEAST_POWER)) for one in eeg])
    return np.concatenate([summarize(read_curves(eeg, weights, centre), onsets), power], axis=1)


def read_curves(eeg: Sequence[FloatArray], weights: Float64, centre: Float64) -> Float64:
    """(window, curve, frame) decoded curves."""
    return np.stack([(_predictors(one) @ weights + centre).T for one in eeg])


def sums_of(eeg: FloatArray, curves: FloatArray) -> Sums:
    """Of one window: channels (channel, frame), curves (curve, frame)."""
    x = _predictors(eeg)
    return Sums(x.T @ x, x.T @ curves.T, x.sum(axis=0), curves.sum(axis=1), len(x))


def fit_curves(sums: Iterable[Sums]) -> tuple[Float64, Float64]:
    """Weights (channel * lag, curve) and the curves' mean."""
    rest = iter(sums)
    first = next(rest)
    gram, cross, x, y = (part.astype(np.float64) for part in first[:4])
    frames = first.frames
    for own in rest:
        gram += own.gram
        cross += own.cross
        x += own.x
        y += own.y
        frames += own.frames
    # Band-passed signals have no mean, so that only the curves need centring.
    return ridge_weights(gram, cross - np.outer(x, y / frames), CURVE_PENALTY), y / frames


def _predictors(eeg: FloatArray) -> FloatArray:
    """(channel, frame) -> (frame, channel * lag): every other frame of the 0.4 s that follow."""
    columns = lagged(eeg.astype(np.float64), LAGS)[..., ::2].swapaxes(0, 1)
    return np.asarray(columns.reshape(len(columns), -1), dtype=np.float32)
