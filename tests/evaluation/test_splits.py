"""Splits hold songs, works and subjects apart, and every planted leak is caught by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from eeg2music.errors import DataError, InputError, LeakError
from eeg2music.evaluation.splits import (
    Manifest,
    refuse_leaks,
    split_by_song,
    split_by_song_and_subject,
    split_by_subject,
    write_split,
)
from eeg2music.files import read_json, sha256_json


@pytest.fixture
def rows() -> list[dict]:
    """Six subjects, one recording each, ten songs, two windows per trial."""
    return [
        {
            "window_id": f"{subject}-{song}-{part}",
            "recording": f"sub-{subject}_run-1",
            "subject": f"sub-{subject}",
            "trial": song,
            "stimulus": f"song-{song}",
        }
        for subject in range(6)
        for song in range(10)
        for part in range(2)
    ]


def manifests(train: dict, test: dict) -> tuple[Manifest, Manifest]:
    base = {"songs": ["a"], "trials": ["r1/1"], "recordings": ["r1"], "subjects": ["s1"]}
    other = {"songs": ["b"], "trials": ["r2/1"], "recordings": ["r2"], "subjects": ["s2"]}
    return Manifest.from_dict({**base, **train}), Manifest.from_dict({**other, **test})


def test_disjoint_manifests_pass() -> None:
    refuse_leaks(*manifests({}, {}), kinds=("song", "work", "trial", "recording", "subject"))


@pytest.mark.parametrize(
    ("test", "named"),
    [
        ({"songs": ["a", "b"]}, r"1 of 2 songs: a"),
        ({"works": {"b": "a"}}, r"works: a"),
        ({"trials": ["r1/1"]}, r"trials: r1/1"),
        ({"recordings": ["r1"]}, r"recordings: r1"),
    ],
)
def test_a_planted_leak_is_caught_by_name(test: dict, named: str) -> None:
    with pytest.raises(LeakError, match=named):
        refuse_leaks(*manifests({}, test))


def test_a_shared_subject_counts_only_when_asked() -> None:
    train, test = manifests({}, {"subjects": ["s1"]})
    refuse_leaks(train, test)
    with pytest.raises(LeakError, match="subjects: s1"):
        refuse_leaks(train, test, kinds=("subject",))


def test_songs_are_checked_whatever_is_asked() -> None:
    train, test = manifests({"songs": ["a"]}, {"songs": ["a"]})
    with pytest.raises(LeakError, match="songs"):
        refuse_leaks(train, test, kinds=())


def test_a_work_declared_on_one_side_holds_for_the_other() -> None:
    """The model knows nothing of works; the test set says that its song is a version of one of the model's."""
    train, test = manifests({"songs": ["piece"]}, {"songs": ["piece-without-lyrics"]})
    refuse_leaks(train, test)
    declared = Manifest(test.songs, {"piece-without-lyrics": "piece"})
    with pytest.raises(LeakError, match="works: piece"):
        refuse_leaks(train, declared)


def test_a_training_manifest_with_other_keys_is_read_and_one_without_songs_is_refused() -> None:
    refuse_leaks({"songs": ["a"], "data_hash": "x", "step": 7}, {"songs": ["b"]})
    with pytest.raises(DataError, match="which songs"):
        refuse_leaks({"data_hash": "x"}, {"songs": ["b"]})


def test_long_overlaps_are_shortened() -> None:
    songs = [f"s{i:02d}" for i in range(40)]
    with pytest.raises(LeakError, match=r"40 of 40 songs: s00, s01, s02, s03, s04 and 35 more"):
        refuse_leaks({"songs": songs}, {"songs": songs})


def test_unknown_kind_is_named() -> None:
    with pytest.raises(InputError, match="'artist'"):
        refuse_leaks({"songs": []}, {"songs": []}, kinds=("artist",))


