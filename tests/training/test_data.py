"""Stimuli folders: crops, held-out songs, hashes, and folders that are not what they should be."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eeg2music.audio import read_audio, write_audio
from eeg2music.errors import DataError, LeakError
from eeg2music.files import sha256_file, write_json
from eeg2music.seeding import numpy_rng
from eeg2music.training.data import StimuliFolder, random_start_s
from eeg2music.types import STEMS


def test_crops_are_stretches_of_the_files(music: Path) -> None:
    folder = StimuliFolder(music)
    crop = folder.crop("song-1", ["bass", "mix"], 0.5, 1.0)
    assert crop.shape == (2, 24_000) and crop.dtype == np.float32
    whole = read_audio(music / "stimuli" / "song-1" / "bass.wav")
    np.testing.assert_array_equal(crop[0], whole[12_000:36_000])
    stems = folder.crop("song-1", STEMS, 0.5, 1.0)
    np.testing.assert_allclose(stems.sum(axis=0), crop[1], atol=5 / 2**15)
    past_the_end = folder.crop("song-1", ["bass"], 2.5, 1.0)
    assert past_the_end.shape == (1, 24_000) and not past_the_end[0, 12_000:].any()


def test_root_or_the_folder_itself(music: Path) -> None:
    assert StimuliFolder(music).songs == StimuliFolder(music / "stimuli").songs
    assert len(StimuliFolder(music)) == 6
    assert StimuliFolder(music).duration_s("song-0") == pytest.approx(3.0)
    assert StimuliFolder(music).annotations("song-0")["key"] == "C"


def test_split_is_disjoint_whole_and_by_song(music: Path) -> None:
    folder = StimuliFolder(music)
    train, valid = folder.split("train", 0.3), folder.split("valid", 0.3)
    assert not set(train.songs) & set(valid.songs)
    assert sorted(train.songs + valid.songs) == list(folder.songs)
    assert len(valid) >= 1 and len(train) >= 1
    alone = StimuliFolder(music, ["song-2"])
    assert alone.split("train").songs == alone.split("valid").songs == ("song-2",)


def test_a_song_on_both_sides_is_told_of_and_not_called_held_out(music: Path, caplog: pytest.LogCaptureFixture) -> None:
    alone = StimuliFolder(music, ["song-2"])
    train, valid = alone.split("train"), alone.split("valid")
    assert any("song-2 is the only song" in line for line in caplog.messages)
    assert "valid" not in train.manifest(valid)


@pytest.mark.parametrize("kind", ["clap", "scorer"])
def test_validation_on_songs_that_are_trained_on_is_refused(music: Path, tmp_path: Path, kind: str) -> None:
    from eeg2music.training.registry import TASKS

    def task(valid: Path | None) -> Any:
        given = {} if valid is None else {"valid_data": str(valid)}
        return TASKS[kind](TASKS[kind].Config.model_validate({"data": str(music), **given}), seed=0)

    with pytest.raises(LeakError, match=r"songs of .* are trained on.*leave task\.valid_data out"):
        task(music).train_items()
    trained = StimuliFolder(music).split("train").songs
    for copy, song in (("one", trained[0]), ("new", "elsewhere")):
        shutil.copytree(StimuliFolder(music).folder / trained[0], tmp_path / copy / "stimuli" / song)
    with pytest.raises(LeakError, match=f"1 songs of .*: {trained[0]}"):
        task(tmp_path / "one").train_items()
    fine = task(tmp_path / "new")
    fine.train_items()
    assert fine.valid_songs.songs == ("elsewhere",) and fine.manifest()["valid"]["songs"] == ["elsewhere"]


def test_a_song_stays_on_its_side_when_songs_are_added(music: Path) -> None:
    few, all_songs = StimuliFolder(music, ["song-0", "song-1", "song-2", "song-3"]), StimuliFolder(music)
    share = 0.5
    lowest = {few.split("valid", 1e-9).songs[0], all_songs.split("valid", 1e-9).songs[0]}
    for song in set(few.songs) - lowest:
        assert (song in few.split("valid", share).songs) == (song in all_songs.split("valid", share).songs)


def test_hash_follows_songs_and_annotations(music: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(music, copy)
    original = StimuliFolder(music).content_hash
    assert StimuliFolder(copy).content_hash == original
    assert StimuliFolder(copy, ["song-0"]).content_hash != original
    write_json(copy / "stimuli" / "song-0" / "annotations.json", {"key": "D"})
    assert StimuliFolder(copy).content_hash != original
    assert StimuliFolder(music).manifest() == {
        "songs": [f"song-{index}" for index in range(6)],
        "stimuli": sorted(sha256_file(music / f"stimuli/song-{index}/mix.wav") for index in range(6)),
        "data_hash": original,
    }
    held_out, others = StimuliFolder(music, ["song-0"]), StimuliFolder(music, ["song-1", "song-2"])
    hashes = [sha256_file(music / "stimuli/song-0/mix.wav")]
    assert others.manifest(held_out)["valid"] == {"songs": ["song-0"], "stimuli": hashes}


def test_what_is_not_there_is_listed(music: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No music at"):
        StimuliFolder(tmp_path / "nothing")
    with pytest.raises(DataError, match=r"No complete song.*drums\.wav"):
        StimuliFolder(tmp_path)
    with pytest.raises(DataError, match=r"2 songs are missing.*other, third"):
        StimuliFolder(music, ["song-0", "other", "third"])
    write_audio(tmp_path / "half" / "drums.wav", np.zeros(100, np.float32))
    with pytest.raises(DataError, match="No complete song"):
        StimuliFolder(tmp_path)


def test_random_starts_lie_inside_and_depend_on_the_seed() -> None:
    starts = [random_start_s(numpy_rng(0, index), 3.0, 1.0) for index in range(200)]
    assert 0 <= min(starts) < 0.1 and 1.9 < max(starts) <= 2.0
    assert starts == [random_start_s(numpy_rng(0, index), 3.0, 1.0) for index in range(200)]
    assert random_start_s(numpy_rng(0), 0.5, 1.0) == 0.0
    assert all(start * 24_000 == pytest.approx(round(start * 24_000)) for start in starts)
