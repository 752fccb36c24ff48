"""Kernel distance between two clouds of embeddings, as in KAD (Chung et al. 2025).

The unbiased estimate of the squared maximum mean discrepancy (Gretton et al. 2012, eq. 3)
with a Gaussian kernel, times 100 as its authors quote it. Unlike FAD it is unbiased at any n and
assumes no Gaussian, so it may be slightly negative when the two clouds agree. The kernel's
width is the median distance within the reference, therefore the two directions differ a little:
say which set was the reference.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from eeg2music.errors import InputError
from eeg2music.metrics.checks import Float64, embeddings, finite, same_dim

SCALE = 100.0
BLOCK_ROWS = 1024
# The exact median of n distances needs n² / 2 of them at once; above this many rows an evenly spaced subset stands in.
MEDIAN_ROWS = 4096


class BothDirections(NamedTuple):
    """The kernel distance with either set as the reference."""

    x_is_reference: float
    y_is_reference: float


def kernel_distance(x: ArrayLike, y: ArrayLike, *, bandwidth: float | None = None, scale: float = SCALE) -> float:
    """KAD of `y` against the reference `x`.

    Parameters
    ----------
    x : (n, dim), the reference, n >= 2
    y : (m, dim), what is judged, m >= 2; rows are not paired
    bandwidth : of the kernel exp(-d² / (2 bandwidth²)); None takes `median_distance(x)`
    scale : factor on the result; 1 gives the plain MMD²

    Raises
    ------
    InputError
        For values that are not finite, one row only, unequal dimensions, or a reference whose
        rows are all equal (its width is zero).

    >>> round(kernel_distance([[0.0], [1.0]], [[0.0], [1.0]], bandwidth=1.0), 4)
    -39.3469
    """
    left, right = embeddings("x", x, at_least=2), embeddings("y", y, at_least=2)
    same_dim("x", left, "y", right)
    width = median_distance(left) if bandwidth is None else float(bandwidth)
    if not (np.isfinite(width) and width > 0.0):
        raise InputError(
            f"The kernel's bandwidth is {width}",
            allowed="a positive number",
            remedy="look for duplicated clips in the reference",
        )
    # Distances do not depend on the origin; a common centre keeps digits in |a|² + |b|² - 2ab.
    centre = left.mean(axis=0)
    left, right = (left - centre) / width, (right - centre) / width
    within = _mean_within(left) + _mean_within(right)
    return scale * (within - 2.0 * _kernel_sum(left, right) / (len(left) * len(right)))


def kernel_distance_both(x: ArrayLike, y: ArrayLike, *, scale: float = SCALE) -> BothDirections:
    """The kernel distance with the width taken from x, and from y."""
    return BothDirections(kernel_distance(x, y, scale=scale), kernel_distance(y, x, scale=scale))


def median_distance(rows: ArrayLike) -> float:
    """Median Euclidean distance between the rows of (n, dim); of an evenly spaced subset above 4096 rows.

    >>> median_distance([[0.0], [1.0], [3.0]])
    2.0
    """
    values = finite("rows", rows)
    if len(values) > MEDIAN_ROWS:
        values = values[np.linspace(0, len(values) - 1, MEDIAN_ROWS).round().astype(int)]
    values = values - values.mean(axis=0)
    squared = _squared_distances(values, values)
    return float(np.median(np.sqrt(squared[np.triu_indices(len(values), k=1)])))


def _mean_within(rows: Float64) -> float:
    """Mean kernel over the pairs of different rows."""
    return (_kernel_sum(rows, rows) - len(rows)) / (len(rows) * (len(rows) - 1))


def _kernel_sum(x: Float64, y: Float64) -> float:
    """Sum of exp(-d²/2) over all pairs, in blocks; a set against itself costs half."""
    total = 0.0
    same = x is y
    for start in range(0, len(x), BLOCK_ROWS):
        block = x[start : start + BLOCK_ROWS]
        if not same:
            total += _gaussian_sum(block, y)
            continue
        squared = _squared_distances(block, block)
        np.fill_diagonal(squared, 0.0)
        total += float(np.exp(-0.5 * squared).sum()) + 2.0 * _gaussian_sum(block, x[start + len(block) :])
    return total


def _gaussian_sum(x: Float64, y: Float64) -> float:
    squared = _squared_distances(x, y)
    squared *= -0.5
    return float(np.exp(squared, out=squared).sum())


def _squared_distances(x: Float64, y: Float64) -> Float64:
    squared = x @ y.T
    squared *= -2.0
    squared += np.sum(x**2, axis=1)[:, None]
    squared += np.sum(y**2, axis=1)
    return np.maximum(squared, 0.0, out=squared)
