"""What brings a brain's conditions close to the audio's: contrast, direction, curves.

Pure functions on tensors. Never gathers over processes itself: the caller passes gathered
tensors where negatives should come from everywhere.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

# Targets more alike than this (cosine) are the same sound, for example two silent stems.
DUPLICATE = 0.999
MAX_LOG_SCALE = math.log(100.0)
START_LOG_SCALE = math.log(1.0 / 0.07)
# What counts as an error of one: onset strength, loudness, brightness.
CURVE_SCALES = (0.15, 0.15, 0.15)
# A target that moves less than this in the window has no correlation to aim at.
CONSTANT = 1e-3


def info_nce(predicted: Tensor, target: Tensor, log_scale: Tensor, window_id: Tensor, song_id: Tensor) -> Tensor:
    """Symmetric InfoNCE with learned temperature (Radford et al. 2021, fig. 3), aware of repeats.

    Parameters
    ----------
    predicted, target : (item, embedding) unit norm
    log_scale : scalar, log of the inverse temperature, learned
    window_id : (item,) equal where the very same stretch of the same stimulus was heard:
        those are all positives of each other (Khosla et al. 2020, eq. 2)
    song_id : (item,) equal for windows of one song: neither positives nor negatives,
        and likewise where two targets sound the same

    Returns
    -------
    Scalar, the mean over items and both directions, in nats.
    """
    positive = window_id[:, None] == window_id[None, :]
    alike = (song_id[:, None] == song_id[None, :]) | (target @ target.T > DUPLICATE)
    neutral = alike & ~positive
    logits = (predicted @ target.T).float() * log_scale.clamp_max(MAX_LOG_SCALE).exp()
    logits = logits.masked_fill(neutral, -torch.inf)
    share = positive.to(logits.dtype)
    share = share / share.sum(1, keepdim=True)
    return 0.5 * (_soft_cross_entropy(logits, share) + _soft_cross_entropy(logits.T, share.T))


def _soft_cross_entropy(logits: Tensor, share: Tensor) -> Tensor:
    """Mean over rows of -sum_j share_ij log softmax_ij; entries with a share of zero may be -inf."""
    logged = F.log_softmax(logits, dim=1)
    return -torch.where(share > 0, share * logged, 0.0).sum(1).mean()


def direction_loss(predicted: Tensor, target: Tensor, counts: Tensor) -> Tensor:
    """Mean of 1 - cosine, so that one can stand in for the other.

    Parameters
    ----------
    predicted, target : (..., embedding) unit norm
    counts : (...) bool, which pairs belong together
    """
    distance = 1.0 - (predicted * target).sum(-1)
    return torch.where(counts, distance, 0.0).sum() / counts.sum().clamp_min(1)


def pearson(predicted: Tensor, target: Tensor) -> Tensor:
    """Correlation over the last axis: (..., frame) -> (...). Zero where the target is constant."""
    predicted = predicted.float() - predicted.float().mean(-1, keepdim=True)
    target = target.float() - target.float().mean(-1, keepdim=True)
    # The floor inside the root keeps the gradient finite for constant predictions.
    spread = (predicted.square().mean(-1) + 1e-8).sqrt() * (target.square().mean(-1) + 1e-8).sqrt()
    correlation = (predicted * target).mean(-1) / spread
    return torch.where(moving(target), correlation, torch.zeros_like(correlation))


def moving(target: Tensor) -> Tensor:
    """(..., frame) -> (...) bool: whether there is anything to correlate with."""
    return target.float().std(-1, unbiased=False) > CONSTANT


def delayed(curves: Tensor, delay: Tensor, margin: int) -> Tensor:
    """The curves as they are `delay` frames later, by Catmull-Rom interpolation.

    Parameters
    ----------
    curves : (batch, ..., frame)
    delay : (batch,) in frames, at most margin - 2 either way; differentiable
    margin : frames left out at either end

    Returns
    -------
    (batch, ..., frame - 2 margin): at frame t what `curves` has at t + margin + delay.
    """
    whole = delay.detach().floor().clamp(1 - margin, margin - 2)
    part = (delay - whole).reshape(-1, *[1] * (curves.ndim - 1))
    steps = torch.arange(margin, curves.shape[-1] - margin, device=curves.device)
    place = (steps + whole[:, None].long()).reshape(len(curves), *[1] * (curves.ndim - 2), -1)
    before, here, after, beyond = (curves.gather(-1, (place + k).expand(*curves.shape[:-1], -1)) for k in (-1, 0, 1, 2))
    slope = 0.5 * (after - before)
    bend = before - 2.5 * here + 2.0 * after - 0.5 * beyond
    twist = 1.5 * (here - after) + 0.5 * (beyond - before)
    return here + part * (slope + part * (bend + part * twist))


def curve_correlation_loss(predicted: Tensor, target: Tensor) -> Tensor:
    """Mean over (batch, stem, curve) of 1 - r over frames; curves that do not move count zero.

    The divisor is fixed, so that the mean over two halves of a batch is that of the whole.
    """
    return torch.where(moving(target), 1.0 - pearson(predicted, target), 0.0).mean()


def curve_value_loss(predicted: Tensor, target: Tensor) -> Tensor:
    """Huber loss of (batch, stem, curve, frame) in units of CURVE_SCALES."""
    scale = torch.tensor(CURVE_SCALES, dtype=torch.float32, device=target.device)[:, None]
    return F.huber_loss(predicted.float() / scale, target.float() / scale)
