"""Clips of any length from a model of short windows: where the windows lie and how their predictions are merged.

MultiDiffusion (Bar-Tal et al. 2023, eq. 5): at every solver step all windows are predicted from one common state,
and overlapping predictions are averaged, so that no seam can appear. Knows shapes only; calls no model.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from eeg2music.errors import InputError
from eeg2music.seeding import torch_noise
from eeg2music.types import FRAME_RATE_HZ, WINDOW_S

WINDOW_FRAMES = round(WINDOW_S * FRAME_RATE_HZ)
OVERLAP_S = 0.5
SHORTEST_S = 2.0


@dataclass(frozen=True)
class WindowPlan:
    """Windows of equal length over a clip.

    Attributes
    ----------
    starts : first frame of each window
    length : frames of a window
    frames : frames that the windows cover; the clip's own number or, to fill the last patch, a few more
    """

    starts: tuple[int, ...]
    length: int
    frames: int

    def split(self, x: Tensor) -> Tensor:
        """(…, frame) -> (window, …, length)."""
        return torch.stack([x[..., start : start + self.length] for start in self.starts])

    def merge(self, windows: Tensor) -> Tensor:
        """Weighted mean of what the windows say about each frame: (window, …, length) -> (…, frames)."""
        if len(self.starts) == 1:
            return windows[0]
        weights = self.weights().to(windows)
        out = windows.new_zeros(*windows.shape[1:-1], self.frames)
        for start, window, weight in zip(self.starts, windows, weights, strict=True):
            out[..., start : start + self.length] += window * weight
        return out

    def weights(self) -> Tensor:
        """(window, length) float32: raised cosines across each overlap, summing to one over the windows of a frame."""
        ramps = torch.ones(len(self.starts), self.length, dtype=torch.float64)
        for index in range(len(self.starts) - 1):
            overlap = self.starts[index] + self.length - self.starts[index + 1]
            rise = torch.sin(0.5 * math.pi * (torch.arange(overlap, dtype=torch.float64) + 0.5) / overlap).square()
            ramps[index, self.length - overlap :] *= 1 - rise
            ramps[index + 1, :overlap] *= rise
        total = torch.zeros(self.frames, dtype=torch.float64)
        for start, ramp in zip(self.starts, ramps, strict=True):
            total[start : start + self.length] += ramp
        return torch.stack(
            [ramp / total[start : start + self.length] for start, ramp in zip(self.starts, ramps, strict=True)]
        ).float()


def plan_windows(
    n_frames: int, patch: int, *, longest: int = WINDOW_FRAMES, overlap_s: float = OVERLAP_S
) -> WindowPlan:
    """The fewest windows that cover a clip, of equal length, no longer than needed.

    Windows begin and end on patches and overlap by at least `overlap_s`. Shorter windows instead of more overlap:
    a 10 s clip costs 11 s of computation.

    Raises
    ------
    InputError
        For less than two seconds.
    """
    if n_frames < round(SHORTEST_S * FRAME_RATE_HZ):
        raise InputError(
            f"{n_frames} latent frames ({n_frames / FRAME_RATE_HZ:.2f} s) are too short to generate",
            allowed=f"{SHORTEST_S:g} s or more",
        )
    tokens, most = math.ceil(n_frames / patch), longest // patch
    overlap = min(math.ceil(overlap_s * FRAME_RATE_HZ / patch), most // 2)
    count = max(1, math.ceil((tokens - overlap) / (most - overlap)))
    length = math.ceil((tokens + (count - 1) * overlap) / count)
    gap = (tokens - length) / max(1, count - 1)
    starts = tuple(round(index * gap) * patch for index in range(count))
    return WindowPlan(starts, length * patch, tokens * patch)


def frame_noise(stems: int, channels: int, frames: int, seed: int, sample_id: str | int) -> Tensor:
    """Standard normal noise, (stem, channel, frame), drawn second by second.

    A frame's noise depends on (seed, sample id) and on where the frame lies, not on how long the clip is.
    """
    seconds = range(math.ceil(frames / FRAME_RATE_HZ))
    parts = [torch_noise((stems, channels, FRAME_RATE_HZ), seed, "latents", sample_id, second) for second in seconds]
    return torch.cat(parts, dim=-1)[..., :frames]
