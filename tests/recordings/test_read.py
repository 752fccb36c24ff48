"""Reading files: what was written comes back, what is not the brain's stays out, nobody's name comes along."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eeg2music.errors import InputError
from eeg2music.preprocess.eeg import preprocess
from eeg2music.recordings.contents import READERS, all_suffixes
from eeg2music.recordings.read import read_recording
from eeg2music.types import Recording

Write = Callable[[Any, str], Path]
MUSIC = "musicattention_edf_cc0/EEG signals (edf)"


@pytest.mark.parametrize(
    ("name", "step_v"), [("a.edf", 5e-9), ("a.bdf", 1e-10), ("a.vhdr", 1e-7), ("a_raw.fif", 1e-11), ("a.set", 1e-11)]
)
def test_what_was_written_comes_back(make_raw: Any, write: Write, name: str, step_v: float) -> None:
    raw = make_raw()
    found = read_recording(write(raw, name))
    assert found.channel_names == tuple(raw.ch_names)
    assert found.sfreq_hz == 256.0
    assert found.kind == "eeg"
    assert found.signal_v.dtype == np.float32
    assert found.signal_v.shape == (10, 1024)
    np.testing.assert_allclose(found.signal_v, raw.get_data(), atol=step_v)
    assert found.duration_s == 4.0


def test_a_brainvision_header_may_stand_for_its_own_name(make_raw: Any, write: Write, tmp_path: Path) -> None:
    import mne

    raw = make_raw()
    raw.set_annotations(mne.Annotations([1.0], [0.5], ["Stimulus/S  7"]))
    plain = read_recording(write(raw, "a.run.vhdr"))
    header = tmp_path / "a.run.vhdr"
    text = header.read_text(encoding="utf-8")
    assert "DataFile=a.run.eeg" in text
    header.write_text(text.replace("a.run.", "$b."), encoding="utf-8")
    found = read_recording(header)
    assert_same(found, plain)
    assert found.events == plain.events
    assert "Stimulus/S  7" in [event.kind for event in found.events]


def test_a_brainvision_header_of_another_time(make_raw: Any, write: Write, tmp_path: Path) -> None:
    """Written in the recorder's codepage, and with remarks that read like settings."""
    plain = read_recording(write(make_raw(), "a.vhdr"))
    for suffix in (".eeg", ".vmrk"):
        (tmp_path / f"a{suffix}").rename(tmp_path / f"M\xfc{suffix}")
    text = (tmp_path / "a.vhdr").read_text(encoding="utf-8").replace("Codepage=UTF-8\n", "")
    text = re.sub(r"File=a\.", "File=M\xfc.", text) + "DataFile=none.eeg\nNumberOfChannels=99\n"
    (tmp_path / "M\xfc.vhdr").write_bytes(text.encode("latin-1"))
    assert_same(read_recording(tmp_path / "M\xfc.vhdr"), plain)


@pytest.mark.parametrize("name", ["a.edf", "a.vhdr", "a_raw.fif", "a.set"])
def test_nobodys_name_date_or_remark_comes_along(make_raw: Any, write: Write, name: str) -> None:
    raw = make_raw(secret=True)
    if name.endswith("fif"):  # the other formats cannot store it all
        raw.info["subject_info"]["birthday"] = None
    path = write(raw, name)
    found = read_recording(path)
    told = repr(found.replace(signal_v=np.zeros((1, 1), np.float32)))
    assert "Lovelace" not in told
    assert "Ada" not in told
    assert "2001" not in told
    assert len(found.events) == 2


def test_a_recordings_key_is_its_brain_signal_and_not_its_name(edf: Path, tmp_path: Path) -> None:
    other = tmp_path / "Ada-Lovelace-2001.edf"
    other.write_bytes(edf.read_bytes())
    assert read_recording(edf).key == read_recording(other).key
    assert "Ada" not in read_recording(other).key
    assert read_recording(edf, stop_s=3.0).key != read_recording(edf).key


def test_events_count_from_the_first_sample(make_raw: Any, write: Write) -> None:
    import mne

    raw = make_raw(seconds=20.0)
    raw.set_meas_date(1_000_000_000)
    raw.set_annotations(mne.Annotations([5.0, 9.0], [1.0, 0.0], ["Stimulus/S  1", "Stimulus/S  2"]))
    cropped = raw.copy().crop(2.0)
    found = read_recording(write(cropped, "cropped_raw.fif"))
    assert [(round(e.onset_s, 6), e.duration_s, e.kind) for e in found.events] == [
        (3.0, 1.0, "Stimulus/S  1"),
        (7.0, 0.0, "Stimulus/S  2"),
    ]
    later = read_recording(write(cropped, "cropped_raw.fif"), start_s=4.0)
    assert [round(e.onset_s, 6) for e in later.events] == [3.0]


