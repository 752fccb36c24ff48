"""A run that is killed by SIGKILL, wherever, and started again ends as if nothing had happened: to the bit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from eeg2music.errors import CheckpointError, ConfigError, DataError
from eeg2music.files import read_json
from eeg2music.training import checkpoint
from eeg2music.weights import MANIFEST_NAME

SIGKILLED = -9
SHIPPED = Path(__file__).parents[2] / "checkpoints" / "mini"
SETTINGS = [
    "train.steps=12", "train.batch_size=4", "train.accumulation=2", "train.save_every=3", "train.valid_every=4",
    "train.log_every=2", "train.warmup_steps=3", "train.threads=1", "train.tensorboard=false",
]  # fmt: skip


def run_all(runs: list[dict]) -> list[int]:
    """Do runs one after the other in forked children; their exit codes."""
    script = Path(__file__).with_name("toys.py")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [sys.executable, str(script), json.dumps(runs)], capture_output=True, text=True, env=environment, timeout=300
    )
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def contents(out: Path, steps: int = 12) -> dict[str, bytes]:
    """Everything of a run's end that must be equal: tensors, log and export, as bytes."""
    last = checkpoint.complete(out / "checkpoints")[-1]
    assert last.step == steps
    files = {file.name: file.read_bytes() for file in last.folder.glob("*.safetensors")}
    assert set(files) == {"model.safetensors", "ema.safetensors", "optimizer.safetensors"}
    return {
        **files,
        "log": (out / "log.jsonl").read_bytes(),
        **{
            f"export/{file.name}": file.read_bytes()
            for file in (out / "export").iterdir()
            if file.name != MANIFEST_NAME  # which tells how long it took
        },
    }


KILLS = ["loss:0:0", "loss:7:1", "loss:9:0", "save:1", "save:5", "save:9", "remove", "export", "row:8"]


@pytest.mark.parametrize("precision", ["no", "bf16"])
def test_killed_runs_end_as_the_uninterrupted_one(tmp_path: Path, precision: str) -> None:
    common = [*SETTINGS, f"train.precision={precision}"]
    runs = [{"overrides": [*common, f"train.out={tmp_path / 'whole'}"]}]
    for kill in KILLS:
        out = f"train.out={tmp_path / kill.replace(':', '-')}"
        runs += [{"overrides": [*common, out], "kill": kill}, {"overrides": [*common, out]}]
    # Killed again and again in one run, at a later point each time.
    again = f"train.out={tmp_path / 'again'}"
    runs += [{"overrides": [*common, again], "kill": kill} for kill in ("loss:2:1", "save:5", "loss:8:0", "export")]
    runs += [{"overrides": [*common, again]}]

    codes = run_all(runs)

    assert codes == [0] + [SIGKILLED, 0] * len(KILLS) + [SIGKILLED] * 4 + [0]
    expected = contents(tmp_path / "whole")
    assert json.loads(expected["log"].splitlines()[-1])["step"] == 12
    for folder in [*(kill.replace(":", "-") for kill in KILLS), "again"]:
        found = contents(tmp_path / folder)
        assert [name for name in expected if found[name] != expected[name]] == [], f"{folder} differs"
        # Nothing half-written is left, and only the newest two states are kept.
        names = sorted(path.name for path in (tmp_path / folder / "checkpoints").iterdir())
        assert names == ["step-00000009", "step-00000012"]
        assert not list((tmp_path / folder).glob(".export-*"))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["codec", "clap", "scorer", "encoder", "diffusion"])
def test_a_killed_training_of_a_real_model_ends_as_the_uninterrupted_one(
    tmp_path: Path, small_trainings: dict[str, list[str]], name: str
) -> None:
    card = read_json(SHIPPED / name / MANIFEST_NAME)
    common = [
        *small_trainings[name], "train.steps=6", "train.batch_size=4", "train.accumulation=2", "train.save_every=2",
        "train.valid_every=3", "train.log_every=3", "train.warmup_steps=2", "train.threads=1",
        "train.tensorboard=false", "train.device=cpu", f"train.precision={card['config']['train']['precision']}",
    ]  # fmt: skip
    base = {"name": name, "config": f"{name}/smoke"}
    whole = {**base, "overrides": [*common, f"train.out={tmp_path / 'whole'}"]}
    resumed = {**base, "overrides": [*common, f"train.out={tmp_path / 'resumed'}"]}
    kills = [
        "loss:3:1",  # one of two micro-batches of the fourth step is done; back to the state of step 2
        "save:5",  # the second of three files of the state of step 6; back to that of step 4
        "loss:3:0",  # never reached, unless a run begins before the state that it should go on from
    ]
    codes = run_all([whole, *({**resumed, "kill": kill} for kill in kills)])
    assert codes == [0, SIGKILLED, SIGKILLED, 0]
    expected, found = (contents(tmp_path / kind, 6) for kind in ("whole", "resumed"))
    assert len(expected) > 5
    assert [file for file in expected if found[file] != expected[file]] == []


