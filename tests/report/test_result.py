"""What a run may write over, and what it may not. The result itself is tested where it is made, in test_generation."""

from __future__ import annotations

from pathlib import Path

import pytest

from eeg2music.errors import InputError
from eeg2music.files import check_result_folder
from eeg2music.report.result import RESULT_FILES, Stopwatch


def test_new_empty_and_earlier_results_may_be_replaced(tmp_path: Path) -> None:
    check_result_folder(tmp_path / "new" / "deeper", RESULT_FILES)
    check_result_folder(tmp_path, RESULT_FILES)
    (tmp_path / "stems").mkdir()
    (tmp_path / "mix.wav").touch()
    check_result_folder(tmp_path, RESULT_FILES)


@pytest.mark.parametrize("name", ["notes.txt", ".git", "Mix.wav"])
def test_anything_else_may_not(tmp_path: Path, name: str) -> None:
    (tmp_path / "report.json").touch()
    (tmp_path / name).touch()
    with pytest.raises(InputError, match=r"such as .*Remedy: choose a new folder with --out"):
        check_result_folder(tmp_path, RESULT_FILES)


def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is a file"):
        check_result_folder(tmp_path / "file", RESULT_FILES)
    with pytest.raises(InputError, match="Nothing can be written"):
        check_result_folder(tmp_path / "file" / "below", RESULT_FILES)


def test_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    check_result_folder(".", RESULT_FILES)
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(InputError, match=r"thesis\.tex"):
        check_result_folder(".", RESULT_FILES)


def test_time_adds_up_by_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter([0.0, 1.0, 10.0, 12.5, 20.0, 20.5])
    monkeypatch.setattr("eeg2music.report.result.time.perf_counter", lambda: next(ticks))
    watch = Stopwatch()
    for stage in ("encode", "mix", "encode"):
        with watch(stage):
            pass
    assert watch.seconds == {"encode": 1.5, "mix": 2.5}
