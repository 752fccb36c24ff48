"""Exact permutation tests for a handful of clusters: every order of the works, none drawn.

Eight works have 40,320 orders, few enough to take them all; the p-value then has no sampling error. For more than nine
clusters use `statistics.song_permutations`. Knows scores and labels alone.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eeg2music.errors import DataError, InputError

Float64 = NDArray[np.float64]
MOST_CLUSTERS = 9


class Orders(NamedTuple):
    """The mean score under every order of the clusters; the first is the order that was observed."""

    means: Float64

    @property
    def observed(self) -> float:
        return float(self.means[0])

    @property
    def p_value(self) -> float:
        """Share of all orders that score at least as much as the observed one, itself among them."""
        margin = 1e-12 * max(1.0, abs(self.observed))
        return float(np.mean(self.means >= self.observed - margin))

    @property
    def two_sided(self) -> float:
        """Twice the share of the orders on the rarer side, the observed one itself on both; 1 at most."""
        margin = 1e-12 * max(1.0, abs(self.observed))
        return min(1.0, 2.0 * min(self.p_value, float(np.mean(self.means <= self.observed + margin))))

    @property
    def null_95(self) -> float:
        """What 95 % of the orders stay below."""
        return float(np.quantile(self.means, 0.95))


def all_orders(scores: ArrayLike, target_index: ArrayLike, clusters: Sequence[Hashable]) -> Orders:
    """Mean score when the clusters (works) exchange which music was theirs, in every possible order.

    All queries of a cluster are given another cluster's targets together. A cluster with fewer items than another lends
    them again in turn. The same null as `statistics.song_permutations`, enumerated.

    Parameters
    ----------
    scores : (n, g) score of query i were gallery item j its target
    target_index : (n,) the item that is
    clusters : (n,) independent unit of each query

    Raises
    ------
    InputError
        With fewer than two clusters or more than nine.
    DataError
        If two clusters share an item of the gallery (they are then one).

    >>> all_orders(np.eye(3), [0, 1, 2], ["a", "b", "c"]).p_value  # one of 3! = 6
    0.16666666666666666
    """
    table, index = np.asarray(scores, dtype=np.float64), np.asarray(target_index)
    names = list(dict.fromkeys(clusters))
    if not 2 <= len(names) <= MOST_CLUSTERS:
        raise InputError(
            f"Every order of {len(names)} clusters",
            allowed=f"2 to {MOST_CLUSTERS} clusters",
            remedy="draw orders instead: statistics.song_permutations",
        )
    codes = np.array([names.index(cluster) for cluster in clusters])
    exchanged = _exchanged(table, index, codes, len(names))
    orders = _permutations(len(names))
    return Orders(exchanged[np.arange(len(names)), orders].sum(axis=1) / len(table))


@functools.lru_cache(maxsize=4)
def _permutations(count: int) -> NDArray[np.int64]:
    """(order, cluster), the untouched order first."""
    return np.array(list(itertools.permutations(range(count))), dtype=np.int64)


def _exchanged(table: Float64, index: NDArray[np.int64], codes: NDArray[np.int64], count: int) -> Float64:
    """(cluster, cluster) summed scores of one cluster's queries were the other's items their targets."""
    items = [np.unique(index[codes == own]) for own in range(count)]
    if len(np.unique(np.concatenate(items))) < sum(map(len, items)):
        raise DataError("Two clusters share a gallery item", remedy="declare them one work")
    sums = np.empty((count, count))
    for own in range(count):
        rows = np.flatnonzero(codes == own)
        place = np.searchsorted(items[own], index[rows])
        for other in range(count):
            sums[own, other] = table[rows, items[other][place % len(items[other])]].sum()
    return sums
