"""Losses against independent references and at their analytic points."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from eeg2music.encoders.losses import (
    curve_correlation_loss,
    curve_value_loss,
    delayed,
    direction_loss,
    info_nce,
    pearson,
)
from eeg2music.training.encoder import EncoderTrainee


def unit(rows: int, seed: int) -> Tensor:
    return F.normalize(torch.randn(rows, 16, generator=torch.Generator().manual_seed(seed)), dim=-1)


def test_distinct_windows_give_plain_symmetric_cross_entropy() -> None:
    predicted, target, ids = unit(8, 0), unit(8, 1), torch.arange(8)
    logits = predicted @ target.T * 5.0
    expected = 0.5 * (F.cross_entropy(logits, ids) + F.cross_entropy(logits.T, ids))
    torch.testing.assert_close(info_nce(predicted, target, torch.tensor(math.log(5.0)), ids, ids), expected)


def test_a_constant_prediction_scores_log_n() -> None:
    target = unit(8, 1)
    loss = info_nce(torch.zeros(8, 16), target, torch.tensor(2.0), torch.arange(8), torch.arange(8))
    assert float(loss) == pytest.approx(math.log(8))


def test_the_same_window_twice_is_a_positive() -> None:
    """Two listeners of one window: a perfect decoder is not punished for not telling them apart."""
    target = unit(4, 1)
    target[1] = target[0]
    ids = torch.tensor([0, 0, 1, 2])
    perfect = info_nce(target, target, torch.tensor(math.log(100.0)), ids, ids)
    assert float(perfect) == pytest.approx(math.log(2) / 2, abs=1e-3)
    naive = info_nce(target, target, torch.tensor(math.log(100.0)), torch.arange(4), ids)
    assert float(naive) < float(perfect)  # as neutral, they are not compared at all


def test_windows_of_one_song_are_no_negatives() -> None:
    predicted, target, ids = unit(6, 0), unit(6, 1), torch.arange(6)
    songs = torch.tensor([0, 0, 1, 2, 3, 4])
    predicted.requires_grad_()
    info_nce(predicted, target, torch.tensor(1.0), ids, songs).backward()
    changed = target.clone()
    changed[1] = -target[1]
    again = predicted.detach().clone().requires_grad_()
    info_nce(again, changed, torch.tensor(1.0), ids, songs).backward()
    # The first window's gradient does not know the second's target.
    torch.testing.assert_close(predicted.grad[0], again.grad[0])  # type: ignore[index]
    assert (predicted.grad[2] - again.grad[2]).abs().max() > 1e-5  # type: ignore[index]


def test_equal_sounding_targets_are_no_negatives() -> None:
    target = unit(5, 1)
    target[3] = target[4]  # both stems silent
    loss = info_nce(target, target, torch.tensor(math.log(100.0)), torch.arange(5), torch.arange(5))
    assert float(loss) < 1e-2


def test_temperature_gets_a_gradient_and_is_bounded() -> None:
    scale = torch.tensor(1.0, requires_grad=True)
    info_nce(unit(8, 0), unit(8, 1), scale, torch.arange(8), torch.arange(8)).backward()
    assert scale.grad is not None and float(scale.grad.abs()) > 0
    far, limit = (
        info_nce(unit(8, 0), unit(8, 1), torch.tensor(value), torch.arange(8), torch.arange(8))
        for value in (50.0, math.log(100.0))
    )
    torch.testing.assert_close(far, limit)


def test_pearson_equals_numpy_and_is_safe_for_constants() -> None:
    rng = np.random.default_rng(0)
    left, right = rng.normal(size=(5, 40)), rng.normal(size=(5, 40))
    expected = [np.corrcoef(a, b)[0, 1] for a, b in zip(left, right, strict=True)]
    found = pearson(torch.tensor(left), torch.tensor(right))
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-4)
    flat = torch.zeros(2, 40, requires_grad=True)
    value = pearson(flat, torch.stack([torch.zeros(40), torch.randn(40)]))
    value.sum().backward()
    assert float(value.detach().abs().max()) == 0.0
    assert bool(torch.isfinite(flat.grad).all())  # type: ignore[arg-type]


def test_curve_losses_vanish_for_the_truth_and_ignore_what_does_not_move() -> None:
    target = torch.rand(2, 4, 3, 50)
    target[0, 0] = 0.3  # a silent stem
    assert float(curve_correlation_loss(target, target)) < 1e-4
    assert float(curve_value_loss(target, target)) == 0.0
    other = target.clone()
    other[0, 0] += torch.rand(3, 50)
    assert float(curve_correlation_loss(other, target)) < 1e-4
    assert float(curve_value_loss(other, target)) > 0.0
    # Half a batch each gives the mean: gradients of two processes average to those of one.
    halves = [curve_correlation_loss(target[k : k + 1].flip(-1), target[k : k + 1]) for k in range(2)]
    torch.testing.assert_close(torch.stack(halves).mean(), curve_correlation_loss(target.flip(-1), target))


def test_direction_loss() -> None:
    target, every = unit(6, 0), torch.ones(6, dtype=torch.bool)
    assert float(direction_loss(target, target, every)) == pytest.approx(0.0, abs=1e-6)
    assert float(direction_loss(-target, target, every)) == pytest.approx(2.0)
    half = target.clone()
    half[:3] *= -1
    assert float(direction_loss(half, target, every)) == pytest.approx(1.0)
    assert float(direction_loss(half, target, torch.arange(6) >= 3)) == pytest.approx(0.0, abs=1e-6)
    assert float(direction_loss(half, target, ~every)) == 0.0


def test_delayed_is_interpolation_in_time() -> None:
    frames = torch.arange(60.0)
    curves = torch.sin(frames / 6).expand(4, 2, 3, -1)
    delay = torch.tensor([0.0, 0.3, -1.7, 2.5])
    expected = torch.sin((frames[4:-4] + delay[:, None]) / 6)[:, None, None]
    found = delayed(curves, delay, 4)
    torch.testing.assert_close(found, expected.expand_as(found), atol=3e-4, rtol=0)
    whole = delayed(curves, torch.tensor([0.0, 1.0, -2.0, 2.0]), 4)
    assert torch.equal(whole[3], curves[3, ..., 6:-2]) and torch.equal(whole[2], curves[2, ..., 2:-6])


def test_the_delays_of_listeners_are_found_and_centred() -> None:
    noise = torch.rand(64, 12, 110, generator=torch.Generator().manual_seed(0))
    curves = F.avg_pool1d(F.avg_pool1d(noise, 5, 1), 3, 1).unflatten(1, (4, 3))
    listener = torch.arange(64) % 4
    truth = torch.tensor([-0.9, -0.3, 0.4, 0.8])
    # Who answers late has at frame t + delay what was heard at t.
    answered = delayed(curves, -truth[listener], 4)
    trainee = EncoderTrainee(nn.Identity(), listeners=4)  # type: ignore[arg-type]
    optimizer = torch.optim.Adam([trainee.delay], lr=0.02)
    for _ in range(200):
        optimizer.zero_grad()
        made = delayed(answered, trainee.delays()[listener], 4)
        curve_correlation_loss(made, curves[..., 8:-8]).backward()
        optimizer.step()
    torch.testing.assert_close(trainee.delays().detach(), truth, atol=0.07, rtol=0)
    assert abs(float(trainee.delays().detach().mean())) < 0.05