@pytest.mark.parametrize("text", ["BAD_movement", "bad", "Bad Interval by Ada Lovelace", "BAD boundary"])
def test_of_what_is_marked_bad_only_the_word_and_the_time_are_kept(make_raw: Any, write: Write, text: str) -> None:
    import mne

    raw = make_raw()
    raw.set_annotations(mne.Annotations([1.0, 2.0, 3.0], [0.5, 0, 0], [text, "not bad", "Stimulus/S  1"]))
    found = read_recording(write(raw, "marked_raw.fif"))
    assert [(event.onset_s, event.duration_s, event.kind) for event in found.events] == [
        (1.0, 0.5, "bad"),
        (2.0, 0.0, "annotation"),
        (3.0, 0.0, "Stimulus/S  1"),
    ]
    later = read_recording(write(raw, "marked_raw.fif"), start_s=1.25)
    assert [(event.onset_s, event.kind) for event in later.events][:1] == [(-0.25, "bad")]


def test_steps_of_a_trigger_channel_are_events(make_raw: Any, write: Write) -> None:
    raw = make_raw((*"ABCDEFGHIJ", "STI 014"), ["eeg"] * 10 + ["stim"])
    raw._data[10] = 0.0
    raw._data[10, 300:310] = 7.0
    found = read_recording(write(raw, "stim_raw.fif"))
    assert [(event.kind, event.onset_s) for event in found.events] == [("trigger 7", 300 / 256)]
    assert "STI 014" in found.left_out


def test_a_stretch_is_read_alone(edf: Path) -> None:
    whole, part = read_recording(edf), read_recording(edf, start_s=1.0, stop_s=3.5)
    np.testing.assert_array_equal(part.signal_v, whole.signal_v[:, 256:896])


def test_named_channels_override_everything(edf: Path, edit_edf: Callable[..., Path]) -> None:
    edit_edf(edf, labels={0: "AUX1"})
    assert "AUX1" in read_recording(edf).left_out
    asked = read_recording(edf, channels=["aux1", "c3", "Pz", "T7"])
    assert asked.channel_names == ("AUX1", "C3", "Pz", "T7")
    assert any("AUX1" in note for note in asked.notes)
    assert len(asked.left_out) == 6


def test_positions_say_where_they_come_from(make_raw: Any, write: Write) -> None:
    own = read_recording(write(make_raw(montage="biosemi64"), "own_raw.fif"))
    assert "positions from the file" in own.notes
    matched = read_recording(write(make_raw(), "bare_raw.fif"))
    assert "positions by matching names with colin27_1005" in matched.notes
    named = read_recording(write(make_raw(montage="biosemi64"), "own_raw.fif"), montage="10-20")
    assert "positions from the montage 10-20, as asked" in named.notes
    unknown = read_recording(write(make_raw(tuple("qrstuvwxyz")), "odd_raw.fif"))
    assert np.isnan(unknown.positions_m).all()
    assert any("global decoding only" in note for note in unknown.notes)


def test_meg_is_called_meg(make_raw: Any, write: Write) -> None:
    names = (*(f"MEG{i:03d}" for i in range(12)), "EEG1", "REF1")
    found = read_recording(write(make_raw(names, ["mag"] * 12 + ["eeg", "ref_meg"]), "meg_raw.fif"))
    assert found.kind == "meg"
    assert len(found.channel_names) == 12
    assert found.left_out == {"EEG1": "EEG beside the MEG", "REF1": "MEG reference sensor"}


def test_every_reader_has_a_title_and_its_own_suffixes() -> None:
    suffixes = [suffix for name in READERS for suffix in READERS[name].suffixes]
    assert sorted(suffixes) == list(all_suffixes())
    assert all(suffix.startswith(".") and suffix == suffix.lower() for suffix in suffixes)
    assert all(READERS[name].title for name in READERS)


# Real recordings


@pytest.fixture(params=["subject12/20200620_day1", "subject12/20200704_day2", "subject02/20191120_day1"])
def listening(real_data: Path, request: pytest.FixtureRequest) -> Path:
    return next((real_data / MUSIC / request.param).glob("*.edf"))


def test_the_sound_as_played_does_not_reach_the_brain_channels(listening: Path) -> None:
    found = read_recording(listening)
    assert len(found.channel_names) == 64
    assert set(found.left_out) == {"BIP65", "BIP66", "AUX69", "AUX70", "Digi"}
    assert found.kind == "eeg"
    assert np.isfinite(found.positions_m).all()


def test_replacing_the_sound_by_noise_changes_nothing(
    listening: Path, tmp_path: Path, replace_channel: Callable[..., Path]
) -> None:
    fake = replace_channel(listening, tmp_path / "fake.edf", "AUX69", seed=1)
    assert fake.read_bytes() != listening.read_bytes()
    before, after = read_recording(listening), read_recording(fake)
    assert_same(before, after)
    assert_same(preprocess(before), preprocess(after))


