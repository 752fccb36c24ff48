"""The smallest effect that can be seen is the one that is seen in four of five studies."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from eeg2music.errors import InputError
from eeg2music.evaluation.clusters import ClusterSums
from eeg2music.evaluation.identification import identify
from eeg2music.evaluation.power import power_note, smallest_above_chance, smallest_effect
from eeg2music.evaluation.statistics import cluster_interval, cluster_limits


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


@pytest.mark.parametrize(("df", "power"), [(1, 0.7), (1, 0.95), (7, 0.7), (24, 0.7)])
def test_the_noncentral_t_distribution_gives_that_power_back(df: int, power: float) -> None:
    away, edge = smallest_effect(0.04, df, power=power) / 0.04, stats.t.ppf(0.975, df)
    assert stats.nct.sf(edge, df, away) + stats.nct.cdf(-edge, df, away) == pytest.approx(power)


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


@pytest.mark.parametrize("power", [0.5, 0.8])
def test_above_chance_equals_the_normal_quantiles(power: float) -> None:
    """One-sided: z(0.95) + z(power) standard deviations of a normal null, wherever the null lies."""
    null = 0.5 + 0.04 * stats.norm.ppf((np.arange(20_000) + 0.5) / 20_000)
    effect = smallest_above_chance(null, power=power)
    assert effect == pytest.approx(0.04 * (stats.norm.ppf(0.95) + stats.norm.ppf(power)), rel=1e-3)
    assert smallest_above_chance(null - 0.2, power=power) == pytest.approx(effect)


@pytest.mark.parametrize(("songs", "agreement", "signal"), [(12, 2.0, 0.3), (12, 0.0, 0.075), (25, 1.0, 0.11)])
def test_what_is_said_to_be_seen_is_seen_in_four_of_five_studies(songs: int, agreement: float, signal: float) -> None:
    """Four queries a song that agree more or less; the signal gives the effect that the studies themselves name."""
    rng = np.random.default_rng(songs)
    studies = [_study(rng, songs, agreement, signal) for _ in range(200)]
    effect = np.mean([study["accuracy"] - 0.5 for study in studies])
    assert effect == pytest.approx(np.mean([study["smallest_effect"] for study in studies]), abs=0.01)
    assert np.mean([study["p_value"] < 0.05 for study in studies]) == pytest.approx(0.8, abs=0.07)


def _study(rng: np.random.Generator, songs: int, agreement: float, signal: float) -> dict[str, Any]:
    gallery, target = rng.normal(size=(songs, 32)), np.repeat(np.arange(songs), 4)
    query = signal * gallery[target] + agreement * rng.normal(size=(songs, 32))[target]
    query += rng.normal(size=query.shape)
    named = {"songs": target.tolist(), "subjects": [0] * len(target)}
    return identify(query, gallery, target, seed=int(rng.integers(2**31)), permutations=400, **named)


def test_a_score_at_its_ceiling_sees_no_smaller_effects_than_one_at_chance() -> None:
    """Of 50 songs, queries that always find theirs and queries of noise, four a song that agree."""
    rng = np.random.default_rng(0)
    gallery, target = rng.normal(size=(50, 32)), np.repeat(np.arange(50), 4)
    named = {"songs": target.tolist(), "subjects": [0] * 200, "seed": 0}
    certain = identify(gallery[target], gallery, target, **named)
    blind = identify(rng.normal(size=(50, 32))[target], gallery, target, **named)
    assert certain["accuracy"] == 1.0
    # Ranks are uniform: their standard deviation is 0.294, over 49 free songs.
    for score in (certain, blind):
        assert score["smallest_effect"] == pytest.approx(2.486 * 0.294 / 7.0, rel=0.1)
        assert score["power"] == power_note(score["smallest_effect"], 50)


def test_where_nothing_can_be_seen() -> None:
    assert smallest_above_chance(np.full(2000, 0.5)) is None
    assert smallest_above_chance(np.linspace(0.4, 0.6, 19)) is None
    assert smallest_above_chance(np.linspace(0.4, 0.6, 20)) is not None
    # A perfect score lies 0.5 above chance; a null this wide asks for more.
    assert smallest_above_chance(np.linspace(0.1, 0.9, 999)) is None
    assert smallest_above_chance(np.linspace(0.1, 0.9, 999), highest=1.5) is not None
    # Three songs have six orders: p is never below one in six. Five have 120.
    few = {songs: identify(np.eye(songs), np.eye(songs), np.arange(songs), songs=range(songs), subjects=[0] * songs,
                           seed=0) for songs in (3, 5)}  # fmt: skip
    assert few[3]["p_value"] > 0.05 > few[5]["p_value"]
    assert few[3]["smallest_effect"] is None
    assert few[3]["power"].startswith("With these 3 songs no effect above chance")


def test_the_sentence_of_a_report() -> None:
    assert power_note(0.0917, 12) == (
        "With these 12 songs an effect below 0.092 above chance can't be seen (power 0.8 at that size; one-sided p < "
        "0.05, uncorrected; from the spread of the score when what was heard is exchanged at random)."
    )
    said = power_note(0.1, 8, what="correlation", of="works", above="the null's mean")
    assert said.startswith("With these 8 works a correlation below 0.100 above the null's mean can't")


def test_bad_input_is_named() -> None:
    with pytest.raises(InputError, match="standard error of 0"):
        smallest_effect(0.0, 11)
    with pytest.raises(InputError, match="two songs or more"):
        smallest_effect(0.1, 0)
    with pytest.raises(InputError, match="power of 1"):
        smallest_effect(0.1, 5, power=1.0)
