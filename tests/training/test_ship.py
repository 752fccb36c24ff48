"""Shipping: weights keep their values to bfloat16, paths are cut, the card's hashes are those of the files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from eeg2music.errors import CheckpointError
from eeg2music.files import read_json, sha256_file, write_json
from eeg2music.training.first_stage import stages_until
from eeg2music.training.ship import CARD, ship
from eeg2music.weights import MANIFEST_NAME


def _export(folder: Path) -> Path:
    folder.mkdir()
    weights = {"a": torch.linspace(-1, 1, 50).reshape(5, 10), "count": torch.arange(3)}
    save_file(weights, folder / "model.safetensors")
    save_file({"mean": torch.linspace(0, 1, 7)}, folder / "latent_statistics.safetensors")
    write_json(folder / "config.json", {"width": 5})
    write_json(
        folder / MANIFEST_NAME,
        {
            "trained": "toy", "version": "0", "step": 3, "parameters": 50, "seconds": 120.0, "processes": 1,
            "hardware": "CPU, 1 threads",
            "songs": ["x-1-0000"], "figures": {"top1": 0.5},
            "config": {"task": {"data": "/home/someone/music", "parts": ["/tmp/a"]},
                       "train": {"batch_size": 2, "precision": "no", "seed": 7, "out": "runs/x"}},
        },
    )  # fmt: skip
    return folder


def test_ships_half_the_bytes_and_the_same_values(tmp_path: Path) -> None:
    export = _export(tmp_path / "export")
    out = ship(export, tmp_path / "out", command="eeg2music train toy x.yaml", data="one song")
    before, after = load_file(export / "model.safetensors"), load_file(out / "model.safetensors")
    assert after["a"].dtype == torch.bfloat16
    assert torch.equal(after["a"].float(), before["a"].to(torch.bfloat16).float())
    assert torch.equal(after["count"], before["count"])
    # Statistics normalise latents: they keep their precision.
    assert load_file(out / "latent_statistics.safetensors")["mean"].dtype == torch.float32
    assert read_json(out / "config.json") == {"width": 5}


def test_an_export_that_chose_its_precision_keeps_it(tmp_path: Path) -> None:
    export = _export(tmp_path / "export")
    mixed = {"a": torch.full((4, 4), 1 / 3, dtype=torch.bfloat16), "exact": torch.full((2,), 1 / 3)}
    save_file(mixed, export / "model.safetensors")
    out = ship(export, tmp_path / "out", command="c", data="d")
    after = load_file(out / "model.safetensors")
    assert {name: value.dtype for name, value in after.items()} == {"a": torch.bfloat16, "exact": torch.float32}
    assert torch.equal(after["exact"], mixed["exact"])
    assert "| stored in | bfloat16 and float32 |" in (out / CARD).read_text()


def test_no_path_of_the_machine_leaves_it(tmp_path: Path) -> None:
    out = ship(_export(tmp_path / "export"), tmp_path / "out", command="c", data="d")
    text = "".join(path.read_text() for path in out.iterdir() if path.suffix in (".json", ".md"))
    assert "someone" not in text
    assert "/tmp" not in text
    config = read_json(out / MANIFEST_NAME)["config"]
    assert config["task"] == {"data": "music", "parts": ["a"]}


def test_card_names_command_seed_scores_and_hashes(tmp_path: Path) -> None:
    out = ship(_export(tmp_path / "export"), tmp_path / "out", command="eeg2music train toy x.yaml", data="one song")
    card = (out / CARD).read_text()
    assert sha256_file(out / "model.safetensors") in card
    for part in ("eeg2music train toy x.yaml", "| seed | 7 |", "| top1 | 0.5 |", "| songs | 1 |", "2 minutes"):
        assert part in card


def test_refuses_a_folder_that_is_no_export(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    with pytest.raises(CheckpointError, match="not the export of a training run"):
        ship(tmp_path / "x", tmp_path / "out", command="c", data="d")
    assert not (tmp_path / "out").exists()


def test_the_card_names_the_commit_of_the_run_or_says_that_it_is_that_of_shipping(tmp_path: Path) -> None:
    export = _export(tmp_path / "export")

    def commits() -> list[str]:
        text = (ship(export, tmp_path / "out", command="c", data="d") / CARD).read_text()
        return [line for line in text.splitlines() if line.startswith("| commit")]

    assert len(commits()) == 1 and "| of the training: not recorded; shipped from " in commits()[0]
    manifest = read_json(export / MANIFEST_NAME)
    code = [
        {"step": 0, "origin": {"commit": "a" * 12, "dirty": True}},
        {"step": 50, "origin": {"commit": "b" * 12, "dirty": False}},
    ]
    write_json(export / MANIFEST_NAME, {**manifest, "code": code})
    assert commits() == [f"| commit | {'a' * 12}, with uncommitted changes; from step 50: {'b' * 12} |"]
    # Begun from a wheel: what is not known is not made up.
    write_json(export / MANIFEST_NAME, {**manifest, "code": [{"step": 0, "origin": None}, code[1]]})
    assert commits() == [f"| commit | from step 50: {'b' * 12} |"]
    write_json(export / MANIFEST_NAME, {**manifest, "code": [{"step": 0, "origin": None}]})
    assert "not recorded" in commits()[0]


def _rows(folder: Path) -> dict[str, str]:
    rows = [line.strip("| ").split(" | ") for line in (folder / CARD).read_text().splitlines() if line.count("|") == 3]
    return {row[0]: row[1] for row in rows if len(row) == 2}


def test_steps_and_time_are_those_of_all_stages(tmp_path: Path) -> None:
    export = _export(tmp_path / "export")
    alone = _rows(ship(export, tmp_path / "out", command="c", data="d"))
    assert (alone["steps"], alone["time"], alone["hardware"]) == ("3 of batch 2", "2 minutes", "CPU, 1 threads")

    manifest = read_json(export / MANIFEST_NAME)
    first = {"steps": 40, "batch_size": 8, "seconds": 1800.0, "processes": 2, "hardware": "CPU, 1 threads"}
    write_json(export / MANIFEST_NAME, {**manifest, "stages": [first]})
    out = ship(export, tmp_path / "out", command="c", data="d")
    both = _rows(out)
    assert both["steps"] == "43 in 2 stages: 40 of batch 8, then 3 of batch 2"
    assert both["time"] == "32 minutes in 2 stages: 30, then 2"
    assert both["hardware"] == "CPU, 1 threads, 2 processes then CPU, 1 threads"
    assert read_json(out / MANIFEST_NAME)["stages"] == [first]


def test_a_stage_that_the_run_does_not_list_is_given_or_unknown(tmp_path: Path) -> None:
    export = _export(tmp_path / "export")
    manifest = read_json(export / MANIFEST_NAME)
    task = {**manifest["config"]["task"], "start_from": "/home/someone/first"}
    write_json(export / MANIFEST_NAME, {**manifest, "config": {**manifest["config"], "task": task}})
    # The sum is not made up.
    unknown = _rows(ship(export, tmp_path / "out", command="c", data="d"))
    assert unknown["steps"] == "in 2 stages: unknown, then 3 of batch 2"
    assert unknown["time"] == "minutes in 2 stages: unknown, then 2"
    first = _export(tmp_path / "first")
    write_json(first / MANIFEST_NAME, {**manifest, "step": 10})
    assert _rows(ship(export, tmp_path / "out", command="c", data="d", after=[first]))["steps"] == (
        "13 in 2 stages: 10 of batch 2, then 3 of batch 2"
    )
    with pytest.raises(CheckpointError, match="not the export of a training run"):
        ship(export, tmp_path / "out", command="c", data="d", after=[tmp_path])


def test_the_stages_of_a_run_that_begins_with_another_are_chained(tmp_path: Path) -> None:
    first, second, third = (_export(tmp_path / name) for name in ("first", "second", "third"))
    manifest = read_json(first / MANIFEST_NAME)
    write_json(first / MANIFEST_NAME, {**manifest, "step": 10, "stages": []})
    write_json(second / MANIFEST_NAME, {**manifest, "step": 20, "stages": stages_until(first)})
    assert [stage["steps"] for stage in stages_until(second)] == [10, 20]
    assert stages_until(None) == []
    write_json(third / MANIFEST_NAME, {"songs": ["x-1-0000"]})
    assert stages_until(third) == [{}]
    (third / MANIFEST_NAME).unlink()
    assert stages_until(third) == [{}]
