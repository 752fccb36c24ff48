"""One table row: how well a set of queries finds what was heard in a gallery, with interval and p-value.

The same function scores the brain's embedding, the generated audio and every control, so
that they differ in nothing but the queries. It embeds nothing and reads no files.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eeg2music.errors import DataError, InputError
from eeg2music.evaluation.power import power_note, smallest_above_chance
from eeg2music.evaluation.statistics import (
    Interval,
    cluster_interval,
    permutation_p_value,
    score_limits,
    song_permutations,
)
from eeg2music.metrics.checks import label_codes
from eeg2music.metrics.retrieval import (
    TIE_TOLERANCE,
    mean_rank,
    median_limits,
    pairwise_score,
    reciprocal_rank,
    similarity_matrix,
    standing,
    topk_hit,
    without_siblings,
)
from eeg2music.seeding import numpy_rng

PERMUTATIONS = 2000
# Scores of queries with items that are sorted at once.
TABLE_CELLS = 500_000


class Search(NamedTuple):
    """Queries of one condition, and what they are looked for among.

    query : (n, dim); gallery : (g, dim)
    target : (n,) row of the gallery that each query heard
    clusters : (n,) whom an interval counts, works or songs
    subjects : (n,) listeners; None where they are not known
    gallery_songs : as in `identify`
    """

    query: NDArray[np.floating[Any]]
    gallery: NDArray[np.floating[Any]]
    target: NDArray[np.int64]
    clusters: Sequence[Hashable]
    subjects: Sequence[Hashable] | None = None
    gallery_songs: Sequence[Hashable] | None = None


def identify(
    query: ArrayLike,
    gallery: ArrayLike,
    target_index: ArrayLike,
    *,
    songs: Sequence[Hashable],
    subjects: Sequence[Hashable],
    works: Sequence[Hashable] | None = None,
    gallery_songs: Sequence[Hashable] | None = None,
    seed: int,
    permutations: int = PERMUTATIONS,
) -> dict[str, Any]:
    """Identify each query's target among the gallery.

    Parameters
    ----------
    query : (n, dim) one 5 s window each
    gallery : (g, dim) one item per candidate, g >= 2
    target_index : (n,) row of the gallery that was heard
    songs : (n,) song of each query
    works : (n,) work of each query, where songs are versions of one: then these are the clusters and change places in
        the permutations; by default the songs
    gallery_songs : (g,) song of each candidate, where songs have several: a query is then looked for among its target
        and the candidates of other songs (`without_siblings`)
    subjects : (n,) subject of each query: a second clustering from ten on, fixed below

    Returns
    -------
    A mapping ready for JSON. `accuracy` is the pairwise rank score (ties one half) with `ci95`, `chance` (0.5),
    `p_value` and `p_value_below` (of so low a score); `top1` has `top1_ci95`, `top1_chance` (1 / gallery size) and
    `top1_p_value`; further `top5`, `median_rank` (1-based) and `mrr`, each with its `..._ci95`, `n`, `gallery_size`,
    `songs`, `subjects`, `seed`, `permutations`, `interval` (the method, in words), `smallest_effect` (above chance that
    these songs and queries would show, `smallest_above_chance`; `power` says it in words), and `cells`: for each song
    with each subject the means, in columns `song`, `subject`, `n`, `accuracy`, `top1`, by which two runs are paired.
    With `works`, `works` says how many there are, and the cells have a column `work`; with `gallery_songs` the cells
    are of each window, and their column `window` numbers those of a song.

    Raises
    ------
    InputError
        For values that are not finite or shapes that do not fit.
    DataError
        With fewer than two songs (works, where given), or two of them that share a gallery item.

    >>> scores = identify(np.eye(6), np.eye(6), np.arange(6), songs=range(6), subjects=[0] * 6, seed=0)
    >>> scores["accuracy"], scores["top1"], scores["p_value"] < 0.01
    (1.0, 1.0, True)
    """
    similarity = similarity_matrix(query, gallery)
    n = len(similarity)
    clusters, of = (songs, "songs") if works is None else (works, "works")
    if not len(songs) == len(subjects) == len(clusters) == n:
        raise InputError(
            f"{n} queries, {len(songs)} songs, {len(clusters)} {of} and {len(subjects)} subjects", allowed="one of each"
        )
    if len(set(clusters)) < 2:
        one = of.removesuffix("s")
        raise DataError(f"Identification over one {one}", allowed=f"two {of} or more", remedy="add test songs")
    index = np.asarray(target_index)
    cut = (similarity, index) if gallery_songs is None else without_siblings(similarity, index, gallery_songs)
    found = standing(*cut, tolerance=TIE_TOLERANCE)
    hits = pairwise_score(found), topk_hit(found, 1)
    figures = figures_of(
        *score_tables(similarity, gallery_songs),
        index,
        songs=songs,
        subjects=subjects,
        works=works,
        gallery_size=found.gallery_size,
        seed=seed,
        permutations=permutations,
    )
    windows = None if gallery_songs is None else _numbered(gallery_songs)[index].tolist()
    hits5, ranks, reciprocal = topk_hit(found, min(5, found.gallery_size)), mean_rank(found), reciprocal_rank(found)

    def between(values: NDArray[np.float64]) -> list[float] | None:
        return score_limits(values, clusters, subjects)

    return {
        **figures,
        "top5": float(hits5.mean()),
        "top5_ci95": between(hits5),
        "median_rank": float(np.median(ranks)),
        "median_rank_ci95": median_limits(ranks, between),
        "mrr": float(reciprocal.mean()),
        "mrr_ci95": between(reciprocal),
        "cells": _cells(songs, works, windows, subjects, *hits),
    }


def figures_of(
    pairwise: NDArray[np.float64],
    top1: NDArray[np.float64],
    target_index: ArrayLike,
    *,
    songs: Sequence[Hashable],
    subjects: Sequence[Hashable] | None,
    works: Sequence[Hashable] | None = None,
    gallery_size: int | None = None,
    seed: int,
    permutations: int = PERMUTATIONS,
) -> dict[str, Any]:
    """The figures of `identify` that follow from each query's score with each item of the gallery.

    Parameters
    ----------
    pairwise, top1 : (n, g) as `score_tables` gives them, or their mean over several takes of the same queries
    subjects : None where they are not known
    gallery_size : what each query is looked for among, where that is less than g
    """
    n, size = pairwise.shape
    size = gallery_size or size
    index = np.asarray(target_index)
    rows = np.arange(n)
    values, hits = pairwise[rows, index], top1[rows, index]
    clusters, of = (songs, "songs") if works is None else (works, "works")
    independent = len(set(clusters))
    interval = cluster_interval(values, clusters, subjects, bounds=(0.0, 1.0), of=of)
    null = [
        song_permutations(
            table, index, clusters, rng=numpy_rng(seed, "identification", "song permutation"), permutations=permutations
        )
        for table in (pairwise, top1)
    ]
    smallest = smallest_above_chance(null[0])
    accuracy, top = float(values.mean()), float(hits.mean())
    return {
        "accuracy": accuracy,
        "ci95": _limits(interval),
        "chance": 0.5,
        "p_value": permutation_p_value(accuracy, null[0]),
        "p_value_below": permutation_p_value(-accuracy, -null[0]),
        "top1": top,
        "top1_ci95": _limits(cluster_interval(hits, clusters, subjects, bounds=(0.0, 1.0))),
        "top1_chance": 1.0 / size,
        "top1_p_value": permutation_p_value(top, null[1]),
        "n": n,
        "gallery_size": size,
        "songs": len(set(songs)),
        **({} if works is None else {"works": independent}),
        "subjects": len(set(() if subjects is None else subjects)),
        "seed": seed,
        "permutations": permutations,
        "interval": interval.method,
        "smallest_effect": smallest,
        "power": power_note(smallest, independent, of=of),
    }


def _cells(
    songs: Sequence[Hashable],
    works: Sequence[Hashable] | None,
    windows: Sequence[int] | None,
    subjects: Sequence[Hashable],
    pairwise: NDArray[np.float64],
    top1: NDArray[np.float64],
) -> dict[str, list[Any]]:
    """Mean scores of each song (and window) with each subject, in columns, in order of first appearance."""
    work_of = {} if works is None else {str(song): str(work) for song, work in zip(songs, works, strict=True)}
    which = [1] * len(songs) if windows is None else windows
    cells = [(str(song), one, str(subject)) for song, one, subject in zip(songs, which, subjects, strict=True)]
    codes = label_codes("cells", cells, len(cells))
    number = np.bincount(codes)
    names = list(dict.fromkeys(cells))
    return {
        "song": [song for song, _, _ in names],
        **({"work": [work_of[song] for song, _, _ in names]} if work_of else {}),
        **({} if windows is None else {"window": [one for _, one, _ in names]}),
        "subject": [subject for _, _, subject in names],
        "n": number.tolist(),
        "accuracy": (np.bincount(codes, weights=pairwise) / number).tolist(),
        "top1": (np.bincount(codes, weights=top1) / number).tolist(),
    }


def _numbered(songs: Sequence[Hashable]) -> NDArray[np.int64]:
    """Each window's number within its song, from 1."""
    seen: Counter[Hashable] = Counter()
    numbers = []
    for song in songs:
        seen[song] += 1
        numbers.append(seen[song])
    return np.array(numbers, dtype=np.int64)


