"""One table row: how well a set of queries finds what was heard in a gallery, with interval and p-value.

The same function scores the brain's embedding, the generated audio and every control, so
that they differ in nothing but the queries. It embeds nothing and reads no files.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eeg2music.errors import DataError, InputError
from eeg2music.evaluation.power import power_note
from eeg2music.evaluation.statistics import Interval, cluster_interval, permutation_p_value, song_permutations
from eeg2music.metrics.checks import label_codes
from eeg2music.metrics.retrieval import (
    TIE_TOLERANCE,
    mean_rank,
    pairwise_score,
    reciprocal_rank,
    similarity_matrix,
    standing,
    topk_hit,
)
from eeg2music.seeding import numpy_rng

PERMUTATIONS = 2000


def identify(
    query: ArrayLike,
    gallery: ArrayLike,
    target_index: ArrayLike,
    *,
    songs: Sequence[Hashable],
    subjects: Sequence[Hashable],
    works: Sequence[Hashable] | None = None,
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
    subjects : (n,) subject of each query: a second clustering from ten on, fixed below

    Returns
    -------
    A mapping ready for JSON. `accuracy` is the pairwise rank score (ties one half) with `ci95`,
    `chance` (0.5) and `p_value`; `top1` has `top1_ci95`, `top1_chance` (1 / gallery size) and
    `top1_p_value`; further `top5`, `median_rank` (1-based), `mrr`, `n`, `gallery_size`, `songs`, `subjects`,
    `seed`, `permutations`, `interval` (the method, in words), and `cells`: for each song with each subject the means,
    in columns `song`, `subject`, `n`, `accuracy`, `top1`, by which two runs are paired. With `works`, `works` says how
    many there are, and the cells have a column `work`.

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
    n, size = similarity.shape
    clusters, of = (songs, "songs") if works is None else (works, "works")
    if not len(songs) == len(subjects) == len(clusters) == n:
        raise InputError(
            f"{n} queries, {len(songs)} songs, {len(clusters)} {of} and {len(subjects)} subjects", allowed="one of each"
        )
    independent = len(set(clusters))
    if independent < 2:
        one = of.removesuffix("s")
        raise DataError(f"Identification over one {one}", allowed=f"two {of} or more", remedy="add test songs")
    found = standing(similarity, target_index, tolerance=TIE_TOLERANCE)
    index = np.asarray(target_index)
    pairwise, top1 = pairwise_score(found), topk_hit(found, 1)
    interval = cluster_interval(pairwise, clusters, subjects, bounds=(0.0, 1.0), of=of)
    null = [
        song_permutations(
            table, index, clusters, rng=numpy_rng(seed, "identification", "song permutation"), permutations=permutations
        )
        for table in _score_tables(similarity)
    ]
    return {
        "accuracy": float(pairwise.mean()),
        "ci95": _limits(interval),
        "chance": 0.5,
        "p_value": permutation_p_value(float(pairwise.mean()), null[0]),
        "top1": float(top1.mean()),
        "top1_ci95": _limits(cluster_interval(top1, clusters, subjects, bounds=(0.0, 1.0))),
        "top1_chance": 1.0 / size,
        "top1_p_value": permutation_p_value(float(top1.mean()), null[1]),
        "top5": float(topk_hit(found, min(5, size)).mean()),
        "median_rank": float(np.median(mean_rank(found))),
        "mrr": float(reciprocal_rank(found).mean()),
        "n": n,
        "gallery_size": size,
        "songs": len(set(songs)),
        **({} if works is None else {"works": independent}),
        "subjects": len(set(subjects)),
        "seed": seed,
        "permutations": permutations,
        "interval": interval.method,
        "power": power_note(interval, independent, of=of),
        "cells": _cells(songs, works, subjects, pairwise, top1),
    }


def _cells(
    songs: Sequence[Hashable],
    works: Sequence[Hashable] | None,
    subjects: Sequence[Hashable],
    pairwise: NDArray[np.float64],
    top1: NDArray[np.float64],
) -> dict[str, list[Any]]:
    """Mean scores of each song with each subject, in columns, in order of first appearance."""
    work_of = {} if works is None else {str(song): str(work) for song, work in zip(songs, works, strict=True)}
    pairs = [(str(song), str(subject)) for song, subject in zip(songs, subjects, strict=True)]
    codes = label_codes("pairs", pairs, len(pairs))
    number = np.bincount(codes)
    names = list(dict.fromkeys(pairs))
    return {
        "song": [song for song, _ in names],
        **({"work": [work_of[song] for song, _ in names]} if work_of else {}),
        "subject": [subject for _, subject in names],
        "n": number.tolist(),
        "accuracy": (np.bincount(codes, weights=pairwise) / number).tolist(),
        "top1": (np.bincount(codes, weights=top1) / number).tolist(),
    }


def _score_tables(similarity: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(n, g) pairwise and top-1 scores of every query were item j its target, ties shared as in the metrics."""
    n, size = similarity.shape
    order = np.argsort(similarity, axis=1, kind="stable")
    ascending = np.take_along_axis(similarity, order, axis=1)
    # Runs of equal values: where each begins and ends, spread back over its members.
    starts = np.concatenate([np.ones((n, 1), bool), np.diff(ascending, axis=1) > TIE_TOLERANCE], axis=1)
    place = np.arange(size)
    first = np.maximum.accumulate(np.where(starts, place, 0), axis=1)
    ends = np.concatenate([starts[:, 1:], np.ones((n, 1), bool)], axis=1)
    last = np.minimum.accumulate(np.where(ends, place, size - 1)[:, ::-1], axis=1)[:, ::-1]
    pairwise, top1 = np.empty_like(similarity), np.empty_like(similarity)
    np.put_along_axis(pairwise, order, (first + last) / 2.0 / (size - 1), axis=1)
    best = last == size - 1
    np.put_along_axis(top1, order, best / (last - first + 1.0), axis=1)
    return pairwise, top1


def _limits(interval: Interval) -> list[float]:
    return [interval.low, interval.high]
