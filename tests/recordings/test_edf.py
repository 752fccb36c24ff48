"""EDF headers: sizes, channels at other rates, unfinished headers, interrupted recordings."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from eeg2music.recordings.formats.edf import read_header
from eeg2music.recordings.read import read_recording
from eeg2music.seeding import numpy_rng


def test_the_header_tells_the_size_of_the_file(edf: Path) -> None:
    header = read_header(edf)
    assert header.labels[:2] == ("Fp1", "Fp2")
    assert header.records * header.record_s == 4.0
    assert header.expected_bytes(2) == edf.stat().st_size


@pytest.mark.parametrize("records", ["-1", "2"])
def test_a_recorder_that_crashed_leaves_the_length_to_the_size(
    edf: Path, edit_edf: Callable[..., Path], records: str
) -> None:
    whole = read_recording(edf)
    found = read_recording(edit_edf(edf, records=records))
    np.testing.assert_array_equal(found.signal_v, whole.signal_v)
    assert any("taken from the file's size" in note for note in found.notes)
    assert not any("taken from the file's size" in note for note in whole.notes)


def test_channels_at_another_rate_stay_out_of_the_brains_way(tmp_path: Path) -> None:
    import edfio

    rng = numpy_rng(0, "rates")
    fast = [edfio.EdfSignal(20 * rng.standard_normal(1024), 256, label=name, physical_dimension="uV")
            for name in ("C3", "C4", "Pz", "Oz")]  # fmt: skip
    slow = edfio.EdfSignal(rng.standard_normal(40), 10, label="T8", physical_dimension="uV")
    edfio.Edf([*fast, slow]).write(tmp_path / "mixed.edf")
    found = read_recording(tmp_path / "mixed.edf")
    assert found.channel_names == ("C3", "C4", "Pz", "Oz")
    assert found.sfreq_hz == 256.0
    assert found.left_out == {"T8": "sampled at 10 Hz, the electrodes at 256 Hz"}


def test_of_an_interrupted_recording_the_longest_stretch_is_used(tmp_path: Path) -> None:
    import edfio

    rng = numpy_rng(0, "interrupted")
    signals = [
        edfio.EdfSignal(20 * rng.standard_normal(2560), 256, label=name, physical_dimension="uV")
        for name in ("C3", "C4", "Pz", "Oz")
    ]
    path = tmp_path / "d.edf"
    edfio.Edf(signals, annotations=[edfio.EdfAnnotation(5.5, None, "S 7")]).write(path)
    whole = read_recording(path)
    data = path.read_bytes()
    assert read_header(path).record_s == 1.0
    # Record 3 and all after it began 20 s later than the records before: one interruption.
    for record in range(9, 2, -1):
        data = re.sub(rb"\+%d\x14\x14\x00" % record, b"+%d\x14\x14" % (record + 20), data, count=1)
    path.write_bytes(data.replace(b"EDF+C", b"EDF+D", 1))
    found = read_recording(path)
    assert any("interrupted 1 time(s); the longest stretch was used (7 s of 10 s)" in note for note in found.notes)
    np.testing.assert_array_equal(found.signal_v, whole.signal_v[:, 3 * 256 :])


def write(path: Path, *signals: tuple[str, str, float, float]) -> Path:
    """An EDF of (label, unit, rate, peak) signals of noise, ten records of a second."""
    import edfio

    rng = numpy_rng(0, "signals")
    made = [
        edfio.EdfSignal(
            np.clip(peak / 5 * rng.standard_normal(round(10 * rate)), -peak, peak),
            rate,
            label=label,
            physical_dimension=unit,
            physical_range=(-peak, peak),
        )
        for label, unit, rate, peak in signals
    ]
    edfio.Edf(made, data_record_duration=1.0).write(path)
    return path


def test_the_rate_is_the_brains_where_slow_signals_are_more(tmp_path: Path) -> None:
    """As in the sleep recordings of PhysioNet's Sleep-EDF: two electrodes and the eyes at 100 Hz, the rest at 1 Hz."""
    brain = [("EEG Fpz-Cz", "uV", 100, 200), ("EEG Pz-Oz", "uV", 100, 200), ("EOG horizontal", "uV", 100, 200)]
    slow = [("Resp oro-nasal", "", 1, 2000), ("EMG submental", "uV", 1, 5), ("Temp rectal", "DegC", 1, 40),
            ("Event marker", "", 1, 1000)]  # fmt: skip
    found = read_recording(write(tmp_path / "sleep.edf", *brain, *slow))
    assert found.channel_names == ("EEG Fpz-Cz", "EEG Pz-Oz")
    assert found.sfreq_hz == 100.0
    assert found.left_out["Temp rectal"] == "sampled at 1 Hz, the electrodes at 100 Hz"


