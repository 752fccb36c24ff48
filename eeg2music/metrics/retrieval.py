"""How well predicted embeddings find their own target among others.

Conventions: row i of `predicted` belongs to row i of `target`; the gallery of a query is
all rows of `target`, its own included. Similarity is the cosine (`kind="correlation"`:
Pearson across the embedding, as Denk et al. 2023 have it). Ranks are 1-based. Ties are
never decided by the order of rows: a rank is the mean over the tied places, and top-k and
the reciprocal rank are expectations over a random order of the tied items, so that a
constant prediction scores exactly chance. Pairwise identification is weak (0.95 of 50 is
about top-1 0.55): report it beside top-k, with the gallery size, as `retrieval_scores` does in one pass.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln

from eeg2music.errors import InputError
from eeg2music.metrics.chance import PAIRWISE_CHANCE, median_rank_chance, reciprocal_rank_chance, topk_chance
from eeg2music.metrics.checks import Float64, embeddings, finite, label_codes, same_dim

Kind = Literal["cosine", "correlation"]
# The interval of a mean of scores between 0 and 1, [low, high], from the scores; None where they allow none.
Limits = Callable[[Float64], list[float] | None]

# Equal rows give products that differ in the last bits, depending on where BLAS puts them. Cosines are at most 1.
TIE_TOLERANCE = 1e-12
BLOCK_ROWS = 1024


class Standing(NamedTuple):
    """How many gallery items lie above, and level with, each query's target (itself not counted)."""

    above: NDArray[np.int64]
    level: NDArray[np.int64]
    gallery_size: int


def similarity_matrix(query: ArrayLike, gallery: ArrayLike, *, kind: Kind = "cosine") -> Float64:
    """Similarity of every query with every gallery item.

    Parameters
    ----------
    query : (n, dim)
    gallery : (g, dim)
    kind : "cosine" or "correlation" (Pearson across the dimensions)

    Returns
    -------
    (n, g) float64 in [-1, 1]; an all-zero row is 0 to everything.

    >>> similarity_matrix([[2.0, 0.0]], [[1.0, 0.0], [0.0, 3.0]])
    array([[1., 0.]])
    """
    left, right = embeddings("query", query), embeddings("gallery", gallery)
    same_dim("query", left, "gallery", right)
    return _unit(left, kind) @ _unit(right, kind).T


def standing(similarity: ArrayLike, target_index: ArrayLike, *, tolerance: float | None = None) -> Standing:
    """Count what lies above each query's target and level with it.

    Parameters
    ----------
    similarity : (n, g) larger is nearer
    target_index : (n,) column of each query's target
    tolerance : differences up to this are ties; None takes 1e-12 of the largest absolute similarity

    Raises
    ------
    InputError
        For values that are not finite, or an index outside the gallery.
    """
    values = finite("similarity", similarity)
    if values.ndim != 2:
        raise InputError(f"similarity has shape {values.shape}", allowed="(query, gallery)")
    index = _target_index(target_index, *values.shape)
    return _count(values, index, tie_margin(values) if tolerance is None else tolerance)


def without_siblings(
    similarity: ArrayLike, target_index: ArrayLike, groups: Sequence[Hashable]
) -> tuple[Float64, NDArray[np.int64]]:
    """Cut each query's gallery to its target and the items of other groups (songs).

    Of a song with several windows in the gallery one is the target; that the others are confused with it says nothing
    of whether the song was found.

    Parameters
    ----------
    similarity : (n, g)
    target_index : (n,) column of each query's target
    groups : (g,) group of each item, as many items in each

    Returns
    -------
    (n, smaller g) and the (n,) column of each query's target there

    Raises
    ------
    InputError
        If groups differ in size, so that chance would differ from query to query.

    >>> cut, place = without_siblings([[0.1, 0.2, 0.3, 0.4]], [1], ["a", "a", "b", "b"])
    >>> cut.tolist(), place.tolist()
    ([[0.2, 0.3, 0.4]], [0])
    """
    values = np.asarray(similarity, dtype=np.float64)
    index = _target_index(target_index, *values.shape)
    codes = label_codes("groups", groups, values.shape[1])
    if len(set(np.bincount(codes).tolist())) > 1:
        raise InputError("Songs have different numbers of windows in the gallery", allowed="as many of each")
    kept = codes != codes[index][:, None]
    kept[np.arange(len(index)), index] = True
    columns = np.nonzero(kept)[1].reshape(len(index), -1)
    return np.take_along_axis(values, columns, axis=1), np.argmax(columns == index[:, None], axis=1)


