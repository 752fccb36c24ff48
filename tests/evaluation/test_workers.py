"""An evaluation spread over processes: the same scores, the same errors, and no process left behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from threadpoolctl import threadpool_limits

from eeg2music.errors import LeakError
from eeg2music.evaluation.material import ListeningConfig
from eeg2music.evaluation.runner import EvaluateConfig, LevelConfig, run_evaluation
from eeg2music.evaluation.units import Unit
from eeg2music.evaluation.workers import Tally
from eeg2music.pipeline import SamplingConfig

CLEAN = LevelConfig(name="clean", snr="clean", conditions=("brain", "oracle"), generate=("brain",), generated_windows=2)
HARD = LevelConfig(name="hard", snr=-12.0, conditions=("brain", "oracle"), generate=())


def config_of(checkpoint: Path, *levels: LevelConfig, **changes: Any) -> EvaluateConfig:
    settings = {"seeds": (0, 1), "sampling": SamplingConfig(steps=1), "reference_songs": 0, **changes}
    return EvaluateConfig(checkpoint=str(checkpoint), levels=levels, **settings)


def test_the_time_left_follows_from_the_time_taken() -> None:
    now = [0.0]
    work = [Unit("a", 0.0, "brain", seed, clips) for seed, clips in enumerate((96, 96, 46))]
    tally = Tally(2, work, clock=lambda: now[0])
    assert tally.text() == "2 of 5 units finished"
    now[0] = 1200.0
    tally.add(work[0])
    assert tally.text() == "3 of 5 units finished, about 30 min left"
    now[0] = 24000.0
    tally.add(work[1])
    assert tally.text() == "4 of 5 units finished, about 1.7 h left"
    now[0] = 60.0
    assert tally.text() == "4 of 5 units finished, less than a minute left"
    tally.add(work[2])
    assert tally.text() == "5 of 5 units finished"


# -- several processes: nothing can be planted in them, so that the listening is real --------------

LISTENING = ListeningConfig(songs=3, song_seconds=6.6, window_start_s=1.0)


@pytest.mark.slow
def test_two_processes_find_what_one_finds(tiny_checkpoint: Path, tmp_path: Path) -> None:
    config = config_of(tiny_checkpoint, CLEAN, HARD, listening=LISTENING, seeds=(0,))
    threads = torch.get_num_threads()
    try:
        # Sums in another order differ in the last digit: the workers' share is one thread, in torch and in BLAS.
        torch.set_num_threads(1)
        with threadpool_limits(1):
            alone = run_evaluation(config, tmp_path / "alone", device="cpu")
            together = run_evaluation(config.model_copy(update={"workers": 2}), tmp_path / "together", device="cpu")
    finally:
        torch.set_num_threads(threads)
    assert together == alone
    files = [path.relative_to(tmp_path / "alone") for path in (tmp_path / "alone").rglob("*") if path.is_file()]
    assert any(path.suffix == ".wav" for path in files)
    for path in files:
        assert (tmp_path / "alone" / path).read_bytes() == (tmp_path / "together" / path).read_bytes(), path


@pytest.mark.slow
def test_an_error_in_a_worker_arrives_as_it_is(tiny_checkpoint: Path, tmp_path: Path) -> None:
    checkpoint = shutil.copytree(tiny_checkpoint, tmp_path / "copy")
    (checkpoint / "encoder" / "training_manifest.json").write_text(json.dumps({"songs": ["funk-21-0001"]}))
    config = config_of(checkpoint, CLEAN, listening=LISTENING, workers=2)
    with pytest.raises(LeakError, match=r"funk-21-0001") as caught:
        run_evaluation(config, tmp_path / "out", device="cpu")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="reads /proc to find child processes")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_workers_end_with_the_command(tiny_checkpoint: Path, tmp_path: Path, number: signal.Signals) -> None:
    level = "levels=[{name: clean, snr: clean, generated_windows: 200}]"
    command = [sys.executable, "-m", "eeg2music.cli", "evaluate", "configs/eval/smoke.yaml", "--out", "out", level]
    command += [f"checkpoint={tiny_checkpoint}", "workers=2", "sampling.steps=5000", "listening.songs=3"]
    run = subprocess.Popen(
        command,
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        # A shell's background job ignores it, and so would what the job starts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        children = _wait_for(lambda: _children(run.pid) if len(_children(run.pid)) >= 3 else None)
        time.sleep(1.0)
        run.send_signal(number)
        assert run.wait(240) == (130 if number == signal.SIGINT else -signal.SIGKILL)
    finally:
        run.kill()
    assert _wait_for(lambda: not any(_alive(child) for child in children) or None)


def _children(pid: int) -> list[int]:
    """Child processes: two workers and the tracker of their resources."""
    files = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for file in files for child in file.read_text().split()]


def _alive(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"


def _wait_for(value: Callable[[], Any], seconds: float = 90.0) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = value()
        if found is not None:
            return found
        time.sleep(0.2)
    raise AssertionError("waited in vain")
