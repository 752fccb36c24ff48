"""The solvers on a Gaussian, where the best velocity and the end of every path are known in closed form."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from eeg2music.diffusion.samplers import SAMPLERS, get_sampler, schedule
from eeg2music.errors import ConfigError

MEAN = torch.tensor([1.5, -0.5], dtype=torch.float64)
COVARIANCE = torch.tensor([[0.8, 0.5], [0.5, 0.6]], dtype=torch.float64)


def gaussian_velocity(x: torch.Tensor, time: float) -> torch.Tensor:
    """E[clean - noise | x] for clean ~ N(MEAN, COVARIANCE), noise ~ N(0, I): linear in x."""
    identity = torch.eye(2, dtype=torch.float64)
    of_x = time**2 * COVARIANCE + (1 - time) ** 2 * identity
    with_velocity = time * COVARIANCE - (1 - time) * identity
    return MEAN + (x - time * MEAN) @ torch.linalg.solve(of_x, with_velocity)


def exact_end(noise: torch.Tensor) -> torch.Tensor:
    """Along each principal axis the flow scales by the deviation (it transports quantiles)."""
    values, vectors = torch.linalg.eigh(COVARIANCE)
    return MEAN + noise @ vectors @ torch.diag(values.sqrt()) @ vectors.T


@pytest.fixture(scope="module")
def noise() -> torch.Tensor:
    return torch.randn(20_000, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("name", SAMPLERS)
def test_mean_and_covariance_of_a_gaussian(name: str, noise: torch.Tensor) -> None:
    out = SAMPLERS[name](gaussian_velocity, noise, schedule(60))
    torch.testing.assert_close(out.mean(0), MEAN, atol=0.02, rtol=0)
    torch.testing.assert_close(torch.cov(out.T), COVARIANCE, atol=0.04, rtol=0)


@pytest.mark.parametrize(("name", "order"), [("euler", 1), ("heun", 2), ("multistep", 2)])
def test_order_of_convergence(name: str, order: int, noise: torch.Tensor) -> None:
    def error(steps: int) -> float:
        out = SAMPLERS[name](gaussian_velocity, noise[:500], schedule(steps))
        return float((out - exact_end(noise[:500])).square().mean().sqrt())

    observed = math.log2(error(40) / error(80))
    assert observed > order - 0.35, f"{name}: error {error(40):.2e} -> {error(80):.2e}"


def test_multistep_beats_euler_at_the_same_number_of_evaluations(noise: torch.Tensor) -> None:
    exact = exact_end(noise)
    errors = {
        name: float((SAMPLERS[name](gaussian_velocity, noise, schedule(10)) - exact).square().mean())
        for name in ("euler", "multistep")
    }
    assert errors["multistep"] < 0.25 * errors["euler"]


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("shift", [1.0, 3.0])
def test_a_point_is_reached_exactly_in_any_number_of_steps(name: str, shift: float) -> None:
    """All data in one place: the clean prediction is constant and every solver lands on it."""
    point, start = torch.tensor([3.0, -2.0]), torch.tensor([[0.3, 9.0]])
    for steps in (1, 2, 7):
        out = SAMPLERS[name](lambda x, t: (point - x) / (1 - t), start, schedule(steps, shift))
        torch.testing.assert_close(out[0], point)


@pytest.mark.parametrize(("name", "evaluations"), [("euler", 6), ("heun", 11), ("multistep", 6)])
def test_evaluations_and_times(name: str, evaluations: int) -> None:
    seen: list[float] = []

    def velocity(x: torch.Tensor, time: float) -> torch.Tensor:
        seen.append(time)
        return torch.zeros_like(x)

    SAMPLERS[name](velocity, torch.zeros(1), schedule(6))
    assert len(seen) == evaluations
    assert seen[0] == 0.0
    assert max(seen) < 1.0


def test_schedule() -> None:
    times = schedule(8, shift=2.0)
    assert times[0] == 0.0 and times[-1] == 1.0 and len(times) == 9
    steps = [then - now for now, then in itertools.pairwise(times)]
    assert steps == sorted(steps), "a shift above 1 takes the small steps first"


def test_what_is_refused() -> None:
    with pytest.raises(ConfigError, match="steps = 0"):
        schedule(0)
    with pytest.raises(ConfigError, match="shift"):
        schedule(3, shift=0.0)
    with pytest.raises(ConfigError, match="euler, heun, multistep"):
        get_sampler("rk45")
    with pytest.raises(ConfigError, match="increasing"):
        SAMPLERS["euler"](lambda x, t: x, torch.zeros(1), [0.0, 0.5, 0.5])