def test_the_bytes_compared_above_do_change_with_the_seed(tmp_path: Path) -> None:
    from eeg2music.training.loop import train

    for seed in (0, 1):
        train("toy", None, [*SETTINGS, f"train.out={tmp_path / str(seed)}", f"train.seed={seed}"])
    one, other = contents(tmp_path / "0"), contents(tmp_path / "1")
    assert all(one[name] != other[name] for name in one)


def start(out: Path, *more: str) -> None:
    from eeg2music.training.loop import train

    train("toy", None, [*SETTINGS, "train.steps=4", "train.save_every=2", f"train.out={out}", *more])


@pytest.fixture
def begun(tmp_path: Path) -> Path:
    start(tmp_path / "run")
    return tmp_path / "run"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("train.learning_rate=0.01", r"begun with train\.learning_rate = 0\.0003, not 0\.01"),
        ("train.batch_size=8", "batch_size"),
        ("train.seed=5", "seed"),
        ("train.precision=bf16", "precision"),
        ("task.width=9", r"task\.width"),
    ],
)
def test_a_changed_config_is_refused_and_nothing_is_touched(begun: Path, change: str, message: str) -> None:
    (begun / "checkpoints" / ".step-half").mkdir()  # what a killed process left stays too
    before = {path: path.read_bytes() if path.is_file() else None for path in begun.rglob("*")}
    with pytest.raises(ConfigError, match=message):
        start(begun, "train.steps=6", change)
    assert {path: path.read_bytes() if path.is_file() else None for path in begun.rglob("*")} == before


def test_changed_data_are_refused(begun: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from eeg2music.training.registry import TASKS

    monkeypatch.setattr(TASKS["toy"], "manifest", lambda self: {"data_hash": "other"})
    before = (begun / "config.json").read_bytes()
    with pytest.raises(DataError, match=r"data .* changed"):
        start(begun, "train.steps=6")
    assert (begun / "config.json").read_bytes() == before


def test_the_card_names_the_code_of_each_part_of_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from eeg2music.training import loop

    def code(steps: int, origin: dict | None) -> list[dict]:
        monkeypatch.setattr(loop, "code_origin", lambda: origin)
        start(tmp_path / "run", f"train.steps={steps}")
        return read_json(tmp_path / "run" / "export" / "training_manifest.json")["code"]

    one, two = {"commit": "1" * 12, "dirty": False}, {"commit": "2" * 12, "dirty": True}
    assert code(2, one) == code(4, one) == [{"step": 0, "origin": one}]
    assert code(6, two) == [{"step": 0, "origin": one}, {"step": 4, "origin": two}]


def test_steps_and_logging_may_change(begun: Path) -> None:
    start(begun, "train.steps=6", "train.log_every=1", "train.save_every=1", "train.keep=3")
    assert checkpoint.complete(begun / "checkpoints")[-1].step == 6


def test_a_finished_run_started_again_does_nothing(begun: Path) -> None:
    before = {file: (file.stat().st_mtime_ns, file.read_bytes()) for file in begun.rglob("*") if file.is_file()}
    start(begun)
    after = {file: (file.stat().st_mtime_ns, file.read_bytes()) for file in begun.rglob("*") if file.is_file()}
    assert {file.name for file in before if before[file] != after[file]} <= {"log.jsonl", "config.json"}
    assert [before[file][1] for file in before] == [after[file][1] for file in before]


def test_a_damaged_checkpoint_is_named(begun: Path) -> None:
    newest = checkpoint.complete(begun / "checkpoints")[-1].folder
    size = (newest / "model.safetensors").stat().st_size
    (newest / "model.safetensors").write_bytes(b"x" * size)
    with pytest.raises(CheckpointError, match=newest.name):
        start(begun, "train.steps=6")


def test_an_incomplete_checkpoint_is_passed_over(begun: Path) -> None:
    newest = checkpoint.complete(begun / "checkpoints")[-1].folder
    (newest / "ema.safetensors").write_bytes(b"cut")
    assert checkpoint.complete(begun / "checkpoints")[-1].folder != newest


def test_states_hold_no_pickle(begun: Path) -> None:
    files = [file for file in (begun / "checkpoints").rglob("*") if file.is_file()]
    assert {file.suffix for file in files} == {".safetensors", ".json"}
    assert torch.isfinite(load_file(files[0].parent / "model.safetensors")["layers.0.weight"]).all()
