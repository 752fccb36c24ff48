"""Splits hold songs, works and subjects apart, and every planted leak is caught by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from eeg2music.errors import DataError, InputError, LeakError
from eeg2music.evaluation.splits import (
    Manifest,
    refuse_adjacent,
    refuse_fitted_across,
    refuse_leaks,
    split_by_run,
    split_by_site,
    split_by_song,
    split_by_song_and,
    split_by_subject,
    without_neighbours,
    write_split,
)
from eeg2music.files import read_json, sha256_json
from eeg2music.recordings.neighbours import near


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


def test_letter_case_and_spaces_tell_no_works_apart() -> None:
    """Whoever declared the training songs wrote the work otherwise; within one declaration both are named."""
    train = {"songs": ["a"], "works": {"a": "Chim Chim"}}
    with pytest.raises(LeakError, match="1 of 2 works: chim chim"):
        refuse_leaks(train, {"songs": ["b", "c"], "works": {"b": "chim  chim"}})
    refuse_leaks(train, {"songs": ["b"], "works": {"b": "chim chim cheree"}})
    rows = [{"stimulus": "a", "work_id": "W1"}, {"stimulus": "b", "work_id": "w1 "}]
    with pytest.raises(DataError, match="works 'W1' and 'w1 ' differ in letter case or spaces alone"):
        split_by_song(rows, test_share=0.5, seed=0)


@pytest.mark.parametrize("names", ["song-1", {"song-1": 1}])
def test_a_manifest_that_holds_no_list_is_refused(names: object) -> None:
    """The letters of a name would pass for names, and nothing would be shared."""
    with pytest.raises(DataError, match="under 'songs'"):
        refuse_leaks({"songs": names}, {"songs": ["song-1"]})


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
    split = split_by_song_and(rows, "subject", song_share=0.2, other_share=1 / 3, seed=2)
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
    split = split_by_song_and(rows, "subject", song_share=0.2, other_share=1 / 3, seed=2)
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


# -- runs and sites --------------------------------------------------------------------------------


@pytest.fixture
def sessions() -> list[dict]:
    """Four subjects at two sites, two sessions of three runs, each run with two songs of its own, windows of 5 s."""
    return [
        {
            "recording": f"sub-{subject}_ses-{session}_run-{run}",
            "subject": f"sub-{subject}",
            "site": f"site-{subject % 2}",
            "session": f"ses-{session}",
            "run": str(run),
            "trial": song,
            "stimulus": f"song-{session}{run}{song}",
            "start_s": 30.0 * song + 5.0 * part,
            "duration_s": 5.0,
        }
        for subject in range(4)
        for session in range(2)
        for run in range(3)
        for song in range(2)
        for part in range(3)
    ]


def test_split_by_run_holds_out_the_same_runs_in_every_subject(sessions: list[dict], tmp_path: Path) -> None:
    split = split_by_run(sessions, test_share=1 / 3, seed=0)
    train, test = ({(sessions[i]["session"], sessions[i]["run"]) for i in side} for side in (split.train, split.test))
    assert not train & test
    assert len(test) == 2
    assert {sessions[i]["subject"] for i in split.test} == {row["subject"] for row in sessions}
    kinds = ("song", "trial", "recording", "run")
    body = write_split(tmp_path / "split.json", split, sessions, kinds=kinds)
    assert body["test"]["runs"] == sorted(f"{session}/{run}" for session, run in test)
    assert body["gap_s"] == 5.5
    refuse_leaks(body["train"], body["test"], kinds=("run",))
    with pytest.raises(LeakError, match="runs: ses-"):
        refuse_leaks(body["train"], body["train"] | {"songs": ["new"], "works": {}}, kinds=("run",))


def test_split_by_site_needs_songs_of_its_own(sessions: list[dict], tmp_path: Path) -> None:
    split = split_by_site(sessions, test_share=0.5, seed=0)
    assert len({sessions[i]["site"] for i in split.test}) == 1
    with pytest.raises(LeakError, match="songs"):
        write_split(tmp_path / "split.json", split, sessions, kinds=("site",))
    grid = split_by_song_and(sessions, "site", song_share=0.25, other_share=0.5, seed=0)
    body = write_split(tmp_path / "split.json", grid, sessions, kinds=("site", "subject"))
    assert len(body["train"]["sites"]) == len(body["test"]["sites"]) == 1
    assert body["train"]["sites"] != body["test"]["sites"]
    assert body["by"] == "song and site"
    assert body["windows"]["unused"] == len(sessions) - body["windows"]["train"] - body["windows"]["test"] > 0


def test_a_split_by_what_the_rows_do_not_say_is_refused(sessions: list[dict], rows: list[dict]) -> None:
    with pytest.raises(DataError, match="no site"):
        split_by_site(rows, test_share=0.5, seed=0)
    with pytest.raises(DataError, match="no run"):
        split_by_run(rows, test_share=0.5, seed=0)
    with pytest.raises(InputError, match="'hour'"):
        split_by_song_and(sessions, "hour", song_share=0.5, other_share=0.5, seed=0)


def test_manifests_go_through_json(sessions: list[dict]) -> None:
    manifest = Manifest.from_rows([{**row, "stimulus_sha256": "ab", "work_id": "w"} for row in sessions])
    assert Manifest.from_dict(manifest.to_dict()) == manifest
    assert (manifest.sites, manifest.stimuli) == ({"site-0", "site-1"}, {"ab"})
    assert set(manifest.works.values()) == {"w"}


def test_rows_declare_their_works(rows: list[dict]) -> None:
    declared = [{**row, "work_id": f"work-{row['trial'] % 5}"} for row in rows]
    for seed in range(10):
        split = split_by_song(declared, test_share=0.4, seed=seed)
        sides = [{declared[i]["work_id"] for i in side} for side in (split.train, split.test)]
        assert not sides[0] & sides[1]
    with pytest.raises(DataError, match="of the works 'x' and 'work-0'"):
        split_by_song(declared, test_share=0.4, seed=0, works={"song-0": "x"})


# -- neighbours ------------------------------------------------------------------------------------


def window(start_s: float, duration_s: float = 5.0, recording: str = "r1") -> dict:
    return {"recording": recording, "start_s": start_s, "duration_s": duration_s}


@pytest.mark.parametrize(
    ("start_s", "gap_s", "close"),
    [
        (10.0, 0.0, False),  # they touch
        (9.9, 0.0, True),
        (10.0, 0.5, True),
        (10.5, 0.5, False),
        (0.0, 0.0, False),
        (0.1, 0.0, True),
        (6.0, 0.0, True),
        (-0.5, 0.5, False),
    ],
)
def test_the_gap_is_from_end_to_start(start_s: float, gap_s: float, close: bool) -> None:
    assert near([window(start_s)], [window(5.0)], gap_s=gap_s).tolist() == [close]
    assert near([window(start_s, recording="r2")], [window(5.0)], gap_s=gap_s).tolist() == [False]


def test_near_equals_all_pairs() -> None:
    rng = np.random.default_rng(0)
    sides = [
        [
            window(round(rng.uniform(0, 400), 1), rng.choice([1.0, 5.0, 30.0]), f"r{rng.integers(3)}")
            for _ in range(count)
        ]
        for count in (80, 15)
    ]
    for gap_s in (0.0, 2.0, 20.0):
        expected = [
            any(
                one["recording"] == other["recording"]
                and max(
                    other["start_s"] - one["start_s"] - one["duration_s"],
                    one["start_s"] - other["start_s"] - other["duration_s"],
                )
                < gap_s - 1e-9
                for other in sides[1]
            )
            for one in sides[0]
        ]
        assert near(*sides, gap_s=gap_s).tolist() == expected
        assert 0 < sum(expected) < 80


def test_the_default_gap_is_a_window_and_the_longest_lag() -> None:
    assert refuse_adjacent([window(0.0)], [window(10.5)]) == 5.5
    with pytest.raises(LeakError, match=r"1 of 1 training windows lie less than 5\.5 s .* such as r1 at 0 s"):
        refuse_adjacent([window(0.0)], [window(10.4)])
    assert refuse_adjacent([window(0.0)], [window(30.0)], lag_s=20.0) == 25.0
    with pytest.raises(LeakError, match="less than 25 s"):
        refuse_adjacent([window(0.0)], [window(29.0)], lag_s=20.0)


def test_windows_of_a_prepared_cache_count_in_samples() -> None:
    rows = [{"recording": "r1", "start_sample": 640 * i, "n_samples": 320} for i in range(2)]
    assert refuse_adjacent(rows[:1], rows[1:], gap_s=5.0) == 5.0
    with pytest.raises(LeakError, match="less than"):
        refuse_adjacent(rows[:1], rows[1:], gap_s=5.1)


def test_neighbours_are_left_out_and_counted(tmp_path: Path) -> None:
    """One recording of ten songs without pauses: each test song costs the windows around it."""
    rows = [{**window(5.0 * i), "stimulus": f"song-{i // 8}"} for i in range(80)]
    split = split_by_song(rows, test_share=0.1, seed=1)
    with pytest.raises(LeakError, match="training windows lie less than"):
        write_split(tmp_path / "split.json", split, rows, kinds=("song",))
    kept = without_neighbours(split, rows)
    assert kept.test == split.test
    assert len(kept.unused) == 4
    body = write_split(tmp_path / "split.json", kept, rows, kinds=("song",))
    assert body["windows"] == {"train": 68, "test": 8, "unused": 4}
    with pytest.raises(DataError, match="No training window"):
        without_neighbours(split, rows, gap_s=1000.0)


def test_a_gap_without_times_is_refused_and_an_unchecked_one_is_said(rows: list[dict], tmp_path: Path) -> None:
    split = split_by_song(rows, test_share=0.3, seed=0)
    assert write_split(tmp_path / "split.json", split, rows)["gap_s"] is None
    with pytest.raises(DataError, match="do not say where they lie"):
        write_split(tmp_path / "split.json", split, rows, gap_s=1.0)
    with pytest.raises(DataError, match="do not say where in which recording"):
        refuse_adjacent(rows[:2], rows[2:4])
    with pytest.raises(InputError, match="gap of -1"):
        refuse_adjacent([window(0.0)], [window(50.0)], gap_s=-1.0)


def test_what_was_fitted_on_training_alone_passes(rows: list[dict]) -> None:
    split = split_by_song_and(rows, "subject", song_share=0.2, other_share=1 / 3, seed=2)
    sides = [[rows[i] for i in side] for side in (split.train, split.test)]
    refuse_fitted_across(sides[0], sides[1])
    refuse_fitted_across(Manifest.from_rows(sides[0]), Manifest.from_rows(sides[1]).to_dict(), kinds=("subject",))
    with pytest.raises(DataError, match="which songs"):
        refuse_fitted_across({}, sides[1])
