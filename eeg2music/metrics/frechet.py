"""Fréchet distance between two clouds of embeddings, as in FAD (Kilgour et al. 2019).

d² = |mx - my|² + tr(Sx) + tr(Sy) - 2 tr((Sx Sy)^1/2), with sample covariances (n - 1).

The root term is computed as a sum of singular values: with centred data X = Qx Rx and
Y = Qy Ry, tr((Sx Sy)^1/2) is the nuclear norm of Rx Ryᵀ / sqrt((n - 1)(m - 1)). The
covariances are never formed, so nothing is squared: no imaginary parts, no jitter on the
diagonal, and exact for fewer samples than dimensions. The score still falls with n (it is
biased upward in small samples): compare only equal n, or use the kernel distance.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import linalg

from eeg2music.errors import InputError
from eeg2music.metrics.checks import Float64, embeddings, finite, same_dim


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
    return _assemble(mean_gap, _factor(left), _factor(right))


def frechet_from_moments(mean_x: ArrayLike, cov_x: ArrayLike, mean_y: ArrayLike, cov_y: ArrayLike) -> float:
    """The same from means (dim,) and covariances (dim, dim), for statistics published by others.

    Half the digits of the smallest eigenvalues are gone once a covariance has been formed;
    prefer `frechet_distance` where the embeddings are there.

    >>> frechet_from_moments([0.0], [[2.0]], [3.0], [[2.0]])
    9.0
    """
    means = [finite("mean_x", mean_x), finite("mean_y", mean_y)]
    factors = []
    for name, mean, cov in (("cov_x", means[0], cov_x), ("cov_y", means[1], cov_y)):
        matrix = finite(name, cov)
        if matrix.shape != (mean.size, mean.size):
            raise InputError(f"{name} has shape {matrix.shape}", allowed=f"{(mean.size, mean.size)}")
        values, vectors = linalg.eigh((matrix + matrix.T) / 2.0)
        if values.min() < -1e-6 * max(abs(values.max()), np.finfo(float).tiny):
            raise InputError(f"{name} has the eigenvalue {values.min():.3g}", allowed="none below zero")
        factors.append((vectors * np.sqrt(np.clip(values, 0.0, None))).T)
    return _assemble(means[0] - means[1], factors[0], factors[1])


def _factor(rows: Float64) -> Float64:
    """R with RᵀR = sample covariance; (min(n, dim), dim)."""
    centred = (rows - rows.mean(axis=0)) / np.sqrt(len(rows) - 1)
    if len(rows) <= rows.shape[1]:
        return centred
    return np.asarray(linalg.qr(centred, mode="r", overwrite_a=True, check_finite=False)[0][: rows.shape[1]])


def _assemble(mean_gap: Float64, factor_x: Float64, factor_y: Float64) -> float:
    root = root_trace(factor_x, factor_y)
    spread = np.sum(factor_x**2) + np.sum(factor_y**2) - 2.0 * root
    return float(max(np.sum(mean_gap**2) + spread, 0.0))


def root_trace(factor_x: Float64, factor_y: Float64) -> float:
    """tr((Sx Sy)^1/2) for Sx = Rxᵀ Rx, Sy = Ryᵀ Ry: the sum of the singular values of Rx Ryᵀ."""
    return float(linalg.svdvals(factor_x @ factor_y.T, overwrite_a=True, check_finite=False).sum())
