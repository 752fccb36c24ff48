"""A training that is asked to stop writes what it has; asked twice, it ends at once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from eeg2music.training import checkpoint
from eeg2music.training.signals import stop_requests

TINY = [
    "task.model.codebook_size=8", "task.crop_s=0.2", "task.fit_songs=1", "task.quantizer_steps=1",
    "task.valid_songs=1", "train.steps=100000", "train.batch_size=2", "train.save_every=100000", "train.valid_every=0",
    "train.tensorboard=false", "train.log_every=1",
]  # fmt: skip


@pytest.fixture
def interruptible() -> Iterator[None]:
    """A shell starts what runs in its background deaf to Ctrl-C, and so would this be."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_the_first_signal_asks_and_the_second_acts(interruptible: None) -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), stop_requests() as asked:
        assert not asked()
        signal.raise_signal(signal.SIGINT)
        assert asked()
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_handlers_are_put_back() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with stop_requests() as asked:
        assert not asked()
        assert signal.getsignal(signal.SIGTERM) != before[1]
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_other_threads_hear_no_signals() -> None:
    heard: list[bool] = []

    def work() -> None:
        with stop_requests() as asked:
            heard.append(asked())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert heard == [False]


@pytest.mark.parametrize("command", ["eeg2music.cli", "eeg2music.training"])
def test_ctrl_c_loses_nothing(tmp_path: Path, music: Path, command: str) -> None:
    """The whole foreground group hears it, loading workers too."""
    verb = ["train"] if command == "eeg2music.cli" else []
    out = tmp_path / "run"
    run = subprocess.Popen(
        [sys.executable, "-m", command, *verb, "codec", "codec/smoke", f"task.data={music}", f"train.out={out}", *TINY,
         "train.workers=1"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
    )  # fmt: skip
    try:
        began = time.monotonic()
        while not (out / "log.jsonl").is_file() or not (out / "log.jsonl").read_text():
            assert run.poll() is None and time.monotonic() - began < 240
            time.sleep(0.1)
        os.killpg(run.pid, signal.SIGINT)
        said, _ = run.communicate(timeout=240)
    finally:
        run.kill()
    assert run.returncode == 0, said[-2000:]
    assert "stopped" in said.lower() and "Traceback" not in said
    step = checkpoint.complete(out / "checkpoints")[-1].step
    assert step >= 1
    assert json.loads((out / "export" / "training_manifest.json").read_text())["step"] == step
