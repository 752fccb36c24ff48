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
    assert found.left_out == {"T8": "sampled at 10 Hz, the others at 256 Hz"}


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
