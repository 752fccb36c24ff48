"""Two processes give the loss and the gradients of one, negatives gathered across them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from eeg2music.training import checkpoint

SCRIPT = Path(__file__).with_name("distributed.py")
SETTINGS = [
    "train.batch_size=8", "train.steps=3", "train.save_every=2", "train.valid_every=0", "train.warmup_steps=1",
    "train.grad_clip=null", "train.tensorboard=false", "train.precision=no", "train.threads=1", "task.dropout=0",
]  # fmt: skip


def one_step(folder: Path, processes: int, *more: str) -> dict:
    launcher = (
        ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)] if processes > 1 else []
    )
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "PYTHONPATH": os.pathsep.join([str(SCRIPT.parent), os.environ.get("PYTHONPATH", "")]),
    }
    report = folder / "report.json"
    done = subprocess.run(
        [sys.executable, *launcher, str(SCRIPT), str(folder / "run"), str(report), *SETTINGS, *more],
        capture_output=True, text=True, env=environment, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(report.read_text())


def test_two_processes_are_one(tmp_path: Path) -> None:
    folders = {name: tmp_path / name for name in ("one", "two")}
    for folder in folders.values():
        folder.mkdir()
    # Two micro-batches: the negatives are those of a micro-batch over all processes.
    one = one_step(folders["one"], 1, "train.accumulation=2")
    two = one_step(folders["two"], 2, "train.accumulation=2")

    assert (one["processes"], two["processes"]) == (1, 2)
    assert two["loss"] == pytest.approx(one["loss"], abs=1e-5)
    assert set(two["gradients"]) == set(one["gradients"]) == {
        "left.weight", "left.bias", "right.weight", "right.bias", "scale",
    }  # fmt: skip
    for name, expected in one["gradients"].items():
        gradient = torch.tensor(expected)
        assert gradient.abs().max() > 1e-3
        torch.testing.assert_close(torch.tensor(two["gradients"][name]), gradient, atol=1e-5, rtol=0)
    # The run's files are written once, by the first process.
    states = [checkpoint.complete(folder / "run" / "checkpoints") for folder in folders.values()]
    assert [[state.step for state in found] for found in states] == [[2, 3], [2, 3]]
    rows = [(folder / "run" / "log.jsonl").read_text().splitlines() for folder in folders.values()]
    assert len(rows[0]) == len(rows[1])
