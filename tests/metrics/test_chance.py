"""Chance levels against the rank of every possible guess, listed."""

from __future__ import annotations

from itertools import chain

import numpy as np
import pytest

from eeg2music.errors import InputError
from eeg2music.metrics.chance import median_rank_chance, reciprocal_rank_chance, topk_chance

GALLERIES = [[1], [2, 9, 9, 9], [2], [7], [8], [3, 3, 3], [2, 9], [4, 5, 6, 12], [2, 2, 3, 40]]


def guesses(sizes: list[int]) -> list[int]:
    """Ranks of all equally likely guesses; small galleries repeated so that each query weighs the same."""
    common = int(np.lcm.reduce(sizes))
    return list(chain.from_iterable(list(range(1, size + 1)) * (common // size) for size in sizes))


@pytest.mark.parametrize("sizes", GALLERIES)
def test_chance_is_the_mean_over_all_guesses(sizes: list[int]) -> None:
    ranks = np.array(guesses(sizes))
    for k in (1, 3, 10):
        assert topk_chance(sizes, k) == pytest.approx(np.mean(ranks <= k))
    assert reciprocal_rank_chance(sizes) == pytest.approx(np.mean(1.0 / ranks))
    assert median_rank_chance(sizes) == np.median(ranks)


@pytest.mark.parametrize("sizes", [[], [0], [2.5]])
def test_sizes_that_are_none(sizes: list[float]) -> None:
    with pytest.raises(InputError, match="Gallery sizes"):
        median_rank_chance(sizes)
