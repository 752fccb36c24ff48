"""`info` on recordings, data sets and caches: plain words, and nobody's name."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from edfio import Edf, EdfSignal, read_edf

from eeg2music.errors import InputError
from eeg2music.inspection import describe_recording
from eeg2music.preparation import PrepareConfig, prepare

MUSIC = "musicattention_edf_cc0/EEG signals (edf)"


def test_a_real_recording_in_plain_words(real_data: Path) -> None:
    path = next((real_data / MUSIC / "subject12/20200704_day2").glob("*.edf"))
    found = describe_recording(path)
    text = "\n".join(found)
    assert "EEG recording (EDF/BDF), 6 s at 2048 Hz" in text
    assert "64 brain channels: Fp1" in text
    assert "left out: BIP65, BIP66, AUX69, AUX70 (auxiliary input, by its name)" in text
    assert "central: 9 electrodes" in text
    assert "positions by matching names" in text
    assert "subject12" not in text


def test_intracranial_recordings_cover_no_region(real_data: Path) -> None:
    found = describe_recording(real_data / "naplib_ieeg_edf/tests/io/tiny_test.edf")
    assert found[0].startswith("intracranial EEG recording")
    assert "regions covered: no electrode has a known position: global decoding only" in found


def test_a_recording_in_coarse_steps_is_called_so(real_data: Path) -> None:
    path = next((real_data / MUSIC / "subject02/20191120_day1").glob("*.edf"))
    text = "\n".join(describe_recording(path))
    assert "coarsely digitized in steps of" in text
    assert "0.94 s hold no signal" in text


def test_chosen_channels_and_montage(real_data: Path) -> None:
    path = next((real_data / MUSIC / "subject12/20200620_day1").glob("*.edf"))
    found = describe_recording(path, channels=["C3", "C4", "T3"], montage="10-20")
    assert "cannot be decoded: 3 good channels, 4 are needed" in found
    assert "note: positions from the montage 10-20, as asked" in found


def test_data_sets_and_caches(real_data: Path, tmp_path: Path) -> None:
    found = describe_recording(real_data / "bids_text_ds003774")
    assert any(line.startswith("24 recordings are announced and not here; fetch them") for line in found)
    path = next((real_data / MUSIC / "subject12/20200620_day1").glob("*.edf"))
    cache = prepare(path, tmp_path / "c", PrepareConfig(workers=1))
    assert describe_recording(cache) == [
        "prepared cache: 1 windows from 1 recordings of 1 subjects, 0 stimuli, scalp EEG at 64 Hz"
    ]


def test_what_is_no_recording(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No file at"):
        describe_recording(tmp_path / "gone.edf")


def test_what_generate_refuses_is_said(recording_file: Path, tmp_path: Path) -> None:
    """Too little signal; and where no channel is good, nothing of where they lie."""
    edf = read_edf(recording_file)
    told = {}
    for name, kept in (("short", 160), ("flat", 0)):
        signals = []
        for signal in edf.signals:
            data = np.concatenate([signal.data[:kept], np.zeros(1280 - kept)])
            signals.append(EdfSignal(data, 128.0, label=signal.label, physical_dimension="uV",
                                     physical_range=(-200.0, 200.0)))  # fmt: skip
        Edf(signals).write(tmp_path / f"{name}.edf")
        told[name] = "\n".join(describe_recording(tmp_path / f"{name}.edf"))
    assert re.search(r"cannot be decoded: only 1\.\d\d s of 10\.00 s hold a signal.*, 2 s are needed", told["short"])
    assert "regions covered" in told["short"] and "regions covered" not in told["flat"]
    assert "cannot be decoded: 0 good channels, 4 are needed" in told["flat"]
