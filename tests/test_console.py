"""What a log is told of progress: nothing of a command that ends at once, each step of one that takes long."""

from __future__ import annotations

import time

import pytest

from eeg2music import console


def test_a_log_is_told_each_step_once_it_takes_long(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "QUIET_S", 2.0)
    with console.Steps() as hook:
        hook("loading the models")
        hook("song [1] of 800")
        hook("song [2] of 800")  # of the same kind, at once: not worth a line
        assert capsys.readouterr().err == ""
        deadline = time.monotonic() + 60
        while hook._held is not None and time.monotonic() < deadline:
            time.sleep(0.01)
        assert capsys.readouterr().err.splitlines() == ["loading the models", "song [1] of 800"]
        hook("writing")
        assert capsys.readouterr().err == "writing\n"
        monkeypatch.setattr(console, "EVERY_S", 0.0)
        hook("song 3 of 800")
        hook("song 4 of 800")
        assert capsys.readouterr().err.splitlines() == ["song 3 of 800", "song 4 of 800"]


def test_a_command_that_ends_at_once_leaves_the_log_alone(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "QUIET_S", 0.5)
    with console.Steps() as hook:
        hook("loading the models")
    time.sleep(0.7)
    assert capsys.readouterr().err == ""


def test_a_path_is_told_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    path = "out/:cat:/[red]mix.wav"
    console.tell(path)
    console.complain(f"No file at {path}")
    console.say(path)
    told = capsys.readouterr()
    assert told.out == f"{path}\n"
    assert told.err == f"error: No file at {path}\n{path}\n"


def test_training_tells_a_log_its_step_loss_and_time_left(capsys: pytest.CaptureFixture[str]) -> None:
    from eeg2music.training.loop import Progress

    with console.TrainingBar() as progress:
        progress(Progress(20, 600, {"loss": 0.51234}, 1.0, 580.0))
    assert capsys.readouterr().err == "step 20 of 600, loss 0.5123, 9.7 min left\n"
