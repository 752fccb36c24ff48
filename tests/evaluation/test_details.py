"""The tables beside the scores: every figure with its n, its chance or interval, or why there is none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support import seeds_together

from eeg2music.evaluation.apart import distance, mean_of_seeds
from eeg2music.evaluation.comparisons import summary_comparisons
from eeg2music.evaluation.details import breakdown_tables, centred_tables, distance_tables, summary_table
from eeg2music.evaluation.tables import DISAGREE, NO_EMBEDDING
from eeg2music.metrics.breakdown import breakdown
from eeg2music.seeding import numpy_rng

SONGS = numpy_rng(0, "songs").normal(size=(60, 4))


def score(accuracy: float) -> dict[str, Any]:
    return {
        "accuracy": accuracy, "top1": accuracy / 2, "ci95": [accuracy - 0.1, accuracy + 0.1], "p_value": 0.01,
        "chance": 0.5, "n": 20, "gallery_size": 5, "permutations": 99, "songs": 5,
    }  # fmt: skip


def entry(seed: int, embedding: float, generated: float | None) -> dict[str, Any]:
    made = {"generated": None if generated is None else {**score(generated), "n": 8}}
    following = {} if generated is None else {"following": {"mean": 0.25}}
    return {"seed": seed, "embedding": score(embedding), **made, **following}


def condition(*seeds: dict[str, Any]) -> dict[str, Any]:
    return {"seeds": list(seeds), "pooled": seeds_together(seeds)}


def level(name: str = "clean", **more: Any) -> dict[str, Any]:
    scores = {
        "brain": condition(entry(0, 0.8, 0.6), entry(1, 0.9, 0.7)),
        "no_brain": condition(entry(0, 0.5, 0.5), entry(1, 0.5, 0.4)),
        "other_subject": {"seeds": [], "why": "one listener"},
    }
    return {"name": name, "snr_db": 0.0, "style": "funk", "subjects": ["a", "b"], "scores": scores, **more}


def apart(shift: float, clips: int = 40) -> dict[str, Any]:
    made = [numpy_rng(seed, "clips").normal(size=(clips, 4)) + shift for seed in (0, 1)]
    return mean_of_seeds([distance(one, SONGS, seed=seed) for seed, one in enumerate(made)])


def summary(*levels: dict[str, Any]) -> dict[str, Any]:
    return summary_table({"levels": levels, "summary_comparisons": summary_comparisons(levels)})


def cells(table: dict[str, Any], row: int) -> dict[str, str]:
    assert {len(one) for one in table["rows"]} == {len(table["heads"])}
    return dict(zip(table["heads"], table["rows"][row], strict=True))


def test_the_summary_has_the_brain_at_every_level_and_the_controls_once() -> None:
    levels = [level(distances={"brain": apart(0.5)}), level("real")]
    table = summary(*levels)
    assert [row[:2] for row in table["rows"]] == [
        ["clean (0 dB)", "brain"], ["clean (0 dB)", "no brain"], ["real (0 dB)", "brain"],
    ]  # fmt: skip
    brain = cells(table, 0)
    assert brain["embedding: pairwise [95 %]"] == "0.850 [0.70, 0.90]"
    assert brain["generated: pairwise [95 %]"].startswith("0.650 [")
    assert (
        brain["onset correlation [95 %]"] == "0.250"
        and brain["KAD"] == f"{levels[0]['distances']['brain']['kernel']:.3f}"
    )
    assert (brain["queries"], brain["clips"], brain["gallery"]) == ("20", "8", "5")
    # Of the embedding the interval, 0.7 to 0.9, is above chance as p is; of the generated music, 0.5 to 0.7, it is not.
    assert [table["rows"][0][place] for place in (3, 9)] == ["0.010 (0.050)", "0.010† (0.050)"]
    assert [table["heads"][place] for place in (3, 6, 9)] == ["p (corrected)"] * 3
    assert brain["curves: pairwise [95 %]"] == "–"
    assert DISAGREE in table["note"] and "0.200 of 5" in table["note"] and NO_EMBEDDING in table["note"]
    without = cells(table, 1)
    # Every song ties: that it scores 0.5 is no finding.
    assert without["embedding: pairwise [95 %]"] == "–" and without["generated: pairwise [95 %]"].startswith("0.450 [")
    assert "averaged over the seeds" in table["note"] and "2 seeds" in table["note"]


def test_p_values_of_the_summary_are_corrected_over_all_of_it() -> None:
    """Five of p = 0.01: two of the brain at each level, and the generated music of the control."""
    table = summary(level(), level("real"))
    assert {row[place].partition("(")[2] for row in table["rows"] for place in (3, 9)} == {"0.050)", ""}
    assert "over all 5 of this table" in table["note"] and "p: pairwise, uncorrected" in table["note"]
    assert "comes to 0.050: with so many comparisons" in table["note"]


def test_clips_without_an_embedding_have_a_row() -> None:
    found = level()
    found["scores"]["codec"] = condition({**entry(0, 0.5, 1.0), "embedding": None})
    codec = cells(summary(found), 2)
    assert (codec["condition"], codec["embedding: pairwise [95 %]"]) == ("codec", "–")
    assert codec["generated: pairwise [95 %]"].startswith("1.000 [")
    assert (codec["queries"], codec["clips"], codec["gallery"]) == ("–", "8", "5")


def test_embeddings_less_their_mean_have_a_table_where_there_are_any() -> None:
    assert centred_tables(level()) == []
    brain = condition(entry(0, 0.8, 0.6))
    brain["pooled"]["embedding_centred"] = {**score(0.7), "n": 8, "accuracy_by_seed": [0.65, 0.75]}
    (table,) = centred_tables(level(scores={"brain": brain, "other_subject": {"seeds": [], "why": "one listener"}}))
    assert table["title"] == "clean (0 dB): embedding less its mean"
    assert (len(table["rows"]), cells(table, 0)["pairwise"]) == (1, "0.700")
    assert cells(table, 0)["by seed"] == "0.650, 0.750"


def test_curves_stand_in_the_summary() -> None:
    brain, codec = condition({**entry(0, 0.8, 0.6), "curves": score(0.9)}), condition(entry(0, 1.0, 1.0))
    table = summary(level(scores={"brain": brain, "codec": codec}))
    assert [cells(table, row)["curves: pairwise [95 %]"].partition(" ")[0] for row in (0, 1)] == ["0.900", "–"]


def test_distances_stand_with_their_counts_and_intervals() -> None:
    found = level(distances={"brain": apart(0.5), "oracle": apart(0.0)})
    mean, by_seed = distance_tables(found)
    assert mean["title"] == "clean (0 dB): distance from music, mean of 2 seeds"
    row, of = cells(mean, 0), found["distances"]["brain"]
    assert row["KAD"] == f"{of['kernel']:.3f}" and row["KAD reversed"] == f"{of['kernel_reversed']:.3f}"
    first = of["seeds"][0]
    for name, (low, high) in {"KAD": first["kernel_ci95"], "FAD-∞": first["frechet_infinity"]["ci95"]}.items():
        assert row[f"{name}: 95 % interval of seed 0"] == f"{low:.3f} to {high:.3f}"
    assert row["FAD"] == f"{of['frechet']:.3f}"
    assert (row["songs"], row["clips (draws)"], row["reference songs"]) == ("40", "40 (1)", "60")
    assert [one[0] for one in by_seed["rows"]] == [
        "brain, seed 0", "brain, seed 1", "oracle, seed 0", "oracle, seed 1",
    ]  # fmt: skip
    said = ("5 s each at 24000 Hz", "nothing normalised", "none of which was heard", "4 dimensions", "song count once")
    for words in said:
        assert words in mean["note"], words


def test_a_refused_distance_says_why_and_an_allowed_one_is_marked() -> None:
    (table,) = distance_tables(level(distances={"brain": mean_of_seeds([distance(SONGS[:7], SONGS[7:])])}))
    assert cells(table, 0)["FAD"] == "refused"
    assert "FAD refused: 7 songs and 53 reference songs in 4 dimensions" in table["note"]
    asked = mean_of_seeds([distance(SONGS[:7], SONGS[7:], allow_small=True)])
    (table,) = distance_tables(level(distances={"brain": asked}))
    assert cells(table, 0)["FAD"].endswith("(too few)") and "biased upward" in table["note"]


def test_what_could_not_be_measured_has_a_row() -> None:
    (table,) = distance_tables(level(distances={"brain": mean_of_seeds([distance(SONGS[:1], SONGS)])}))
    assert cells(table, 0)["KAD"] == "not measured: one clip is no distribution"
    assert (cells(table, 0)["songs"], cells(table, 0)["clips (draws)"]) == ("1", "1 (1)")


def test_too_few_songs_for_the_line_have_a_figure_without_interval() -> None:
    (table,) = distance_tables(level(distances={"brain": mean_of_seeds([distance(SONGS[:12], SONGS[12:])])}))
    row = cells(table, 0)
    assert row["FAD-∞"].endswith(" (few)") and row["FAD-∞: 95 % interval of seed 0"] == "–"
    assert "to" in row["KAD: 95 % interval of seed 0"] and "bends" in table["note"]


@pytest.mark.parametrize(("style", "said"), [("funk", "Every song is funk"), ("mixed", "styles of the songs are not")])
def test_scores_in_parts_stand_with_chance_and_gallery(style: str, said: str) -> None:
    similarity = numpy_rng(0, "similarity").normal(size=(6, 3))
    labels = {"subject": ["a"] * 3 + ["b"] * 3}
    rows = breakdown(similarity, np.tile(np.arange(3), 2), query_labels=labels, ways=(2, 10))
    found = level(style=style, breakdown={"brain": {"embedding": rows}, "oracle": {}})
    (table,) = breakdown_tables(found)
    assert table["title"] == "clean (0 dB): embedding in parts"
    assert [row[:2] for row in table["rows"]] == [["brain", "overall"], ["brain", "subject a"], ["brain", "subject b"]]
    row = cells(table, 0)
    assert row["top-1"].endswith("(0.333)") and row["pairwise"].endswith("(0.500)")
    assert (row["10-way"], row["n"], row["gallery"]) == ("", "6", "3")
    assert said in table["note"] and "one window of each song" in table["note"]