def test_split_by_song_keeps_songs_whole(rows: list[dict]) -> None:
    split = split_by_song(rows, test_share=0.3, seed=0)
    train, test = ({rows[i]["stimulus"] for i in side} for side in (split.train, split.test))
    assert not train & test
    assert len(test) == 3
    assert sorted(split.train + split.test) == list(range(len(rows)))


def test_split_by_song_keeps_works_whole(rows: list[dict]) -> None:
    """Songs 0-3 and 4-7 are the same four works with and without lyrics."""
    works = {f"song-{i}": f"work-{i % 4}" for i in range(8)}
    for seed in range(10):
        split = split_by_song(rows, test_share=0.3, seed=seed, works=works)
        sides = [{works.get(rows[i]["stimulus"], rows[i]["stimulus"]) for i in s} for s in (split.train, split.test)]
        assert not sides[0] & sides[1]


def test_split_by_subject(rows: list[dict]) -> None:
    split = split_by_subject(rows, test_share=0.5, seed=1)
    train, test = ({rows[i]["subject"] for i in side} for side in (split.train, split.test))
    assert not train & test
    assert len(test) == 3


def test_grid_shares_neither_and_says_what_goes_unused(rows: list[dict]) -> None:
    split = split_by_song_and_subject(rows, song_share=0.2, subject_share=1 / 3, seed=2)
    for key, count in (("stimulus", 2), ("subject", 2)):
        train, test = ({rows[i][key] for i in side} for side in (split.train, split.test))
        assert not train & test
        assert len(test) == count
    assert sorted(split.train + split.test + split.unused) == list(range(len(rows)))
    assert len(split.unused) == 2 * (2 * 4 + 8 * 2)


def test_split_depends_on_the_seed_and_not_on_the_order(rows: list[dict]) -> None:
    def held_out(some_rows: list[dict], seed: int) -> set[str]:
        return {some_rows[i]["stimulus"] for i in split_by_song(some_rows, test_share=0.3, seed=seed).test}

    assert held_out(rows, 0) == held_out(rows[::-1], 0)
    assert len({frozenset(held_out(rows, seed)) for seed in range(10)}) > 5


def test_manifest_is_written_beside_the_scores(rows: list[dict], tmp_path: Path) -> None:
    split = split_by_song_and_subject(rows, song_share=0.2, subject_share=1 / 3, seed=2)
    body = write_split(tmp_path / "split.json", split, rows, kinds=("song", "work", "trial", "recording", "subject"))
    stored = read_json(tmp_path / "split.json")
    assert stored == body
    assert stored["windows"] == {"train": 64, "test": 8, "unused": 48}
    assert stored.pop("sha256") == sha256_json(stored)
    refuse_leaks(stored["train"], stored["test"], kinds=("subject", "recording"))


def test_a_leaking_split_is_not_written(rows: list[dict], tmp_path: Path) -> None:
    split = split_by_subject(rows, test_share=0.5, seed=0)
    with pytest.raises(LeakError, match="songs"):
        write_split(tmp_path / "split.json", split, rows)
    assert not list(tmp_path.iterdir())


def test_windows_of_one_trial_on_both_sides_are_caught(rows: list[dict]) -> None:
    """The usual fraud: neighbouring windows dealt out at random, the song's name left off."""
    nameless = [{**row, "stimulus": None} for row in rows]
    with pytest.raises(LeakError, match="trials"):
        refuse_leaks(Manifest.from_rows(nameless[::2]), Manifest.from_rows(nameless[1::2]))


def test_bad_input_is_named(rows: list[dict]) -> None:
    with pytest.raises(InputError, match="test share of 1"):
        split_by_song(rows, test_share=1.0, seed=0)
    with pytest.raises(DataError, match="no stimulus"):
        split_by_song([{**rows[0], "stimulus": None}], test_share=0.5, seed=0)
    with pytest.raises(DataError, match="two or more"):
        split_by_subject(rows[:20], test_share=0.5, seed=0)
