"""The kernel distance of clips of which several belong to one song, and its interval over songs.

The U-statistic of `kernel_distance` takes every pair of clips for a pair of independent draws. Clips of one song are
none: they are alike, the mean over pairs comes out too high, and so does the distance. Here pairs within a song are
left out and songs count alike, whatever their number of clips. That is the mean of `kernel_distance` over all ways to
take one clip of each song, in closed form: it needs no draws and no seed, and copies of clips change nothing. With one
clip a song it is `kernel_distance`.

The interval leaves out one song at a time on either side (the jackknife of two samples; for U-statistics Arvesen 1969),
which re-weights sums of the kernel's rows and computes no kernel anew. The width of the kernel is taken as given. It
covers the choice of the songs that were judged and of the reference: 0.93 to 0.97 where the two differ, and more where
they are alike (`benchmarks/statistics_calibration.py`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from eeg2music.errors import InputError
from eeg2music.metrics.checks import Float64, embeddings, same_dim
from eeg2music.metrics.draws import group_codes
from eeg2music.metrics.kernel import BLOCK_COLUMNS, BLOCK_ROWS, SCALE, reference_width

Codes = NDArray[np.int64]


class SongKernel(NamedTuple):
    """A kernel distance with its 95 % interval; without one below three songs or three rows of the reference."""

    value: float
    low: float | None
    high: float | None


class _Sums(NamedTuple):
    """Mean kernel of each of n items with the n - 1 others, `within` (n,), and with the other side, `across` (n,)."""

    within: Float64
    across: Float64


def song_kernel_distance(
    x: ArrayLike, y: ArrayLike, songs: ArrayLike | None = None, *, bandwidth: float | None = None, scale: float = SCALE
) -> SongKernel:
    """KAD of `y` against the reference `x`, songs of `y` counted once.

    Parameters
    ----------
    x : (n, dim), the reference, one row a song, n >= 2
    y : (m, dim), what is judged
    songs : (m,) labels of y's rows, of two songs or more; None takes every row for a song of its own
    bandwidth, scale : as for `kernel_distance`

    Raises
    ------
    InputError
        As `kernel_distance`, and for clips of one song.

    >>> found = song_kernel_distance([[0.0], [1.0]], [[0.0], [1.0], [1.0]], [7, 8, 8], bandwidth=1.0)
    >>> round(found.value, 4), found.low
    (-39.3469, None)
    """
    left, right = embeddings("x", x, at_least=2), embeddings("y", y, at_least=2)
    same_dim("x", left, "y", right)
    codes = group_codes(songs, len(right))
    if codes.max() == 0:
        raise InputError("All clips are of one song", allowed="two songs or more")
    width = reference_width("x", left) if bandwidth is None else float(bandwidth)
    if not (np.isfinite(width) and width > 0.0):
        raise InputError(f"The kernel's bandwidth is {width}", allowed="a positive number")
    centre = left.mean(axis=0)
    of_x, of_y = _both_sides((left - centre) / width, (right - centre) / width, codes)
    value = float(of_x.within.mean() + of_y.within.mean() - 2.0 * of_y.across.mean())
    reach = _reach(of_x, of_y)
    if reach is None:
        return SongKernel(scale * value, None, None)
    return SongKernel(scale * value, scale * (value - reach), scale * (value + reach))


def _both_sides(x: Float64, y: Float64, codes: Codes) -> tuple[_Sums, _Sums]:
    counts = np.bincount(codes)
    # Every song weighs one, whatever its clips.
    alone, shared = np.ones(len(x)), 1.0 / counts[codes]
    n, songs = len(x), len(counts)
    within_x = (_weighted_rows(x, x, alone, alone)[0] - 1.0) / (n - 1)
    by_clip = _weighted_rows(y, y, shared, shared)[0] - _own_song(y, codes, shared)
    within_y = np.bincount(codes, weights=shared * by_clip) / (songs - 1)
    from_x, from_y = _weighted_rows(x, y, alone, shared)
    return _Sums(within_x, from_x / songs), _Sums(within_y, np.bincount(codes, weights=shared * from_y) / n)


def _reach(*sides: _Sums) -> float | None:
    """Half the width of the interval: t with the freedom of the smaller side, on the jackknife's variances of both."""
    fewest = min(len(side.within) for side in sides)
    if fewest < 3:
        return None
    variance = 0.0
    for side in sides:
        n = len(side.within)
        # The statistic without one item, up to what does not change: it leaves two rows of the mean over pairs.
        without = -2.0 * side.within / (n - 2) + 2.0 * side.across / (n - 1)
        variance += (n - 1) / n * float(np.sum((without - without.mean()) ** 2))
    return float(stats.t.ppf(0.975, fewest - 1) * np.sqrt(variance))


def _own_song(y: Float64, codes: Codes, weights: Float64) -> Float64:
    """Weighted sum of the kernel of each clip with the clips of its own song, itself among them. (m,)"""
    found = np.empty(len(y))
    order = np.argsort(codes, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(codes[order])) + 1):
        found[rows] = _weighted_rows(y[rows], y[rows], weights[rows], weights[rows])[0]
    return found


def _weighted_rows(x: Float64, y: Float64, of_x: Float64, of_y: Float64) -> tuple[Float64, Float64]:
    """Sums of exp(-d²/2) over all pairs, weighted by the other side: of each row of x (n,), of each row of y (m,)."""
    half_x, half_y = 0.5 * np.sum(x**2, axis=1), 0.5 * np.sum(y**2, axis=1)
    rows, columns = np.zeros(len(x)), np.zeros(len(y))
    for top in range(0, len(x), BLOCK_ROWS):
        above = slice(top, top + BLOCK_ROWS)
        for left in range(0, len(y), BLOCK_COLUMNS):
            beside = slice(left, left + BLOCK_COLUMNS)
            kernel = x[above] @ y[beside].T
            kernel -= half_x[above, None]
            kernel -= half_y[beside]
            # Equal rows may come out above zero by rounding.
            np.exp(np.minimum(kernel, 0.0, out=kernel), out=kernel)
            rows[above] += kernel @ of_y[beside]
            columns[beside] += of_x[above] @ kernel
    return rows, columns
