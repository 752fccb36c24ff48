"""Does it compose or replay? Distances from generated stems to the nearest training stem.

A generator that copies its training set lies nearer to it than real music that was held out.
Distances are cosine distances (1 - cosine) between embeddings of one encoder; nothing is embedded here.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eeg2music.metrics.checks import Float64, embeddings, same_dim
from eeg2music.metrics.retrieval import BLOCK_ROWS, similarity_matrix


class Nearest(NamedTuple):
    """Cosine distance to the nearest row of the bank (n,), and which row it is (n,)."""

    distance: Float64
    row: NDArray[np.int64]


class ReplayCheck(NamedTuple):
    """Generated against held-out music, both by distance to the nearest training item.

    `generated` and `held_out` are medians; `ratio` is their quotient (below 1: nearer than real music is);
    `share_nearer` is the share of generated items nearer than the median held-out item (0.5 when alike).
    """

    generated: float
    held_out: float
    ratio: float
    share_nearer: float


def nearest_distance(query: ArrayLike, bank: ArrayLike) -> Nearest:
    """Distance from each query to the nearest item of the bank.

    Parameters
    ----------
    query : (n, dim)
    bank : (m, dim)

    >>> nearest_distance([[1.0, 0.0]], [[0.0, 1.0], [2.0, 0.0]])
    Nearest(distance=array([0.]), row=array([1]))
    """
    left, right = embeddings("query", query), embeddings("bank", bank)
    same_dim("query", left, "bank", right)
    distances, rows = [], []
    for start in range(0, len(left), BLOCK_ROWS):
        similarity = similarity_matrix(left[start : start + BLOCK_ROWS], right)
        best = similarity.argmax(axis=1)
        rows.append(best)
        distances.append(np.clip(1.0 - similarity[np.arange(len(best)), best], 0.0, 2.0))
    return Nearest(np.concatenate(distances), np.concatenate(rows))


def replay_check(generated: ArrayLike, held_out: ArrayLike, training: ArrayLike) -> ReplayCheck:
    """Compare how near generated and held-out items come to the training set.

    Parameters
    ----------
    generated : (n, dim), held_out : (m, dim), training : (k, dim), of one encoder

    >>> replay_check([[1.0, 0.0]], [[1.0, 1.0]], [[1.0, 0.0]]).share_nearer
    1.0
    """
    ours = nearest_distance(generated, training).distance
    real = nearest_distance(held_out, training).distance
    middle = float(np.median(real))
    nearer = float(np.mean((ours < middle) + 0.5 * (ours == middle)))
    ratio = float(np.median(ours)) / max(middle, np.finfo(float).tiny)
    return ReplayCheck(float(np.median(ours)), middle, ratio, nearer)
