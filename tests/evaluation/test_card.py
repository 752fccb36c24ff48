"""The model card's paragraph says what was tested, how sure it is, what was not as expected and what it cannot say."""

from __future__ import annotations

from typing import Any

import pytest
from support import seeds_together

from eeg2music.errors import InputError
from eeg2music.evaluation.card import card_snippet
from eeg2music.evaluation.tables import DISAGREE


def score(accuracy: float, seed: int, p: float = 0.001) -> dict[str, Any]:
    return {
        "accuracy": accuracy, "top1": accuracy / 2, "ci95": [accuracy - 0.1, accuracy + 0.1], "p_value": p, "n": 100,
        "chance": 0.5,
        "gallery_size": 50, "seed": seed, "power": "With these 50 songs an effect below 0.1 cannot be seen.",
    }  # fmt: skip


def entry(*accuracies: float) -> dict[str, Any]:
    seeds = [{"seed": n, "embedding": score(a, n), "generated": score(a - 0.1, n)} for n, a in enumerate(accuracies)]
    return {**seeds[0], "seeds": seeds, "pooled": seeds_together(seeds)}


@pytest.fixture
def scores() -> dict[str, Any]:
    absent = {"embedding": None, "generated": None, "why": "it takes two or more listeners", "seeds": []}
    level = {
        "name": "clean", "snr_db": 0.0, "style": "funk", "subjects": ["sub-a", "sub-b"], "gallery": ["s1", "s2"],
        "scores": {"brain": entry(0.9, 0.8), "shuffled": entry(0.5, 0.6), "no_brain": entry(0.5, 0.5),
                   "other_subject": absent},
    }  # fmt: skip
    return {
        "schema": 3, "checkpoint_sha256": "a" * 64, "scorer_sha256": "b" * 64, "material": "simulated",
        "levels": [level], "surprises": ["shuffled is off chance"], "warnings": ["s1 sounds like s2"],
        "stamps": ["SMALL: few songs"], "remarks": ["three seeds are wanted"],
    }  # fmt: skip


def test_an_identification_is_told_with_everything_that_belongs_to_it(scores: dict[str, Any]) -> None:
    card = card_snippet(scores)
    assert card.startswith("## Evaluation\n")
    assert "2 simulated listeners, 2 songs, style funk." in card
    assert "| brain | 0.850 | 0.800 to 1.000 | 0.001 | 0.425 (0.020) | 100 | 50 | 0, 1 |" in card
    assert "| brain | 0.750 | 0.700 to 0.900 | 0.001 |" in card  # generated
    # Without conditions every song ties in the embedding: no finding, but the generated music is one.
    assert card.count("| no brain |") == 1
    assert "other subject: not measured, it takes two or more listeners." in card
    for text in (
        "circular by nature",
        "conditions nothing",
        "nothing is said about people",
        "nothing is said about other",
    ):
        assert text in card
    assert "an effect below 0.1 cannot be seen" in card
    assert "- shuffled is off chance\n- s1 sounds like s2" in card
    assert "- SMALL: few songs\n- three seeds are wanted" in card


def test_a_circular_scorer_is_not_called_independent(scores: dict[str, Any]) -> None:
    stamp = "CIRCULAR: the scorer shares 1 of its 9 weight matrices with the clap"
    card = card_snippet({**scores, "stamps": [stamp]})
    assert f"- {stamp}" in card and "that also conditions: circular, too" in card
    assert "conditions nothing" not in card


def test_a_p_that_its_interval_contradicts_is_marked(scores: dict[str, Any]) -> None:
    card = card_snippet(scores)
    assert "| shuffled | 0.550 | 0.400 to 0.600 | 0.001† |" in card
    assert card.count(DISAGREE) == 1


def test_recordings_are_not_called_simulated(scores: dict[str, Any]) -> None:
    scores["levels"][0]["snr_db"] = None
    card = card_snippet({**scores, "material": "prepared", "surprises": [], "warnings": []})
    assert "2 recorded listeners" in card and "simul" not in card
    assert "Not as expected" not in card


def test_scores_of_what_others_made_carry_their_stamps() -> None:
    distances = {
        "frechet": 4.2, "kernel": 0.1, "kernel_ci95": [-0.2, 0.4], "n": 8, "songs": 4, "n_reference": 30,
        "enough": False,
    }  # fmt: skip
    card = card_snippet(
        {
            "kind": "outside", "seed": 4, "manifest": {"name": "clips.csv", "rows": 8, "sha256": "c" * 64},
            "loudness": {"declared": "-14 LUFS", "handling": "as in the files"}, "reference": "music",
            "embeddings": {"muq": {"circular": True}, "scorer": {"circular": None}},
            "scores": {"brain": {"muq": {"identification": score(0.7, 9), "distances": distances}}},
            "stamps": ["CIRCULAR: the embedding 'muq' conditioned the clips that it scores."], "warnings": [],
            "surprises": ["muq: shuffled is off chance"],
        }
    )  # fmt: skip
    assert "| brain, muq | 0.700 | 0.600 to 0.800 | 0.001 | 0.350 (0.020) | 100 | 50 |" in card
    assert "FAD 4.2, KAD 0.1 (-0.200 to 0.400) (4 songs, 8 clips, references 30, too few songs for FAD)" in card
    assert "Muq: conditioned these clips: circular; scorer: not declared." in card
    assert "- CIRCULAR:" in card and "- muq: shuffled is off chance" in card


def test_scores_of_another_kind_are_refused() -> None:
    with pytest.raises(InputError, match="'recorded'"):
        card_snippet({"kind": "recorded"})
