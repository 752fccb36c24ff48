"""Each expectation is silent where it is met and speaks where it is not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from eeg2music.evaluation.baselines import BASELINES
from eeg2music.evaluation.brain import CONTROLS
from eeg2music.evaluation.expectations import WORDS, judge, table
from eeg2music.evaluation.identification import identify
from eeg2music.seeding import numpy_rng

SONGS = 24


def scored(knowledge: float, *, draw: int = 0, seed: int = 0) -> dict[str, Any]:
    """A real score: queries that know so much of their song, between noise (0) and the song itself (1)."""
    gallery = numpy_rng(0, "gallery").standard_normal((SONGS, 32))
    noise = numpy_rng(1, "noise", draw).standard_normal((2 * SONGS, 32))
    target = np.tile(np.arange(SONGS), 2)
    share = knowledge if knowledge == 1.0 else knowledge / 3.0
    query = share * gallery[target] + (1.0 - share) * noise
    songs, subjects = [f"song-{n}" for n in target], ["a"] * SONGS + ["b"] * SONGS
    return identify(query, gallery, target, songs=songs, subjects=subjects, seed=seed, permutations=200)


def entry(embedding: float | None, generated: float | None, **more: Any) -> dict[str, Any]:
    seeded = {
        "seed": 0,
        "embedding": None if embedding is None else scored(embedding),
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
    found, count = judge(as_expected())
    assert found == []
    # Two kinds each: at chance (shuffled, signal blind), above chance (oracle, song oracle; codec once), the genre's
    # guess, near the brain; the oracle's 1; in order: oracle and song oracle generated, codec once, ridge, time shift.
    assert count == 4 + 5 + 2 + 2 + 1 + 1 + 1 + 1 + 2 + 2


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
    found, _ = judge({**as_expected(), name: planted})
    assert any(text.startswith(said) for text in found), found


def test_a_handful_of_songs_is_enough_for_a_perfect_score() -> None:
    """The interval of 1.0 from six songs reaches below chance; the permutation test tells it from chance."""
    few = identify(np.eye(6), np.eye(6), np.arange(6), songs=range(6), subjects=["a"] * 6, seed=0)
    assert few["ci95"][0] < 0.5
    seeded = {"seed": 0, "embedding": None, "generated": few}
    assert judge({"codec": {**seeded, "seeds": [seeded]}}) == ([], 1)


def test_scores_of_other_windows_are_not_compared() -> None:
    few = identify(np.eye(6), np.eye(6), np.arange(6), songs=range(6), subjects=["a"] * 6, seed=0)
    seeded = {"seed": 0, "embedding": few, "generated": None}
    assert judge({"brain": entry(0.3, None), "ridge": {**seeded, "seeds": [seeded]}}) == ([], 0)


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
