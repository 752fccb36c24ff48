"""Every benchmark script imports with the present API, explains itself, and refuses what its models were trained on."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from support import load_file

from eeg2music.errors import CheckpointError, LeakError
from eeg2music.files import write_json

FOLDER = Path(__file__).parents[1] / "benchmarks"
SCRIPTS = sorted(FOLDER.glob("*.py"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_it_imports_and_answers_help(
    script: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = load_file(script)
    monkeypatch.setattr(sys, "argv", [script.name, "--help"])
    with pytest.raises(SystemExit) as stopped:
        module.main()
    assert stopped.value.code == 0
    assert "usage: " + script.name in capsys.readouterr().out


def test_there_are_benchmarks() -> None:
    assert len(SCRIPTS) >= 6


@pytest.mark.parametrize(
    ("met", "message"),
    [
        ({"songs": ["funk-9041-0000"], "subjects": []}, "songs: funk-9041-0000"),
        ({"songs": [], "subjects": ["sub-regions00"]}, "subjects: sub-regions00"),
        ({"songs": [], "valid": {"songs": ["funk-9041-0000"], "subjects": []}}, "songs: funk-9041-0000"),
        ({"songs": [], "valid": {"songs": [], "subjects": ["sub-regions00"]}}, "subjects: sub-regions00"),
    ],
)
def test_region_matrix_refuses_what_the_encoder_met(met: dict[str, object], message: str, tmp_path: Path) -> None:
    module = load_file(FOLDER / "region_matrix.py")
    write_json(tmp_path / "training_manifest.json", met)
    with pytest.raises(LeakError, match=message):
        module.refuse_met(tmp_path, ["funk-9041-0000"], ["regions00"])
    write_json(tmp_path / "training_manifest.json", {"songs": ["funk-1-0000"], "subjects": ["sub-train01"]})
    module.refuse_met(tmp_path, ["funk-9041-0000"], ["regions00"])


def test_one_twin_has_no_interval_and_says_why(tmp_path: Path) -> None:
    module = load_file(FOLDER / "calibrate_snr.py")

    def figures(*accuracies: float) -> list[dict[str, object]]:
        return [
            {"reproducible_share": 0.1, **{name: {"accuracy": one} for name in module.FIGURES}} for one in accuracies
        ]

    (row,) = module.summarize({0.0: figures(0.8)})
    for name in module.FIGURES:
        assert row[name] == {"accuracy": 0.8, "ci95": None, "why_no_interval": "one twin", "range": [0.8, 0.8]}
    write_json(tmp_path / "one.json", row)  # refuses NaN
    agreement = {name: {"snr_db": 0.0, "interval_db": [0.0, 0.0]} for name in module.FIGURES}
    real = {"reproducible_share": 0.1, **{name: {"accuracy": 0.8, "ci95": [0.7, 0.9]} for name in module.FIGURES}}
    assert "0.800 (one twin)" in module.table(real, [row], {**agreement, "admissible_db": [0.0, 0.0]})
    (several,) = module.summarize({0.0: figures(0.7, 0.9)})
    low, high = several["single_trial"]["ci95"]
    assert low == pytest.approx(0.8 - 1.96 * 0.1) and high == pytest.approx(0.8 + 1.96 * 0.1)


def test_region_matrix_refuses_an_encoder_of_unknown_training(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="does not say"):
        load_file(FOLDER / "region_matrix.py").refuse_met(tmp_path, ["funk-9041-0000"], ["regions00"])


def test_the_encoders_are_compared_on_equal_terms(monkeypatch: pytest.MonkeyPatch) -> None:
    module = load_file(FOLDER / "encoders.py")
    monkeypatch.setattr(sys, "argv", ["encoders.py", "data/prepared", "--steps", "40", "--set", "train.threads=1"])
    given = module._arguments()
    assert given.encoders == list(module.CONFIGS)
    shared = {name: set(module.settings(name, 3, given)) for name in given.encoders}
    assert shared["brain"] ^ shared["brainmodule"] == {
        f"train.out=runs/encoder-comparison/{name}-3" for name in ("brain", "brainmodule")
    }
    assert {"train.steps=40", "task.fit_windows=640", "train.threads=1"} <= shared["brain"]
    assert {"train.steps=1", "task.fit_windows=640"} <= shared["ridge"]  # as many windows as the others meet


def test_encoder_scores_are_those_of_truth_and_chance() -> None:
    module = load_file(FOLDER / "encoders.py")
    target, songs = np.eye(12), [f"song-{row % 6}" for row in range(12)]
    perfect = module.scores(target, target, songs)
    assert perfect["pairwise"]["value"] == perfect["top1"]["value"] == 1.0
    assert (perfect["windows"], perfect["songs"], perfect["gallery"]) == (12, 6, 6.0)
    constant = module.scores(np.ones((12, 12)), target, songs)
    for key, chance in (("pairwise", 0.5), ("top1", 1 / 6)):
        assert constant[key]["value"] == pytest.approx(chance) == pytest.approx(constant[key]["chance"])
        assert constant[key]["low"] < chance < constant[key]["high"]


def test_metric_speeds_cover_what_the_score_command_computes() -> None:
    """The functions by themselves and the command's own give the same figures, so that the same work is timed."""
    module = load_file(FOLDER / "metrics_speed.py")
    found = module.measure(60, 5, 1)
    calls = module.score_command(*module.clouds(60, 5))
    assert tuple(calls) == module.COMMAND
    scores, apart = (calls[name]() for name in module.COMMAND)
    assert scores["accuracy"] == pytest.approx(found["values"]["identification"])
    assert apart["frechet"] == pytest.approx(found["values"]["fad"]) and "kernel_reversed" in apart
    spent = found["score_seconds"]
    assert spent["total"]["cpu"] == sum(spent[name]["cpu"] for name in module.COMMAND)


