"""Each expectation is silent where it is met and speaks where it is not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from eeg2music.evaluation.baselines import BASELINES
from eeg2music.evaluation.brain import CONTROLS
from eeg2music.evaluation.expectations import WORDS, chance_line, judge, missed_line, table
from eeg2music.evaluation.identification import identify
from eeg2music.evaluation.pooled import pooled_scores
from eeg2music.evaluation.units import Matched, UnitResult
from eeg2music.seeding import numpy_rng

SONGS = 24


def queries(knowledge: float, draw: int, songs: int = SONGS) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Queries that know so much of their song, between noise (0) and the song itself (1); gallery and targets."""
    gallery = numpy_rng(0, "gallery").standard_normal((songs, 32))
    noise = numpy_rng(1, "noise", draw).standard_normal((2 * songs, 32))
    target = np.tile(np.arange(songs), 2)
    share = knowledge if knowledge == 1.0 else knowledge / 3.0
    return share * gallery[target] + (1.0 - share) * noise, gallery, target


def names(target: np.ndarray) -> dict[str, list[str]]:
    songs = len(target) // 2
    return {"songs": [f"song-{n}" for n in target], "subjects": ["a"] * songs + ["b"] * songs}


def scored(knowledge: float, *, draw: int = 0, songs: int = SONGS) -> dict[str, Any]:
    """A real score of such queries."""
    query, gallery, target = queries(knowledge, draw, songs)
    return identify(query, gallery, target, **names(target), seed=0, permutations=200)


def together(knowledge: float, draws: Sequence[int]) -> dict[str, Any]:
    """A condition of several seeds, as `evaluate` pools them."""
    results = []
    for seed, draw in enumerate(draws):
        query, gallery, target = queries(knowledge, draw)
        found = identify(query, gallery, target, **names(target), seed=seed, permutations=200)
        scores = {"seed": seed, "embedding": found, "generated": None}
        results.append(UnitResult(scores, {}, decoded=Matched(query, gallery, target)))
    seeds = [result.entry for result in results if result.entry is not None]
    return {**seeds[0], "seeds": seeds, "pooled": pooled_scores(results)}


def entry(embedding: float | None, generated: float | None, *, draw: int = 0, **more: Any) -> dict[str, Any]:
    seeded = {
        "seed": 0,
        "embedding": None if embedding is None else scored(embedding, draw=draw),
        "generated": None if generated is None else scored(generated, draw=1),
        **more,
    }
    return {**seeded, "seeds": [seeded]}


def as_expected() -> dict[str, dict[str, Any]]:
    return {
        "brain": entry(0.6, 0.4),
        "shuffled": entry(0.0, 0.0),
        "other_subject": entry(0.6, 0.4),
        "time_shifted": entry(0.0, 0.0),
        "oracle": entry(1.0, 0.6),
        "codec": entry(None, 0.9),
        "ridge": entry(0.3, 0.2),
        "song_oracle": entry(0.5, 0.3),
        "genre_oracle": entry(0.0, 0.0, given={"words": "", "expected": 0.5}),
        "signal_blind": entry(0.0, 0.0),
    }


def test_where_everything_sits_as_it_should_nothing_is_said() -> None:
    found, count, at_chance, missed = judge(as_expected())
    assert found == []
    # Two kinds each: at chance (shuffled, signal blind), above chance (oracle, song oracle; codec once), the genre's
    # guess, near the brain; the oracle's 1; in order: oracle and song oracle generated, codec once, ridge, time shift.
    assert count == 4 + 5 + 2 + 2 + 1 + 1 + 1 + 1 + 2 + 2
    # Only those at chance are tests that one in twenty misses.
    assert (at_chance, missed) == (4, 0)


