"""Files are written whole or not at all, and hashed by content."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from eeg2music import files


class Interrupted(Exception):
    """Stands for whatever goes wrong while a file is being written."""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "er" / "a.wav"
    with files.atomic_path(target) as temporary:
        temporary.write_text("half")
        assert not target.exists()
        assert temporary.suffix == ".wav"  # writers choose the format by it
        assert temporary.parent == target.parent  # a rename across devices would not be atomic
    assert target.read_text() == "half"
    assert names(target.parent) == ["a.wav"]


@pytest.mark.parametrize(
    ("umask", "file", "folder"), [(0o022, 0o644, 0o755), (0o077, 0o600, 0o700), (0o002, 0o664, 0o775)]
)
def test_permissions_are_those_that_the_umask_leaves(tmp_path: Path, umask: int, file: int, folder: int) -> None:
    previous = os.umask(umask)
    try:
        files.write_text(tmp_path / "a.json", "{}")
        with files.atomic_folder(tmp_path / "out") as inside:
            (inside / "b").touch()
    finally:
        os.umask(previous)
    assert stat.S_IMODE((tmp_path / "a.json").stat().st_mode) == file
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == folder
    assert stat.S_IMODE((tmp_path / "out" / "b").stat().st_mode) == file


@pytest.mark.parametrize("old", [None, "old"])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path, old: str | None) -> None:
    target = tmp_path / "a.json"
    if old is not None:
        target.write_text(old)
    with pytest.raises(Interrupted), files.atomic_path(target) as temporary:
        temporary.write_text("half")
        raise Interrupted
    assert names(tmp_path) == ([] if old is None else ["a.json"])
    assert old is None or target.read_text() == old


def test_a_writer_that_wrote_nothing_is_not_taken_for_one_that_did(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), files.atomic_path(tmp_path / "a") as temporary:
        temporary.unlink()
    assert names(tmp_path) == []


def test_a_folder_appears_whole(tmp_path: Path) -> None:
    target = tmp_path / "out"
    with files.atomic_folder(target) as folder:
        (folder / "stems").mkdir()
        (folder / "stems" / "a").write_text("a")
        assert not target.exists()
    assert names(tmp_path) == ["out"]
    assert (target / "stems" / "a").read_text() == "a"


def test_a_folder_replaces_an_older_one_wholly(tmp_path: Path) -> None:
    target = tmp_path / "out"
    (target / "gone").mkdir(parents=True)
    with files.atomic_folder(target) as folder:
        (folder / "new").touch()
    assert names(tmp_path) == ["out"]
    assert names(target) == ["new"]


def test_a_failure_leaves_the_old_folder_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.mkdir()
    (target / "old").write_text("old")
    with pytest.raises(Interrupted), files.atomic_folder(target) as folder:
        (folder / "half").touch()
        raise Interrupted
    assert names(tmp_path) == ["out"]
    assert (target / "old").read_text() == "old"


def test_a_failure_of_the_last_rename_puts_the_old_folder_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "out"
    target.mkdir()
    (target / "old").write_text("old")
    rename = Path.rename

    def failing(self: Path, destination: Path) -> Path:
        if Path(destination) == target and self.name != "old":
            raise OSError("no space")
        return rename(self, destination)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(OSError, match="no space"), files.atomic_folder(target) as folder:
        (folder / "new").touch()
    assert names(tmp_path) == ["out"]
    assert (target / "old").read_text() == "old"


def test_the_working_folder_itself_can_be_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside = tmp_path / "here"
    inside.mkdir()
    monkeypatch.chdir(inside)
    with files.atomic_folder(".") as folder:
        (folder / "new").touch()
    assert names(tmp_path) == ["here"]
    assert names(inside) == ["new"]


def test_json_round_trip(tmp_path: Path) -> None:
    value = {"z": [1, 2.5, None, True], "a": "Größe ♪"}
    files.write_json(tmp_path / "a.json", value)
    text = (tmp_path / "a.json").read_bytes().decode("utf-8")
    assert "Größe ♪" in text
    assert text.index('"z"') < text.index('"a"')
    assert files.read_json(tmp_path / "a.json") == value


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_json_that_others_cannot_read_is_refused_and_not_written(tmp_path: Path, value: float) -> None:
    files.write_json(tmp_path / "a.json", {"score": 1})
    with pytest.raises(ValueError, match="JSON"):
        files.write_json(tmp_path / "a.json", {"score": value})
    assert json.loads((tmp_path / "a.json").read_text()) == {"score": 1}
    assert names(tmp_path) == ["a.json"]


def test_a_folders_hash_is_of_names_and_contents_only(tmp_path: Path) -> None:
    def make(name: str, content: dict[str, str], order: int) -> Path:
        for file, text in list(content.items())[::order]:
            path = tmp_path / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            os.utime(path, (order + 5, order + 5))
        return tmp_path / name

    content = {"a.txt": "1", "deep/b.txt": "2", "c.bin": "3"}
    first = files.sha256_folder(make("one", content, 1))
    assert files.sha256_folder(make("two", content, -1)) == first
    assert files.sha256_folder(make("three", {**content, "a.txt": "9"}, 1)) != first
    assert files.sha256_folder(make("four", {"b.txt": "1", "deep/b.txt": "2", "c.bin": "3"}, 1)) != first
    assert files.sha256_folder(tmp_path / "one", "*.txt") != first
    assert files.sha256_folder(make("five", {**content, "c.bin": "other"}, 1), "*.txt") == files.sha256_folder(
        tmp_path / "one", "*.txt"
    )


def test_hashes_of_a_file_and_of_a_value(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert files.sha256_file(tmp_path / "a") == known
    assert files.sha256_json({"a": 1, "b": [1, 2]}) == files.sha256_json({"b": [1, 2], "a": 1})
    assert files.sha256_json({"a": 1}) != files.sha256_json({"a": 2})
