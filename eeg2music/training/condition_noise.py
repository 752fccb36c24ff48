"""Makes conditions that were read off audio as imperfect as those that are decoded from a brain, and drops some.

Numpy only, and only with the generator it is given: what happens to a sample depends on the sample.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from eeg2music.config import Config
from eeg2music.diffusion.transformer import StemState
from eeg2music.types import CURVE_RATE_HZ, STEMS, FloatArray


class DropoutConfig(Config):
    """How often what is dropped. Probabilities per sample, but for `stem_*`, which are per stem.

    Attributes
    ----------
    everything : all conditions of all stems (the model without a brain)
    embeddings, curves : one kind, for all stems (what guidance contrasts)
    whole : the embedding of the mix alone
    stem_embedding, stem_curves : one kind of one stem
    context : some stems are given clean or absent
    """

    everything: float = Field(default=0.08, ge=0, le=1)
    embeddings: float = Field(default=0.08, ge=0, le=1)
    curves: float = Field(default=0.06, ge=0, le=1)
    whole: float = Field(default=0.05, ge=0, le=1)
    stem_embedding: float = Field(default=0.05, ge=0, le=1)
    stem_curves: float = Field(default=0.05, ge=0, le=1)
    context: float = Field(default=0.15, ge=0, le=1)


class NoiseConfig(Config):
    """How imperfect the conditions of a noisy sample are. Each strength is drawn from 0 up to what is given here.

    Attributes
    ----------
    share : share of samples whose conditions get noise at all
    embedding : length of the noise added to a unit embedding before it is normalised again (1: cosine about 0.7)
    curve : standard deviation of the noise on curves, which lie about in [0, 1]
    curve_gain : standard deviation of the logarithm of a factor on each curve
    curve_blur_s : standard deviation of the smoothing in time
    """

    share: float = Field(default=0.5, ge=0, le=1)
    embedding: float = Field(default=1.0, ge=0)
    curve: float = Field(default=0.15, ge=0)
    curve_gain: float = Field(default=0.25, ge=0)
    curve_blur_s: float = Field(default=0.06, ge=0)


def noisy_embeddings(embeddings: FloatArray, config: NoiseConfig, rng: np.random.Generator) -> FloatArray:
    """Turn unit vectors (…, embedding) by a random angle; the result has unit norm."""
    strength = config.embedding * rng.random((*embeddings.shape[:-1], 1), dtype=np.float32)
    noise = rng.standard_normal(embeddings.shape, dtype=np.float32) / np.sqrt(np.float32(embeddings.shape[-1]))
    turned = embeddings + strength * noise
    unit: FloatArray = turned / np.linalg.norm(turned, axis=-1, keepdims=True).clip(1e-6)
    return unit


def noisy_curves(curves: FloatArray, config: NoiseConfig, rng: np.random.Generator) -> FloatArray:
    """Blur, rescale and add noise to (stem, curve, curve_frame). One strength per stem; nothing falls below zero."""
    strength = rng.random((curves.shape[0], 1, 1), dtype=np.float32)
    gain = np.exp(config.curve_gain * strength * rng.standard_normal((*curves.shape[:2], 1), dtype=np.float32))
    noise = rng.standard_normal(curves.shape, dtype=np.float32)
    # Errors of decoded curves are smooth: part of the noise has the spectrum of a short average.
    noise = np.where(rng.random((curves.shape[0], 1, 1)) < 0.5, noise, _blur(noise, 1.5) * 2.3).astype(np.float32)
    widths = config.curve_blur_s * CURVE_RATE_HZ * strength.ravel()
    blurred = np.stack([_blur(stem, float(width)) for stem, width in zip(curves, widths, strict=True)])
    result: FloatArray = np.maximum(blurred * gain + config.curve * strength * noise, 0.0)
    return result


def draw_kept(config: DropoutConfig, rng: np.random.Generator) -> dict[str, NDArray[np.bool_]]:
    """Masks of what is kept: `keep_global` (), `keep_stem` and `keep_curves` (stem,)."""
    count = len(STEMS)
    whole, embeddings, curves, everything = (
        rng.random() >= share for share in (config.whole, config.embeddings, config.curves, config.everything)
    )
    keep_embeddings, keep_curves = embeddings and everything, curves and everything
    return {
        "keep_global": np.asarray(whole and keep_embeddings),
        "keep_stem": (rng.random(count) >= config.stem_embedding) & keep_embeddings,
        "keep_curves": (rng.random(count) >= config.stem_curves) & keep_curves,
    }


def draw_stem_state(config: DropoutConfig, rng: np.random.Generator) -> NDArray[np.int64]:
    """(stem,) of StemState, at least one of them GENERATE."""
    count = len(STEMS)
    state = np.full(count, int(StemState.GENERATE), dtype=np.int64)
    if rng.random() >= config.context:
        return state
    drawn = rng.choice([StemState.GENERATE, StemState.GIVEN, StemState.ABSENT], size=count, p=[0.4, 0.35, 0.25])
    state[:] = drawn.astype(np.int64)
    state[rng.integers(count)] = int(StemState.GENERATE)
    return state


def _blur(values: FloatArray, std_frames: float) -> FloatArray:
    """Gaussian smoothing along the last axis, edges held."""
    if std_frames < 0.2:
        return values
    reach = int(np.ceil(3 * std_frames))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / std_frames) ** 2)
    padded = np.pad(values, [(0, 0)] * (values.ndim - 1) + [(reach, reach)], mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1, axis=-1)
    smooth: FloatArray = (windows @ (kernel / kernel.sum()).astype(np.float32)).astype(np.float32)
    return smooth
