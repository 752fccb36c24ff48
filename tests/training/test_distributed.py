"""Two processes give the loss and the gradients of one: negatives gathered, masked parts divided alike."""

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
ROOT = Path(__file__).parents[2]
SETTINGS = [
    "train.batch_size=8", "train.valid_every=0", "train.warmup_steps=1", "train.grad_clip=null",
    "train.tensorboard=false", "train.precision=no", "train.threads=1",
]  # fmt: skip
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


def steps_of(name: str, folder: Path, processes: int, *more: str, steps: int = 1) -> dict:
    folder.mkdir()
    launcher = (
        ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)] if processes > 1 else []
    )
    path = os.pathsep.join([str(SCRIPT.parent), os.environ.get("PYTHONPATH", "")])
    report = folder / "report.json"
    done = subprocess.run(
        [sys.executable, *launcher, str(SCRIPT), name, str(folder / "run"), str(report), str(steps), *SETTINGS,
         *more],
        capture_output=True, text=True, env={**ENVIRONMENT, "PYTHONPATH": path}, timeout=900,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(report.read_text())


def compare(one: dict, two: dict, *, rtol: float = 0.0) -> None:
    """Loss, gradients and buffers of two processes lie within 1e-5 of one process's."""
    assert (one["processes"], two["processes"]) == (1, 2)
    assert two["loss"] == pytest.approx(one["loss"], abs=1e-5, rel=rtol)
    for kind in ("gradients", "buffers"):
        assert set(two[kind]) == set(one[kind])
        for name, expected in one[kind].items():  # statistics that are not taken yet are NaN
            found = torch.tensor(two[kind][name])
            torch.testing.assert_close(found, torch.tensor(expected), atol=1e-5, rtol=rtol, equal_nan=True, msg=name)


def idle(report: dict) -> set[str]:
    """Parameters whose gradient is too small for a difference of 1e-5 to tell anything."""
    return {name for name, gradient in report["gradients"].items() if torch.tensor(gradient).abs().max() < 1e-3}


def test_two_processes_are_one(tmp_path: Path) -> None:
    folders = {processes: tmp_path / str(processes) for processes in (1, 2)}
    # Two micro-batches: the negatives are those of a micro-batch over all processes.
    more = ["train.accumulation=2", "train.steps=3", "train.save_every=2", "task.dropout=0"]
    one, two = (steps_of("toy_contrastive", folder, processes, *more) for processes, folder in folders.items())

    compare(one, two)
    assert set(one["gradients"]) == {"left.weight", "left.bias", "right.weight", "right.bias", "scale"}
    assert not idle(one)
    # The run's files are written once, by the first process.
    states = [checkpoint.complete(folder / "run" / "checkpoints") for folder in folders.values()]
    assert [[state.step for state in found] for found in states] == [[2, 3], [2, 3]]
    rows = [(folder / "run" / "log.jsonl").read_text().splitlines() for folder in folders.values()]
    assert len(rows[0]) == len(rows[1])


@pytest.mark.slow
def test_two_processes_train_the_diffusion_like_one(tmp_path: Path, longer_music: Path) -> None:
    # Half of the samples have given or absent stems, so that processes count different numbers of pairs.
    more = [
        f"task.data={longer_music}", "task.codec=made/up", "task.clap=made/up",
        "task.model={width: 32, depth: 2, heads: 2, hidden: 48, modulation_rank: 4}", "task.dropout.context=0.5",
        "task.valid_songs=1", "train.steps=1",
    ]  # fmt: skip
    two, one = (
        steps_of("diffusion", tmp_path / str(count), count, *more, f"task.cache={tmp_path / f'cache-{count}'}")
        for count in (2, 1)
    )
    compare(one, two)
    # Each computed its part of the latents, and no song was computed twice.
    encoded = {count: [int(file.read_text()) for file in sorted((tmp_path / str(count)).glob("report.json.*"))]
               for count in (1, 2)}  # fmt: skip
    assert len(encoded[2]) == 2 and min(encoded[2]) > 0 and encoded[1] == [sum(encoded[2])] == [6]
    assert sum(torch.tensor(gradient).abs().max() > 1e-3 for gradient in one["gradients"].values()) > 20


@pytest.mark.slow
def test_two_processes_train_the_codec_like_one(tmp_path: Path, music: Path) -> None:
    # In the second step the latents are noisy, in units of the deviation that the first one measured. (A small rate:
    # Adam turns rounding into steps of the learning rate where a gradient is all but zero.) Gradients reach 600, where
    # float32 itself goes in steps of 6e-5: the bound is relative besides.
    more = [
        f"task.data={music}", "task.model={hidden_size: 16, num_filters: 8, codebook_size: 8}", "task.crop_s=0.2",
        "task.latent_noise=0.5", "task.fit_songs=1", "task.quantizer_steps=1", "task.valid_songs=1", "train.steps=3",
        "train.batch_size=4", "train.learning_rate=1e-6",
    ]  # fmt: skip
    one, two = (steps_of("codec", tmp_path / str(count), count, *more, steps=3) for count in (1, 2))
    compare(one, two, rtol=1e-5)
    assert min(one["buffers"]["running_std"]) > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["clap", "scorer", "encoder"])
def test_two_processes_train_a_contrast_like_one(
    tmp_path: Path, small_trainings: dict[str, list[str]], name: str
) -> None:
    more = [*small_trainings[name], "train.steps=1", "train.accumulation=2"]
    if name == "encoder":  # processes know the regions of different numbers of windows
        more.append("task.augment.without_positions=0.5")
    one, two = (steps_of(f"{name}/smoke", tmp_path / str(count), count, *more) for count in (1, 2))
    compare(one, two)
    # What is added to all logits of an attention moves no softmax.
    assert len(one["gradients"]) > 20 and all(parameter.endswith("bias") for parameter in idle(one))


TINY = [
    "task.model.codebook_size=8", "task.crop_s=0.2", "task.fit_songs=1",
    "task.quantizer_steps=1", "task.valid_songs=1", "train.steps=2", "train.batch_size=2", "train.save_every=2",
    "train.tensorboard=false",
]  # fmt: skip
ONE = ["--cpu", "--num_processes", "1"]
# `--cpu --num_processes 2` would start one: accelerate leaves several CPU processes to MPI. `--multi_gpu` starts as
# many as it is told, GPU or not.
TWO = ["--multi_gpu", "--num_processes", "2", "--main_process_port", "0"]
AS_SCRIPT = ["train/codec.py", "configs/codec/smoke.yaml"]
# Of the checkout, too: that the wheel has it all is tested in test_wheel.
AS_MODULE = ["-m", "eeg2music.training", "codec", "codec/smoke"]


@pytest.mark.slow
@pytest.mark.parametrize("what", [AS_SCRIPT, AS_MODULE], ids=["script", "module"])
@pytest.mark.parametrize("how", [ONE, TWO], ids=["one", "two"])
def test_accelerate_launches_a_training(tmp_path: Path, music: Path, how: list[str], what: list[str]) -> None:
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--num_machines", "1", "--mixed_precision", "no"]
    out = tmp_path / "run"
    done = subprocess.run(
        [*launch, "--dynamo_backend", "no", *how, *what, f"task.data={music}", f"train.out={out}", *TINY,
         "train.device=cpu"],
        cwd=ROOT, capture_output=True, text=True, env=ENVIRONMENT, timeout=900,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    expected = 2 if how is TWO else 1
    manifest = json.loads((out / "export" / "training_manifest.json").read_text())
    assert (manifest["processes"], manifest["step"]) == (expected, 2)
    assert f"{expected} process" in done.stderr
    assert "started one process only" not in done.stderr
