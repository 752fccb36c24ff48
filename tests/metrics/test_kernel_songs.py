"""The kernel distance of clips that come in songs: against its definition, its draws and leaving out by hand."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy import stats

from eeg2music.errors import InputError
from eeg2music.metrics import kernel_songs
from eeg2music.metrics.draws import one_of_each
from eeg2music.metrics.kernel import kernel_distance, median_distance
from eeg2music.metrics.kernel_songs import song_kernel_distance


def clouds(n: int, m: int, dim: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(n)
    return rng.normal(size=(n, dim)) + 50.0, 1.2 * rng.normal(size=(m, dim)) + 50.3


def test_with_one_clip_a_song_it_is_the_kernel_distance(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = clouds(23, 17)
    expected = pytest.approx(kernel_distance(x, y), abs=1e-9)
    assert song_kernel_distance(x, y).value == expected
    assert song_kernel_distance(x, y, np.arange(17)[::-1]).value == expected
    monkeypatch.setattr(kernel_songs, "BLOCK_ROWS", 5)
    monkeypatch.setattr(kernel_songs, "BLOCK_COLUMNS", 7)
    assert song_kernel_distance(x, y).value == expected


def test_it_is_the_mean_over_all_ways_to_draw_one_clip_a_song() -> None:
    """Songs of 1, 2 and 3 clips, in any order of the rows."""
    x, y = clouds(9, 6)
    songs = np.array(["b", "c", "a", "c", "b", "c"])
    ways = list(product(*(np.flatnonzero(songs == song) for song in "abc")))
    assert len(ways) == 6
    found = song_kernel_distance(x, y, songs, bandwidth=1.7)
    assert found.value == pytest.approx(np.mean([kernel_distance(x, y[list(way)], bandwidth=1.7) for way in ways]))


def test_copies_change_neither_figure_nor_interval() -> None:
    x, y = clouds(30, 12)
    once, copied = song_kernel_distance(x, y), song_kernel_distance(x, np.tile(y, (4, 1)), np.tile(np.arange(12), 4))
    assert copied == pytest.approx(once, abs=1e-9)
    assert song_kernel_distance(x, np.tile(y, (4, 1))).value > once.value + 1.0
    assert median_distance(np.tile(y, (4, 1)), np.tile(np.arange(12), 4)) == pytest.approx(median_distance(y))


def test_the_interval_leaves_out_one_song_or_one_reference_at_a_time() -> None:
    x, y = clouds(15, 8)
    found = song_kernel_distance(x, y, bandwidth=2.0)
    variances = []
    for side in (0, 1):
        without = []
        for row in range((15, 8)[side]):
            left = [np.delete(of, row, axis=0) if side == number else of for number, of in enumerate((x, y))]
            without.append(kernel_distance(*left, bandwidth=2.0))
        n = len(without)
        variances.append((n - 1) / n * np.sum((np.array(without) - np.mean(without)) ** 2))
    reach = stats.t.ppf(0.975, 7) * np.sqrt(sum(variances))
    assert (found.low, found.high) == pytest.approx((found.value - reach, found.value + reach))


def test_too_few_have_no_interval_and_one_song_no_distance() -> None:
    x, y = clouds(12, 6)
    assert song_kernel_distance(x, y, [0, 0, 0, 1, 1, 1]).low is None
    assert song_kernel_distance(x[:2], y, bandwidth=1.0).high is None
    with pytest.raises(InputError, match="of one song"):
        song_kernel_distance(x, y, [4] * 6)
    with pytest.raises(InputError, match="one label for each row"):
        song_kernel_distance(x, y, [4] * 5)
    with pytest.raises(InputError, match="bandwidth is 0"):
        song_kernel_distance(x, y, bandwidth=0.0)
    with pytest.raises(InputError, match="one group"):
        median_distance(y, [1] * 6)


def test_draws_take_the_next_clip_of_each_song_and_begin_again() -> None:
    songs = ["b", "a", "b", "c", "b", "a"]
    np.testing.assert_array_equal(one_of_each(songs, 6), [[1, 0, 3], [5, 2, 3], [1, 4, 3]])
    np.testing.assert_array_equal(one_of_each(None, 3), [[0, 1, 2]])
    many = one_of_each(np.repeat([0, 1], [9, 2]), 11, most=4)
    np.testing.assert_array_equal(many, [[0, 9], [2, 10], [4, 9], [6, 10]])