def test_ceilings_are_not_judged_by_too_few_songs() -> None:
    """A perfect score of two songs has a p of 1/2, whatever was scored; of six, one in 720."""
    for songs in (2, 4, 6):
        perfect = scored(1.0, songs=songs)
        seeded = {"seed": 0, "embedding": None, "generated": perfect}
        found = judge({"oracle": {**seeded, "seeds": [seeded]}})
        assert found.surprises == [] and perfect["accuracy"] == pytest.approx(1.0)
        assert found.expectations == (songs == 6)


@pytest.mark.parametrize(
    ("name", "planted", "said"),
    [
        ("signal_blind", entry(0.5, 0.0), "signal blind (embedding, seed 0) should be at chance 0.50 but has"),
        ("shuffled", entry(0.0, 0.5), "shuffled (generated, seed 0) should be at chance"),
        ("ridge", entry(0.9, 0.2), "ridge (embedding, seed 0) should not be above the brain but is, by +0."),
        ("ridge", entry(0.3, 0.6), "ridge (generated, seed 0) should not be above the brain but is, by +0."),
        ("time_shifted", entry(0.0, 0.6), "time shifted (generated, seed 0) should not be above the brain"),
        ("brain", entry(0.6, 0.8), "brain (generated, seed 0) should not be above the oracle"),
        ("song_oracle", entry(0.5, 0.9), "song oracle (generated, seed 0) should not be above the oracle"),
        ("song_oracle", entry(0.0, 0.3), "song oracle (embedding, seed 0) should be above chance 0.50 but has"),
        ("codec", entry(None, 0.2), "oracle (generated, seed 0) should not be above the codec"),
        ("oracle", entry(0.4, 0.6), "oracle (embedding, seed 0) should be 1 but has"),
        ("other_subject", entry(0.1, 0.4), "other subject (embedding, seed 0) should be within 0.05 of the brain but"),
        (
            "genre_oracle",
            entry(0.0, 0.0, given={"words": "", "expected": 0.958}),
            "genre oracle (embedding, seed 0) should be at 0.958 but has",
        ),
    ],
)
def test_what_sits_elsewhere_is_told(name: str, planted: dict[str, Any], said: str) -> None:
    found, _, at_chance, missed = judge({**as_expected(), name: planted})
    assert any(text.startswith(said) for text in found), found
    assert (at_chance, missed) == (4, sum("should be at chance" in text for text in found))


def test_tests_of_chance_are_missed_as_often_as_is_said() -> None:
    """Controls that know nothing: one in twenty is missed, and the sentence says how many of how many."""
    seeds = [entry(0.0, None, draw=draw) for draw in range(120)]
    told = [judge({"shuffled": one}) for one in seeds]
    missed = sum(one.at_chance_missed for one in told)
    assert {(one.expectations, one.at_chance) for one in told} == {(1, 1)} and 1 <= missed <= 13
    assert chance_line(300, 120, missed).startswith(
        f"120 are tests at 5 % of whether a control is at chance: {missed} not met, where chance alone misses about 6; "
        "the other 180 "
    )
    assert chance_line(1, 1, 0).endswith("misses about 0.05.") and "seldom" in chance_line(3, 0, 0)


def test_what_chance_alone_misses_is_said_of_the_tests_that_are_at_chance() -> None:
    """40 of 100 are tests at 5 %, of which two are missed by chance; of the rest that is not known."""
    levels = [{"expectations": 50, "at_chance": {"judged": 20, "missed": n}} for n in (1, 2)]
    said = missed_line({"levels": levels, "surprises": ["a", "b", "c", "d"]})
    assert said.startswith("Of 100 expectations of controls 4 were not met")
    assert (
        "40 are tests at 5 % of whether a control is at chance: 3 not met, where chance alone misses about 2;" in said
    )
    assert said.endswith("the other 60 (ceilings, bounds, differences) it misses more seldom.")
    assert missed_line({"levels": [], "surprises": []}) == "No control was judged."


