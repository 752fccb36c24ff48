"""Clocks of XDF streams: gaps, rates, grids, on made-up time stamps and a made-up stream."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eeg2music.errors import InputError
from eeg2music.recordings.formats import xdf
from eeg2music.recordings.read import read_recording
from eeg2music.seeding import numpy_rng


def test_the_longest_stretch_without_a_gap() -> None:
    stamps = np.concatenate([np.arange(100) / 100, 50 + np.arange(300) / 100, 40 + np.arange(10) / 100])
    assert xdf.longest_stretch(stamps, 0.1) == (100, 400, 2)
    assert xdf.longest_stretch(np.arange(50) / 100, 0.1) == (0, 50, 0)


def test_the_true_rate_and_whether_stamps_lie_on_a_grid() -> None:
    rate, uniform = xdf.true_rate(7.0 + np.arange(1000) / 93.24)
    assert rate == pytest.approx(93.24)
    assert uniform
    jittered = np.sort(np.arange(1000) / 100 + 0.02 * numpy_rng(0, "jitter").standard_normal(1000))
    rate, uniform = xdf.true_rate(jittered)
    assert rate == pytest.approx(100, rel=0.01)
    assert not uniform


def test_irregular_samples_are_put_on_the_grid() -> None:
    stamps = np.sort(numpy_rng(0, "irregular").uniform(0, 10, 4000))
    out = xdf.on_grid(stamps, np.sin(2 * np.pi * stamps)[None], 200.0)
    grid = stamps[0] + np.arange(out.shape[1]) / 200.0
    np.testing.assert_allclose(out[0], np.sin(2 * np.pi * grid), atol=0.05)


def stream(kind: str, samples: Any, stamps: Any, labels: list[tuple[str, str, str]] | None = None) -> dict[str, Any]:
    channels = [{"label": [n], "type": [t], "unit": [u]} for n, t, u in labels or ()]
    desc = [{"channels": [{"channel": channels}]}] if labels else [None]
    info = {"type": [kind], "nominal_srate": ["250"], "desc": desc}
    return {"info": info, "time_series": samples, "time_stamps": np.asarray(stamps)}


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Read made-up streams as if pyxdf had found them in a file."""

    def read(*streams: dict[str, Any], channels: Sequence[str] | None = None) -> Any:
        import pyxdf

        monkeypatch.setattr(pyxdf, "load_xdf", lambda *_, **__: (list(streams), {}))
        (tmp_path / "a.xdf").write_bytes(b"XDF:")
        return read_recording(tmp_path / "a.xdf", channels=channels)

    return read


def test_labels_units_and_markers_of_streams(load: Any) -> None:
    stamps = 100 + np.arange(1000) / 250
    samples = numpy_rng(0, "xdf").standard_normal((1000, 3)).astype(np.float32)
    labels = [("Cz", "EEG", "microvolts"), ("Fz", "EEG", "mV"), ("TRG", "misc", "none")]
    markers = stream("Markers", [["7"], ["Ada Lovelace"], ["8"]], [101.0, 102.0, 300.0])
    audio = stream("Audio", samples, stamps)
    found = load(stream("EEG", samples, stamps, labels), markers, audio)
    assert found.channel_names == ("Cz", "Fz")
    np.testing.assert_allclose(found.signal_v[0], 1e-6 * samples[:, 0], rtol=1e-5)
    np.testing.assert_allclose(found.signal_v[1], 1e-3 * samples[:, 1], rtol=1e-5)
    assert [(round(e.onset_s, 6), e.kind) for e in found.events] == [(1.0, "trigger 7"), (2.0, "marker")]
    assert np.isfinite(found.positions_m).all()
    assert found.notes[:2] == (
        "1 other stream(s) of the XDF file were used for events only",
        "not used: 1 stream(s) of other signals (Audio)",
    )


CAP = ("Fp1", "Fp2", "C3", "C4", "Pz", "Oz")
EAR = ("L1", "L2", "R1", "R2")


def brain(names: Sequence[str], sfreq_hz: int, seconds: float = 10.0, type_: str = "EEG") -> dict[str, Any]:
    count = round(seconds * sfreq_hz)
    samples = numpy_rng(0, "xdf", len(names), sfreq_hz).standard_normal((count, len(names))).astype(np.float32)
    found = stream("EEG", samples, np.arange(count) / sfreq_hz, [(name, type_, "uV") for name in names])
    found["info"]["nominal_srate"] = [str(sfreq_hz)]
    return found


@pytest.mark.parametrize("cap_first", [True, False])
def test_of_two_brain_streams_the_one_with_more_electrodes_is_read(load: Any, cap_first: bool) -> None:
    both = [brain(CAP, 250), brain(EAR, 2000)]
    found = load(*(both if cap_first else both[::-1]))
    assert (found.channel_names, found.sfreq_hz) == (CAP, pytest.approx(250))
    assert found.notes[0] == (
        "not used: another brain stream of 4 channels at 2000 Hz (name its channels, --channels L1,…, to decode it)"
    )
    assert not any("events" in note for note in found.notes)


