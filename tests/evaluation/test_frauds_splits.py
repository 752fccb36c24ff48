"""Planted frauds of splits, models and comparisons: each one is caught, and by its name.

What each would win is plain: a test song that training knew, a window that lies beside one, a gallery with less to
confuse. What passes when nothing is planted stands in the tests of the parts.
"""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eeg2music.errors import CheckpointError, DataError, LeakError
from eeg2music.evaluation.alike import Listened
from eeg2music.evaluation.compare import compare_runs
from eeg2music.evaluation.heard import Heard
from eeg2music.evaluation.identification import identify
from eeg2music.evaluation.known import MODELS, check_split, refuse_known, scored_side
from eeg2music.evaluation.runner import _name_remarks
from eeg2music.evaluation.splits import (
    Split,
    refuse_adjacent,
    refuse_fitted_across,
    refuse_leaks,
    split_by_song,
    split_by_song_and,
    split_by_subject,
    write_split,
)
from eeg2music.files import read_json, write_json
from eeg2music.recordings.manifests import with_stimulus_hashes
from eeg2music.seeding import numpy_rng
from eeg2music.simulation.composer import compose
from eeg2music.simulation.rendering import render
from eeg2music.types import SAMPLE_RATE_HZ
from eeg2music.weights import MANIFEST_NAME

MakeHeard = Callable[..., Heard]


def recorded(songs: int = 6, subjects: int = 4, repeats: int = 2, windows: int = 3) -> list[dict[str, Any]]:
    """Each subject hears each song twice, in two recordings, far apart."""
    return [
        {
            "recording": f"sub-{subject}_run-{repeat}",
            "subject": f"sub-{subject}",
            "run": f"{repeat}",
            "site": f"site-{subject % 2}",
            "trial": song,
            "stimulus": f"song-{song}",
            "start_s": 60.0 * song + 5.0 * part,
            "duration_s": 5.0,
        }
        for subject in range(subjects)
        for repeat in range(repeats)
        for song in range(songs)
        for part in range(windows)
    ]


def dealt(rows: list[dict[str, Any]], is_test: Callable[[dict[str, Any]], bool]) -> Split:
    """A split by any rule, as a fraud would have it."""
    test = [place for place, row in enumerate(rows) if is_test(row)]
    return Split(tuple(sorted(set(range(len(rows))) - set(test))), tuple(test), (), "hand", 0)


def sides(rows: list[dict[str, Any]], split: Split) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    return [rows[i] for i in split.train], [rows[i] for i in split.test]


def test_leaked_song_is_caught(tmp_path: Path) -> None:
    """Subjects held out, and the same songs heard on both sides: a song's mean answer is enough."""
    rows = recorded()
    with pytest.raises(LeakError, match="share 6 of 6 songs: song-0"):
        write_split(tmp_path / "split.json", split_by_subject(rows, test_share=0.5, seed=0), rows, kinds=())
    assert not list(tmp_path.iterdir())


def test_leaked_work_under_two_names_is_caught(tmp_path: Path) -> None:
    """Pieces 0 to 2 and 3 to 5 are three works with and without lyrics; their names differ."""
    rows = recorded()
    named = dealt(rows, lambda row: row["stimulus"] in ("song-3", "song-4"))
    write_split(tmp_path / "blind.json", named, rows)
    declared = [{**row, "work_id": f"work-{row['trial'] % 3}"} for row in rows]
    with pytest.raises(LeakError, match=r"works: work-0, work-1"):
        write_split(tmp_path / "split.json", named, declared)
    with pytest.raises(LeakError, match=r"works: work-0, work-1"):
        write_split(tmp_path / "split.json", named, rows, works={f"song-{i}": f"work-{i % 3}" for i in range(6)})


def test_leaked_trial_is_caught(tmp_path: Path) -> None:
    """Windows dealt out at random, the songs' names left off."""
    rows = [{**row, "stimulus": None} for row in recorded()]
    split = dealt(rows, lambda row: row["start_s"] % 60 == 5)
    with pytest.raises(LeakError, match="trials: sub-0_run-0/0"):
        write_split(tmp_path / "split.json", split, rows)
    with pytest.raises(LeakError, match="trials: sub-0_run-0/0"):
        refuse_leaks(*sides(rows, split), kinds=("trial",))