def test_where_as_many_signals_have_either_rate_the_faster_is_kept(tmp_path: Path) -> None:
    signals = [("C3", "uV", 100, 200), ("C4", "uV", 100, 200), ("Pz", "uV", 200, 200), ("Oz", "uV", 200, 200)]
    assert read_recording(write(tmp_path / "tie.edf", *signals)).channel_names == ("Pz", "Oz")


def test_fast_signals_of_another_unit_or_name_have_no_vote(tmp_path: Path) -> None:
    brain = [(name, "uV", 200, 200) for name in ("C3", "C4", "Pz")]
    others = [(f"P{i}x", "mmHg", 100, 200) for i in range(3)] + [(f"EMG{i}", "uV", 100, 200) for i in range(3)]
    assert read_recording(write(tmp_path / "lab.edf", *others, *brain)).channel_names == ("C3", "C4", "Pz")


def test_signals_without_a_unit_are_microvolts_where_they_cannot_be_volts(tmp_path: Path) -> None:
    named, bare = (
        read_recording(write(tmp_path / f"in_{unit}.edf", *((f"DAMT{i}", unit, 256, 200) for i in range(6))))
        for unit in ("uV", "")
    )
    assert bare.channel_names == named.channel_names
    np.testing.assert_allclose(bare.signal_v, named.signal_v, rtol=1e-5)
    assert "the file names no unit; microvolts assumed" in bare.notes
    assert "the file names no unit; microvolts assumed" not in named.notes
    volts = read_recording(write(tmp_path / "volts.edf", *((f"DAMT{i}", "", 256, 0.0002) for i in range(6))))
    np.testing.assert_allclose(volts.signal_v, named.signal_v, atol=2e-8)


def test_signals_of_one_label_are_told_apart_by_their_order(tmp_path: Path) -> None:
    labels = ("Fp1", "C3", "Fp1", "C4", "Oz", "Fp1")
    slow = ("Resp", "uV", 10, 200)
    named, bare = (
        read_recording(write(tmp_path / f"in_{unit}.edf", slow, *((label, unit, 256, 200) for label in labels)))
        for unit in ("uV", "")
    )
    assert bare.channel_names == named.channel_names == ("Fp1-0", "C3", "Fp1-1", "C4", "Oz", "Fp1-2")
    np.testing.assert_allclose(bare.signal_v, named.signal_v, rtol=1e-5)
    assert "the file names no unit; microvolts assumed" in bare.notes
    mixed = [("O2", "%", 256, 100), ("O2", "uV", 256, 200), *((label, "", 256, 200) for label in ("C3", "C4"))]
    found = read_recording(write(tmp_path / "oxygen.edf", *mixed))
    assert found.channel_names == ("O2-1", "C3", "C4")
    assert found.left_out == {"O2-0": "its unit is %, no voltage"}


def test_another_unit_is_no_voltage(tmp_path: Path) -> None:
    brain = [(f"DAMT{i}", "uV", 256, 200) for i in range(6)]
    found = read_recording(write(tmp_path / "a.edf", *brain, ("X1", "bpm", 256, 200), ("O2", "%", 256, 100)))
    assert found.left_out == {"X1": "its unit is bpm, no voltage", "O2": "its unit is %, no voltage"}
