"""The tables that people read: means over seeds, and what is left of the oracle."""

from __future__ import annotations

from typing import Any

import pytest
from support import seeds_together

from eeg2music.evaluation.page import _pictures, score_tables
from eeg2music.evaluation.tables import NO_EMBEDDING
from eeg2music.report import figures


def score(accuracy: float, top1: float) -> dict[str, Any]:
    ci95 = [accuracy - 0.1, accuracy + 0.1]
    power = f"What {accuracy} can see."
    return {
        "accuracy": accuracy, "top1": top1, "ci95": ci95, "p_value": 0.01, "n": 20, "gallery_size": 5, "power": power,
        "chance": 0.5, "top1_ci95": [top1 - 0.1, top1 + 0.1], "top1_p_value": 0.2, "top1_chance": 0.2, "seed": 3,
    }  # fmt: skip


def follow(mean: float | None, by_listener: float | None, null: float | None) -> dict[str, Any]:
    by_beat = None if null is None else 0.25
    return {"mean": mean, "mean_by_listener": by_listener, "null": null, "null_by_beat": by_beat, "n": 4}


def condition(*seeds: dict[str, Any]) -> dict[str, Any]:
    return {**seeds[0], "seeds": list(seeds), "pooled": seeds_together(seeds)}


@pytest.fixture
def level() -> dict[str, Any]:
    brain = [
        {"seed": 3, "embedding": score(0.8, 0.4), "generated": score(0.6, 0.2), "following": follow(0.1, 0.2, 0.3)},
        {"seed": 4, "embedding": score(0.8, 0.4), "generated": score(0.7, 0.4), "following": follow(0.3, 0.4, 0.1)},
    ]
    oracle = [
        {"seed": seed, "embedding": score(1.0, 1.0), "generated": score(0.9, 0.8), "following": follow(0.4, 0.5, 0.2)}
        for seed in (3, 4)
    ]
    silent = [{"seed": seed, "embedding": score(0.5, 0.2), "generated": None} for seed in (3, 4)]
    return {
        "name": "clean",
        "snr_db": 0.0,
        "style": "funk",
        "subjects": ["a", "b"],
        "scores": {"brain": condition(*brain), "oracle": condition(*oracle), "no_brain": condition(*silent)},
    }


def test_means_over_seeds_stand_above_the_seeds(level: dict[str, Any]) -> None:
    tables = score_tables({"levels": [level]})
    assert [table["title"] for table in tables] == [
        "clean (0 dB): embedding, 2 seeds together",
        "clean (0 dB): embedding, by seed",
        "clean (0 dB): generated, 2 seeds together",
        "clean (0 dB): generated, by seed",
        "clean (0 dB): following, mean of 2 seeds",
    ]
    assert tables[0]["rows"][2] == ["no brain", *["–"] * 6, "20", "5"]
    assert [row[0] for row in tables[1]["rows"]] == [
        "brain, seed 3",
        "brain, seed 4",
        "oracle, seed 3",
        "oracle, seed 4",
        "chance",
    ]
    summary, by_seed = tables[2], tables[3]
    assert "What 0.6 can see." in summary["note"]
    assert summary["rows"][0] == [
        "brain",
        "0.650",
        "0.500 to 0.700",
        "0.010†",
        "0.300",
        "0.100 to 0.300",
        "0.200",
        "20",
        "5",
    ]
    assert [row[0] for row in summary["rows"]] == ["brain", "oracle", "chance"]
    assert summary["rows"][2] == ["chance", "0.500", "", "", "0.200", "", "", "", "5"]
    assert [row[0] for row in by_seed["rows"]] == [
        "brain, seed 3",
        "brain, seed 4",
        "oracle, seed 3",
        "oracle, seed 4",
        "chance",
    ]


def test_every_seed_stands_with_chance_and_what_disagrees_is_marked(level: dict[str, Any]) -> None:
    """p = 0.01 is above chance; so is the interval of the second seed, 0.6 to 0.8, and not the first's, 0.5 to 0.7."""
    table = score_tables({"levels": [level]})[3]
    assert {len(row) for row in table["rows"]} == {len(table["heads"])}
    assert table["heads"][-2:] == ["n", "gallery"]
    first, second = table["rows"][0], table["rows"][1]
    assert first[1:] == ["0.600", "0.500 to 0.700", "0.010†", "0.200", "0.100 to 0.300", "0.200", "20", "5"]
    # Of top-1 the interval, 0.3 to 0.5, is above chance, and p = 0.2 is not.
    assert second[1:] == ["0.700", "0.600 to 0.800", "0.010", "0.400", "0.300 to 0.500", "0.200†", "20", "5"]
    assert table["rows"][-1] == ["chance", "0.500", "", "", "0.200", "", "", "", "5"]