def test_leaked_recording_is_caught() -> None:
    """New songs, but cap, noise and drift of the same recording."""
    rows = recorded()
    split = split_by_song(rows, test_share=0.3, seed=0)
    with pytest.raises(LeakError, match="recordings: sub-0_run-0"):
        refuse_leaks(*sides(rows, split))


def test_adjacent_windows_are_caught(tmp_path: Path) -> None:
    """Every other window of one long piece, with a name for each stretch: no name is shared, half of the signal is."""
    rows = [
        {**row, "stimulus": f"{row['stimulus']}-{row['start_s']}", "trial": row["start_s"]}
        for row in recorded(windows=8)
    ]
    split = dealt(rows, lambda row: row["start_s"] % 10 == 5)
    with pytest.raises(LeakError, match=r"training windows lie less than 5\.5 s from a test window"):
        write_split(tmp_path / "split.json", split, rows)
    overlapping = [{"recording": "r", "start_s": start, "duration_s": 5.0} for start in (0.0, 4.0)]
    with pytest.raises(LeakError, match="less than 0 s"):
        refuse_adjacent(overlapping[:1], overlapping[1:], gap_s=0.0)


def test_repeated_stimulus_across_the_split_is_caught(tmp_path: Path) -> None:
    """The first presentation trains, the second tests: other recordings, other trials, the same music."""
    rows = recorded()
    second = dealt(rows, lambda row: row["run"] == "1")
    with pytest.raises(LeakError, match="songs: song-0"):
        write_split(tmp_path / "split.json", second, rows, kinds=("trial", "recording", "run"))
    # A name for each presentation hides it; the file that was played does not.
    (tmp_path / "music").mkdir()
    for song in range(6):
        (tmp_path / "music" / f"{song}.wav").write_bytes(bytes([song]))
    hidden = [
        {
            **row,
            "stimulus": f"{row['stimulus']}-{row['run']}",
            "stimulus_file": str(tmp_path / f"music/{row['trial']}.wav"),
        }
        for row in rows
    ]
    write_split(tmp_path / "blind.json", second, hidden, kinds=("trial", "recording", "run"))
    with pytest.raises(LeakError, match="share 6 of 6 stimuli"):
        write_split(tmp_path / "split.json", second, with_stimulus_hashes(hidden), kinds=("trial",))


def test_subject_in_both_is_caught(tmp_path: Path) -> None:
    """Claimed to be of new subjects, split by song alone."""
    rows = recorded()
    with pytest.raises(LeakError, match="share 4 of 4 subjects: sub-0"):
        write_split(tmp_path / "split.json", split_by_song(rows, test_share=0.3, seed=0), rows, kinds=("subject",))


def test_site_in_both_is_caught(tmp_path: Path) -> None:
    """Claimed to be of a new laboratory, split by subject."""
    rows = recorded()
    split = split_by_song_and(rows, "subject", song_share=0.3, other_share=0.25, seed=0)
    with pytest.raises(LeakError, match="sites: site-"):
        write_split(tmp_path / "split.json", split, rows, kinds=("site",))


def test_scaler_fitted_on_all_is_caught(tmp_path: Path) -> None:
    """Mean and deviation over all rows, before the split."""
    rows = recorded()
    split = split_by_song_and(rows, "subject", song_share=0.3, other_share=0.25, seed=0)
    train, test = sides(rows, split)
    refuse_fitted_across(train, test, kinds=("subject",))
    with pytest.raises(LeakError, match=r"The scaler was fitted across the split: it shares 2 of 2 songs"):
        refuse_fitted_across(rows, test)
    unused = [rows[i] for i in split.unused]
    with pytest.raises(LeakError, match="The spatial filter was fitted across"):
        refuse_fitted_across([*train, *unused], test, what="spatial filter")
    with pytest.raises(LeakError, match="The scaler was fitted across the split"):
        write_split(tmp_path / "split.json", split, rows, fitted={"scaler": rows})
    assert not list(tmp_path.iterdir())
    written = write_split(tmp_path / "split.json", split, rows, fitted={"scaler": train, "filter": train[:5]})
    assert written["fitted_on_training"] == ["filter", "scaler"]


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """Training manifests of five models that know nothing of what is tested."""
    for name in MODELS:
        songs = [f"scorer-{i}" for i in range(3)] if name == "scorer" else [f"train-{i}" for i in range(3)]
        (tmp_path / "models" / name).mkdir(parents=True)
        write_json(tmp_path / "models" / name / MANIFEST_NAME, {"songs": songs, "subjects": ["sub-x"]})
    return tmp_path / "models"


