"""Solvers of the flow's differential equation: pure functions of a velocity field, from noise to data.

They know nothing of models, conditions or windows, and draw no random numbers: the same start gives the same end.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from eeg2music.diffusion.flow import shift_time
from eeg2music.errors import ConfigError

Velocity = Callable[[Tensor, float], Tensor]
Sampler = Callable[[Velocity, Tensor, Sequence[float]], Tensor]


def schedule(steps: int, shift: float = 1.0) -> list[float]:
    """Times 0 = t_0 < … < t_steps = 1. A shift above 1 takes smaller steps where the noise is strong.

    >>> schedule(4)
    [0.0, 0.25, 0.5, 0.75, 1.0]
    """
    if steps < 1:
        raise ConfigError(f"steps = {steps}", allowed="1 or more")
    if shift <= 0:
        raise ConfigError(f"shift = {shift}", allowed="above 0")
    times = shift_time(torch.linspace(0, 1, steps + 1, dtype=torch.float64), shift)
    return [float(t) for t in times]


def euler(velocity: Velocity, x: Tensor, times: Sequence[float]) -> Tensor:
    """First order: one evaluation a step. The last step lands on the predicted clean latents.

    Parameters
    ----------
    velocity : (x, time) -> dx / dtime; never evaluated at the last time
    x : the noise, any shape
    times : increasing, of `schedule`
    """
    for now, then in _steps(times):
        x = x + (then - now) * velocity(x, now)
    return x


def heun(velocity: Velocity, x: Tensor, times: Sequence[float]) -> Tensor:
    """Second order: two evaluations a step, one for the last (Karras et al. 2022, algorithm 1)."""
    for now, then in _steps(times):
        slope = velocity(x, now)
        ahead = x + (then - now) * slope
        if then < times[-1]:
            x = x + (then - now) * 0.5 * (slope + velocity(ahead, then))
        else:
            x = ahead
    return x


def multistep(velocity: Velocity, x: Tensor, times: Sequence[float]) -> Tensor:
    """Second order at one evaluation a step, from the predictions of this step and the last.

    The two-step exponential Adams-Bashforth method (Hochbruck & Ostermann 2010, eq. 2.39), as DPM-Solver++(2M)
    (Lu et al. 2022, algorithm 2) is too, but with the predicted clean latents linear in t instead of the log
    signal-to-noise ratio, which is infinite at the start. With u = 1 - t, x(then) = u'/u x + (1 - u'/u) clean +
    slope (u - u' - u' log(u / u')). The first step (no past) and the last (to no noise) are of first order.
    """
    before: tuple[Tensor, float] | None = None
    for now, then in _steps(times):
        noise_now, noise_then = 1 - now, 1 - then
        clean = x + noise_now * velocity(x, now)
        kept = noise_then / noise_now
        x = kept * x + (1 - kept) * clean
        if before is not None and noise_then > 0:
            slope = (clean - before[0]) / (now - before[1])
            x = x + (noise_now - noise_then - noise_then * math.log(noise_now / noise_then)) * slope
        before = (clean, now)
    return x


SAMPLERS: dict[str, Sampler] = {"euler": euler, "heun": heun, "multistep": multistep}


def get_sampler(name: str) -> Sampler:
    """A sampler by name."""
    if name not in SAMPLERS:
        raise ConfigError(f"No sampler named {name!r}", allowed=", ".join(SAMPLERS))
    return SAMPLERS[name]


def _steps(times: Sequence[float]) -> list[tuple[float, float]]:
    pairs = list(itertools.pairwise(times))
    if not pairs or any(then <= now for now, then in pairs):
        raise ConfigError(f"times = {list(times)}", allowed="two or more, increasing")
    return pairs
