"""One clip of each group, again and again: how clips that belong together are counted once.

Clips of one song are no independent draws of what is judged: taken for such they bias distances between
distributions upward, and their intervals are too short. Knows labels only, no clips.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eeg2music.errors import InputError

# A distance is computed once for each draw.
MOST_DRAWS = 16


def group_codes(groups: ArrayLike | None, n: int) -> NDArray[np.int64]:
    """Labels of n rows as 0..G-1; None takes every row for a group of its own. (n,)

    >>> group_codes(["b", "a", "b"], 3)
    array([1, 0, 1])
    """
    if groups is None:
        return np.arange(n)
    labels = np.asarray(groups)
    if labels.shape != (n,):
        raise InputError(f"Groups of shape {labels.shape} for {n} rows", allowed="one label for each row, (n,)")
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)


def one_of_each(groups: ArrayLike | None, n: int, *, most: int = MOST_DRAWS) -> NDArray[np.int64]:
    """Rows that hold one clip of each group, for each of as many draws as the largest group has clips.

    Draw j takes the j-th clip of each group, in the order of the rows. Groups with fewer clips begin again from their
    first; of more than `most`, clips that lie evenly among them are taken.

    Parameters
    ----------
    groups : (n,) labels; None takes every row for a group of its own

    Returns
    -------
    (draw, group) row numbers

    >>> one_of_each([7, 7, 9, 7, 9], 5)
    array([[0, 2],
           [1, 4],
           [3, 2]])
    """
    codes = group_codes(groups, n)
    counts = np.bincount(codes)
    order = np.argsort(codes, kind="stable")
    first = np.cumsum(counts) - counts
    draws = min(int(counts.max()), most)
    place = np.arange(draws)[:, None]
    return np.asarray(order[first + np.where(counts >= draws, place * counts // draws, place % counts)])
