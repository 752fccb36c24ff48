"""Intervals and p-values that respect who is independent of whom: songs (and many subjects), not windows.

Windows of one song are not independent, so every interval is over clusters. Percentile
cluster bootstraps cover too little at few clusters; here the interval is a t interval on the
cluster-robust standard error, or a bootstrap-t. Subjects count as fixed effects below ten
(too few to estimate a variance from) and as a second clustering from ten on. The gallery is part of
the design: it is never resampled.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from eeg2music.errors import DataError, InputError

Float64 = NDArray[np.float64]

SUBJECTS_RANDOM_FROM = 10
PERMUTATION_CELLS = 4_000_000


class Interval(NamedTuple):
    """An estimate with its confidence interval.

    df : degrees of freedom of the t distribution (clusters - 1)
    method : in words, for the report
    """

    estimate: float
    low: float
    high: float
    standard_error: float
    df: int
    method: str


class ClusterSums(NamedTuple):
    """Per cluster: the sum of its values and their number."""

    total: Float64
    number: Float64


def cluster_interval(
    values: ArrayLike,
    songs: Sequence[Hashable],
    subjects: Sequence[Hashable] | None = None,
    *,
    level: float = 0.95,
    bounds: tuple[float, float] | None = None,
) -> Interval:
    """Interval of the mean of `values`, whose songs (and ten or more subjects) were drawn at random.

    The standard error is cluster-robust with the factor C / (C - 1) (Cameron and Miller
    2015), with two-way clustering from ten subjects on; the t distribution has
    (fewest clusters - 1) degrees of freedom. With `bounds` the interval is Wilson's (1927) for the effective
    number of observations p (1 - p) / se², so that it stays inside and has a width at 0 and at 1
    (where all values are equal, each cluster counts as one observation).

    Parameters
    ----------
    values : (n,)
    songs, subjects : (n,) labels
    bounds : smallest and largest possible value, e.g. (0, 1) for an accuracy

    Raises
    ------
    DataError
        With fewer than two songs.

    >>> cluster_interval([0.0, 1.0, 1.0, 2.0], ["a", "a", "b", "b"]).estimate
    1.0
    """
    data = _values(values)
    groups = [_codes("songs", songs, len(data))]
    if subjects is not None:
        people = _codes("subjects", subjects, len(data))
        if people.max() + 1 >= SUBJECTS_RANDOM_FROM:
            groups.append(people)
    sizes = [int(codes.max()) + 1 for codes in groups]
    if sizes[0] < 2:
        raise DataError("An interval over one song", allowed="two songs or more")
    variance = _variance(data, groups[0])
    if len(groups) == 2:
        both = _codes("pairs", list(zip(*groups, strict=True)), len(data))
        # Two-way variances may come out too small in small samples; never below either one alone.
        one_way = max(variance, _variance(data, groups[1]))
        variance = max(variance + _variance(data, groups[1]) - _variance(data, both), one_way)
    df = min(sizes) - 1
    quantile = float(stats.t.ppf(0.5 + level / 2.0, df))
    error = float(np.sqrt(variance))
    mean = float(data.mean())
    method = f"cluster-robust t over {sizes[0]} songs" + (f" and {sizes[1]} subjects" if len(sizes) == 2 else "")
    if bounds is None:
        return Interval(mean, mean - quantile * error, mean + quantile * error, error, df, method)
    low, high = _wilson(mean, error, quantile, min(sizes), bounds)
    return Interval(mean, low, high, error, df, f"{method}, Wilson")


def bootstrap_t_interval(
    values: ArrayLike,
    songs: Sequence[Hashable],
    *,
    rng: np.random.Generator,
    level: float = 0.95,
    resamples: int = 2000,
) -> Interval:
    """Bootstrap-t interval of the mean, resampling whole songs (Efron and Tibshirani 1993, section 12.5).

    Makes no symmetry assumption, but needs about eight songs: with fewer, many resamples have no spread.

    Parameters
    ----------
    values : (n,)
    songs : (n,) labels
    """
    data = _values(values)
    sums = cluster_sums(data, songs)
    count = len(sums.total)
    if count < 2:
        raise DataError("An interval over one song", allowed="two songs or more")
    mean, error = _ratio(sums.total[None], sums.number[None], np.ones((1, count)))
    weights = rng.multinomial(count, np.full(count, 1.0 / count), size=resamples).astype(np.float64)
    means, errors = _ratio(sums.total[None], sums.number[None], weights)
    usable = errors > 1e-12 * max(1.0, float(np.abs(data).max()))
    method = f"bootstrap-t over {count} songs, {resamples} resamples"
    if usable.sum() < resamples // 2:
        raise DataError(f"The values hardly differ between {count} songs", remedy="use cluster_interval with bounds")
    pivots = (means[usable] - mean[0]) / errors[usable]
    low, high = np.quantile(pivots, [0.5 - level / 2.0, 0.5 + level / 2.0])
    return Interval(
        float(mean[0]),
        float(mean[0] - high * error[0]),
        float(mean[0] - low * error[0]),
        float(error[0]),
        count - 1,
        method,
    )


def cluster_sums(values: ArrayLike, clusters: Sequence[Hashable]) -> ClusterSums:
    """Sum and number of the values of each cluster."""
    data = _values(values)
    codes = _codes("clusters", clusters, len(data))
    totals = np.bincount(codes, weights=data).astype(np.float64)
    return ClusterSums(totals, np.bincount(codes).astype(np.float64))


def permutation_p_value(observed: float, null: ArrayLike) -> float:
    """Share of the null at least as large as the observed value, itself counted (Phipson and Smyth 2010).

    >>> permutation_p_value(3.0, [1.0, 2.0, 4.0])
    0.5
    """
    draws = _values(null)
    # Sums in another order differ in the last bits; those are ties.
    margin = 1e-12 * max(1.0, abs(observed))
    return float((1 + np.sum(draws >= observed - margin)) / (1 + len(draws)))


def song_permutations(
    scores: ArrayLike,
    target_index: ArrayLike,
    songs: Sequence[Hashable],
    *,
    rng: np.random.Generator,
    permutations: int = 2000,
) -> Float64:
    """Mean score after exchanging which song was heard, song by song.

    All windows of a song are given another song's targets together, because they stand or
    fall together. Only songs with queries change places; the gallery stays.

    Parameters
    ----------
    scores : (n, g) score of query i were gallery item j its target
    target_index : (n,) the item that is
    songs : (n,) song of each query; a song may have several items in the gallery

    Returns
    -------
    (permutations,) means under the null.

    Raises
    ------
    DataError
        If two songs share a gallery item (they are then not two songs).
    """
    table = np.asarray(scores, dtype=np.float64)
    index = np.asarray(target_index)
    codes = _codes("songs", songs, len(table))
    items, slot = _items_by_song(index, codes)
    count = len(items)
    width = max(len(own) for own in items)
    # A song with fewer items than another lends them again in turn.
    lookup = np.stack([np.resize(own, width) for own in items])
    null = np.empty(permutations)
    step = max(1, PERMUTATION_CELLS // len(table))
    rows = np.arange(len(table))
    for start in range(0, permutations, step):
        stop = min(start + step, permutations)
        order = rng.permuted(np.tile(np.arange(count), (stop - start, 1)), axis=1)
        null[start:stop] = table[rows, lookup[order[:, codes], slot]].mean(axis=1)
    return null


def _items_by_song(
    index: NDArray[np.int64], codes: NDArray[np.int64]
) -> tuple[list[NDArray[np.int64]], NDArray[np.int64]]:
    """Each song's gallery items, and for each query which of its song's items it has."""
    items = [np.unique(index[codes == song]) for song in range(int(codes.max()) + 1)]
    everything = np.concatenate(items)
    if len(np.unique(everything)) < len(everything):
        values, counts = np.unique(everything, return_counts=True)
        raise DataError(
            f"Gallery item {values[counts.argmax()]} is the target of {counts.max()} songs",
            remedy="give both the same song label, or declare them one work",
        )
    slot = np.array([np.searchsorted(items[song], item) for song, item in zip(codes, index, strict=True)])
    return items, slot


def _variance(data: Float64, codes: NDArray[np.int64]) -> float:
    """Cluster-robust variance of the mean."""
    residuals = np.bincount(codes, weights=data - data.mean())
    count = len(residuals)
    if count < 2:
        return 0.0
    return float(np.sum(residuals**2) * count / (count - 1) / len(data) ** 2)


def _ratio(total: Float64, count: Float64, weights: Float64) -> tuple[Float64, Float64]:
    """Mean and its linearised standard error for each row of cluster weights. (r, cluster) -> (r,), (r,)."""
    clusters = total.shape[1]
    number = (weights * count).sum(axis=1)
    mean = (weights * total).sum(axis=1) / number
    residuals = total - mean[:, None] * count
    squares = (weights * residuals**2).sum(axis=1)
    return mean, np.sqrt(squares * clusters / (clusters - 1)) / number


def _wilson(
    mean: float, error: float, quantile: float, clusters: int, bounds: tuple[float, float]
) -> tuple[float, float]:
    floor, ceiling = bounds
    if not floor - 1e-9 <= mean <= ceiling + 1e-9:
        raise InputError(f"The mean {mean:g} lies outside its bounds", allowed=f"{floor:g} to {ceiling:g}")
    p = min(max((mean - floor) / (ceiling - floor), 0.0), 1.0)
    spread = p * (1.0 - p)
    scaled = error / (ceiling - floor)
    at_the_edge = spread < 1e-12
    effective = float(clusters) if at_the_edge else spread / max(scaled**2, 1e-18)
    weight = quantile**2 / effective
    centre = (p + weight / 2.0) / (1.0 + weight)
    half = np.sqrt(weight * spread + weight**2 / 4.0) / (1.0 + weight)
    width = ceiling - floor
    return floor + width * float(max(centre - half, 0.0)), floor + width * float(min(centre + half, 1.0))


def _values(values: ArrayLike) -> Float64:
    data = np.asarray(values, dtype=np.float64)
    if data.ndim != 1 or data.size == 0 or not np.isfinite(data).all():
        raise InputError(f"Values of shape {data.shape} for a statistic", allowed="(n,) finite numbers, n >= 1")
    return data


def _codes(name: str, labels: Sequence[Hashable], n: int) -> NDArray[np.int64]:
    """Labels to 0..C-1 in order of first appearance."""
    if len(labels) != n:
        raise InputError(f"{len(labels)} {name} for {n} values", allowed="one each")
    known: dict[Hashable, int] = {}
    return np.array([known.setdefault(label, len(known)) for label in labels], dtype=np.int64)