def test_the_whole_command_is_measured_as_a_user_runs_it(tiny_checkpoint: Path) -> None:
    module = load_file(FOLDER / "generation_speed.py")
    found = module.measure_demo(tiny_checkpoint, 1, "--dry-run")
    assert found["elapsed_seconds"] > 0.1 and found["processor_seconds"] > 0.1
    assert 20 < found["peak_memory_mib"] < 20_000
    with pytest.raises(SystemExit, match="demo ended with code 2"):
        module.measure_demo(tiny_checkpoint, 1, "no_such_key=1")


def test_transfer_means_do_not_take_seeds_for_further_songs() -> None:
    transfer = load_file(FOLDER / "transfer.py")
    cells = {"song": [f"song-{n}" for n in range(10)], "accuracy": [0.9, 0.6] * 5, "top1": [1.0, 0.0] * 5}
    row = {"n": 10, "gallery_size": 10, "accuracy": 0.75, "top1": 0.5, "cells": cells}
    few, many = transfer.together([row] * 2), transfer.together([row] * 8)
    assert few["accuracy"]["mean"] == pytest.approx(0.75)
    assert few["accuracy"]["ci95"] == pytest.approx(many["accuracy"]["ci95"])
    assert few["top1"]["ci95"][0] < 0.35
    assert (many["n"], many["seeds"], many["top1"]["sd"]) == (80, 8, 0.0)


def test_codec_and_sound_figures_have_intervals_over_songs() -> None:
    codec, sound = (load_file(FOLDER / f"{name}.py") for name in ("codec_quality", "sound"))
    low, high = codec.interval_over_songs([9.0, 10.0, 11.0])
    assert (low + high) / 2 == pytest.approx(10.0) and high - low == pytest.approx(2 * 4.3027 / 3**0.5, rel=1e-4)
    assert codec.interval_over_songs([9.0]) is None
    right = sound.against_others(np.eye(8))
    # All right: Wilson's interval of eight observations, 8 / (8 + t²), t the quantile for 7 degrees of freedom.
    assert right["ci95"] == pytest.approx([8 / (8 + 2.3646**2), 1.0], rel=1e-4)
    assert (right["mean"], right["chance"]) == (1.0, 0.0)
