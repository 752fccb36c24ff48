"""Intervals must cover and p-values must be uniform under the null, at few clusters too."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from eeg2music.errors import DataError, InputError
from eeg2music.evaluation.permutations import fold_permutations
from eeg2music.evaluation.statistics import (
    cluster_interval,
    permutation_p_value,
    song_permutations,
)


def test_one_value_per_song_is_the_t_interval() -> None:
    values = np.random.default_rng(0).normal(size=9)
    found = cluster_interval(values, range(9))
    low, high = stats.t.interval(0.95, 8, loc=values.mean(), scale=stats.sem(values))
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-12)
    assert found.df == 8


def test_windows_of_one_song_add_no_certainty() -> None:
    """Twenty copies of each song's value leave the interval where it was."""
    values = np.random.default_rng(1).normal(size=8)
    once = cluster_interval(values, range(8))
    copied = cluster_interval(np.repeat(values, 20), np.repeat(np.arange(8), 20))
    assert (copied.low, copied.high) == pytest.approx((once.low, once.high), rel=1e-12)


@pytest.mark.parametrize("songs", [8, 12, 25])
@pytest.mark.parametrize("kind", ["normal", "accuracy", "hits"])
def test_coverage_at_few_clusters(songs: int, kind: str) -> None:
    """True mean known; 800 data sets: 0.95 give or take three standard errors (0.023)."""
    rng = np.random.default_rng(2)
    labels = np.repeat(np.arange(songs), 6)
    covered = 0
    for _ in range(800):
        if kind == "normal":
            values, truth, bounds = rng.normal(size=songs)[labels] + rng.normal(size=len(labels)), 0.0, None
        else:
            a, b = (8.0, 1.5) if kind == "accuracy" else (1.0, 3.0)
            level = rng.beta(a, b, size=songs)[labels]
            truth, bounds = a / (a + b), (0.0, 1.0)
            values = (
                rng.beta(10 * level, 10 * (1 - level))
                if kind == "accuracy"
                else 1.0 * (rng.random(len(labels)) < level)
            )
        found = cluster_interval(values, labels, bounds=bounds)
        covered += found.low <= truth <= found.high
    assert 0.925 <= covered / 800 <= 0.975


def test_ignoring_the_clusters_would_not_cover() -> None:
    """The planted fraud: windows taken for independent."""
    rng = np.random.default_rng(3)
    labels = np.repeat(np.arange(12), 20)
    covered = 0
    for _ in range(200):
        values = rng.normal(size=12)[labels] + rng.normal(size=len(labels))
        found = cluster_interval(values, range(len(values)))
        covered += found.low <= 0.0 <= found.high
    assert covered / 200 < 0.7


def test_bounded_intervals_stay_inside_and_have_a_width_at_the_edge() -> None:
    labels = np.repeat(np.arange(10), 3)
    none, all_of_them = (
        cluster_interval(np.zeros(30), labels, bounds=(0, 1)),
        cluster_interval(np.ones(30), labels, bounds=(0, 1)),
    )
    assert none.low == 0.0
    assert 0.2 < none.high < 0.5
    assert all_of_them.high == 1.0
    assert all_of_them.low == pytest.approx(1.0 - none.high)
    nearly = np.ones(30)
    nearly[0] = 0.9
    assert cluster_interval(nearly, labels, bounds=(0, 1)).high <= 1.0


def test_ten_subjects_become_a_second_clustering_and_nine_do_not() -> None:
    rng = np.random.default_rng(7)

    def interval(people: int) -> tuple[float, str]:
        songs, subjects = np.divmod(np.arange(20 * people), people)
        values = 3.0 * rng.normal(size=people)[subjects] + rng.normal(size=20)[songs] + rng.normal(size=20 * people)
        found = cluster_interval(values, songs, subjects)
        return found.high - found.low, found.method

    narrow, few = interval(9)
    wide, many = interval(12)
    assert "subjects" not in few
    assert "12 subjects" in many
    assert wide > 2 * narrow