@pytest.mark.parametrize("name", ["encoder", "codec"])
def test_model_that_has_seen_the_test_song_is_caught(models: Path, make_heard: MakeHeard, name: str) -> None:
    heard = make_heard(4)
    refuse_known(models, heard)
    write_json(models / name / MANIFEST_NAME, {"songs": ["train-0", "song-2"], "subjects": []})
    with pytest.raises(LeakError, match="1 of 4 songs: song-2"):
        refuse_known(models, heard)


def test_best_state_chosen_on_the_test_song_is_caught(models: Path, make_heard: MakeHeard) -> None:
    write_json(models / "encoder" / MANIFEST_NAME, {"songs": ["train-0"], "valid": {"songs": ["song-1"]}})
    with pytest.raises(LeakError, match="songs: song-1"):
        refuse_known(models, make_heard(4))


def test_scorer_trained_on_test_songs_is_caught(models: Path, make_heard: MakeHeard) -> None:
    write_json(models / "scorer" / MANIFEST_NAME, {"songs": ["scorer-0", "song-3"]})
    with pytest.raises(LeakError, match="songs: song-3"):
        refuse_known(models, make_heard(4))
    write_json(models / "scorer" / MANIFEST_NAME, {"songs": ["scorer-0", "train-1"]})
    with pytest.raises(LeakError, match="The scorer and the encoder were trained on 1 songs together, such as train-1"):
        refuse_known(models, make_heard(4))


def test_what_was_compared_by_name_alone_is_said(models: Path, make_heard: MakeHeard) -> None:
    """Manifests without hashes still count; a copy under another name is told only where both sides have them."""
    heard = replace(make_heard(2), stimuli=frozenset({"hash-0", "hash-1"}))
    told = check_split(models, scored_side(heard))
    assert told["by_name_alone"] == list(MODELS) and "stimulus" not in told["checked"]
    for name in MODELS:
        known = read_json(models / name / MANIFEST_NAME)
        write_json(models / name / MANIFEST_NAME, known | {"stimuli": [f"{song}-hash" for song in known["songs"]]})
    told = check_split(models, scored_side(heard))
    assert told["by_name_alone"] == [] and "stimulus" in told["checked"]
    assert check_split(models, scored_side(make_heard(2)))["by_name_alone"] == list(MODELS)
    (remark,) = _name_remarks(["encoder", "clap"])
    assert remark.startswith("Songs were checked by name alone for encoder, clap: ") and _name_remarks([]) == []


def test_renamed_song_of_the_scorer_is_caught(models: Path, make_heard: MakeHeard) -> None:
    """The judge and the encoder were trained on one file that has two names."""
    for name in ("encoder", "scorer"):
        known = read_json(models / name / MANIFEST_NAME)
        write_json(models / name / MANIFEST_NAME, known | {"stimuli": ["hash-of-the-hit"]})
    with pytest.raises(LeakError, match="The scorer and the encoder were trained on 1 songs together, such as hash-of"):
        refuse_known(models, make_heard(4))


def test_model_without_a_manifest_is_caught(models: Path, make_heard: MakeHeard) -> None:
    (models / "clap" / MANIFEST_NAME).unlink()
    with pytest.raises(CheckpointError, match="missing in clap"):
        refuse_known(models, make_heard(4))


@pytest.fixture(scope="module")
def piece() -> np.ndarray:
    return render(compose("rock-1-0001", duration_s=9.0)).sum(axis=0)


def test_renamed_song_is_caught(piece: np.ndarray, tmp_path: Path) -> None:
    """A byte for byte copy under another name."""
    from eeg2music.audio import write_audio

    write_audio(tmp_path / "hit.wav", piece)
    shutil.copy(tmp_path / "hit.wav", tmp_path / "new_song.wav")
    listened = Listened()
    for name in ("hit", "new_song"):
        listened.hear_file(name, str(tmp_path / f"{name}.wav"))
    (text,) = listened.between(["hit"], ["new_song"])["warnings"]
    assert "new_song sounds like hit: 100%" in text


