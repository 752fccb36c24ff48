"""Every benchmark script imports with the present API, explains itself, and refuses what its models were trained on."""

from __future__ import annotations

import sys
from pathlib import Path

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
