"""Fréchet distance between clouds of embeddings, as in FAD (Kilgour et al. 2019), whole, at n = ∞, and clip by clip.

d² = |mx - my|² + tr(Sx) + tr(Sy) - 2 tr((Sx Sy)^1/2), with sample covariances (n - 1).

The root term is a sum of singular values: with centred data X = Qx Rx and Y = Qy Ry,
tr((Sx Sy)^1/2) is the nuclear norm of Rx Ryᵀ / sqrt((n - 1)(m - 1)). No root of a matrix is taken, therefore
no imaginary parts and no jitter on the diagonal, and it is exact for fewer samples than dimensions.

The distance is biased upward in small samples and falls with n: compare only equal n, or extrapolate
(`frechet_infinity`), or use the kernel distance. Nothing here refuses a small sample: `enough` tells, the caller
decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import linalg, stats
from scipy.linalg import blas, lapack

from eeg2music.errors import InputError
from eeg2music.metrics.checks import Float64, embeddings, finite, same_dim
from eeg2music.metrics.draws import one_of_each

# With n rows the sample covariance of dim equal variances has eigenvalues down to (1 - sqrt(dim / n))² of the true
# ones (Marchenko & Pastur 1967): 0.09 at n = 2 dim, nothing at n = dim. Below this the score is mostly the bias.
ROWS_PER_DIM = 2
# How far the Gram matrix of orthogonal columns may stray from the identity (largest row sum) before a second Cholesky
# can't mend it.
NEARLY_ORTHOGONAL = 0.1
# Sub-samples of `frechet_infinity`: the whole, halves, and thirds and quarters if large enough. Evenly spaced in 1 / n.
PARTS = (1, 2, 3, 4)
# Quick ways, for sizes at which time matters and matrices so well conditioned that squaring them costs few digits.
# The Gram matrix of all rows by itself: from so many rows for each dimension on, and if its reciprocal condition (in
# the 1-norm) is no less.
ROWS_FOR_ONE_PASS = 16
WELL_CONDITIONED = 1e-9
# Singular values as roots of eigenvalues: from so many on, and if the smallest eigenvalue is no less a share of the
# largest.
VALUES_BY_ROOTS = 128
SMALLEST_SHARE = 1e-8


class FrechetInfinity(NamedTuple):
    """FAD extrapolated to endless samples of `y`.

    `value` with its 95 % interval [`low`, `high`], None where the smallest sub-sample is not `enough`; `slope` of the
    distance over 1 / n; `sizes` (k,) in groups, descending, and the mean `distances` (k,) there.
    """

    value: float
    low: float | None
    high: float | None
    slope: float
    sizes: tuple[int, ...]
    distances: tuple[float, ...]


def enough(n: int, dim: int) -> bool:
    """Whether n rows carry a covariance of dim dimensions: n >= 2 dim.

    >>> enough(1024, 512), enough(1023, 512)
    (True, False)
    """
    return n >= ROWS_PER_DIM * dim


def frechet_distance(x: ArrayLike, y: ArrayLike) -> float:
    """Squared Fréchet distance between Gaussians fitted to two sets of embeddings. Symmetric.

    Parameters
    ----------
    x : (n, dim), n >= 2
    y : (m, dim), m >= 2; rows are not paired

    Returns
    -------
    The distance (squared, as FAD is always quoted), never negative.

    Raises
    ------
    InputError
        For values that are not finite, one row only, or unequal dimensions.

    >>> frechet_distance([[0.0], [2.0]], [[3.0], [5.0]])
    9.0
    """
    left, right = embeddings("x", x, at_least=2), embeddings("y", y, at_least=2)
    same_dim("x", left, "y", right)
    mean_x, mean_y = left.mean(axis=0), right.mean(axis=0)
    return _assemble(mean_x - mean_y, sample_factor(left, mean_x), sample_factor(right, mean_y))


def frechet_infinity(
    x: ArrayLike,
    y: ArrayLike,
    *,
    seed: int,
    groups: ArrayLike | None = None,
    sizes: Sequence[int] | None = None,
    repeats: int = 10,
) -> FrechetInfinity:
    """FAD at infinitely many samples of `y` (Chong & Forsyth 2020 for images, Gui et al. 2024 for music).

    The bias of the distance is close to a multiple of 1 / n, so that a line through the distances of
    sub-samples, read at 1 / n = 0, is free of it. `x`, the reference, is taken whole: the bias from its own n stays,
    so compare scores with one reference. The line holds while the smallest sub-sample has about 2 `dim` rows;
    below, the true curve bends and the value comes out a little low. It may be negative, being unbiased.

    Each of `repeats` seeded repetitions shuffles the rows of `y` and cuts them into as many disjoint
    sub-samples of each size as fit; the distance at a size is the mean over them all. (Disjoint, because
    then each size averages over the same rows, whose scatter does not tilt the line.)

    Rows of one group (clips of a song) are no independent samples: with `groups` everything is done with one row of
    each (`one_of_each`), and averaged over the draws. n then counts groups.

    The interval is over groups: value ± t times the standard error from the influence of each one on the distance at
    full size (the infinitesimal jackknife, Jaeckel 1972), whose bias does not matter to it. It covers the choice of
    what is in `y`, not of `x`: 0.93 to 0.97 (`benchmarks/statistics_calibration.py`).

    Parameters
    ----------
    x : (n, dim), the reference
    y : (m, dim), what is judged, 8 groups or more
    seed : of the shuffles
    groups : (m,) labels; None takes every row for a group of its own
    sizes : of the sub-samples, in groups, two or more different ones from 2 to all, one at most half of all; None takes
        all and half, and a third and a quarter where they are `enough`
    repeats : repetitions, at least 2

    Raises
    ------
    InputError
        As `frechet_distance`, and for groups, sizes or repeats that do not fit.

    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.normal(size=(4000, 8)), rng.normal(size=(200, 8))
    >>> found = frechet_infinity(x, y, seed=0)
    >>> found.sizes, found.low < found.value < found.high, bool(abs(found.value) < frechet_distance(x, y) / 2)
    ((200, 100, 66, 50), True, True)
    """
    reference, judged = embeddings("x", x, at_least=2), embeddings("y", y, at_least=8)
    same_dim("x", reference, "y", judged)
    draws = one_of_each(groups, len(judged))
    count, dim = draws.shape[1], judged.shape[1]
    if count < 8:
        raise InputError(f"y has rows of {count} groups", allowed="8 groups or more")
    chosen = _sizes(sizes, count, dim)
    if repeats < 2:
        raise InputError(f"repeats = {repeats}", allowed="2 or more")
    mean, factor = reference.mean(axis=0), sample_factor(reference)
    by_draw = [_by_size(mean, factor, judged[rows], chosen, seed, repeats) for rows in draws]
    distances = np.mean(by_draw, axis=0)
    slope, value = (float(number) for number in np.polyfit(1.0 / np.array(chosen), distances, 1))
    low = high = None
    if enough(chosen[-1], dim):
        influence = np.mean([_influence(mean, factor, judged[rows]) for rows in draws], axis=0)
        reach = float(stats.t.ppf(0.975, count - 1) * influence.std(ddof=1) / np.sqrt(count))
        low, high = value - reach, value + reach
    return FrechetInfinity(value, low, high, slope, chosen, tuple(float(number) for number in distances))


def frechet_per_sample(reference: ArrayLike, samples: ArrayLike) -> Float64:
    """Fréchet distance of each clip's own frames from the reference (per-song FAD, Gui et al. 2024).

    A Gaussian is fitted to the frames of one clip. With few frames it is nearly flat and the distance is
    dominated by tr(S): compare clips of one frame count only, as the rectangular array makes sure.

    Parameters
    ----------
    reference : (n, dim) frames of many clips
    samples : (clip, frame, dim), at least two frames

    Returns
    -------
    (clip,) distances, each what `frechet_distance(reference, clip)` gives.

    >>> frechet_per_sample([[0.0], [2.0]], [[[3.0], [5.0]], [[0.0], [2.0]]])
    array([9., 0.])
    """
    rows = embeddings("reference", reference, at_least=2)
    clips = finite("samples", samples)
    if clips.ndim != 3 or clips.shape[1] < 2:
        raise InputError(
            f"samples has shape {clips.shape}",
            allowed="(clip, frame, dim) with two frames or more",
            remedy="a clip of one vector has no spread; compare many clips by frechet_distance",
        )
    same_dim("reference", rows, "samples", clips[0])
    mean, factor = rows.mean(axis=0), sample_factor(rows)
    return np.array([_assemble(mean - clip.mean(axis=0), factor, sample_factor(clip)) for clip in clips])


def covariance_factor(cov: Float64, *, name: str = "cov") -> Float64:
    """R (dim, dim) with RᵀR = cov, for a finite covariance.

    Raises
    ------
    InputError
        If an eigenvalue lies clearly below zero.
    """
    symmetric = (cov + cov.T) / 2.0
    upper, failed = lapack.dpotrf(symmetric, lower=0, clean=1)
    if not failed:
        return np.asarray(upper)
    values, vectors = linalg.eigh(symmetric)
    if values.min() < -1e-6 * max(abs(values.max()), np.finfo(float).tiny):
        raise InputError(f"{name} has the eigenvalue {values.min():.3g}", allowed="none below zero")
    return np.asarray((vectors * np.sqrt(np.clip(values, 0.0, None))).T)


def sample_factor(rows: Float64, mean: Float64 | None = None) -> Float64:
    """R with RᵀR = the sample covariance of rows (n, dim); (min(n, dim), dim). `mean`: of the rows, where it is known.

    Where rows are few or nearly dependent the covariance is never formed, which would cost half of the digits.
    """
    mean = rows.mean(axis=0) if mean is None else mean
    factor = from_gram(rows, mean) if len(rows) >= ROWS_FOR_ONE_PASS * rows.shape[1] else None
    if factor is None:
        centred = rows - mean
        factor = centred if len(rows) <= rows.shape[1] else _triangle(centred)
    return factor / np.sqrt(len(rows) - 1)


def root_trace(factor_x: Float64, factor_y: Float64) -> float:
    """tr((Sx Sy)^1/2) for Sx = Rxᵀ Rx, Sy = Ryᵀ Ry: the sum of the singular values of Rx Ryᵀ."""
    product = factor_x @ factor_y.T
    if len(product) >= VALUES_BY_ROOTS and product.shape[0] == product.shape[1]:
        values = linalg.eigvalsh(blas.dsyrk(1.0, product.T), lower=False, check_finite=False)
        if values[0] >= SMALLEST_SHARE * values[-1] > 0.0:
            return float(np.sqrt(values).sum())
    return float(linalg.svdvals(product, overwrite_a=True, check_finite=False).sum())


def _sizes(sizes: Sequence[int] | None, n: int, dim: int) -> tuple[int, ...]:
    """Sub-sample sizes, descending."""
    if sizes is None:
        sizes = [n // part for part in PARTS if part <= 2 or enough(n // part, dim)]
    chosen = sorted({int(size) for size in sizes}, reverse=True)
    if len(chosen) < 2 or chosen[0] > n or not 2 <= chosen[-1] <= n // 2:
        raise InputError(
            f"Sub-sample sizes {chosen} of {n} rows",
            allowed=f"two or more from 2 to {n}, the smallest at most {n // 2}",
        )
    return tuple(chosen)


def _by_size(
    mean: Float64, factor: Float64, rows: Float64, sizes: Sequence[int], seed: int, repeats: int
) -> list[float]:
    """Mean distance of the sub-samples of each size from a reference of that mean and factor."""
    found: dict[int, list[float]] = {size: [] for size in sizes}
    for repeat in range(repeats):
        shuffled = rows[np.random.default_rng([seed, repeat]).permutation(len(rows))]
        for size in sizes:
            if size == len(rows) and repeat:
                continue
            blocks = [shuffled[start : start + size] for start in range(0, len(rows) - size + 1, size)]
            found[size] += [_assemble(mean - block.mean(axis=0), factor, sample_factor(block)) for block in blocks]
    return [float(np.mean(found[size])) for size in sizes]


def _influence(mean: Float64, factor: Float64, rows: Float64) -> Float64:
    """What each row moves the distance by, times the number of rows; (n,), of mean zero but for rounding.

    The derivative of the distance is 2 (my - mx) for the mean of the rows, and I - T for their covariance, where T
    carries the Gaussian of the rows over to the reference's (T Sy T = Sx). With rows = U s Vᵀ and R Ryᵀ = P σ Wᵀ,
    the form (y - my)ᵀ T (y - my) is (n - 1) |σ^1/2 Wᵀ u|², so that nothing is inverted.
    """
    own = rows.mean(axis=0)
    centred = rows - own
    left, values, right = linalg.svd(centred, full_matrices=False, check_finite=False)
    own_factor = values[:, None] * right / np.sqrt(len(rows) - 1)
    _, carried, turn = linalg.svd(factor @ own_factor.T, full_matrices=False, check_finite=False)
    form = (len(rows) - 1) * ((left @ turn.T) ** 2 @ carried)
    moved = 2.0 * centred @ (own - mean) + np.sum(centred**2, axis=1) - form
    return np.asarray(moved - moved.mean())


def from_gram(rows: Float64, mean: Float64) -> Float64 | None:
    """R of the centred rows from the Gram matrix of rows as they are; None where that would cost digits."""
    gram = blas.dsyrk(1.0, rows.T)
    # Of what was rounded: large means count against the condition.
    sizes = np.abs(gram)
    size = float((sizes.sum(axis=0) + sizes.sum(axis=1) - np.diag(sizes)).max())
    gram -= len(rows) * np.outer(mean, mean)
    factor, failed = lapack.dpotrf(gram, lower=0, clean=1)
    # Also false where rows are so large that their squares overflow.
    if failed or not lapack.dpocon(factor, size)[0] >= WELL_CONDITIONED:
        return None
    return np.asarray(factor)


def _triangle(rows: Float64) -> Float64:
    """R of rows = QR, (dim, dim), for more rows than dimensions.

    Cholesky of the Gram matrix, twice (Yamamoto et al. 2015): the second, of rows R⁻¹, restores the digits
    that squaring cost the first, provided that rows R⁻¹ came out nearly orthogonal, which is looked at. Else
    Householder's QR, which takes dependent columns, at three times the time.
    """
    # Fortran order for BLAS, without a copy.
    columns = rows.T
    first, failed = lapack.dpotrf(blas.dsyrk(1.0, columns), lower=0, clean=1)
    if not failed:
        gram = blas.dsyrk(1.0, blas.dtrsm(1.0, first, columns, trans_a=1))
        if np.abs(np.triu(gram) - np.eye(len(gram))).sum(axis=1).max() < NEARLY_ORTHOGONAL:
            second, _ = lapack.dpotrf(gram, lower=0, clean=1)
            return np.asarray(second @ first)
    return np.asarray(linalg.qr(rows, mode="r", check_finite=False)[0][: rows.shape[1]])


def _assemble(mean_gap: Float64, factor_x: Float64, factor_y: Float64) -> float:
    root = root_trace(factor_x, factor_y)
    spread = np.sum(factor_x**2) + np.sum(factor_y**2) - 2.0 * root
    return float(max(np.sum(mean_gap**2) + spread, 0.0))