def tie_margin(similarity: Float64) -> float:
    """Differences up to this are ties: 1e-12 of the largest absolute similarity."""
    return TIE_TOLERANCE * max(float(similarity.max()), -float(similarity.min()))


def _count(values: Float64, index: NDArray[np.int64], margin: float) -> Standing:
    own = values[np.arange(len(index)), index][:, None]
    above = np.count_nonzero(values > own + margin, axis=1)
    not_below = np.count_nonzero(values >= own - margin, axis=1)
    return Standing(above.astype(np.int64), (not_below - above - 1).astype(np.int64), values.shape[1])


def mean_rank(found: Standing) -> Float64:
    """Rank with ties at the mean of their places. (n,) in [1, g]."""
    return 1.0 + found.above + found.level / 2.0


def pairwise_score(found: Standing) -> Float64:
    """Share of the other gallery items that lie below the target, ties counting one half. (n,) in [0, 1]."""
    if found.gallery_size < 2:
        raise InputError("The gallery has one item", allowed="two or more: there is nothing to confuse it with")
    return (found.gallery_size - mean_rank(found)) / (found.gallery_size - 1)


def topk_hit(found: Standing, k: int) -> Float64:
    """Chance that the target is among the first k, tied items in random order. (n,) in [0, 1]."""
    if not 1 <= k <= found.gallery_size:
        raise InputError(f"k = {k}", allowed=f"1 to the gallery size, {found.gallery_size}")
    return np.clip((k - found.above) / (found.level + 1.0), 0.0, 1.0)


def reciprocal_rank(found: Standing) -> Float64:
    """Expected 1 / rank, tied items in random order. (n,) in (0, 1]."""
    harmonic = np.concatenate([[0.0], np.cumsum(1.0 / np.arange(1, found.gallery_size + 1))])
    return (harmonic[found.above + found.level + 1] - harmonic[found.above]) / (found.level + 1)


def nway_score(found: Standing, n_way: int) -> Float64:
    """Chance to be the best of `n_way`: the target and n_way - 1 distractors drawn from the gallery.

    The expectation over all draws in closed form, so that no draw is a lucky one. Of t tied
    items at the top, each is chosen with probability 1 / t.
    """
    others = found.gallery_size - 1
    draws = n_way - 1
    if not 2 <= n_way <= found.gallery_size:
        raise InputError(f"n_way = {n_way}", allowed=f"2 to the gallery size, {found.gallery_size}")
    below = others - found.above - found.level
    total = np.zeros(len(found.above))
    for tied in range(min(draws, int(found.level.max(initial=0))) + 1):
        ways = _choose_log(found.level, tied) + _choose_log(below, draws - tied)
        total += np.exp(ways - _choose_log(np.asarray(others), draws)) / (tied + 1)
    return total


def identification_accuracy(predicted: ArrayLike, target: ArrayLike, *, kind: Kind = "cosine") -> float:
    """Mean share of the other targets that a prediction prefers its own target to; chance 0.5.

    Brain2Music's identification accuracy (Denk et al. 2023), there with
    `kind="correlation"`. Ties count one half.

    Parameters
    ----------
    predicted, target : (n, dim), row i belongs to row i, n >= 2

    >>> identification_accuracy([[1, 0], [0, 1], [1, 1]], [[1, 0.1], [0.1, 1], [1, 1]])
    1.0
    >>> identification_accuracy([[1, 1], [1, 1]], [[1, 0], [0, 1]])
    0.5
    """
    return float(pairwise_score(_paired(predicted, target, kind)).mean())


def topk_accuracy(predicted: ArrayLike, target: ArrayLike, k: int, *, kind: Kind = "cosine") -> float:
    """Share of queries whose target is among the k nearest of all targets; chance k / n.

    The measure of Défossez et al. 2023. A tie across the k-th place counts by
    the chance of falling inside.

    >>> topk_accuracy([[1, 0], [1, 0.2]], [[1, 0], [0, 1]], k=1)
    0.5
    """
    return float(topk_hit(_paired(predicted, target, kind), k).mean())