def test_curves_stand_seed_by_seed_with_what_they_are(level: dict[str, Any]) -> None:
    for number, entry in enumerate(level["scores"]["brain"]["seeds"]):
        entry["curves"] = score(0.7 + 0.1 * number, 0.2)
    level["scores"]["brain"] = condition(*level["scores"]["brain"]["seeds"])
    tables = {table["title"]: table for table in score_tables({"levels": [level]})}
    together, by_seed = (tables[f"clean (0 dB): curves, {what}"] for what in ("2 seeds together", "by seed"))
    assert [row[:2] for row in together["rows"]] == [["brain", "0.750"], ["chance", "0.500"]]
    assert [row[:2] for row in by_seed["rows"][:2]] == [["brain, seed 3", "0.700"], ["brain, seed 4", "0.800"]]
    assert "no clip is judged here" in together["note"] and "p: uncorrected" in together["note"]


def test_nothing_is_shown_of_an_embedding_without_a_brain(
    level: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = score_tables({"levels": [level]})
    assert [NO_EMBEDDING in table["note"] for table in tables[:4]] == [True, False, False, False]
    drawn: dict[str, list[str]] = {}

    def bars(scores: dict[str, Any], *, title: str) -> bytes:
        drawn[title] = list(scores)
        return b"png"

    monkeypatch.setattr(figures, "identification_bars", bars)
    level["scores"]["no_brain"]["generated"] = score(0.5, 0.2)
    pictures = _pictures({"levels": [level], "real_snr_db": -37.2})
    assert drawn == {"clean: embedding": ["brain", "oracle"], "clean: generated": ["brain", "oracle", "no_brain"]}
    notes = {title: note for title, note, _ in pictures}
    assert NO_EMBEDDING in notes["clean: embedding"] and NO_EMBEDDING not in notes["clean: generated"]
    assert all("Seed 3 alone" in note and "20 queries, gallery of 5" in note for note in notes.values())


def test_there_is_no_curve_over_difficulty_without_the_brain(level: dict[str, Any]) -> None:
    del level["scores"]["brain"]
    titles = [title for title, _, _ in _pictures({"levels": [level], "real_snr_db": -37.2})]
    assert titles == ["clean: embedding", "clean: generated"]


def test_following_stands_beside_oracle_and_null(level: dict[str, Any]) -> None:
    level["scores"]["brain"]["pooled"]["following"] = {"mean": 0.2, "ci95": [0.15, 0.25]}
    table = score_tables({"levels": [level]})[-1]
    assert table["rows"] == [
        ["brain", "0.200", "0.150 to 0.250", "0.100, 0.300", "0.50", "0.300", "0.60", "0.200", "0.250", "4"],
        ["oracle", "0.400", "", "0.400, 0.400", "1.00", "0.500", "1.00", "0.200", "0.250", "4"],
    ]


def test_what_was_not_measured_has_no_share(level: dict[str, Any]) -> None:
    del level["scores"]["oracle"]
    for entry in level["scores"]["brain"]["seeds"]:
        entry["following"] = follow(0.1, None, None)
    assert score_tables({"levels": [level]})[-1]["rows"] == [
        ["brain", "0.100", "", "0.100, 0.100", "", "not measured", "", "not measured", "not measured", "4"]
    ]
    # Of evaluations that were stored before there was a null by beat.
    for entry in level["scores"]["brain"]["seeds"]:
        entry["following"] = {"mean": 0.1, "mean_by_listener": 0.1, "null": 0.2, "n": 4}
    assert score_tables({"levels": [level]})[-1]["rows"][0][7:] == ["0.200", "not measured", "4"]
    for entry in level["scores"]["brain"]["seeds"]:
        del entry["following"]
    assert not any("following" in table["title"] for table in score_tables({"levels": [level]}))


def test_a_control_that_could_not_be_made_has_a_row(level: dict[str, Any]) -> None:
    level["scores"]["other_subject"] = {"embedding": None, "generated": None, "why": "one listener", "seeds": []}
    for table in score_tables({"levels": [level]})[:4]:
        assert table["rows"][-1] == ["other subject", "not measured: one listener", *[""] * (len(table["heads"]) - 2)]


def test_recordings_have_no_ratio_and_are_not_called_simulated(level: dict[str, Any]) -> None:
    level.update(name="recorded", snr_db=None)
    tables = score_tables({"levels": [level], "material": "prepared"})
    assert tables[0]["title"] == "recorded: embedding, 2 seeds together"
    text = " ".join(f"{table['title']} {table['note']}" for table in tables)
    assert "dB" not in text
    assert "simulated" not in text
    assert "sampling and controls only" in tables[0]["note"]
