"""Kernel distance between two clouds of embeddings, as in KAD (Chung et al. 2025).

The unbiased estimate of the squared maximum mean discrepancy (Gretton et al. 2012, eq. 3)
with a Gaussian kernel, times 100 as its authors quote it. Unlike FAD it is unbiased at any n and
assumes no Gaussian, so it may be slightly negative when the two clouds agree. The kernel's
width is the median distance within the reference, therefore the two directions differ a little:
say which set was the reference.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from eeg2music.errors import InputError
from eeg2music.metrics.checks import Float64, embeddings, same_dim
from eeg2music.metrics.draws import group_codes

SCALE = 100.0
# A tile of 512 x 2048 distances takes 8 MiB: it stays near the processor, and is written over for the next.
BLOCK_ROWS = 512
BLOCK_COLUMNS = 2048
# Squared distances come as |a|² + |b|² - 2ab. Below this share of the mean |a|² + |b|² they are rounding: equal rows.
SAME_ROW = 1e-13
# The exact median of n distances needs n² / 2 of them at once; above this many rows an evenly spaced subset stands in.
MEDIAN_ROWS = 4096


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
    return scale * _distance(left, right, reference_width("x", left) if bandwidth is None else float(bandwidth))


def median_distance(rows: ArrayLike, groups: ArrayLike | None = None) -> float:
    """Median Euclidean distance between the rows of (n, dim); of an evenly spaced subset above 4096 rows.

    groups : (n,) labels; only rows of different groups are compared. None takes every row for a group of its own

    >>> median_distance([[0.0], [1.0], [3.0]]), median_distance([[0.0], [1.0], [3.0]], ["a", "b", "b"])
    (2.0, 2.0)
    """
    values = embeddings("rows", rows, at_least=2)
    codes = group_codes(groups, len(values))
    if codes.max() == 0:
        raise InputError("All rows are of one group", allowed="two groups or more")
    if len(values) > MEDIAN_ROWS:
        chosen = np.linspace(0, len(values) - 1, MEDIAN_ROWS).round().astype(int)
        values, codes = values[chosen], codes[chosen]
    values = values - values.mean(axis=0)
    pairs = np.empty(len(values) * (len(values) - 1) // 2)
    filled = 0
    for start in range(0, len(values), BLOCK_ROWS):
        for number, row in enumerate(squared_distances(values[start : start + BLOCK_ROWS], values[start:])):
            right_of_diagonal = row[number + 1 :]
            if groups is not None:
                right_of_diagonal = right_of_diagonal[codes[start + number + 1 :] != codes[start + number]]
            pairs[filled : filled + len(right_of_diagonal)] = right_of_diagonal
            filled += len(right_of_diagonal)
    pairs = pairs[:filled]
    pairs[pairs <= SAME_ROW * 2.0 * np.sum(values**2) / len(values)] = 0.0
    # Of the roots, not the root of the median: with an even number of pairs it is the mean of the two in the middle.
    return float(np.median(np.sqrt(pairs, out=pairs), overwrite_input=True))


def squared_distances(x: Float64, y: Float64, *, slack: float = 0.0) -> Float64:
    """(n, m) squared Euclidean distances of the rows of (n, dim) and (m, dim), never negative.

    Centre both about one point first: digits are lost in proportion to the squared norms. `slack` is
    subtracted as a share of |a|² + |b|²; 1e-12 makes sure that a tie is not lost to rounding.

    >>> squared_distances(np.array([[0.0, 0.0]]), np.array([[3.0, 4.0]]))
    array([[25.]])
    """
    squared = x @ y.T
    squared *= -2.0
    squared += (1.0 - slack) * np.sum(x**2, axis=1)[:, None]
    squared += (1.0 - slack) * np.sum(y**2, axis=1)
    return np.maximum(squared, 0.0, out=squared)


def reference_width(name: str, rows: Float64, groups: ArrayLike | None = None) -> float:
    """`median_distance` of a reference, whose name goes into the error.

    Raises
    ------
    InputError
        If it is 0.
    """
    width = median_distance(rows, groups)
    if width > 0.0:
        return width
    raise InputError(
        f"The kernel's bandwidth is 0: half of the pairs of rows of {name}, or more, are equal",
        allowed="a positive number",
        remedy="look for duplicated clips in the reference",
    )


def _distance(x: Float64, y: Float64, width: float) -> float:
    if not (np.isfinite(width) and width > 0.0):
        raise InputError(f"The kernel's bandwidth is {width}", allowed="a positive number")
    n, m = len(x), len(y)
    # Distances do not depend on the origin; a common centre keeps digits in |a|² + |b|² - 2ab.
    centre = x.mean(axis=0)
    x, y = (x - centre) / width, (y - centre) / width
    within_x = (_kernel_sum(x, x) - n) / (n * (n - 1))
    within_y = (_kernel_sum(y, y) - m) / (m * (m - 1))
    return within_x + within_y - 2.0 * _kernel_sum(x, y) / (n * m)


def _kernel_sum(x: Float64, y: Float64) -> float:
    """Sum of exp(-d²/2) over all pairs, tile by tile; a set against itself costs half."""
    same = x is y
    half_x = 0.5 * np.sum(x**2, axis=1)
    half_y = half_x if same else 0.5 * np.sum(y**2, axis=1)
    # Whole tiles above the diagonal count twice for those below it, so rows and columns are cut alike there.
    columns = BLOCK_ROWS if same else BLOCK_COLUMNS
    space = np.empty((min(BLOCK_ROWS, len(x)), min(columns, len(y))))
    total = 0.0
    for top in range(0, len(x), BLOCK_ROWS):
        rows = slice(top, min(top + BLOCK_ROWS, len(x)))
        for left in range(top if same else 0, len(y), columns):
            cols = slice(left, min(left + columns, len(y)))
            kernel = space[: rows.stop - top, : cols.stop - left]
            np.matmul(x[rows], y[cols].T, out=kernel)
            kernel -= half_x[rows, None]
            kernel -= half_y[cols]
            if same and left == top:
                np.fill_diagonal(kernel, 0.0)
            np.exp(kernel, out=kernel)
            total += (2.0 if same and left > top else 1.0) * float(kernel.sum())
    return total
