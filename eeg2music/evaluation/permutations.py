"""Null distributions by exchange: which song was heard, or which of two runs a song's score came from.

All windows of a song change places together. Never resamples the gallery, and gives the null
alone: `permutation_p_value` compares.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from math import factorial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eeg2music.errors import DataError, InputError
from eeg2music.evaluation.clusters import Codes, Float64, checked_values
from eeg2music.metrics.checks import label_codes

PERMUTATION_CELLS = 4_000_000


def permutation_p_value(observed: float, null: ArrayLike) -> float:
    """Share of the null at least as large as the observed value, itself counted (Phipson and Smyth 2010).

    >>> permutation_p_value(3.0, [1.0, 2.0, 4.0])
    0.5
    """
    draws = checked_values(null)
    # Sums in another order differ in the last bits; those are ties.
    margin = 1e-12 * max(1.0, abs(observed))
    return float((1 + np.sum(draws >= observed - margin)) / (1 + len(draws)))


def independent(score: Mapping[str, Any]) -> int:
    """How many songs, or works where they are declared, a score of `identify` is over."""
    return int(score["works"] if "works" in score else score["songs"])


def smallest_p_value(songs: int, permutations: int) -> float:
    """What no p-value of `song_permutations` is below but by luck: songs have few orders, draws are few.

    >>> smallest_p_value(2, 2000), smallest_p_value(50, 1999)
    (0.5, 0.0005)
    """
    orders = factorial(min(songs, 20))
    return max(1.0 / orders, 1.0 / (1 + permutations))


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
    codes = label_codes("songs", songs, len(table))
    items, slot = _items_by_song(index, codes)
    scored = table[np.arange(len(table))[:, None], lent(items, slot)]
    return exchanged_means(scored, codes, rng=rng, permutations=permutations)


def fold_permutations(
    folds: Sequence[tuple[ArrayLike, ArrayLike, Sequence[Hashable]]],
    *,
    rng: np.random.Generator,
    permutations: int = 2000,
) -> Float64:
    """`song_permutations` of several folds: songs change places inside their own, and the mean is over all rows.

    Parameters
    ----------
    folds : scores, target_index and songs of each, as of `song_permutations`

    Returns
    -------
    (permutations,) means under the null.
    """
    rows = sum(len(songs) for _, _, songs in folds)
    null = np.zeros(permutations)
    for table, index, songs in folds:
        null += song_permutations(table, index, songs, rng=rng, permutations=permutations) * len(songs) / rows
    return null


def lent(items: Sequence[Codes], slot: Codes) -> Codes:
    """(n, song) which item of each song a row is given when it has that song's place.

    Parameters
    ----------
    items : of each song; one with fewer than another lends them again in turn
    slot : (n,) which of its own song's items each row has
    """
    width = max(len(own) for own in items)
    return np.stack([np.resize(own, width)[slot] for own in items], axis=1)


def exchanged_means(scored: Float64, codes: Codes, *, rng: np.random.Generator, permutations: int) -> Float64:
    """Mean score after whole songs have changed places. (permutations,).

    Parameters
    ----------
    scored : (n, song) score of each row with what each song lends it
    codes : (n,) song of each row
    """
    count = scored.shape[1]
    # All rows of a song go to one other: only sums of songs change places.
    sums = np.zeros((count, count))
    np.add.at(sums, codes, scored)
    null = np.empty(permutations)
    step = max(1, PERMUTATION_CELLS // count)
    for start in range(0, permutations, step):
        stop = min(start + step, permutations)
        order = rng.permuted(np.tile(np.arange(count), (stop - start, 1)), axis=1)
        null[start:stop] = sums[np.arange(count), order].sum(axis=1) / len(scored)
    return null


def sign_flips(differences: ArrayLike, *, rng: np.random.Generator, permutations: int = 2000) -> Float64:
    """Means after exchanging the two runs in a random set of songs: the null of a paired difference.

    Exact where the runs are exchangeable within each song (Fisher 1935, section 21). The test is two-sided when
    absolute values are compared: `permutation_p_value(abs(mean), np.abs(null))`.

    Parameters
    ----------
    differences : (song,) sum (or mean) of the differences of each song
    permutations : how many sets; with so few songs that there are no more of them, each is taken once instead

    Returns
    -------
    (sets,) means over songs under the null. Where every set is taken, the one in which nothing was exchanged is left
    out, because `permutation_p_value` counts it.

    >>> sorted(sign_flips([1.0, 3.0], rng=np.random.default_rng(0)).tolist())
    [-2.0, -1.0, 1.0]
    """
    values = checked_values(differences)
    if permutations < 1:
        raise InputError(f"{permutations} permutations", allowed="1 or more")
    count = len(values)
    if count < 31 and 2**count - 1 <= permutations:
        exchanged = (np.arange(1, 2**count)[:, None] >> np.arange(count)) & 1
    else:
        exchanged = rng.integers(0, 2, size=(permutations, count))
    return (1.0 - 2.0 * exchanged) @ values / count


def _items_by_song(index: NDArray[np.int64], codes: Codes) -> tuple[list[Codes], Codes]:
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
