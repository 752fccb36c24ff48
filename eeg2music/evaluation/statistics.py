"""Intervals and p-values that respect who is independent of whom: songs (and many subjects), not windows.

Windows of one song are not independent, so every interval is over clusters. Percentile
cluster bootstraps cover too little at few clusters; here the interval is a t interval on the
cluster-robust standard error. Subjects count as fixed effects below ten
(too few to estimate a variance from) and as a second clustering from ten on. The gallery is part of
the design: it is never resampled. `benchmarks/statistics_calibration.py` measures that all of it keeps its word.

Which one to take: values with bounds (accuracies, hits) are skewed near them: `cluster_interval` with `bounds`.
Differences: `cluster_interval` without.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from eeg2music.errors import DataError, InputError
from eeg2music.evaluation.clusters import (
    ClusterSums,
    Codes,
    Float64,
    checked_values,
    cluster_sums,
    effective_clusters,
    jackknife,
    sums_by_code,
)
from eeg2music.evaluation.corrections import holm
from eeg2music.evaluation.permutations import (
    PERMUTATION_CELLS,
    permutation_p_value,
    sign_flips,
    song_permutations,
)
from eeg2music.metrics.breakdown import LimitsOf
from eeg2music.metrics.checks import label_codes
from eeg2music.metrics.encoding import benjamini_hochberg

__all__ = [
    "PERMUTATION_CELLS",
    "SUBJECTS_RANDOM_FROM",
    "ClusterSums",
    "Interval",
    "benjamini_hochberg",
    "cluster_interval",
    "cluster_limits",
    "cluster_sums",
    "holm",
    "limits_of",
    "permutation_p_value",
    "score_limits",
    "sign_flips",
    "song_permutations",
]

SUBJECTS_RANDOM_FROM = 10


class Interval(NamedTuple):
    """An estimate with its confidence interval.

    df : degrees of freedom of the t distribution: clusters - 1, less where clusters are of unequal size
    method : in words, for the report
    """

    estimate: float
    low: float
    high: float
    standard_error: float
    df: float
    method: str


def cluster_interval(
    values: ArrayLike,
    songs: Sequence[Hashable],
    subjects: Sequence[Hashable] | None = None,
    *,
    level: float = 0.95,
    bounds: tuple[float, float] | None = None,
    of: str = "songs",
    weights: ArrayLike | None = None,
) -> Interval:
    """Interval of the mean of `values`, whose songs (and ten or more subjects) were drawn at random.

    The standard error leaves out one cluster at a time (MacKinnon, Nielsen and Webb 2023), with two-way clustering from
    ten subjects on (Cameron, Gelbach and Miller 2011); the t distribution has one degree of freedom less than there are
    clusters of the rarer kind, where unequal ones count as their effective number, n² / sum of squared sizes (Carter,
    Schnepel and Steigerwald 2017). With `bounds` the interval is Wilson's (1927) for the effective
    number of observations p (1 - p) / se², so that it stays inside and has a width at 0 and at 1
    (where all values are equal, each cluster counts as one observation).

    Parameters
    ----------
    values : (n,)
    songs, subjects : (n,) labels
    bounds : smallest and largest possible value, e.g. (0, 1) for an accuracy
    of : what `songs` are, for the words of the method, where they are no songs: "works"
    weights : (n,) above 0, of a weighted mean; the sizes of clusters are then sums of weights

    Raises
    ------
    DataError
        With fewer than two songs.

    >>> cluster_interval([0.0, 1.0, 1.0, 2.0], ["a", "a", "b", "b"]).estimate
    1.0
    >>> cluster_interval([0.0, 1.0, 1.0], ["a", "b", "c"], weights=[2.0, 1.0, 1.0]).estimate
    0.5
    """
    data = checked_values(values)
    groups = [label_codes("songs", songs, len(data))]
    if subjects is not None:
        people = label_codes("subjects", subjects, len(data))
        if people.max() + 1 >= SUBJECTS_RANDOM_FROM:
            groups.append(people)
    sizes = [int(codes.max()) + 1 for codes in groups]
    if sizes[0] < 2:
        raise DataError(f"An interval over one {of.removesuffix('s')}", allowed=f"two {of} or more")
    weight = None if weights is None else _weights(weights, len(data))
    mean = float(np.average(data, weights=weight))
    error = float(np.sqrt(_variance(data, groups, weight)))
    number = [np.bincount(codes, weights=weight) for codes in groups]
    df = min(float(_freedom(one)) for one in number)
    # Where all values are equal, clusters count by their weight.
    alike = min(sizes) if weight is None else min(float(effective_clusters(one)) for one in number)
    most = np.inf if weight is None else float(effective_clusters(weight))
    low, high = _limits(np.array(mean), np.array(error), df, alike, level, bounds, most=most)
    method = f"cluster-robust t over {sizes[0]} {of}" + (f" and {sizes[1]} subjects" if len(sizes) == 2 else "")
    method += ", Wilson" if bounds is not None else ""
    return Interval(mean, float(low), float(high), error, df, method)


def score_limits(
    values: ArrayLike, songs: Sequence[Hashable], subjects: Sequence[Hashable] | None = None
) -> list[float] | None:
    """Low and high end of the interval of the mean of scores between 0 and 1; None over fewer than two songs.

    values, songs, subjects : as in `cluster_interval`

    >>> score_limits([0.0, 1.0], ["a", "a"]) is None
    True
    """
    if len(set(songs)) < 2:
        return None
    interval = cluster_interval(values, songs, subjects, bounds=(0.0, 1.0))
    return [interval.low, interval.high]


def limits_of(songs: Sequence[Hashable], subjects: Sequence[Hashable] | None = None) -> LimitsOf:
    """Makes `score_limits` of some of the queries, whose songs and subjects these are."""

    def of(values: Float64, queries: NDArray[np.int64]) -> list[float] | None:
        people = None if subjects is None else [subjects[query] for query in queries]
        return score_limits(values, [songs[query] for query in queries], people)

    return of


def cluster_limits(
    sums: ClusterSums, *, level: float = 0.95, bounds: tuple[float, float] | None = None
) -> tuple[Float64, Float64]:
    """Low and high ends of `cluster_interval` over songs for many data sets at once.

    Parameters
    ----------
    sums : each (data set, song)

    Returns
    -------
    (data set,), (data set,)
    """
    mean, error = jackknife(sums)
    return _limits(mean, error, _freedom(sums.number), sums.total.shape[-1], level, bounds)


def _weights(weights: ArrayLike, count: int) -> Float64:
    found = checked_values(weights)
    if len(found) != count or found.min() <= 0.0:
        raise InputError(f"{len(found)} weights from {found.min():g} on", allowed=f"{count}, above 0")
    return found


def _variance(data: Float64, groups: Sequence[Codes], weight: Float64 | None) -> float:
    """Variance of the mean with one or two ways of clustering."""
    ways = [_one_way(data, codes, weight) for codes in groups]
    if len(ways) == 1:
        return ways[0]
    both = label_codes("pairs", list(zip(*(codes.tolist() for codes in groups), strict=True)), len(data))
    # Two-way variances may come out too small in small samples; never below either one alone. Where neither songs nor
    # subjects differ this is too wide: `benchmarks/statistics_calibration.py` says by how much.
    return max(sum(ways) - _one_way(data, both, weight), *ways)


def _one_way(data: Float64, codes: Codes, weight: Float64 | None) -> float:
    sums = sums_by_code(data, codes, weight)
    return float(jackknife(sums)[1] ** 2) if len(sums.total) > 1 else 0.0


def _freedom(number: NDArray[Any]) -> Float64:
    """Degrees of freedom for clusters of these sizes: never below one, where t intervals lose all meaning."""
    return np.maximum(effective_clusters(number) - 1.0, 1.0)


def _limits(
    mean: Float64,
    error: Float64,
    df: float | Float64,
    clusters: float,
    level: float,
    bounds: tuple[float, float] | None,
    *,
    most: float = np.inf,
) -> tuple[Float64, Float64]:
    quantile = stats.t.ppf(0.5 + level / 2.0, df)
    if bounds is None:
        return mean - quantile * error, mean + quantile * error
    return _wilson(mean, error, quantile, clusters, bounds, most)


def _wilson(
    mean: Float64, error: Float64, quantile: Float64, clusters: float, bounds: tuple[float, float], most: float
) -> tuple[Float64, Float64]:
    floor, ceiling = bounds
    outside = (mean < floor - 1e-9) | (mean > ceiling + 1e-9)
    if np.any(outside):
        raise InputError(
            f"The mean {np.extract(outside, mean)[0]:g} lies outside its bounds", allowed=f"{floor:g} to {ceiling:g}"
        )
    p = np.clip((mean - floor) / (ceiling - floor), 0.0, 1.0)
    spread = p * (1.0 - p)
    scaled = error / (ceiling - floor)
    at_the_edge = spread < 1e-12
    # Weighted, a value that counts little may be the only one that differs: that is no reason to trust the rest more.
    observed = np.minimum(spread / np.maximum(scaled**2, 1e-18), most)
    effective = np.where(at_the_edge, float(clusters), observed)
    weight = quantile**2 / np.maximum(effective, 1e-300)
    centre = (p + weight / 2.0) / (1.0 + weight)
    half = np.sqrt(weight * spread + weight**2 / 4.0) / (1.0 + weight)
    width = ceiling - floor
    low, high = np.maximum(centre - half, 0.0), np.minimum(centre + half, 1.0)
    return floor + width * low, floor + width * high
