"""The whole path with the smoke configs: simulate, prepare, train all five models, generate, evaluate."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from eeg2music.files import read_json

ROOT = Path(__file__).parents[1]


def _run(*arguments: str, cwd: Path) -> str:
    command = [sys.executable, "-m", "eeg2music.cli", *arguments]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(arguments)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.slow
def test_from_nothing_to_music(tmp_path: Path) -> None:
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    songs = ["songs=40", "song_seconds=8.0", "subjects=4", "songs_per_subject=10", "repeats=1"]
    _run("simulate", "data/music", "--config", "configs/simulate/smoke.yaml", *songs, cwd=tmp_path)
    _run("simulate", "data/scorer_music", "subjects=0", "songs=40", "song_seed=4", "song_seconds=8.0", cwd=tmp_path)
    _run("prepare", "data/music", "--out", "data/prepared", "--config", "configs/prepare/smoke.yaml", cwd=tmp_path)
    for name in ("codec", "clap", "scorer", "encoder", "diffusion"):
        _run("train", name, f"configs/{name}/smoke.yaml", cwd=tmp_path)
    checkpoint = tmp_path / "checkpoint"
    checkpoint.mkdir()
    for name in ("codec", "clap", "scorer", "encoder", "diffusion"):
        (tmp_path / "runs" / f"{name}-smoke" / "export").rename(checkpoint / name)
    recording = next((tmp_path / "data/music").rglob("*_eeg.vhdr"))
    _run("generate", str(recording), "--out", "out/one", "--checkpoint", "checkpoint", "--stop", "12", cwd=tmp_path)
    report = read_json(tmp_path / "out/one/report.json")
    assert report["duration_s"] == pytest.approx(12.0, abs=0.05)
    _run("generate", "data/prepared", "--out", "out/split", "--checkpoint", "checkpoint", "clips=2", cwd=tmp_path)
    assert len(read_json(tmp_path / "out/split/report.json")["clips"]) == 2
    _run("evaluate", "configs/eval/smoke.yaml", "--out", "out/eval", "checkpoint=checkpoint", cwd=tmp_path)
    scores = read_json(tmp_path / "out/eval/scores.json")
    # Whatever barely trained models know: with nothing of the brain, it is nothing.
    of = {name: entry["embedding"] for name, entry in scores["levels"][0]["scores"].items()}
    assert of["brain"]["ci95"][0] <= 0.9
    assert of["oracle"]["accuracy"] == 1.0 and of["no_brain"]["accuracy"] == 0.5
    assert of["shuffled"]["ci95"][0] <= 0.5
    assert set(scores["levels"][0]["scores"]) >= {"shuffled", "phase_randomized", "no_brain", "oracle"}
