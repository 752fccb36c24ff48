"""Values and the clusters (songs, subjects) they belong to: checked, coded, summed. Draws no conclusions."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eeg2music.errors import InputError
from eeg2music.metrics.checks import label_codes

Float64 = NDArray[np.float64]
Codes = NDArray[np.int64]


class ClusterSums(NamedTuple):
    """Per cluster: the sum of its values and their number. Each (cluster,), or (data set, cluster) for many at once."""

    total: Float64
    number: Float64


def checked_values(values: ArrayLike) -> Float64:
    """The values as (n,) float64.

    Raises
    ------
    InputError
        If there are none, if they are no row, or if one is not finite.
    """
    data = np.asarray(values, dtype=np.float64)
    if data.ndim != 1 or data.size == 0 or not np.isfinite(data).all():
        raise InputError(f"Values of shape {data.shape} for a statistic", allowed="(n,) finite numbers, n >= 1")
    return data


def cluster_sums(values: ArrayLike, clusters: Sequence[Hashable]) -> ClusterSums:
    """Sum and number of the values of each cluster, clusters in order of first appearance."""
    data = checked_values(values)
    codes = label_codes("clusters", clusters, len(data))
    return sums_by_code(data, codes)


def sums_by_code(data: Float64, codes: Codes, weight: Float64 | None = None) -> ClusterSums:
    """`cluster_sums` for checked values and codes; with weights those of weighted values, and of weights."""
    weighted = data if weight is None else weight * data
    totals = np.bincount(codes, weights=weighted).astype(np.float64)
    return ClusterSums(totals, np.bincount(codes, weights=weight).astype(np.float64))


def jackknife(sums: ClusterSums) -> tuple[Float64, Float64]:
    """Mean over all values and its standard error, leaving out one cluster at a time.

    The delete-one-cluster jackknife (CV3 of MacKinnon, Nielsen and Webb 2023, equation 14). With clusters of one size
    it is the usual cluster-robust error with its factor C / (C - 1); with unequal ones that error is too small, because
    large clusters pull the mean towards themselves.

    Parameters
    ----------
    sums : each (..., cluster), two clusters or more

    Returns
    -------
    (...,), (...,)
    """
    clusters = sums.total.shape[-1]
    count = sums.number.sum(axis=-1)
    mean = sums.total.sum(axis=-1) / count
    # The mean without a cluster, less the mean.
    moved = (mean[..., None] * sums.number - sums.total) / (count[..., None] - sums.number)
    return mean, np.sqrt((moved**2).sum(axis=-1) * (clusters - 1) / clusters)


def effective_clusters(number: NDArray[Any]) -> Float64:
    """How many clusters of one size would tell as much, where values of a cluster all agree.

    n² / sum of squared sizes (Carter, Schnepel and Steigerwald 2017, for a mean). (..., cluster) -> (...,).

    >>> float(effective_clusters(np.array([4, 4, 4]))), round(float(effective_clusters(np.array([9, 3, 3]))), 2)
    (3.0, 2.27)
    """
    sizes = np.asarray(number, dtype=np.float64)
    return sizes.sum(axis=-1) ** 2 / (sizes**2).sum(axis=-1)
