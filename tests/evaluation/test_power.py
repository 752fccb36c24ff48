"""The smallest effect that can be seen is the one that is seen in four of five studies."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from eeg2music.errors import InputError
from eeg2music.evaluation.clusters import ClusterSums
from eeg2music.evaluation.power import power_note, power_of, smallest_effect, songs_needed
from eeg2music.evaluation.statistics import Interval, cluster_interval, cluster_limits


@pytest.mark.parametrize("songs", [8, 12, 25])
@pytest.mark.parametrize("power", [0.5, 0.8, 0.95])
def test_simulated_studies_see_it_as_often_as_said(songs: int, power: float) -> None:
    """Eight windows of each song; 2,000 studies, within four binomial standard errors."""
    rng = np.random.default_rng(songs)
    error = float(np.sqrt((0.3**2 + 0.5**2 / 8) / songs))
    effect = smallest_effect(error, songs - 1, power=power)
    level = effect + 0.3 * rng.normal(size=(2000, songs, 1))
    values = level + 0.5 * rng.normal(size=(2000, songs, 8))
    low, high = cluster_limits(ClusterSums(values.sum(axis=2), np.full((2000, songs), 8.0)))
    seen = np.mean((low > 0.0) | (high < 0.0))
    assert abs(seen - power) < 4.0 * np.sqrt(power * (1.0 - power) / 2000)


def test_power_and_effect_undo_each_other() -> None:
    for df in (1, 7, 24):
        assert power_of(smallest_effect(0.04, df, power=0.7), 0.04, df) == pytest.approx(0.7)
    assert power_of(0.0, 0.04, 11) == pytest.approx(0.05)
    assert power_of(-0.1, 0.04, 11) == pytest.approx(power_of(0.1, 0.04, 11))
    assert power_of(100.0, 0.04, 11) == 1.0


def test_many_clusters_give_the_textbook_value() -> None:
    """(z of 0.975 + z of 0.8) standard errors."""
    expected = 0.1 * (stats.norm.ppf(0.975) + stats.norm.ppf(0.8))
    assert smallest_effect(0.1, 100_000) == pytest.approx(expected, rel=1e-4)


def test_windows_of_the_same_songs_do_not_help() -> None:
    """A hundred windows of each of twelve songs see hardly more than ten: the songs are what there is too little of."""
    rng = np.random.default_rng(0)
    level = 0.1 * rng.normal(size=12)

    def smallest(windows: int) -> float:
        labels = np.repeat(np.arange(12), windows)
        found = cluster_interval(level[labels] + 0.05 * rng.normal(size=len(labels)), labels.tolist())
        return smallest_effect(found.standard_error, found.df)

    assert smallest(100) > 0.85 * smallest(10)


def test_songs_needed() -> None:
    """As many as a pilot needs to see just its own smallest effect are as many as it has."""
    effect = smallest_effect(0.03, 11)
    assert songs_needed(effect + 1e-9, 0.03, 12) == 12
    assert songs_needed(effect / 2, 0.03, 12) == pytest.approx(4 * 12, abs=6)
    assert songs_needed(10.0, 0.03, 12) == 2


def test_the_sentence_of_a_report() -> None:
    interval = Interval(0.6, 0.53, 0.67, 0.03, 11.0, "")
    assert power_note(interval, 12) == (
        "With these 12 songs an effect below 0.092 can't be seen (chance of 80% at that size, two-sided p < 0.05)."
    )
    assert "a difference below" in power_note(interval, 12, what="difference")
    assert "cannot be told" in power_note(interval._replace(standard_error=0.0), 12)


def test_bad_input_is_named() -> None:
    with pytest.raises(InputError, match="standard error of 0"):
        smallest_effect(0.0, 11)
    with pytest.raises(InputError, match="two songs or more"):
        smallest_effect(0.1, 0)
    with pytest.raises(InputError, match="power of 1"):
        smallest_effect(0.1, 5, power=1.0)
    with pytest.raises(InputError, match="anything but 0"):
        songs_needed(0.0, 0.1, 5)
    with pytest.raises(InputError, match="100000 songs"):
        songs_needed(1e-6, 0.1, 5)