def test_what_repeats_below_the_threshold_of_one_seed_is_told_of_all_together() -> None:
    """Shuffled recordings that are found a little with every seed."""
    weak = together(0.1, range(1, 6))
    alone = judge({"shuffled": {**weak, "pooled": {}}})
    assert alone == ([], 5, 5, 0)
    told = judge({"shuffled": weak})
    assert told.surprises[0].startswith("shuffled (embedding, all seeds) should be at chance 0.50 but has 0.5")
    assert told[1:] == (6, 6, 1)
    assert judge({"shuffled": together(0.0, range(1))}).expectations == 1  # one seed is not judged twice


def test_a_small_difference_that_repeats_is_told_of_all_seeds_together() -> None:
    brain, other = together(0.3, range(4)), together(0.36, range(4))
    assert judge({"brain": brain, "other_subject": {**other, "pooled": {}}}) == ([], 4, 0, 0)
    found = judge({"brain": brain, "other_subject": other})
    (said,) = found.surprises
    assert said.startswith("other subject (embedding, all seeds) should be within 0.02 of the brain but is above it")
    assert (found.expectations, found.at_chance) == (5, 0)
    assert judge({"brain": brain, "other_subject": brain}).surprises == []


def test_what_is_the_same_at_every_level_is_judged_once() -> None:
    """Oracle and codec by themselves and beside each other; a brain of another level, and more windows, are judged."""
    first = {"oracle": entry(1.0, 0.6), "codec": entry(None, 0.9), "signal_blind": entry(0.5, None)}
    once = judge(first)
    assert (once.expectations, once.at_chance, once.at_chance_missed) == (6, 1, 1)
    assert judge(first, earlier=[{}, first]) == ([], 0, 0, 0)
    further = judge({**first, "brain": entry(0.6, 0.4)}, earlier=[first])
    assert (further.expectations, further.surprises) == (1, [])
    fewer = scored(0.0, songs=12)
    changed = {"seed": 0, "embedding": fewer, "generated": None}
    assert judge({"signal_blind": {**changed, "seeds": [changed]}}, earlier=[first]).expectations == 1


def test_a_handful_of_songs_is_enough_for_a_perfect_score() -> None:
    """The interval of 1.0 from six songs reaches below chance; the permutation test tells it from chance."""
    few = identify(np.eye(6), np.eye(6), np.arange(6), songs=range(6), subjects=["a"] * 6, seed=0)
    assert few["ci95"][0] < 0.5
    seeded = {"seed": 0, "embedding": None, "generated": few}
    assert judge({"codec": {**seeded, "seeds": [seeded]}}) == ([], 1, 0, 0)


def test_scores_of_other_windows_are_not_compared() -> None:
    few = identify(np.eye(6), np.eye(6), np.arange(6), songs=range(6), subjects=["a"] * 6, seed=0)
    seeded = {"seed": 0, "embedding": few, "generated": None}
    assert judge({"brain": entry(0.3, None), "ridge": {**seeded, "seeds": [seeded]}}) == ([], 0, 0, 0)


def test_without_conditions_there_is_no_finding_in_the_conditioning_space() -> None:
    assert judge({"no_brain": entry(0.0, None)})[1] == 0
    assert judge({"no_brain": entry(0.0, 0.0)})[1] == 1


def test_what_was_not_measured_is_not_judged_but_stands_in_the_table() -> None:
    missing = {"embedding": None, "generated": None, "why": "no song is left", "seeds": []}
    scores = {"brain": entry(0.6, 0.4), "ridge": missing, "codec": entry(None, 0.9, given={"words": "each stem"})}
    assert judge(scores)[0] == []
    rows = {row[0]: row for row in table(scores)["rows"]}
    assert rows["ridge"][2] == "no song is left"
    assert rows["codec"][2] == "each stem"
    assert len({len(row) for row in rows.values()} | {len(table(scores)["heads"])}) == 1


def test_every_condition_has_its_words() -> None:
    assert set(WORDS) == {"brain", *CONTROLS, *BASELINES}