def test_trimmed_song_is_caught(piece: np.ndarray) -> None:
    """Another cut of it, quieter, with noise on top."""
    noise = 0.002 * numpy_rng(0, "noise").standard_normal(piece.size).astype(np.float32)
    cut = (0.4 * piece + noise)[int(2.3456 * SAMPLE_RATE_HZ) : int(7.9 * SAMPLE_RATE_HZ)]
    listened = Listened()
    other = render(compose("rock-1-0002", duration_s=9.0)).sum(axis=0)
    for name, audio in {"hit": piece, "other": other, "new": cut}.items():
        listened.hear(name, audio)
    found = listened.between(["hit", "other"], ["new"])
    assert [(match["train"], match["test"]) for match in found["pairs"]] == [("hit", "new")]
    assert "new sounds like hit" in found["warnings"][0]


def queries(noise: float = 1.5, songs: int = 12) -> dict[str, Any]:
    rng = numpy_rng(0, "frauds")
    gallery = rng.normal(size=(songs, 10))
    target = np.repeat(np.arange(songs), 3)
    query = gallery[target] + noise * rng.normal(size=(len(target), 10))
    return {
        "query": query,
        "gallery": gallery,
        "target_index": target,
        "songs": [f"song-{item}" for item in target],
        "subjects": [f"sub-{place % 3}" for place in range(len(target))],
        "seed": 0,
        "permutations": 499,
    }


def scores(entry: dict[str, Any]) -> dict[str, Any]:
    seeded = {"seed": 0, "embedding": entry, "generated": None}
    level = {"name": "clean", "snr_db": 0.0, "style": "funk", "subjects": ["sub-0", "sub-1", "sub-2"]}
    return {"schema": 2, "material": "simulated", "levels": [{**level, "scores": {"brain": {"seeds": [seeded]}}}]}


def test_truncated_gallery_in_compare_is_caught(tmp_path: Path) -> None:
    """The same queries against fewer candidates: top-1 rises by itself."""
    whole = queries()
    distractors = numpy_rng(0, "distractors").normal(size=(30, 10))
    long = identify(**{**whole, "gallery": np.concatenate([whole["gallery"], distractors])})
    short = identify(**whole)
    assert short["top1"] > long["top1"]
    for name, entry in (("long", long), ("short", short)):
        write_json(tmp_path / f"{name}.json", scores(entry))
    with pytest.raises(DataError, match=r"gallery size \(42 and 12\) of brain"):
        compare_runs(tmp_path / "long.json", tmp_path / "short.json")


def test_hard_songs_left_out_in_compare_are_caught(tmp_path: Path) -> None:
    """One run reports the songs that went well."""
    whole = scores(identify(**queries()))
    picked = copy.deepcopy(whole)
    cells = picked["levels"][0]["scores"]["brain"]["seeds"][0]["embedding"]["cells"]
    keep = [place for place, value in enumerate(cells["accuracy"]) if cells["song"][place] != "song-5"]
    for column in cells:
        cells[column] = [cells[column][place] for place in keep]
    for name, run in (("whole", whole), ("picked", picked)):
        write_json(tmp_path / f"{name}.json", run)
    with pytest.raises(DataError, match=r"songs \(only in A: song-5; only in B: none"):
        compare_runs(tmp_path / "whole.json", tmp_path / "picked.json")


def test_permuted_labels_are_caught() -> None:
    """Whoever exchanges the songs' labels is left with chance, and the p-value says so."""
    data = queries(noise=0.5)
    honest = identify(**data)
    assert honest["accuracy"] > 0.95 and honest["p_value"] < 0.01
    order = numpy_rng(1, "labels").permutation(12)
    false = identify(**{**data, "target_index": order[data["target_index"]]})
    assert false["ci95"][0] < 0.5 < false["ci95"][1]
    assert false["p_value"] > 0.05


def test_windows_taken_for_songs_are_caught() -> None:
    """Each window called a song of its own: windows of one song share a gallery item, and that is refused."""
    data = queries()
    with pytest.raises(DataError, match="is the target of 3 songs"):
        identify(**{**data, "songs": [f"window-{place}" for place in range(36)]})
