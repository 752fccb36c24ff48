"""`eeg2music split`: a prepared cache to a manifest, by every way there is, with leaks refused and copies named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from eeg2music import cli
from eeg2music.audio import write_audio
from eeg2music.errors import DataError, LeakError
from eeg2music.evaluation.alike import Listened
from eeg2music.evaluation.split_cache import SplitConfig, split_cache, split_rows, summary
from eeg2music.files import read_json, sha256_json, write_json
from eeg2music.recordings.prepared import SCHEMA, PreparedDataset
from eeg2music.simulation.composer import compose
from eeg2music.simulation.rendering import render
from eeg2music.types import EEG_RATE_HZ

SONGS = tuple(f"song{number}" for number in range(8))


def write_cache(folder: Path, *, shared: bool = True, far: bool = True, **declared: Any) -> Path:
    """Four subjects in two sites, two runs each; all hear all songs, or each subject and run has songs of its own.

    declared : {key: {song: value}} for the rows
    """
    folder.mkdir(parents=True)
    rows, apart = [], (20 if far else 6) * EEG_RATE_HZ
    for subject in range(4):
        for run in (1, 2):
            half = SONGS[:4] if run == 1 else SONGS[4:]
            own = half if shared else tuple(f"{song}-{subject // 2}" for song in half)
            for place, song in enumerate(own):
                for part in range(2):
                    rows.append(
                        {
                            "window_id": f"{subject}/{run}/{place}/{part}", "recording": f"sub-{subject}_run-{run}",
                            "subject": f"sub-{subject}", "session": None, "run": str(run), "trial": place + 1,
                            "stimulus": song, "stimulus_file": f"{song}.wav", "stimulus_onset_s": 0.0,
                            "start_sample": place * apart + part * 160, "n_samples": 320, "repeat": 1, "snr_db": None,
                            "site": f"lab{subject // 2}",
                            "work_id": None,
                            **{key: of.get(song) for key, of in declared.items()},
                        }
                    )  # fmt: skip
    rows.append({**rows[0], "window_id": "rest", "stimulus": None, "stimulus_file": None, "start_sample": 9999})
    (folder / "windows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    meta = {"schema": SCHEMA, "subjects": [f"sub-{n}" for n in range(4)], "channels_by_recording": {},
            "content_hash": "hash", "kind": "eeg", "sfreq_hz": EEG_RATE_HZ, "n_channels_max": 4}  # fmt: skip
    write_json(folder / "meta.json", meta)
    return folder


def sides(body: dict[str, Any], what: str) -> tuple[set[str], set[str]]:
    return set(body["train"][what]), set(body["test"][what])


@pytest.mark.parametrize(
    ("by", "what", "shared"),
    [("song", "songs", True), ("subject", "subjects", False), ("run", "runs", True), ("site", "sites", False)],
)
def test_each_way_of_splitting_holds_apart_what_it_says(by: str, what: str, shared: bool, tmp_path: Path) -> None:
    cache = write_cache(tmp_path / "cache", shared=shared or by == "subject")
    if by == "subject":
        # Each subject its own songs: elsewhere songs are shared by two.
        lines = [json.loads(line) for line in (cache / "windows.jsonl").read_text().splitlines()]
        own = [row | {"stimulus": row["stimulus"] and f"{row['stimulus']}-{row['subject']}"} for row in lines]
        (cache / "windows.jsonl").write_text("\n".join(map(json.dumps, own)))
    body = split_cache(cache, tmp_path / "split.json", SplitConfig(by=by))  # type: ignore[arg-type]
    train, test = sides(body, what)
    assert train and test and not train & test
    songs = sides(body, "songs")
    assert not songs[0] & songs[1]
    assert body["windows"]["train"] + body["windows"]["test"] + body["windows"]["unused"] == 4 * 2 * 4 * 2
    stored = read_json(tmp_path / "split.json")
    assert stored == body and stored.pop("sha256") == sha256_json(stored)
    assert stored["cache"] == "hash"


def test_a_grid_tests_new_songs_in_new_subjects(tmp_path: Path) -> None:
    body = split_cache(write_cache(tmp_path / "cache"), tmp_path / "split.json", SplitConfig(by="grid", test_share=0.5))
    for what in ("songs", "subjects", "recordings"):
        train, test = sides(body, what)
        assert train and test and not train & test
    assert body["windows"]["unused"] > 0


@pytest.mark.parametrize("by", ["subject", "site"])
def test_songs_that_everybody_heard_are_no_split_by_person(by: str, tmp_path: Path) -> None:
    with pytest.raises(LeakError, match="songs"):
        split_cache(write_cache(tmp_path / "cache"), tmp_path / "split.json", SplitConfig(by=by))  # type: ignore[arg-type]
    assert not (tmp_path / "split.json").exists()


def test_versions_of_one_work_stay_together(tmp_path: Path) -> None:
    works = {song: f"work{number % 2}" for number, song in enumerate(SONGS)}
    body = split_cache(write_cache(tmp_path / "cache", work_id=works), tmp_path / "split.json", SplitConfig())
    kept = [{body[side]["works"][song] for song in body[side]["songs"]} for side in ("train", "test")]
    assert sorted(map(len, kept)) == [1, 1] and kept[0] != kept[1]


def test_windows_that_touch_the_test_are_left_out(tmp_path: Path) -> None:
    body = split_cache(write_cache(tmp_path / "cache", far=False), tmp_path / "split.json", SplitConfig())
    assert body["windows"]["unused"] > 0 and body["gap_s"] == 5.5


def test_without_sites_there_is_no_split_by_site(tmp_path: Path) -> None:
    cache = write_cache(tmp_path / "cache", site=dict.fromkeys(SONGS))
    with pytest.raises(DataError, match="64 of 64 windows have no site"):
        split_cache(cache, tmp_path / "split.json", SplitConfig(by="site"))


def music(folder: Path, song: str, source: str, gain: float = 1.0, cut: int = 0) -> None:
    write_audio(folder / f"{song}.wav", gain * render(compose(source, duration_s=8.0)).sum(axis=0)[cut:])


def test_a_test_song_that_is_a_copy_under_another_name_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cache = write_cache(tmp_path / "cache")
    body = split_cache(cache, tmp_path / "split.json", SplitConfig())
    assert body["look_alikes"] == {"listened_to": 0, "not_listened_to": {}, "pairs": [], "warnings": []}
    (held_out, *_), trained = body["test"]["songs"], body["train"]["songs"]
    music(cache, held_out, "funk-1-0001", gain=0.4, cut=30_001)
    music(cache, trained[0], "funk-1-0001")
    music(cache, trained[1], "funk-1-0002")
    write_audio(cache / f"{trained[2]}.wav", 0.0 * render(compose("funk-1-0002", duration_s=3.0)).sum(axis=0))
    monkeypatch.setattr("sys.argv", ["eeg2music", "split", str(cache), "--out", str(tmp_path / "split.json")])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code
    heard = read_json(tmp_path / "split.json")["look_alikes"]
    assert [(pair["train"], pair["test"]) for pair in heard["pairs"]] == [(trained[0], held_out)]
    assert heard["listened_to"] == 3 and list(heard["not_listened_to"]) == [trained[2]]
    assert str(tmp_path) not in json.dumps(heard)
    printed = capsys.readouterr().out
    assert f"! {held_out} sounds like {trained[0]}" in printed and "By song:" in printed


def test_one_file_under_two_names_is_refused(tmp_path: Path) -> None:
    cache = write_cache(tmp_path / "cache")
    body = split_cache(cache, tmp_path / "split.json", SplitConfig())
    for song in (body["test"]["songs"][0], body["train"]["songs"][0]):
        music(cache, song, "funk-1-0001")
    assert {row["stimulus"] for row in split_rows(PreparedDataset(cache)) if row.get("stimulus_sha256")} == {
        body["test"]["songs"][0],
        body["train"]["songs"][0],
    }
    with pytest.raises(LeakError, match="stimuli: "):
        split_cache(cache, tmp_path / "again.json", SplitConfig())


def test_a_cache_in_which_nothing_was_heard_cannot_be_split(tmp_path: Path) -> None:
    cache = write_cache(tmp_path / "cache")
    (cache / "windows.jsonl").write_text((cache / "windows.jsonl").read_text().splitlines()[-1])
    with pytest.raises(DataError, match="says what was heard"):
        split_rows(PreparedDataset(cache))


def test_each_pair_is_told_once_and_the_summary_says_what_is_unheard(tmp_path: Path) -> None:
    listened, audio = Listened(), render(compose("rock-1-0001", duration_s=6.0)).sum(axis=0)
    for name, sound in {
        "a": audio,
        "b": 0.5 * audio,
        "c": render(compose("rock-1-0002", duration_s=6.0)).sum(0),
    }.items():
        listened.hear(name, sound)
    listened.hear("silence", 0.0 * audio)
    found = listened.among()
    assert [{pair["train"], pair["test"]} for pair in found["pairs"]] == [{"a", "b"}]
    assert list(found["not_listened_to"]) == ["silence"]
    assert listened.among(["a", "c"])["warnings"] == []


def test_the_summary_counts_works(tmp_path: Path) -> None:
    body = split_cache(write_cache(tmp_path / "cache"), tmp_path / "split.json", SplitConfig(listen=False))
    assert body["look_alikes"] is None
    assert "test: 2 songs of 2 works, 4 subjects" in "\n".join(summary(body))
