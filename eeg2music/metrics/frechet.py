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
from scipy import linalg
from scipy.linalg import blas, lapack

from eeg2music.errors import InputError
from eeg2music.metrics.checks import Float64, embeddings, finite, same_dim

# With n rows the sample covariance of dim equal variances has eigenvalues down to (1 - sqrt(dim / n))² of the true
# ones (Marchenko & Pastur 1967): 0.09 at n = 2 dim, nothing at n = dim. Below this the score is mostly the bias.
ROWS_PER_DIM = 2
# How far the Gram matrix of orthogonal columns may stray from the identity (largest row sum) before a second Cholesky
# can't mend it.
NEARLY_ORTHOGONAL = 0.1
# Sub-samples of `frechet_infinity`: the whole, halves, and thirds and quarters if large enough. Evenly spaced in 1 / n.
PARTS = (1, 2, 3, 4)
NORMAL_95 = 1.959963984540054


class FrechetInfinity(NamedTuple):
    """FAD extrapolated to endless samples of `y`.

    `value` with its 95 % interval [`low`, `high`]; `slope` of the distance over 1 / n; `sizes` (k,), descending, and
    the mean `distances` (k,) there.
    """

    value: float
    low: float
    high: float
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
    mean_gap = left.mean(axis=0) - right.mean(axis=0)
    return _assemble(mean_gap, sample_factor(left), sample_factor(right))


def frechet_from_moments(mean_x: ArrayLike, cov_x: ArrayLike, mean_y: ArrayLike, cov_y: ArrayLike) -> float:
    """The same from means (dim,) and covariances (dim, dim), for statistics published by others.

    Half the digits of the smallest eigenvalues are gone once a covariance has been formed;
    prefer `frechet_distance` where the embeddings are there.

    >>> frechet_from_moments([0.0], [[2.0]], [3.0], [[2.0]])
    9.0
    """
    means = [finite("mean_x", mean_x), finite("mean_y", mean_y)]
    if means[0].shape != means[1].shape or means[0].ndim != 1:
        raise InputError(f"mean_x has shape {means[0].shape}, mean_y has {means[1].shape}", allowed="(dim,) both")
    factors = []
    for name, mean, cov in (("cov_x", means[0], cov_x), ("cov_y", means[1], cov_y)):
        matrix = finite(name, cov)
        if matrix.shape != (mean.size, mean.size):
            raise InputError(f"{name} has shape {matrix.shape}", allowed=f"{(mean.size, mean.size)}")
        factors.append(covariance_factor(matrix, name=name))
    return _assemble(means[0] - means[1], factors[0], factors[1])