def mean_reciprocal_rank(predicted: ArrayLike, target: ArrayLike, *, kind: Kind = "cosine") -> float:
    """Mean of 1 / rank (Voorhees 1999); chance is the mean of 1/1 ... 1/n.

    >>> mean_reciprocal_rank([[1, 0], [1, 0.2]], [[1, 0], [0, 1]])
    0.75
    """
    return float(reciprocal_rank(_paired(predicted, target, kind)).mean())


def median_rank(predicted: ArrayLike, target: ArrayLike, *, kind: Kind = "cosine") -> float:
    """Median 1-based rank of the target; chance (n + 1) / 2.

    >>> median_rank([[1, 0], [1, 0.2], [0, 1]], [[1, 0], [0, 1], [0.1, 1]])
    2.0
    """
    return float(np.median(mean_rank(_paired(predicted, target, kind))))


def retrieval_scores(
    predicted: ArrayLike,
    target: ArrayLike,
    ks: Sequence[int] = (1, 5, 10),
    *,
    ways: Sequence[int] = (),
    kind: Kind = "cosine",
) -> dict[str, float | int | None]:
    """All measures from one pass over the similarities, each with its chance.

    Parameters
    ----------
    predicted, target : (n, dim), row i belongs to row i, n >= 2
    ks : for top-k, each from 1 to n
    ways : for N-way identification (`nway_score`), each from 2 to n

    Returns
    -------
    As `summarise`.

    >>> scores = retrieval_scores([[1, 0], [1, 0.2]], [[1, 0], [0, 1]], ks=[1])
    >>> scores["top1"], scores["top1_chance"], scores["mrr"], scores["n"]
    (0.5, 0.5, 0.75, 2)
    """
    found = _paired(predicted, target, kind)
    for name, given, least in (("k", ks, 1), ("n_way", ways, 2)):
        for value in given:
            if not least <= value <= found.gallery_size:
                raise InputError(f"{name} = {value}", allowed=f"{least} to the gallery size, {found.gallery_size}")
    return summarise([found], ks, ways=ways)


def summarise(
    parts: Sequence[Standing], ks: Sequence[int], *, ways: Sequence[int] = (), limits: Limits | None = None
) -> dict[str, Any]:
    """One row of scores over queries whose galleries may differ in size; every query weighs the same.

    Parameters
    ----------
    parts : one standing per gallery, each of two items or more
    ks : for top-k; a k that takes in a whole gallery is certain there: 1, with chance 1
    ways : for N-way identification; None where a gallery is smaller than that
    limits : makes the interval of each figure from the queries' scores, in the order of `parts`

    Returns
    -------
    A mapping ready for JSON: `n` queries, `gallery_min` and `gallery_max`, then `identification` (pairwise), `top{k}`,
    `way{n}`, `mrr` and `median_rank`, each followed by its `..._chance` and, with `limits`, its `..._ci95`.
    """
    sizes = np.concatenate([np.full(len(part.above), part.gallery_size) for part in parts])
    smallest = int(sizes.min())
    row: dict[str, Any] = {"n": len(sizes), "gallery_min": smallest, "gallery_max": int(sizes.max())}

    def put(name: str, scores: list[Float64], chance: float) -> None:
        values = np.concatenate(scores)
        row[name], row[f"{name}_chance"] = float(values.mean()), chance
        if limits is not None:
            row[f"{name}_ci95"] = limits(values)

    put("identification", [pairwise_score(part) for part in parts], PAIRWISE_CHANCE)
    for k in ks:
        put(f"top{k}", [topk_hit(part, min(k, part.gallery_size)) for part in parts], topk_chance(sizes, k))
    for way in ways:
        if way <= smallest:
            put(f"way{way}", [nway_score(part, way) for part in parts], 1.0 / way)
        else:
            row[f"way{way}"], row[f"way{way}_chance"] = None, 1.0 / way
            if limits is not None:
                row[f"way{way}_ci95"] = None
    put("mrr", [reciprocal_rank(part) for part in parts], reciprocal_rank_chance(sizes))
    ranks = np.concatenate([mean_rank(part) for part in parts])
    row["median_rank"], row["median_rank_chance"] = float(np.median(ranks)), median_rank_chance(sizes)
    if limits is not None:
        row["median_rank_ci95"] = median_limits(ranks, limits)
    return row


