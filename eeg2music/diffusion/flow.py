"""Rectified flow: the straight path from noise to data, its velocity, and the loss that learns it.

Time runs from 0 (noise) to 1 (data). Pure functions on tensors; nothing here draws a random number, so that a
training sample's noise and time can come with the sample.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

Prediction = Literal["clean", "velocity"]

# Smallest 1 - t by which a prediction of the clean latents is divided in training (Li & He 2025, section 4.3).
TIME_FLOOR = 0.05


def interpolate(clean: Tensor, noise: Tensor, time: Tensor) -> Tensor:
    """The point at `time` on the straight path from noise to data (Liu et al. 2023, eq. 1; Lipman et al. 2023,
    eq. 22 with sigma_min = 0).

    Parameters
    ----------
    clean, noise : (batch, …)
    time : (batch,)
    """
    t = _along(time, clean)
    return (1 - t) * noise + t * clean


def to_velocity(prediction: Tensor, noisy: Tensor, time: Tensor, kind: Prediction, floor: float = 0.0) -> Tensor:
    """What a prediction says about d noisy / d time.

    On the straight path clean - noise = (clean - noisy) / (1 - time) (Li & He 2025, table 1, x-prediction).

    Parameters
    ----------
    floor : smallest 1 - time to divide by
    """
    if kind == "velocity":
        return prediction
    return (prediction - noisy) / (1 - _along(time, noisy)).clamp_min(floor)


def flow_loss(
    prediction: Tensor,
    clean: Tensor,
    noise: Tensor,
    time: Tensor,
    *,
    kind: Prediction,
    counted: Tensor,
    pairs: Tensor | None = None,
    floor: float = TIME_FLOOR,
    channel_weight: Tensor | None = None,
) -> Tensor:
    """Mean squared error of the velocity (Lipman et al. 2023, eq. 23), by stem.

    The error is measured in the velocity whatever is predicted. For a prediction of the clean latents that weighs
    the squared error by 1 / (1 - t)², which is bounded by `floor`.

    Parameters
    ----------
    prediction, clean, noise : (batch, stem, channel, frame)
    time : (batch,)
    counted : (batch, stem) bool, False for stems that were given or absent
    pairs : scalar to divide by; the number of counted (sample, stem) pairs by default. Where a batch is shared out,
        their mean over the shares makes the mean of the shares' losses the loss of the whole
    channel_weight : (channel,) with a mean of one; all ones by default

    Returns
    -------
    (stem,) sums over the counted samples divided by `pairs`, so that the loss of the batch is the sum over stems.
    """
    target = clean if kind == "clean" else clean - noise
    squared = (prediction - target).square().mean(dim=3)
    error = (squared if channel_weight is None else squared * channel_weight).mean(dim=2)
    if kind == "clean":
        error = error / (1 - time).clamp_min(floor).square()[:, None]
    counted = counted.to(error.dtype)
    divisor = counted.sum() if pairs is None else pairs
    return (error * counted).sum(0) / divisor.clamp_min(1.0)


def logit_normal(normal: Tensor, mean: float, std: float) -> Tensor:
    """Times in (0, 1) from standard normal numbers (Esser et al. 2024, eq. 19). A lower mean is noisier."""
    return torch.sigmoid(mean + std * normal)


def shift_time(time: Tensor, shift: float) -> Tensor:
    """Move times towards the noise by the factor `shift` of the noise-to-signal ratio (Esser et al. 2024, eq. 23).

    >>> shift_time(torch.tensor([0.0, 0.5, 1.0]), 3.0).tolist()
    [0.0, 0.25, 1.0]
    """
    return time / (time + shift * (1 - time))


def _along(time: Tensor, like: Tensor) -> Tensor:
    """(batch,) -> (batch, 1, …), as many axes as `like` has; a scalar stays one."""
    return time.reshape(-1, *[1] * (like.ndim - 1)) if time.ndim else time
