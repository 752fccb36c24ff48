"""Several p-values at once: corrected over all that a report prints, and said where seeds are too few."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support import seeds_together

from eeg2music.evaluation.comparisons import brain_comparisons, comparison_tables, corrected, seed_remarks
from eeg2music.evaluation.corrections import holm
from eeg2music.evaluation.followed import FOLLOWED, followed_conditions
from eeg2music.evaluation.page import score_tables
from eeg2music.seeding import numpy_rng
from eeg2music.types import CURVES


def level(
    name: str, p_values: list[tuple[float, float | None]], permutations: int = 999, songs: int = 50
) -> dict[str, Any]:
    """A level whose brain has a p-value of the embedding and, maybe, of the generated music for each seed."""

    def score(p: float) -> dict[str, Any]:
        return {"accuracy": 0.6, "p_value": p, "permutations": permutations, "songs": songs}

    seeds = [
        {"seed": seed, "embedding": score(one), "generated": None if other is None else score(other)}
        for seed, (one, other) in enumerate(p_values)
    ]
    return {"name": name, "scores": {"brain": {"seeds": seeds}, "shuffled": {"seeds": seeds}}}


def test_all_levels_kinds_and_seeds_are_corrected_together() -> None:
    levels = [level("clean", [(0.001, 0.004), (0.02, 0.03)]), level("real", [(0.3, None), (0.04, None)])]
    found = brain_comparisons(levels)
    p_values = [0.001, 0.02, 0.004, 0.03, 0.3, 0.04]
    assert [row["p_value"] for row in found["rows"]] == p_values
    assert [row["p_corrected"] for row in found["rows"]] == holm(p_values).tolist()
    assert found["count"] == 6 and found["smallest_possible"] == pytest.approx(6 / 1000)
    (table,) = comparison_tables(found)
    assert table["rows"][2] == ["clean", "generated", "0", "0.600", "0.004", "0.020"]
    assert "over all 6" in table["note"] and "comes to 0.006." in table["note"]


def test_the_chance_of_a_false_claim_is_kept() -> None:
    """Twelve true nulls: uncorrected, about half of the runs would claim something."""
    rng = numpy_rng(0, "comparisons")
    claims = {False: 0, True: 0}
    for _ in range(400):
        p = rng.uniform(size=12).tolist()
        claims[False] += min(p) < 0.05
        claims[True] += min(value for value in corrected(p) if value is not None) < 0.05
    assert claims[False] > 120 and claims[True] / 400 < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)


def test_too_few_permutations_for_so_many_comparisons_are_said() -> None:
    found = brain_comparisons([level(f"{n}", [(0.05, 0.05)], permutations=19) for n in range(3)])
    assert found["smallest_possible"] == pytest.approx(6 / 20)
    assert "nothing can pass" in comparison_tables(found)[0]["note"]


def test_too_few_songs_for_any_p_value_are_said() -> None:
    """Two songs have two orders, and four have 24: p cannot come below 1/2 and 1/24."""
    for songs, least in ((2, 1.0), (4, 2 / 24), (6, 2 / 720)):
        found = brain_comparisons([level("few", [(0.5, 0.5)], songs=songs)])
        assert found["smallest_possible"] == pytest.approx(least)
        assert ("nothing can pass" in comparison_tables(found)[0]["note"]) == (songs < 6)


def test_one_comparison_needs_no_correction() -> None:
    assert comparison_tables(brain_comparisons([level("clean", [(0.01, None)])])) == []
    assert comparison_tables(brain_comparisons([{"name": "clean", "scores": {}}])) == []


@pytest.mark.parametrize(("count", "said"), [(1, "one seed"), (2, "2 seeds"), (3, None)])
def test_fewer_than_three_seeds_are_said(count: int, said: str | None) -> None:
    found = seed_remarks(count, "The evaluation has")
    assert found == [] if said is None else f"The evaluation has {said}" in found[0]


def test_what_measures_a_condition_is_named_as_followed() -> None:
    assert {curve for of in FOLLOWED.values() for curves in of.values() for curve in curves} <= set(CURVES)
    assert followed_conditions()["following"]["measures"] == ["onset"]
    assert followed_conditions()["curves"] == {"measures": list(CURVES), "hears": []}
    assert followed_conditions()["generated"] == {"measures": [], "hears": ["onset", "brightness"]}
    scored = {
        "accuracy": 0.6, "top1": 0.2, "ci95": [0.5, 0.7], "p_value": 0.01, "n": 4, "gallery_size": 4, "power": "",
        "chance": 0.5, "top1_ci95": [0.1, 0.4], "top1_p_value": 0.5, "top1_chance": 0.25, "seed": 0,
    }  # fmt: skip
    follow = {"mean": 0.2, "mean_by_listener": 0.2, "null": 0.1, "n": 4}
    entry = {"seed": 0, "embedding": scored, "generated": scored, "following": follow}
    brain = {"seeds": [entry], "pooled": seeds_together([entry])}
    shown = {"name": "clean", "snr_db": 0.0, "style": "funk", "subjects": [], "scores": {"brain": brain}}
    notes = {table["title"]: table["note"] for table in score_tables({"levels": [shown]})}
    assert "hears onsets and brightness" in notes["clean (0 dB): generated, 1 seed"]
    assert "a condition that the generator follows" in notes["clean (0 dB): following, mean of 1 seed"]
    assert "follows" not in notes["clean (0 dB): embedding, 1 seed"]
