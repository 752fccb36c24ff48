"""Distance to the nearest training song: a planted copy must show, dull sound must not."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from eeg2music.errors import InputError
from eeg2music.metrics.nearest import nearest_song


def songs(seed: int, count: int = 40) -> list[np.ndarray]:
    """Songs of one to five stretches."""
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(1 + number % 5, 16)) for number in range(count)]


def test_equals_cdist() -> None:
    query, bank = np.random.default_rng(0).normal(size=(9, 16)), songs(1)
    table = np.sort([cdist(query, song, "cosine").min(1) for song in bank], axis=0)
    found = nearest_song(query, bank)
    np.testing.assert_allclose(found.distance, table[0], atol=1e-12)
    np.testing.assert_allclose(found.ratio, table[0] / table[1], atol=1e-9)


def test_a_replayed_song_is_near_to_it_alone() -> None:
    rng, bank = np.random.default_rng(2), songs(1)
    fresh = nearest_song(rng.normal(size=(60, 16)), bank)
    copied = nearest_song(np.concatenate(bank) + 0.05 * rng.normal(size=(sum(map(len, bank)), 16)), bank)
    assert np.median(copied.ratio) < 0.05
    assert np.median(fresh.ratio) > 0.7


def test_what_lies_equally_near_to_two_songs_is_no_replay() -> None:
    bank = [np.eye(3)[:1], np.eye(3)[1:2]]
    np.testing.assert_allclose(nearest_song([[1.0, 1.0, 0.0]], bank).ratio, 1.0)
    np.testing.assert_allclose(nearest_song([[1.0, 0.0, 0.0]], [bank[0], bank[0]]).ratio, 1.0)


def test_stretches_of_one_song_do_not_count_as_another() -> None:
    twice = np.array([[1.0, 0.0, 0.0], [1.0, 0.01, 0.0]])
    assert nearest_song([[1.0, 0.0, 0.0]], [twice, np.eye(3)[1:]]).ratio[0] < 1e-9


def test_one_song_has_no_second_nearest() -> None:
    with pytest.raises(InputError, match="two or more"):
        nearest_song([[1.0, 0.0]], [[[1.0, 0.0]]])
