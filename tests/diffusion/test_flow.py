"""The path, the velocity and the loss, against what they are on paper."""

from __future__ import annotations

import pytest
import torch

from eeg2music.diffusion.flow import flow_loss, interpolate, logit_normal, shift_time, to_velocity


@pytest.fixture
def pair() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    clean, noise = torch.randn(2, 3, 4, 5, 6, generator=generator)
    return clean, noise


def test_the_path_runs_from_noise_to_data(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    clean, noise = pair
    path = interpolate(clean, noise, torch.tensor([0.0, 0.25, 1.0]))
    torch.testing.assert_close(path[0], noise[0])
    torch.testing.assert_close(path[1], 0.75 * noise[1] + 0.25 * clean[1])
    torch.testing.assert_close(path[2], clean[2])


def test_the_velocity_is_the_derivative_of_the_path(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    clean, noise = (part.double() for part in pair)
    time, step = torch.tensor([0.1, 0.5, 0.8], dtype=torch.float64), 1e-6
    slope = (interpolate(clean, noise, time + step) - interpolate(clean, noise, time)) / step
    noisy = interpolate(clean, noise, time)
    torch.testing.assert_close(to_velocity(clean, noisy, time, "clean"), slope, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(to_velocity(clean - noise, noisy, time, "velocity"), slope, rtol=1e-6, atol=1e-6)


def test_both_predictions_of_the_same_thing_have_the_same_loss(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    clean, noise = pair
    time = torch.tensor([0.1, 0.5, 0.8])
    noisy = interpolate(clean, noise, time)
    guess = clean + 0.3 * noise.flip(0)
    counted = torch.ones(3, 4, dtype=torch.bool)
    as_clean = flow_loss(guess, clean, noise, time, kind="clean", counted=counted)
    velocity = to_velocity(guess, noisy, time, "clean")
    as_velocity = flow_loss(velocity, clean, noise, time, kind="velocity", counted=counted)
    torch.testing.assert_close(as_clean, as_velocity, rtol=1e-4, atol=1e-5)


def test_only_generated_stems_count(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    clean, noise = pair
    time = torch.full((3,), 0.5)
    counted = torch.tensor([[True, False, True, False]] * 3)
    wrong = clean.clone()
    wrong[:, 1] += 100.0
    loss = flow_loss(wrong, clean, noise, time, kind="clean", counted=counted)
    assert loss.sum() == 0.0
    everything = flow_loss(wrong, clean, noise, time, kind="clean", counted=torch.ones(3, 4, dtype=torch.bool))
    torch.testing.assert_close(everything[1], torch.tensor(100.0**2 / 0.25 / 4))


def test_shares_of_a_batch_that_divide_alike_have_its_loss(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    clean, noise = pair
    time, wrong = torch.tensor([0.2, 0.4, 0.6]), clean + noise
    counted = torch.tensor([[True, False, False, False], [True, True, True, True], [True, True, False, True]])

    def loss(part: slice, pairs: torch.Tensor | None = None) -> torch.Tensor:
        tensors = (tensor[part] for tensor in (wrong, clean, noise, time))
        return flow_loss(*tensors, kind="clean", counted=counted[part], pairs=pairs)

    whole, mean = loss(slice(3)), counted.sum() / 3
    shares = torch.stack([loss(slice(k, k + 1), mean) for k in range(3)])
    torch.testing.assert_close(shares.mean(0), whole)
    assert not torch.allclose(torch.stack([loss(slice(k, k + 1)) for k in range(3)]).mean(0), whole)


def test_channels_are_weighed(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    clean, noise = pair
    wrong = clean.clone()
    wrong[:, :, 0] += 2.0
    weight = torch.zeros(clean.shape[2])
    weight[0] = clean.shape[2]
    time, counted = torch.zeros(3), torch.ones(3, 4, dtype=torch.bool)
    loss = [
        flow_loss(wrong, clean, noise, time, kind=kind, counted=counted, channel_weight=weight).sum()
        for kind in ("clean", "velocity")
    ]
    torch.testing.assert_close(loss[0], torch.tensor(4.0))
    torch.testing.assert_close(loss[1], (noise[:, :, 0] + 2.0).square().mean(-1).mean())


def test_late_times_are_bounded(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    clean, noise = pair
    counted = torch.ones(3, 4, dtype=torch.bool)
    loss = flow_loss(clean + 0.05, clean, noise, torch.full((3,), 0.9999), kind="clean", counted=counted)
    torch.testing.assert_close(loss.sum(), torch.tensor(1.0), rtol=1e-3, atol=0)


def test_times() -> None:
    normal = torch.randn(100_000, generator=torch.Generator().manual_seed(1))
    times = logit_normal(normal, -0.4, 1.0)
    assert torch.all((times > 0) & (times < 1))
    torch.testing.assert_close(times.median(), torch.sigmoid(torch.tensor(-0.4)), atol=5e-3, rtol=0)
    t = torch.tensor([0.2, 0.5, 0.9], dtype=torch.float64)
    # The noise-to-signal ratio (1 - t) / t grows by exactly the shift.
    shifted = shift_time(t, 3.0)
    torch.testing.assert_close((1 - shifted) / shifted, 3.0 * (1 - t) / t)
