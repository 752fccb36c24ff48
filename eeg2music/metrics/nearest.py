"""Does it compose or replay? How near a generated stem comes to one training song, and how much nearer than to others.

A replay is near to one song alone, while dull sound is equally near to many. Distances are cosine distances
(1 - cosine) between embeddings of one encoder; nothing is embedded here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from eeg2music.errors import InputError
from eeg2music.metrics.checks import Float64, embeddings
from eeg2music.metrics.retrieval import similarity_matrix


class NearestSong(NamedTuple):
    """Cosine distance to the nearest song (n,), and its ratio to that to the second nearest song (n,), 0 to 1."""

    distance: Float64
    ratio: Float64


def nearest_song(query: ArrayLike, bank: Sequence[ArrayLike]) -> NearestSong:
    """Distance from each query to the nearest stretch of any song, and how far the next song lies beyond.

    Parameters
    ----------
    query : (n, dim)
    bank : by song (stretch, dim); two songs or more

    >>> nearest_song([[1.0, 0.0]], [[[0.0, 1.0], [2.0, 0.0]], [[0.0, 3.0]]])
    NearestSong(distance=array([0.]), ratio=array([0.]))
    """
    if len(bank) < 2:
        raise InputError(f"A bank of {len(bank)} songs", allowed="two or more, so that there is a second nearest")
    queries = embeddings("query", query)
    similarity = np.stack([similarity_matrix(queries, stretches).max(axis=1) for stretches in bank], axis=1)
    first, second = np.partition(np.clip(1.0 - similarity, 0.0, 2.0), 1, axis=1)[:, :2].T
    # Two songs that both hold the query tell nothing apart.
    return NearestSong(first, np.divide(first, second, out=np.ones_like(first), where=second > 1e-12))