def median_limits(values: ArrayLike, limits: Limits) -> list[float] | None:
    """The interval of a median, from that of the share of values below it (Woodruff 1952).

    The share that lies below the median, values level with it by half, is a mean with an interval; moved so that the
    share is one half, its ends say which quantiles of the values bound the median.

    Parameters
    ----------
    values : (n,)
    limits : makes the interval of a mean; None makes none here either

    >>> median_limits([1, 1, 2, 3, 9], lambda shares: [shares.mean() - 0.3, shares.mean() + 0.3])
    [1.0, 3.0]
    """
    data = np.asarray(values, dtype=np.float64)
    middle = np.median(data)
    shares = (data < middle) + (data == middle) / 2.0
    found = limits(shares)
    if found is None:
        return None
    ends = np.clip(0.5 + np.array(found) - shares.mean(), 0.0, 1.0)
    return [float(end) for end in np.quantile(data, ends, method="inverted_cdf")]


def standing_among(query: ArrayLike, gallery: ArrayLike, target_index: ArrayLike, *, kind: Kind = "cosine") -> Standing:
    """`standing` of every query among the gallery, in blocks, so that 10,000 rows need no 10,000 x 10,000 matrix.

    Parameters
    ----------
    query : (n, dim)
    gallery : (g, dim)
    target_index : (n,) row of the gallery that is each query's target

    Raises
    ------
    InputError
        For values that are not finite, unequal dimensions, or an index outside the gallery.

    >>> standing_among([[1.0, 0.2]], [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], [2]).above.tolist()
    [1]
    """
    queries, items = embeddings("query", query), embeddings("gallery", gallery)
    same_dim("query", queries, "gallery", items)
    index = _target_index(target_index, len(queries), len(items))
    left, right = _unit(queries, kind), _unit(items, kind)
    # One block, written over: asking for new memory each time costs as much as the comparisons.
    space = np.empty((min(BLOCK_ROWS, len(left)), len(right)))
    parts = []
    for start in range(0, len(left), BLOCK_ROWS):
        rows = left[start : start + BLOCK_ROWS]
        block = np.matmul(rows, right.T, out=space[: len(rows)])
        parts.append(_count(block, index[start : start + BLOCK_ROWS], TIE_TOLERANCE))
    above, level = (
        np.concatenate(counts) for counts in zip(*((part.above, part.level) for part in parts), strict=True)
    )
    return Standing(above, level, len(right))


def _paired(predicted: ArrayLike, target: ArrayLike, kind: Kind) -> Standing:
    """Each row against all targets."""
    queries, gallery = embeddings("predicted", predicted), embeddings("target", target)
    if queries.shape != gallery.shape:
        raise InputError(f"predicted has shape {queries.shape}, target has {gallery.shape}", allowed="equal shapes")
    return standing_among(queries, gallery, np.arange(len(queries)), kind=kind)


def _unit(rows: Float64, kind: Kind) -> Float64:
    if kind not in ("cosine", "correlation"):
        raise InputError(f"Unknown similarity {kind!r}", allowed="cosine, correlation")
    centred = rows - rows.mean(axis=1, keepdims=True) if kind == "correlation" else rows
    norm = np.linalg.norm(centred, axis=1, keepdims=True)
    # What is left of a constant row after centring is rounding, not direction.
    floor = 1e-14 * np.sqrt(rows.shape[1]) * np.abs(rows).max(axis=1, keepdims=True)
    return np.where(norm > floor, centred / np.where(norm > 0, norm, 1.0), 0.0)


def _target_index(target_index: ArrayLike, n: int, gallery_size: int) -> NDArray[np.int64]:
    index = np.asarray(target_index)
    if index.shape != (n,) or index.dtype.kind not in "iu":
        raise InputError(
            f"target_index has shape {index.shape} and type {index.dtype}", allowed=f"({n},) whole numbers"
        )
    if index.size and not (index.min() >= 0 and index.max() < gallery_size):
        raise InputError(f"target_index runs from {index.min()} to {index.max()}", allowed=f"0 to {gallery_size - 1}")
    return index.astype(np.int64)


def _choose_log(n: NDArray[np.int64], k: int) -> Float64:
    """log C(n, k), minus infinity where k > n."""
    possible = n >= k
    safe = np.where(possible, n, k)
    return np.where(possible, gammaln(safe + 1) - gammaln(k + 1) - gammaln(safe - k + 1), -np.inf)