def assert_same(one: Recording, other: Recording) -> None:
    np.testing.assert_array_equal(one.signal_v, other.signal_v)
    np.testing.assert_array_equal(one.positions_m, other.positions_m)
    for field in ("key", "channel_names", "bad_channels", "left_out", "notes", "kind", "line_freq_hz", "sfreq_hz"):
        assert getattr(one, field) == getattr(other, field)


def test_two_seconds_can_be_preprocessed(real_data: Path) -> None:
    path = next((real_data / MUSIC / "subject12/20200620_day1").glob("*.edf"))
    clean = preprocess(read_recording(path))
    assert clean.signal_v.shape == (64, 128)
    assert clean.line_freq_hz == 50.0
    assert np.abs(clean.signal_v).max() <= 10


def test_intracranial_contacts_are_told_by_their_names(real_data: Path) -> None:
    found = read_recording(real_data / "naplib_ieeg_edf/tests/io/tiny_test.edf")
    assert found.kind == "ieeg"
    assert len(found.channel_names) == 104
    assert {"TRIG", "Pleth", "OSAT", "PR", "EKGL", "EKGR", "DC1"} <= set(found.left_out)
    assert np.isnan(found.positions_m).all()
    clean = preprocess(found)
    assert clean.line_freq_hz == 60.0


def test_clock_resets_cut_a_stream_and_say_so(real_data: Path) -> None:
    found = read_recording(real_data / "eeg_formats_xdf/clock_resets.xdf")
    assert found.signal_v.shape == (8, 14_939)
    assert found.sfreq_hz == pytest.approx(92.67, abs=0.01)
    notes = " ".join(found.notes)
    assert "clock reset" in notes
    assert "claims 100 Hz" in notes
    assert 0 < len(found.events) < 175
    assert all(0 <= event.onset_s <= found.duration_s for event in found.events)
    assert preprocess(found).signal_v.shape[0] == 8


@pytest.mark.parametrize(("share", "is_cut"), [(1.0, False), (0.5, True)])
def test_a_stream_that_was_cut_is_called_so(real_data: Path, tmp_path: Path, share: float, is_cut: bool) -> None:
    whole = (real_data / "eeg_formats_xdf/clock_resets.xdf").read_bytes()
    (tmp_path / "a.xdf").write_bytes(whole[: int(share * len(whole))])
    found = read_recording(tmp_path / "a.xdf")
    assert any("the file was cut off or its recorder stopped" in note for note in found.notes) == is_cut
    assert any("parts of the file are damaged" in note for note in found.notes) == is_cut


def test_a_stream_too_slow_is_refused(real_data: Path) -> None:
    with pytest.raises(InputError, match=r"impossible sampling rate: 10 Hz.*50 to 100000 Hz"):
        read_recording(real_data / "eeg_formats_xdf/minimal.xdf")


def test_a_reader_that_lacks_its_package_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import mne

    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("For reading to work, the pymatreader module is needed, but it could not be imported.")

    monkeypatch.setattr(mne.io, "read_raw_eeglab", fail)
    (tmp_path / "a.set").write_bytes(b"x")
    with pytest.raises(InputError, match=r"needs the package 'pymatreader'.*pip install pymatreader"):
        read_recording(tmp_path / "a.set")


def test_nothing_heavy_is_imported_before_it_is_needed() -> None:
    code = (
        "import sys, eeg2music.preparation, eeg2music.recordings.read, eeg2music.regions.electrodes;"
        "print([m for m in ('mne', 'torch', 'mne_bids', 'pyxdf', 'matplotlib') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


EQUIDISTANT = tuple(f"{row}{i}" for row in ("LL", "L", "Z", "R", "RR") for i in range(1, 9))


@pytest.mark.parametrize("place", ["cap_raw.fif", "sub-01/eeg/sub-01_task-rest_eeg.fif"])
def test_an_equidistant_cap_keeps_its_positions(make_raw: Any, tmp_path: Path, place: str) -> None:
    """Its names look like those of shafts; its positions, or its data set, say that it is worn on the head."""
    import mne

    count = len(EQUIDISTANT)
    up, around = np.linspace(1.0, -0.2, count), 2.4 * np.arange(count)
    flat = np.sqrt(1 - up**2)
    places = 0.095 * np.c_[flat * np.cos(around), flat * np.sin(around), up] + [0.0, 0.015, 0.043]
    marks = {"nasion": [0, 0.1, 0], "lpa": [-0.08, 0, 0], "rpa": [0.08, 0, 0]}
    montage = mne.channels.make_dig_montage(dict(zip(EQUIDISTANT, places, strict=True)), coord_frame="head", **marks)
    path = tmp_path / place
    path.parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "dataset_description.json").write_text("{}")
    make_raw(EQUIDISTANT, montage=montage).save(path, verbose="ERROR")
    found = read_recording(path)
    assert found.kind == "eeg"
    np.testing.assert_allclose(found.positions_m, places, atol=1e-4)
