"""Imperfect and dropped conditions: what is promised of them holds, and the generator alone decides."""

from __future__ import annotations

import numpy as np

from eeg2music.diffusion.transformer import StemState
from eeg2music.seeding import numpy_rng
from eeg2music.training.condition_noise import (
    DropoutConfig,
    NoiseConfig,
    draw_kept,
    draw_stem_state,
    noisy_curves,
    noisy_embeddings,
)

OFF = NoiseConfig(share=1.0, embedding=0.0, curve=0.0, curve_gain=0.0, curve_blur_s=0.0)


def unit(count: int) -> np.ndarray:
    vectors = numpy_rng(0).standard_normal((count, 128)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def test_strength_zero_changes_nothing() -> None:
    vectors, curves = unit(4), numpy_rng(1).random((4, 3, 160), dtype=np.float32)
    np.testing.assert_allclose(noisy_embeddings(vectors, OFF, numpy_rng(2)), vectors, atol=1e-6)
    np.testing.assert_allclose(noisy_curves(curves, OFF, numpy_rng(2)), curves, atol=1e-6)


def test_embeddings_are_turned_by_up_to_what_is_asked() -> None:
    vectors = unit(2000)
    turned = noisy_embeddings(vectors, NoiseConfig(embedding=1.0), numpy_rng(0))
    np.testing.assert_allclose(np.linalg.norm(turned, axis=-1), 1.0, rtol=1e-5)
    cosine = (vectors * turned).sum(-1)
    assert cosine.max() > 0.999
    assert 0.6 < cosine.min() < 0.75  # 1 / sqrt(2), give or take


def test_curves_keep_their_course() -> None:
    curves = np.abs(numpy_rng(0).standard_normal((4, 3, 160))).astype(np.float32) * 0.3
    noisy = np.stack([noisy_curves(curves, NoiseConfig(), numpy_rng(1, draw)) for draw in range(50)])
    assert noisy.min() >= 0.0
    correlations = [np.corrcoef(curves.ravel(), one.ravel())[0, 1] for one in noisy]
    assert 0.3 < min(correlations) < 0.9
    assert max(correlations) > 0.9


def test_how_often_conditions_are_dropped() -> None:
    config = DropoutConfig(everything=0.1, embeddings=0.1, curves=0.2, whole=0.3, stem_embedding=0.25, stem_curves=0.0)
    draws = [draw_kept(config, numpy_rng(0, draw)) for draw in range(4000)]
    rate = {name: np.mean([draw[name] for draw in draws]) for name in draws[0]}
    assert abs(rate["keep_global"] - 0.9 * 0.9 * 0.7) < 0.03
    assert abs(rate["keep_stem"] - 0.9 * 0.9 * 0.75) < 0.03
    assert abs(rate["keep_curves"] - 0.9 * 0.8) < 0.03
    everything = [not any(mask.any() for mask in draw.values()) for draw in draws]
    assert np.mean(everything) > 0.09


def test_something_is_always_generated() -> None:
    config = DropoutConfig(context=1.0)
    states = np.stack([draw_stem_state(config, numpy_rng(0, draw)) for draw in range(1000)])
    assert np.all((states == StemState.GENERATE).any(1))
    assert set(np.unique(states)) == {0, 1, 2}
    alone = (states == StemState.ABSENT).sum(1) == 3
    assert alone.any(), "a stem is generated alone now and then"
    assert not draw_stem_state(DropoutConfig(context=0.0), numpy_rng(0)).any()