def test_the_channels_asked_for_choose_the_stream(load: Any) -> None:
    found = load(brain(CAP, 250), brain(EAR, 2000), channels=("l1", "L2", "R1", "R2"))
    assert (found.channel_names, found.sfreq_hz) == (EAR, pytest.approx(2000))
    assert "another brain stream of 6 channels at 250 Hz (name its channels, --channels Fp1,…," in found.notes[0]
    with pytest.raises(InputError, match="No channel named 'L1' in the file"):
        load(brain(CAP, 250), brain(EAR, 2000), channels=("L1", "Fp1"))


def test_streams_of_one_size_and_one_set_of_names(load: Any) -> None:
    found = load(brain(CAP, 250), brain(CAP, 500))
    assert found.sfreq_hz == pytest.approx(500), "then the one with more samples"
    assert "channels at 250 Hz (save it as a file of its own to decode it)" in found.notes[0]


def test_a_brain_stream_whose_stamps_stand_still_is_left_lying(load: Any) -> None:
    still = brain(EAR, 100)
    still["time_stamps"][:] = 3.0
    found = load(brain(CAP, 250), still)
    assert found.channel_names == CAP
    assert found.notes[0].startswith("not used: another brain stream of 4 channels at no regular rate (")


def test_a_stream_without_an_end_is_called_so(load: Any) -> None:
    told = "the stream has no end: the file was cut off or its recorder stopped; what is there was used"
    closed = brain(CAP, 250)
    assert told in load(closed).notes
    closed["footer"] = {}
    assert told not in load(closed).notes


def test_channels_that_are_no_electrodes_do_not_make_a_cap(load: Any) -> None:
    amplifier = brain([*EAR, *(f"X{i}" for i in range(9))], 500)
    for channel in amplifier["info"]["desc"][0]["channels"][0]["channel"][len(EAR) :]:
        channel["type"] = ["misc"]
    assert load(amplifier, brain(CAP, 250)).channel_names == CAP


def test_a_file_without_an_eeg_stream(load: Any) -> None:
    with pytest.raises(InputError, match="no EEG stream, only: Audio"):
        load(stream("Audio", np.zeros((10, 1), np.float32), np.arange(10) / 100))


def test_types_are_free_text_and_are_not_repeated_unless_known(load: Any) -> None:
    stamps = np.arange(1000) / 250
    samples = numpy_rng(0, "xdf").standard_normal((1000, 4)).astype(np.float32)
    labels = [("Cz", "EEG", "uV"), ("Fz", "EEG", "uV"), ("X1", "Ada Lovelace's hand", "uV"), ("X2", "PPG", "uV")]
    found = load(stream("EEG", samples, stamps, labels))
    assert dict(found.left_out) == {
        "X1": "not a brain signal by its type (another type)",
        "X2": "not a brain signal by its type (ppg)",
    }
    with pytest.raises(InputError, match="no EEG stream, only: Markers, another type, no type") as caught:
        load(*(stream(kind, samples, stamps) for kind in ("Lovelace", "Markers", "")))
    assert "Lovelace" not in str(caught.value)


@pytest.mark.parametrize(
    ("unit", "volts"),
    [("microvolt", 1e-6), ("\u00b5V", 1e-6), ("\u03bcV", 1e-6), ("Microvolts", 1e-6), (" uV ", 1e-6),
     ("millivolt", 1e-3), ("nanovolts", 1e-9), ("nV", 1e-9), ("Volt", 1.0)],
)  # fmt: skip
def test_every_spelling_of_a_voltage_is_one(load: Any, unit: str, volts: float) -> None:
    samples = 2e-5 / volts * numpy_rng(0, "units").standard_normal((1000, 2)).astype(np.float32)
    labels = [("Cz", "EEG", unit), ("contact", "EEG", unit)]
    found = load(stream("EEG", samples, np.arange(1000) / 250, labels))
    assert found.channel_names == ("Cz", "contact")
    np.testing.assert_allclose(found.signal_v, volts * samples.T, rtol=1e-5)


def test_an_accelerometer_gives_no_events(load: Any) -> None:
    stamps = np.arange(1000) / 250
    brain = stream("EEG", numpy_rng(0, "xdf").standard_normal((1000, 3)).astype(np.float32), stamps)
    moved = stream("Accelerometer", np.arange(1000, dtype=np.int16)[:, None], stamps)
    codes = stream("Triggers", np.array([[7], [8]], dtype=np.int32), [1.0, 2.0])
    codes["info"]["nominal_srate"] = ["0"]
    found = load(brain, moved, codes)
    assert [(event.onset_s, event.kind) for event in found.events] == [(1.0, "trigger 7"), (2.0, "trigger 8")]


def test_the_type_of_a_stream_is_stated_for_none_of_its_channels(load: Any) -> None:
    samples = numpy_rng(0, "xdf").standard_normal((1000, 2)).astype(np.float32)
    found = load(stream("ECoG", samples, np.arange(1000) / 250, [("G1", "", "uV"), ("AUX1", "", "uV")]))
    assert (found.kind, found.channel_names) == ("ieeg", ("G1",))
