"""From any montage to fixed points on a sphere, and on to regions.

Topographies of brain sources are signed, so a softmax over channels cannot unmix them.
Here the potentials are resampled to a fixed virtual montage by spherical splines
(Perrin et al. 1989), which depends on positions alone and leaves missing channels out
exactly; signed filters on the virtual montage then pick each region's sources.
Never looks at channel names or indices.
"""

from __future__ import annotations

import functools
import math

import numpy as np
import torch
from torch import Tensor, nn

from eeg2music.types import ENCODER_CENTRE_M

# How strongly a fitted centre is drawn to ENCODER_CENTRE_M, in units of channels.
CENTRE_PRIOR = 4.0
LOWEST_Z = -0.4
TABLE_POINTS = 8192
TERMS = 24


class SphericalSpline(nn.Module):
    """Resampling of (batch, channel, time) potentials to `points` fixed directions.

    Parameters
    ----------
    points : how many virtual channels
    order : m in Perrin et al. 1989, eq. 3: higher is smoother
    regularisation : variance of a channel's own noise, relative to the kernel's peak
    """

    directions: Tensor
    table: Tensor

    def __init__(self, points: int = 64, order: int = 2, regularisation: float = 1e-2) -> None:
        super().__init__()
        self.regularisation = regularisation
        self.register_buffer("directions", torch.from_numpy(spread_points(points, LOWEST_Z)), persistent=False)
        self.register_buffer("table", torch.from_numpy(_kernel_table(order)), persistent=False)

    def forward(self, eeg: Tensor, positions_m: Tensor, positioned: Tensor) -> Tensor:
        """(batch, channel, time), (batch, channel, 3), (batch, channel) bool -> (batch, point, time) in float32.

        Points are alike, and what tells them apart is below the rounding of half precision.
        """
        weights = self.weights(positions_m, positioned)
        with torch.autocast(eeg.device.type, enabled=False):
            return torch.bmm(weights, eeg.float())

    @torch.no_grad()
    def weights(self, positions_m: Tensor, positioned: Tensor) -> Tensor:
        """(batch, point, channel) interpolation weights in float32; zero for channels left out.

        Each row sums to one, so that a constant potential stays what it is. A window
        without a positioned channel gets zeros.
        """
        with torch.autocast(positions_m.device.type, enabled=False):
            finite = positioned & torch.isfinite(positions_m).all(-1)
            return self._weights(positions_m.float(), finite)

    def _weights(self, positions_m: Tensor, positioned: Tensor) -> Tensor:
        # In float64: smooth kernels with little noise are nearly singular, and in float32 the weights would differ in
        # the fourth digit from one processor to the next.
        used = positioned.double()
        directions = channel_directions(positions_m, positioned).double()
        within = self._kernel(_cosines(directions, directions)) * used[:, :, None] * used[:, None, :]
        diagonal = torch.where(positioned, self.regularisation, 1.0).double()
        within = within + torch.diag_embed(diagonal)
        across = self._kernel(_cosines(directions, self.directions[None].double())) * used[:, :, None]
        # One solve for the points and for the constant term (column of ones).
        solved = torch.linalg.solve(within, torch.cat([across, used[:, :, None]], dim=-1))
        smooth, ones = solved[..., :-1], solved[..., -1:]
        missing = 1.0 - smooth.sum(1, keepdim=True)
        weights = smooth + ones * missing / ones.sum(1, keepdim=True).clamp_min(1e-6)
        return (weights * used[:, :, None]).transpose(1, 2).float()

    def _kernel(self, cosine: Tensor) -> Tensor:
        """g(x), looked up with linear interpolation."""
        place = (cosine.clamp(-1.0, 1.0) + 1.0) * (0.5 * (TABLE_POINTS - 1))
        below = place.floor().clamp_max(TABLE_POINTS - 2)
        index = below.long()
        low = self.table[index]
        return low + (place - below) * (self.table[index + 1] - low)


def _cosines(left: Tensor, right: Tensor) -> Tensor:
    """(batch, m, 3), (batch, n, 3) unit vectors -> (batch, m, n).

    Not a matrix product: training allows those to round to bfloat16, which an interpolation does not survive.
    """
    return (left[:, :, None] * right[:, None]).sum(-1)


def channel_directions(positions_m: Tensor, positioned: Tensor) -> Tensor:
    """Unit vectors from the centre of a sphere fitted to the electrodes; zeros where left out.

    Least squares on |p|^2 = 2 p.c + d, drawn towards ENCODER_CENTRE_M so that a cap which
    covers only one side does not run away.
    """
    used = positioned.float()[..., None]
    prior = torch.tensor(ENCODER_CENTRE_M, device=positions_m.device)
    offset = torch.where(positioned[..., None], positions_m - prior, torch.zeros_like(positions_m))
    # In units of 10 cm the normal equations are well conditioned in float32.
    scaled = offset * 10.0
    design = torch.cat([2.0 * scaled, torch.ones_like(used)], dim=-1) * used
    target = scaled.square().sum(-1, keepdim=True) * used
    pull = torch.diag(torch.tensor([CENTRE_PRIOR, CENTRE_PRIOR, CENTRE_PRIOR, 1e-3], device=offset.device))
    products = (design[..., :, None] * torch.cat([design, target], dim=-1)[..., None, :]).sum(1)
    solution = torch.linalg.solve(products[..., :-1] + pull, products[..., -1:])
    centred = (scaled - solution[:, None, :3, 0]) * used
    return centred / centred.norm(dim=-1, keepdim=True).clamp_min(1e-6)


@functools.lru_cache(maxsize=8)
def spread_points(count: int, lowest_z: float) -> np.ndarray:
    """(count, 3) float32 unit vectors spread evenly over the cap z >= lowest_z (golden spiral)."""
    place = np.arange(count) + 0.5
    height = 1.0 - (1.0 - lowest_z) * place / count
    angle = math.pi * (1.0 + math.sqrt(5.0)) * place
    radius = np.sqrt(1.0 - height**2)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), height], axis=1).astype(np.float32)


@functools.lru_cache(maxsize=8)
def _kernel_table(order: int) -> np.ndarray:
    """g(x) of Perrin et al. 1989, eq. 3, on an even grid of x, scaled so that g(1) = 1."""
    degrees = np.arange(1, TERMS + 1)
    series = np.concatenate([[0.0], (2 * degrees + 1) / (degrees * (degrees + 1.0)) ** order])
    grid = np.linspace(-1.0, 1.0, TABLE_POINTS)
    return np.asarray(np.polynomial.legendre.legval(grid, series / series.sum()), dtype=np.float32)
