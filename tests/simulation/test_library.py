"""The stimuli folder: ids, files, exact sums on disk, resuming, and independence of the number of processes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from eeg2music.errors import InputError
from eeg2music.files import read_json, sha256_folder
from eeg2music.simulation.composer import STYLES
from eeg2music.simulation.library import FILES, is_complete, song_ids, write_songs
from eeg2music.types import SAMPLE_RATE_HZ, STEMS


def test_ids_of_one_style_and_of_all() -> None:
    assert song_ids("funk", 1, 3) == ["funk-1-0000", "funk-1-0001", "funk-1-0002"]
    everything = song_ids(None, 7, 20)
    assert len(set(everything)) == 20
    assert {song_id.split("-")[0] for song_id in everything} == set(STYLES)
    assert song_ids(None, 7, 12, start=8) == everything[8:]


def test_seeds_never_share_a_song() -> None:
    assert not set(song_ids(None, 1, 500)) & set(song_ids(None, 2, 500))


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(InputError, match=r"polka.*Allowed: .*funk"):
        song_ids("polka", 1, 3)
    with pytest.raises(InputError, match="count -1"):
        song_ids("funk", 1, -1)


def test_files_on_disk(tmp_path: Path) -> None:
    (folder,) = write_songs(tmp_path, ["waltz-3-0002"], duration_s=2.5, workers=1)
    assert folder == tmp_path / "stimuli" / "waltz-3-0002"
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    total = np.zeros(round(2.5 * SAMPLE_RATE_HZ), dtype=np.int32)
    for stem in STEMS:
        samples, rate = soundfile.read(folder / f"{stem}.wav", dtype="int16")
        assert rate == SAMPLE_RATE_HZ
        total += samples
    mix, _ = soundfile.read(folder / "mix.wav", dtype="int16")
    assert np.array_equal(mix, total)
    assert read_json(folder / "annotations.json")["song_id"] == "waltz-3-0002"


def test_resume_keeps_whole_songs_and_mends_broken_ones(tmp_path: Path) -> None:
    ids = ["rock-1-0000", "funk-1-0000"]
    whole, broken = write_songs(tmp_path, ids, duration_s=2.0, workers=1)
    before = (whole / "mix.wav").stat().st_mtime_ns
    expected = sha256_folder(broken)
    (broken / "bass.wav").unlink()
    assert not is_complete(broken, 2.0)
    write_songs(tmp_path, ids, duration_s=2.0, workers=1)
    assert (whole / "mix.wav").stat().st_mtime_ns == before
    assert sha256_folder(broken) == expected
    assert sorted(path.name for path in (tmp_path / "stimuli").iterdir()) == sorted(ids)


def test_another_duration_in_the_same_place_is_refused(tmp_path: Path) -> None:
    write_songs(tmp_path, ["funk-1-0000"], duration_s=2.0, workers=1)
    with pytest.raises(InputError, match=r"holds a song of 2\.0 s"):
        write_songs(tmp_path, ["funk-1-0000"], duration_s=3.0, workers=1)


def test_result_does_not_depend_on_workers(tmp_path: Path) -> None:
    ids = ["techno-1-0000", "ambient-1-0000", "ballad-1-0000"]
    write_songs(tmp_path / "one", ids, duration_s=2.0, workers=1)
    write_songs(tmp_path / "two", reversed(ids), duration_s=2.0, workers=2)
    assert sha256_folder(tmp_path / "one") == sha256_folder(tmp_path / "two")


def test_a_failing_song_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("eeg2music.simulation.library.write_midi", fail)
    with pytest.raises(OSError, match="disk full"):
        write_songs(tmp_path, ["funk-1-0000"], duration_s=2.0, workers=1)
    assert list((tmp_path / "stimuli").iterdir()) == []
