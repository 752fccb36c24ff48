"""What differs from person to person: a change of the spatial filters and a short delay.

A person not trained on (index -1) takes the shared path, which training visits as often
as the personal ones. Never learns anything at inference.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

TAPS = 9
# Directions with less than this share of the mean variance are no longer spread out: there is only rounding.
FLOOR = 1e-6


class SubjectFilters(nn.Module):
    """Signed spatial filters followed by a short personal response per region.

    Parameters
    ----------
    subjects : how many people are known
    points : virtual channels
    regions, filters : the output has regions * filters channels

    Notes
    -----
    Filters of person s are W + D_s; the response has 9 taps at 64 Hz (±62 ms), so that it
    can hold a gain and a latency. Both start at zero change.

    Virtual channels are so alike that filters which cancel shared noise lie in directions of next to no variance, where
    gradient descent hardly gets: `precondition` makes a training take its steps in whitened coordinates, and `settle`
    goes back. What the module computes is the same before and after each.
    """

    basis: Tensor | None

    def __init__(self, subjects: int, points: int, regions: int, filters: int) -> None:
        super().__init__()
        self.regions, self.filters = regions, filters
        self.shared = nn.Parameter(torch.randn(regions * filters, points) / points**0.5)
        self.personal = nn.Parameter(torch.zeros(subjects, regions * filters, points))
        self.response = nn.Parameter(torch.zeros(subjects, regions, TAPS))
        self.register_buffer("basis", None)

    def forward(self, virtual: Tensor, subject: Tensor) -> Tensor:
        """(batch, point, time), (batch,) -> (batch, region * filter, time)."""
        # Sums of channels that nearly cancel: not in half precision.
        with torch.autocast(virtual.device.type, enabled=False):
            sources = torch.bmm(self.of(subject), virtual.float())
        if self.response.shape[0] == 0:
            return sources
        return sources + self._respond(sources, _chosen(self.response, subject))

    def of(self, subject: Tensor) -> Tensor:
        """The spatial filters of each person: (batch,) -> (batch, region * filter, point)."""
        filters = self.shared.expand(len(subject), -1, -1)
        filters = filters if self.personal.shape[0] == 0 else filters + _chosen(self.personal, subject)
        return filters if self.basis is None else filters @ self.basis

    @torch.no_grad()
    def precondition(self, covariance: Tensor) -> None:
        """Hold the filters in coordinates in which channels of that (point, point) covariance are white."""
        self.settle()
        size, direction = torch.linalg.eigh(covariance.double())
        spread = size.clamp_min(FLOOR * size.mean()).sqrt()
        self._change((direction * spread) @ direction.T)
        self.basis = ((direction / spread) @ direction.T).float().to(self.shared.device)

    @torch.no_grad()
    def settle(self) -> None:
        """Hold the filters in the channels' own coordinates, as weights that are kept are."""
        if self.basis is not None:
            self._change(self.basis.double())
            self.basis = None

    def _change(self, matrix: Tensor) -> None:
        for values in (self.shared, self.personal):
            values.copy_((values.double() @ matrix.to(values.device)).float())

    def _respond(self, sources: Tensor, taps: Tensor) -> Tensor:
        """Convolve each region's sources with its person's response."""
        batch, _, time = sources.shape
        padded = nn.functional.pad(sources, (TAPS // 2, TAPS // 2)).reshape(batch, self.regions, self.filters, -1)
        taps = taps.to(padded.dtype)[:, :, None, :, None]
        # Nine shifted sums: less memory than unfolding.
        out = padded[..., :time] * taps[:, :, :, 0]
        for lag in range(1, TAPS):
            out = torch.addcmul(out, padded[..., lag : lag + time], taps[:, :, :, lag])
        return out.reshape(batch, -1, time)


def _chosen(values: Tensor, subject: Tensor) -> Tensor:
    """(subject, a, b), (batch,) -> (batch, a, b); zeros for people not trained on."""
    known = (subject >= 0).to(values.dtype)
    return values[subject.clamp_min(0)] * known[:, None, None]
