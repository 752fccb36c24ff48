"""Exact permutation tests against brute force."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from eeg2music.errors import DataError, InputError
from eeg2music.evaluation.orders import all_orders
from eeg2music.evaluation.statistics import song_permutations


def test_every_order_by_hand() -> None:
    rng = np.random.default_rng(0)
    table, works = rng.random((4, 4)), ["a", "b", "c", "d"]
    found = all_orders(table, np.arange(4), works)
    expected = [table[np.arange(4), list(order)].mean() for order in itertools.permutations(range(4))]
    np.testing.assert_allclose(np.sort(found.means), np.sort(expected))
    assert found.observed == pytest.approx(np.trace(table) / 4)
    assert found.p_value == np.mean(np.array(expected) >= found.observed - 1e-12)


def test_eight_works_have_40320_orders() -> None:
    found = all_orders(np.eye(8), np.arange(8), range(8))
    assert len(found.means) == 40320
    assert found.p_value == 1 / 40320


def test_two_sided_is_twice_the_rarer_side() -> None:
    """The best of 24 orders, and the worst; where all are equal, nothing is told."""
    found = [
        all_orders(table, np.arange(4), list("abcd")).two_sided for table in (np.eye(4), -np.eye(4), np.ones((4, 4)))
    ]
    assert found == pytest.approx([2 / 24, 2 / 24, 1.0])


def test_versions_of_a_work_move_together() -> None:
    """Two works of two pieces each: two orders, not 4!."""
    found = all_orders(np.eye(4), np.arange(4), ["a", "a", "b", "b"])
    np.testing.assert_array_equal(found.means, [1.0, 0.0])
    assert found.p_value == 0.5


def test_it_is_the_null_that_is_drawn_for_more_works() -> None:
    rng = np.random.default_rng(1)
    index = np.array([0, 1, 2, 3, 4, 5, 5, 0])
    works = ["a", "a", "b", "c", "d", "e", "e", "a"]
    table = rng.random((8, 6))
    drawn = song_permutations(table, index, works, rng=rng, permutations=20_000)
    exact = all_orders(table, index, works).means
    assert set(np.round(drawn, 9)) <= set(np.round(exact, 9))
    np.testing.assert_allclose(np.quantile(drawn, [0.1, 0.5, 0.9]), np.quantile(exact, [0.1, 0.5, 0.9]), atol=0.02)


def test_too_many_clusters_are_refused() -> None:
    with pytest.raises(InputError, match="10 clusters"):
        all_orders(np.eye(10), np.arange(10), range(10))


def test_a_shared_item_is_no_two_works() -> None:
    with pytest.raises(DataError, match="share"):
        all_orders(np.eye(3)[:, :2], np.array([0, 0, 1]), ["a", "b", "c"])