def score_tables(
    similarity: NDArray[np.float64], gallery_songs: Sequence[Hashable] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(n, g) pairwise and top-1 scores of every query, were item j its target; ties shared as in the metrics.

    In blocks of queries: beside the two tables, memory does not grow with their number.

    gallery_songs : as in `identify`
    """
    pairwise, top1 = np.empty_like(similarity), np.empty_like(similarity)
    step = max(1, TABLE_CELLS // similarity.shape[1])
    for start in range(0, len(similarity), step):
        rows = slice(start, start + step)
        block = similarity[rows]
        pairwise[rows], top1[rows] = _score_rows(block) if gallery_songs is None else _by_item(block, gallery_songs)
    return pairwise, top1


def _by_item(
    similarity: NDArray[np.float64], gallery_songs: Sequence[Hashable]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """`score_tables` of one block, where each item is looked for among those of other songs."""
    n, size = similarity.shape
    cuts = (without_siblings(similarity, np.full(n, item), gallery_songs) for item in range(size))
    stands = (standing(*cut, tolerance=TIE_TOLERANCE) for cut in cuts)
    columns = [(pairwise_score(found), topk_hit(found, 1)) for found in stands]
    return np.stack([one for one, _ in columns], axis=1), np.stack([other for _, other in columns], axis=1)


def _score_rows(similarity: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """`score_tables` of one block, where each item is looked for among all."""
    n, size = similarity.shape
    # Equal values share what they get, so that the order among them is of no account.
    order = np.argsort(similarity, axis=1)
    starts = np.ones((n, size), dtype=bool)
    starts[:, 1:] = np.diff(np.take_along_axis(similarity, order, axis=1), axis=1) > TIE_TOLERANCE
    pairwise, top1 = np.empty_like(similarity), np.zeros_like(similarity)
    np.put_along_axis(pairwise, order, np.arange(size)[None] / (size - 1), axis=1)
    top1[np.arange(n), order[:, -1]] = 1.0
    tied = np.flatnonzero(~starts.all(axis=1))
    if len(tied):
        pairwise[tied], top1[tied] = _shared(order[tied], starts[tied])
    return pairwise, top1


def _shared(order: NDArray[np.int64], starts: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The scores of rows with equal values, from their ascending order and where each run of equal values begins."""
    n, size = order.shape
    # Where a run begins and ends, spread back over its members.
    place = np.arange(size)
    first = np.maximum.accumulate(np.where(starts, place, 0), axis=1)
    ends = np.concatenate([starts[:, 1:], np.ones((n, 1), bool)], axis=1)
    last = np.minimum.accumulate(np.where(ends, place, size - 1)[:, ::-1], axis=1)[:, ::-1]
    pairwise, top1 = np.empty((n, size)), np.empty((n, size))
    np.put_along_axis(pairwise, order, (first + last) / 2.0 / (size - 1), axis=1)
    np.put_along_axis(top1, order, (last == size - 1) / (last - first + 1.0), axis=1)
    return pairwise, top1


def _limits(interval: Interval) -> list[float]:
    return [interval.low, interval.high]
