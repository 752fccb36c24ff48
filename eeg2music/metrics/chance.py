"""What guessing would score in retrieval, from the sizes of the galleries alone.

Each function takes the gallery size of every query, so that galleries of different sizes are averaged as the
scores are. Nothing is simulated. Chance of the pairwise score is 0.5 whatever the gallery.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eeg2music.errors import InputError

PAIRWISE_CHANCE = 0.5


def topk_chance(gallery_sizes: ArrayLike, k: int) -> float:
    """Mean of k / size, 1 where k takes in the whole gallery.

    >>> topk_chance([2, 8], 4)
    0.75
    """
    return float(np.mean(np.minimum(k / _sizes(gallery_sizes), 1.0)))


def reciprocal_rank_chance(gallery_sizes: ArrayLike) -> float:
    """Mean of (1 + 1/2 + ... + 1/size) / size.

    >>> reciprocal_rank_chance([2])
    0.75
    """
    sizes = _sizes(gallery_sizes)
    harmonic = np.cumsum(1.0 / np.arange(1, sizes.max() + 1))
    return float(np.mean(harmonic[sizes - 1] / sizes))


def median_rank_chance(gallery_sizes: ArrayLike) -> float:
    """Median of ranks guessed evenly from 1 to each query's size; (size + 1) / 2 for one size.

    For mixed sizes it is the median of the mixture, not the median of the medians: half the queries in a gallery
    of 2 put it at 2, however large the other half's is.

    >>> median_rank_chance([9]), median_rank_chance([2, 100])
    (5.0, 2.0)
    """
    sizes, counts = np.unique(_sizes(gallery_sizes), return_counts=True)
    places = np.arange(1, sizes[-1] + 1)
    share = sum(
        count * np.minimum(places / size, 1.0) for size, count in zip(sizes.tolist(), counts.tolist(), strict=True)
    )
    share = np.asarray(share) / counts.sum()
    # Where exactly half lies at or below a place, the median is midway to the next.
    lower = places[np.argmax(share >= 0.5 - 1e-12)]
    upper = places[np.argmax(share > 0.5 + 1e-12)]
    return float(lower + upper) / 2.0


def _sizes(gallery_sizes: ArrayLike) -> NDArray[np.int64]:
    sizes = np.asarray(gallery_sizes)
    if sizes.size == 0 or sizes.dtype.kind not in "iu" or sizes.min() < 1:
        raise InputError(f"Gallery sizes {sizes.tolist()}", allowed="whole numbers from 1, one per query")
    return sizes.astype(np.int64).ravel()
