"""Each thing a user can get wrong gives one error that names it, what is allowed and the remedy."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eeg2music.audio import write_audio
from eeg2music.errors import InputError
from eeg2music.recordings.read import read_recording

Write = Callable[[Any, str], Path]


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"No file at .*gone\.edf.*Allowed: an existing recording.*Remedy"):
        read_recording(tmp_path / "gone.edf")


def test_a_link_to_a_file_that_was_not_fetched(tmp_path: Path) -> None:
    (tmp_path / "a.edf").symlink_to(tmp_path / ".git/annex/objects/x")
    with pytest.raises(InputError, match=r"link to a file that is not here.*git annex get"):
        read_recording(tmp_path / "a.edf")


def test_a_folder_that_is_no_data_set(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"not a BIDS data set.*name one recording.*eeg2music prepare"):
        read_recording(tmp_path)


@pytest.mark.parametrize(("name", "kind"), [("notes.txt", "text"), ("table.csv", "text"), ("photo.png", "an image")])
def test_a_file_of_another_kind(tmp_path: Path, name: str, kind: str) -> None:
    (tmp_path / name).write_text("hello")
    with pytest.raises(InputError, match=rf"not a recording \(suffix .*Allowed: .*\.edf.*looks like {kind}"):
        read_recording(tmp_path / name)


def test_a_sound_file(tmp_path: Path) -> None:
    write_audio(tmp_path / "song.wav", np.zeros(2400, dtype=np.float32))
    with pytest.raises(InputError, match="looks like audio"):
        read_recording(tmp_path / "song.wav")


def test_a_file_without_a_suffix_and_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "thing").write_text("x")
    with pytest.raises(InputError, match="it has no suffix"):
        read_recording(tmp_path / "thing")
    (tmp_path / "empty.edf").touch()
    with pytest.raises(InputError, match="is empty"):
        read_recording(tmp_path / "empty.edf")


def test_the_data_file_instead_of_its_header(tmp_path: Path) -> None:
    (tmp_path / "a.eeg").write_bytes(b"x")
    with pytest.raises(InputError, match=r"name the header a\.vhdr instead"):
        read_recording(tmp_path / "a.eeg")


@pytest.mark.parametrize(
    "name", ["a.edf", "a.bdf", "a.vhdr", "a.fif", "a.set", "a.gdf", "a.cnt", "a.xdf", "a.mff", "a.lay"]
)
def test_text_under_the_name_of_a_recording(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("Ada Lovelace was here, 1843\n" * 100)
    with pytest.raises(InputError, match=r"not a recording|cannot be read|not a BIDS") as caught:
        read_recording(tmp_path / name)
    assert "Lovelace" not in str(caught.value)
    assert "1843" not in str(caught.value)


def test_a_truncated_edf(edf: Path) -> None:
    data = edf.read_bytes()
    edf.write_bytes(data[: len(data) * 2 // 3])
    with pytest.raises(InputError, match=rf"truncated: its header promises {len(data)} bytes \(4 s\).*holds \d+ \(2"):
        read_recording(edf)


@pytest.mark.parametrize("share", [0.0001, 0.005, 0.05])
def test_an_edf_cut_inside_its_header(edf: Path, share: float) -> None:
    data = edf.read_bytes()
    edf.write_bytes(data[: max(9, int(len(data) * share))])
    with pytest.raises(InputError, match=r"damaged header|truncated"):
        read_recording(edf)


def test_a_truncated_bdf(make_raw: Any, write: Write) -> None:
    path = write(make_raw(), "a.bdf")
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(InputError, match="truncated: its header promises"):
        read_recording(path)


def test_a_truncated_brainvision(make_raw: Any, write: Write) -> None:
    path = write(make_raw(), "a.vhdr")
    data = path.with_suffix(".eeg")
    data.write_bytes(data.read_bytes()[:-7])
    with pytest.raises(InputError, match=r"a\.eeg is truncated"):
        read_recording(path)


def test_a_brainvision_header_that_names_no_data(make_raw: Any, write: Write) -> None:
    path = write(make_raw(), "a.vhdr")
    path.write_text(re.sub(r"(?m)^DataFile=.*\n", "", path.read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(InputError, match=r"a\.vhdr names no data file.*export it anew"):
        read_recording(path)


def test_a_brainvision_header_without_its_data(make_raw: Any, write: Write) -> None:
    path = write(make_raw(), "a.vhdr")
    path.with_suffix(".eeg").unlink()
    with pytest.raises(InputError, match=r"names files that are not there: a\.eeg.*companion"):
        read_recording(path)


@pytest.mark.parametrize("share", [0.3, 0.9])
@pytest.mark.parametrize("name", ["a_raw.fif", "a.set"])
def test_other_truncated_files(make_raw: Any, write: Write, name: str, share: float) -> None:
    path = write(make_raw(seconds=30.0), name)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(InputError, match=r"cannot be read|damaged|truncated"):
        read_recording(path)


def test_no_brain_channel(make_raw: Any, write: Write) -> None:
    path = write(make_raw(("AUX1", "TRIG", "EOG1", "ECG")), "aux_raw.fif")
    with pytest.raises(InputError, match=r"no brain channel among its 4: .*auxiliary input.*--channels"):
        read_recording(path)


def test_too_short(make_raw: Any, write: Write, edf: Path) -> None:
    with pytest.raises(InputError, match=r"only 1\.5 s of signal.*at least 2 s.*longer recording"):
        read_recording(write(make_raw(seconds=1.5), "short_raw.fif"))
    with pytest.raises(InputError, match=r"only 0\.5 s.*widen --start"):
        read_recording(edf, start_s=1.0, stop_s=1.5)


@pytest.mark.parametrize("sfreq", [1.0, 49.0, 200_000.0])
def test_impossible_sampling_rates(make_raw: Any, write: Write, sfreq: float) -> None:
    path = write(make_raw(("C3", "C4"), sfreq=sfreq, seconds=max(2.0, 100 / sfreq)), "rate_raw.fif")
    with pytest.raises(InputError, match=rf"impossible sampling rate: {sfreq:g}.* Hz.*50 to 100000 Hz"):
        read_recording(path)


@pytest.mark.parametrize("record_s", ["0", "-1", "nan"])
def test_an_edf_that_claims_no_time(edf: Path, edit_edf: Callable[..., Path], record_s: str) -> None:
    with pytest.raises(InputError, match="impossible sampling rate"):
        read_recording(edit_edf(edf, record_s=record_s))


def test_unknown_channels_name_the_nearest(edf: Path) -> None:
    with pytest.raises(InputError, match=r"No channel named 'C33'.*Allowed: Fp1.*did you mean C3"):
        read_recording(edf, channels=["C3", "C33"])
    with pytest.raises(InputError, match="names no channel"):
        read_recording(edf, channels=[])


def test_unknown_montages_name_the_nearest(edf: Path) -> None:
    with pytest.raises(InputError, match=r"No montage named 'biosemi63'.*biosemi64.*did you mean biosemi"):
        read_recording(edf, montage="biosemi63")


def test_a_montage_that_fits_no_channel(edf: Path) -> None:
    with pytest.raises(InputError, match=r"'GSN-HydroCel-128' has none of the recording's channels"):
        read_recording(edf, montage="GSN-HydroCel-128")


@pytest.mark.parametrize(
    ("start", "stop", "what"),
    [(-1.0, None, r"start = -1 s is no time.*change --start"), (5.0, None, "start = 5 s lies outside"),
     (None, 9.0, "stop = 9 s lies outside"), (3.0, 2.0, "not before stop"), (float("nan"), None, "start = nan")],
)  # fmt: skip
def test_stretches_outside(edf: Path, start: float | None, stop: float | None, what: str) -> None:
    with pytest.raises(InputError, match=what):
        read_recording(edf, start_s=start, stop_s=stop)


@pytest.mark.parametrize("line", [0.0, -50.0, 7.0, float("nan")])
def test_impossible_mains(edf: Path, line: float) -> None:
    with pytest.raises(InputError, match="line frequency"):
        read_recording(edf, line_freq_hz=line)


def test_an_edf_of_no_record(edf: Path, edit_edf: Callable[..., Path]) -> None:
    empty = edit_edf(edf, records="0")
    data = empty.read_bytes()
    empty.write_bytes(data[: 256 * (1 + int(data[252:256]))])
    for stop_s in (None, 3.0):
        with pytest.raises(InputError, match=r"sound\.edf gives only 0 s of signal.*use a longer recording"):
            read_recording(empty, stop_s=stop_s)


@pytest.mark.parametrize("stop_s", [None, 3.0])
def test_a_brainvision_file_without_a_sample(make_raw: Any, write: Write, stop_s: float | None) -> None:
    path = write(make_raw(), "a.vhdr")
    path.with_suffix(".eeg").write_bytes(b"")
    path.write_text(re.sub(r"(?m)^DataPoints=.*\n", "", path.read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(InputError, match=r"a\.vhdr gives only 0 s of signal.*at least 2 s.*longer recording"):
        read_recording(path, stop_s=stop_s)
