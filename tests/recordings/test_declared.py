"""Sites and works that a data set declares: labels come through, free text goes nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from eeg2music.errors import DataError
from eeg2music.recordings.declared import participant_sites, stimulus_works, work_label


def table(path: Path, *rows: tuple[str, ...]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join("\t".join(row) + "\n" for row in rows))


def test_sites_are_labels_and_others_are_counted(tmp_path: Path) -> None:
    table(
        tmp_path / "participants.tsv",
        ("participant_id", "age", "site"),
        ("sub-01", "30", "north"),
        ("sub-02", "31", "Dr. Somebody's room"),
        ("sub-03", "32", "n/a"),
    )
    assert participant_sites(tmp_path) == ({"sub-01": "north"}, 1)


def test_a_data_set_need_not_declare_anything(tmp_path: Path) -> None:
    assert participant_sites(tmp_path) == ({}, 0)
    assert stimulus_works(tmp_path) == {}


def test_works_are_found_by_file_or_else_by_id(tmp_path: Path) -> None:
    table(
        tmp_path / "stimuli" / "stimuli.tsv",
        ("stimulus_id", "stim_file", "work_id"),
        ("a", "a/mix.wav", "opus.1"),
        ("b", "", "opus.1"),
        ("c", "c/mix.wav", "n/a"),
    )
    assert stimulus_works(tmp_path) == {"a/mix.wav": "opus.1", "b": "opus.1"}


def test_a_work_that_is_no_label_is_refused_and_not_repeated() -> None:
    with pytest.raises(DataError, match=r"A work_id in songs\.tsv is no label") as refused:
        work_label({"work_id": "for my friend Somebody"}, "songs.tsv")
    assert "Somebody" not in str(refused.value)
    assert work_label({"work_id": 7}, "songs.tsv") == "7"