def test_two_way_coverage() -> None:
    rng = np.random.default_rng(8)
    songs, subjects = np.divmod(np.arange(25 * 12), 12)
    covered = 0
    for _ in range(300):
        values = rng.normal(size=12)[subjects] + rng.normal(size=25)[songs] + rng.normal(size=300)
        found = cluster_interval(values, songs, subjects)
        covered += found.low <= 0.0 <= found.high
    assert 0.91 <= covered / 300 <= 0.985


def test_permutations_of_three_songs_are_the_six_listed() -> None:
    """Unequal numbers of windows, one gallery item each: every mean of the null is one of 3! listed ones."""
    rng = np.random.default_rng(9)
    table, index = rng.normal(size=(6, 5)), np.array([4, 4, 4, 0, 0, 2])
    songs = ["a", "a", "a", "b", "b", "c"]
    listed = []
    for items in itertools.permutations([4, 0, 2]):
        swap = dict(zip([4, 0, 2], items, strict=True))
        listed.append(np.mean([table[i, swap[index[i]]] for i in range(6)]))
    null = song_permutations(table, index, songs, rng=np.random.default_rng(10), permutations=3000)
    assert set(np.round(null, 9)) == set(np.round(listed, 9))
    assert null.mean() == pytest.approx(np.mean(listed), abs=0.05)


def test_windows_of_a_song_move_together_and_keep_their_order() -> None:
    """Two items per song: the first of one goes to the first of another."""
    table = np.zeros((4, 4))
    table[[0, 1], [2, 3]] = 1.0
    table[[2, 3], [0, 1]] = 1.0
    null = song_permutations(table, np.arange(4), ["a", "a", "b", "b"], rng=np.random.default_rng(0), permutations=200)
    assert set(null) == {0.0, 1.0}


def test_p_value_counts_itself_and_its_ties() -> None:
    assert permutation_p_value(5.0, np.zeros(99)) == pytest.approx(0.01)
    assert permutation_p_value(0.0, np.zeros(99)) == 1.0
    assert permutation_p_value(0.3, np.full(9, 0.1 + 0.2)) == 1.0


def test_songs_change_places_inside_their_fold_alone() -> None:
    """Two folds of two songs: four ways to exchange, each row with the other song of its own fold."""
    folds = [
        (np.array([[1.0, 0.0], [0.2, 0.6], [0.2, 0.4]]), np.array([0, 1, 1]), ["a", "b", "b"]),
        (np.array([[0.9, 0.3], [0.5, 0.7]]), np.array([0, 1]), ["c", "d"]),
    ]
    null = fold_permutations(folds, rng=np.random.default_rng(0), permutations=400)
    kept, exchanged = (1.0 + 0.6 + 0.4, 0.9 + 0.7), (0.0 + 0.2 + 0.2, 0.3 + 0.5)
    means = [(first + second) / 5 for first in (kept[0], exchanged[0]) for second in (kept[1], exchanged[1])]
    assert {round(float(value), 9) for value in null} == {round(value, 9) for value in means}


def test_bad_input_is_named() -> None:
    with pytest.raises(DataError, match="two songs or more"):
        cluster_interval([1.0, 2.0], ["a", "a"])
    with pytest.raises(InputError, match="3 songs for 2 values"):
        cluster_interval([1.0, 2.0], ["a", "b", "c"])
    with pytest.raises(InputError, match="finite"):
        cluster_interval([1.0, np.nan], ["a", "b"])
    with pytest.raises(InputError, match="outside its bounds"):
        cluster_interval([2.0, 3.0], ["a", "b"], bounds=(0, 1))
    with pytest.raises(DataError, match="target of 2 songs"):
        song_permutations(np.zeros((2, 3)), np.array([1, 1]), ["a", "b"], rng=np.random.default_rng(0))