def frechet_infinity(
    x: ArrayLike, y: ArrayLike, *, seed: int, sizes: Sequence[int] | None = None, repeats: int = 10
) -> FrechetInfinity:
    """FAD at infinitely many samples of `y` (Chong & Forsyth 2020 for images, Gui et al. 2024 for music).

    The bias of the distance is close to a multiple of 1 / n, so that a line through the distances of
    sub-samples, read at 1 / n = 0, is free of it. `x`, the reference, is taken whole: the bias from its own n stays,
    so compare scores with one reference. The line holds while the smallest sub-sample has about 2 `dim` rows;
    below, the true curve bends and the value comes out a little low. It may be negative, being unbiased.

    Each of `repeats` seeded repetitions shuffles the rows of `y` and cuts them into as many disjoint
    sub-samples of each size as fit; the distance at a size is the mean over them all. (Disjoint, because
    then each size averages over the same rows, whose scatter does not tilt the line.)

    The interval: the variance between disjoint sub-samples of the largest size of which two fit (halves, unless
    `sizes` says otherwise), times size / n as for a mean, averaged over repetitions (the jackknife
    that deletes half, Shao & Wu 1989); value ± 1.96 of its root. It covers the choice of the clips in `y`, not of `x`.

    Parameters
    ----------
    x : (n, dim), the reference
    y : (m, dim), what is judged, m >= 8
    seed : of the shuffles
    sizes : of the sub-samples, two or more different ones from 2 to m, one at most m / 2; None takes m and m/2, and
        m/3 and m/4 where they are `enough`
    repeats : repetitions, at least 2

    Raises
    ------
    InputError
        As `frechet_distance`, and for sizes or repeats that do not fit.

    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.normal(size=(4000, 8)), rng.normal(size=(200, 8))
    >>> found = frechet_infinity(x, y, seed=0)
    >>> found.sizes, found.low < found.value < found.high, bool(abs(found.value) < frechet_distance(x, y) / 2)
    ((200, 100, 66, 50), True, True)
    """
    reference, judged = embeddings("x", x, at_least=2), embeddings("y", y, at_least=8)
    same_dim("x", reference, "y", judged)
    chosen = _sizes(sizes, *judged.shape)
    if repeats < 2:
        raise InputError(f"repeats = {repeats}", allowed="2 or more")
    mean, factor = reference.mean(axis=0), sample_factor(reference)
    found: dict[int, list[list[float]]] = {size: [] for size in chosen}
    for repeat in range(repeats):
        shuffled = judged[np.random.default_rng([seed, repeat]).permutation(len(judged))]
        for size in chosen:
            if size == len(judged) and repeat:
                continue
            starts = range(0, len(judged) - size + 1, size)
            blocks = [shuffled[start : start + size] for start in starts]
            found[size].append([_assemble(mean - block.mean(axis=0), factor, sample_factor(block)) for block in blocks])
    distances = [float(np.mean(found[size])) for size in chosen]
    slope, value = np.polyfit(1.0 / np.array(chosen), distances, 1)
    split = max(size for size in chosen if 2 * size <= len(judged))
    variance = float(np.mean(np.var(found[split], axis=1, ddof=1))) * split / len(judged)
    reach = NORMAL_95 * float(np.sqrt(variance))
    return FrechetInfinity(
        float(value), float(value) - reach, float(value) + reach, float(slope), chosen, tuple(distances)
    )


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
            remedy="with one vector per clip use frechet_to_points",
        )
    same_dim("reference", rows, "samples", clips[0])
    mean, factor = rows.mean(axis=0), sample_factor(rows)
    return np.array([_assemble(mean - clip.mean(axis=0), factor, sample_factor(clip)) for clip in clips])


def frechet_to_points(reference: ArrayLike, points: ArrayLike) -> Float64:
    """Fréchet distance of the reference's Gaussian from a point mass at each clip's one vector.

    |m - p|² + tr(S): what is left of the distance where a clip has no spread. It orders clips by the plain Euclidean
    distance to the reference's mean, whatever S; it is no likelihood, and not comparable with `frechet_per_sample`.

    Parameters
    ----------
    reference : (n, dim), n >= 2
    points : (clip, dim)

    Returns
    -------
    (clip,)

    >>> frechet_to_points([[0.0], [2.0]], [[1.0], [4.0]])
    array([ 2., 11.])
    """
    rows, where = embeddings("reference", reference, at_least=2), embeddings("points", points)
    same_dim("reference", rows, "points", where)
    return np.sum((where - rows.mean(axis=0)) ** 2, axis=1) + np.sum(rows.var(axis=0, ddof=1))


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


def sample_factor(rows: Float64) -> Float64:
    """R with RᵀR = the sample covariance of rows (n, dim), without forming it; (min(n, dim), dim)."""
    centred = rows - rows.mean(axis=0)
    centred /= np.sqrt(len(rows) - 1)
    if len(rows) <= rows.shape[1]:
        return centred
    return _triangle(centred)


def root_trace(factor_x: Float64, factor_y: Float64) -> float:
    """tr((Sx Sy)^1/2) for Sx = Rxᵀ Rx, Sy = Ryᵀ Ry: the sum of the singular values of Rx Ryᵀ."""
    return float(linalg.svdvals(factor_x @ factor_y.T, overwrite_a=True, check_finite=False).sum())


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
