"""Each control removes what it says, and a decoder that knows everything gains nothing from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support import leaking

from eeg2music.errors import DataError
from eeg2music.evaluation.brain import (
    CONTROLS,
    Evidence,
    _changed_windows,
    control_conditions,
    curves_score,
    embedding_score,
    generate_clips,
    generated_score,
    is_off_chance,
    surprises,
)
from eeg2music.evaluation.heard import Heard, scorer_vectors, take
from eeg2music.pipeline import SamplingConfig, load_pipeline
from eeg2music.seeding import torch_noise
from eeg2music.types import Conditions, Window

MakeHeard = Callable[..., Heard]
KEYS = {"accuracy", "top1", "ci95", "chance", "p_value", "n", "gallery_size"}


def oracle(count: int, dim: int = 128) -> Conditions:
    def unit(*shape: int) -> torch.Tensor:
        return torch.nn.functional.normalize(torch_noise((count, *shape), 0, "oracle", *shape), dim=-1)

    return Conditions(unit(dim), unit(4, dim), torch_noise((count, 4, 3, 160), 0).abs())


class Knowing:
    """A pipeline that decodes perfectly what its window heard, whatever was done to the signal."""

    def __init__(self, heard: Heard, conditions: Conditions) -> None:
        self.row = {window.window_id: int(row) for window, row in zip(heard.windows, heard.target, strict=True)}
        self.conditions = conditions

    def encode(self, windows: Sequence[Window]) -> Conditions:
        return take(self.conditions, [self.row[window.window_id] for window in windows])


class Loudness:
    """A scorer that knows a mix by its first samples."""

    def embed(self, audio: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.normalize(audio[:, :64], dim=-1)


@pytest.fixture(scope="module")
def evidence(tiny_checkpoint: Path, make_heard: MakeHeard) -> Evidence:
    heard = make_heard(6, subjects=("sub-a",))
    other = make_heard(6, subjects=("sub-b",))
    return Evidence(load_pipeline(tiny_checkpoint, "cpu"), heard, other, oracle(6), Loudness(), seed=0)


@pytest.fixture(scope="module")
def many(evidence: Evidence, make_heard: MakeHeard) -> Evidence:
    """The same with more songs, by two listeners."""
    return replace(evidence, heard=make_heard(24), other=None, oracle=oracle(24))


@pytest.fixture(scope="module")
def knowing(evidence: Evidence) -> Evidence:
    pipeline: Any = Knowing(evidence.heard, evidence.oracle)
    return replace(evidence, pipeline=pipeline)


def same(one: Conditions | None, other: Conditions | None) -> bool:
    assert one is not None
    assert other is not None
    return torch.equal(one.global_embedding, other.global_embedding) and torch.equal(one.curves, other.curves)


def test_brain_is_the_recording_as_it_is(evidence: Evidence) -> None:
    assert same(control_conditions("brain", evidence), evidence.pipeline.encode(evidence.heard.windows))


@pytest.mark.parametrize("name", ["shuffled", "phase_randomized", "time_shifted", "random_encoder", "other_subject"])
def test_each_control_changes_the_conditions_and_is_the_same_every_time(evidence: Evidence, name: str) -> None:
    first = control_conditions(name, evidence)
    assert first is not None
    assert len(first) == len(evidence.heard.windows)
    assert not same(first, control_conditions("brain", evidence))
    torch.manual_seed(99)
    assert same(control_conditions(name, evidence), first)


def test_works_are_what_changes_places_and_what_intervals_count(evidence: Evidence) -> None:
    songs = evidence.heard.songs
    works = dict.fromkeys(songs[:2], "w")
    declared = replace(evidence, heard=replace(evidence.heard, works=works))
    for seed in range(5):
        shuffled = _changed_windows("shuffled", declared.heard, seed)
        heard = [works.get(str(window.stimulus_id), window.stimulus_id) for window in shuffled]
        assert all(one != other for one, other in zip(heard, declared.heard.query_works, strict=True))
    score, alone = (embedding_score(control_conditions("brain", one), one) for one in (declared, evidence))
    assert score["works"] == len(songs) - 1 and f"{len(songs) - 1} works" in score["interval"]
    assert score["accuracy"] == alone["accuracy"] and score["ci95"] != alone["ci95"]
    assert "works" not in alone and "work" not in alone["cells"]


@pytest.mark.parametrize("name", ["shuffled", "phase_randomized", "time_shifted", "random_encoder"])
def test_another_seed_is_another_draw(evidence: Evidence, name: str) -> None:
    assert not same(control_conditions(name, replace(evidence, seed=1)), control_conditions(name, evidence))


def test_the_random_encoder_leaves_the_trained_one_alone(evidence: Evidence) -> None:
    before = {key: value.clone() for key, value in evidence.pipeline.encoder.state_dict().items()}
    control_conditions("random_encoder", evidence)
    after = evidence.pipeline.encoder.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_the_oracle_is_the_heard_songs_own(evidence: Evidence) -> None:
    turned = replace(evidence, heard=evidence.heard.select([5, 0]))
    found = control_conditions("oracle", turned)
    assert same(found, take(evidence.oracle, [5, 0]))


def test_what_cannot_be_made_is_none(evidence: Evidence) -> None:
    assert control_conditions("no_brain", evidence) is None
    assert control_conditions("other_subject", replace(evidence, other=None)) is None


def test_an_unknown_control_lists_the_known(evidence: Evidence) -> None:
    with pytest.raises(DataError, match=r"No control named 'shuffeld'.*Allowed: brain, shuffled, phase_randomized"):
        control_conditions("shuffeld", evidence)


def test_a_perfect_decoder_scores_one_and_shuffling_takes_it_all(knowing: Evidence) -> None:
    score = embedding_score(control_conditions("brain", knowing), knowing)
    assert score.keys() >= KEYS
    assert (score["accuracy"], score["top1"], score["n"], score["gallery_size"]) == (1.0, 1.0, 6, 6)
    assert "conditioning" in score["space"]
    shuffled = embedding_score(control_conditions("shuffled", knowing), knowing)
    assert shuffled["top1"] == 0.0  # no window keeps its own song
    assert shuffled["accuracy"] < 0.8


def test_curves_identify_by_themselves(knowing: Evidence) -> None:
    told = control_conditions("brain", knowing)
    assert told is not None
    found = curves_score(told, knowing)
    assert found is not None
    assert (found["accuracy"], found["top1"]) == (1.0, 1.0)
    assert "control curves" in found["space"]
    # What the embedding knows does not help: the curves of other queries do not find the song.
    other = told.replace(curves=told.curves.roll(1, 0))
    lost = curves_score(other, knowing)
    assert lost is not None and lost["accuracy"] < 0.6 < 1.0 == embedding_score(other, knowing)["accuracy"]


def test_without_curves_there_is_no_score_of_them(knowing: Evidence) -> None:
    told = control_conditions("brain", knowing)
    assert told is not None
    dropped = torch.zeros(len(told), 4, dtype=torch.bool)
    assert curves_score(told.replace(keep_curves=dropped), knowing) is None
    assert curves_score(None, knowing) is None


def test_the_oracle_is_the_ceiling(evidence: Evidence) -> None:
    assert embedding_score(control_conditions("oracle", evidence), evidence)["accuracy"] == 1.0


def test_without_conditions_the_score_is_exactly_chance(evidence: Evidence) -> None:
    score = embedding_score(None, evidence)
    assert score["accuracy"] == score["chance"] == 0.5
    assert score["top1"] == pytest.approx(1 / 6)
    assert score["p_value"] > 0.9


@pytest.mark.parametrize("name", ["brain", "random_encoder"])
def test_random_weights_are_at_chance_and_a_leak_is_not(many: Evidence, name: str) -> None:
    """Songs enough that a decoder that is told of one query in three what was heard would not pass."""
    for conditions_of, leaks in ((control_conditions, False), (leaking, True)):
        assert is_off_chance(embedding_score(conditions_of(name, many), many)) == leaks


def test_generated_clips_are_scored_against_their_own_song(evidence: Evidence) -> None:
    gallery = scorer_vectors(evidence.scorer, evidence.heard.stems)
    rows = [4, 1, 3]
    perfect = generated_score(evidence.heard.stems[rows], evidence, gallery, rows)
    assert (perfect["accuracy"], perfect["top1"], perfect["n"], perfect["gallery_size"]) == (1.0, 1.0, 3, 6)
    assert "scorer" in perfect["space"]
    exchanged = generated_score(evidence.heard.stems[[1, 3, 4]], evidence, gallery, rows)
    assert exchanged["top1"] == 0.0


def test_brain_and_controls_differ_in_their_conditions_only(evidence: Evidence) -> None:
    fast = SamplingConfig(steps=1)
    brain = control_conditions("brain", evidence)
    clips = generate_clips(brain, evidence, [0, 2], fast)
    assert clips.shape == (2, 4, 120_000)
    # The noise is the window's: with equal conditions the clip of a row is equal, whoever else is generated.
    assert np.array_equal(generate_clips(brain, evidence, [2], fast)[0], clips[1])
    assert not np.array_equal(generate_clips(None, evidence, [2], fast)[0], clips[1])


def score(accuracy: float, low: float, high: float) -> dict[str, Any]:
    p = 0.02 if accuracy > 0.5 else 1.0
    return {
        "accuracy": accuracy, "ci95": [low, high], "chance": 0.5, "p_value": p,
        "p_value_below": 0.02 if accuracy < 0.5 else 1.0,
    }  # fmt: skip


def test_controls_that_should_be_at_chance_and_are_not_are_told() -> None:
    told = surprises(
        {
            "shuffled": {"embedding": score(0.7, 0.6, 0.8), "generated": score(0.5, 0.4, 0.6)},
            "random_encoder": {"embedding": score(0.3, 0.2, 0.4), "generated": None},
            "no_brain": {"embedding": score(0.5, 0.5, 0.5), "generated": None},
            "oracle": {"embedding": score(1.0, 1.0, 1.0), "generated": None},
            "time_shifted": {"embedding": score(0.8, 0.7, 0.9), "generated": None},
        }
    )
    assert len(told) == 2
    assert told[0] == "shuffled (embedding) should be at chance 0.50 but has 0.700 [0.600, 0.800], two-sided p = 0.04"
    assert told[1].startswith("random encoder (embedding)")


def test_every_seed_is_looked_at() -> None:
    seeds = [
        {"seed": 0, "embedding": score(0.5, 0.4, 0.6), "generated": None},
        {"seed": 1, "embedding": score(0.7, 0.6, 0.8), "generated": None},
    ]
    assert surprises({"shuffled": {**seeds[0], "seeds": seeds}}) == [
        "shuffled (embedding, seed 1) should be at chance 0.50 but has 0.700 [0.600, 0.800], two-sided p = 0.04"
    ]
    assert surprises({"shuffled": {"embedding": None, "generated": None, "why": "x", "seeds": []}}) == []


def test_every_control_is_known(evidence: Evidence) -> None:
    for name in CONTROLS:
        control_conditions(name, evidence)
