"""Which channels are the brain's: by type, name, unit, and by signal where the name says nothing."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from eeg2music.errors import InputError
from eeg2music.recordings.channel_words import reason_by_name
from eeg2music.recordings.channels import choose_channels, judge, judge_signal, looks_intracranial
from eeg2music.recordings.montages import is_standard_name
from eeg2music.seeding import numpy_rng

BRAIN = ["Fp1", "EEG Fz-REF", "Fc5.", "T3", "M1", "A1", "AFF5h", "G12", "DAMT3", "E77", "B14", "EEG 003", "Ch4", "LA12"]
OTHERS = {
    "HEOG": "eye", "VEOG": "eye", "EOG left": "eye", "LOC": "eye", "EMG1": "muscle", "ChinEMG": "muscle",
    "ECG": "heart", "EKGL": "heart", "AUX69": "auxiliary", "BIP65": "auxiliary", "EXG3": "auxiliary", "DC5": "auxil",
    "Status": "trigger", "STI 014": "trigger", "TRIG": "trigger", "Digi": "trigger", "Button": "trigger",
    "EDF Annotations": "trigger", "Pleth": "pulse", "OSAT": "pulse", "SpO2": "pulse", "PR": "pulse",
    "Resp nasal": "respiration", "THOR": "respiration", "Temp": "temperature", "GSR1": "skin", "ACC_X": "movement",
    "Gyro Y": "movement", "Audio": "sound", "Mic1": "sound", "Photo": "light",
    "Counter": "recorder", "Packet": "recorder", "GND": "reference", "REF": "reference", "NC1": "unconnected",
}  # fmt: skip


def no_signal() -> NDArray[np.float32]:
    raise AssertionError("the signal is looked at only where the name says nothing")


def quiet() -> NDArray[np.float32]:
    return (2e-5 * numpy_rng(0, "quiet").standard_normal(5000)).astype(np.float32)


@pytest.mark.parametrize("name", BRAIN)
def test_names_of_electrodes_and_contacts_stay(name: str) -> None:
    assert judge(name, "eeg", "µV", quiet) is None


@pytest.mark.parametrize(("name", "why"), OTHERS.items())
def test_names_of_other_things_go(name: str, why: str) -> None:
    found = judge(name, "eeg", "µV", no_signal)
    assert found is not None
    assert why in found


@pytest.mark.parametrize("type_", ["eog", "ecg", "emg", "misc", "stim", "resp", "bio", "somethingnew"])
def test_types_speak_before_names(type_: str) -> None:
    assert judge("Fp1", type_, "µV", no_signal)


def test_a_type_that_nobody_knows_is_not_repeated() -> None:
    # In channels.tsv and in XDF the type is free text.
    found = judge("X1", "worn by lovelace", "µV", no_signal)
    assert found == "not a brain signal by its type (another type)"
    assert judge("X1", "chpi", "µV", no_signal) == "not a brain signal by its type (chpi)"


def test_units_tell_oxygen_from_an_occipital_electrode() -> None:
    assert judge("O2", "eeg", "µV", no_signal) is None
    assert judge("O2", "eeg", None, no_signal) is None
    assert judge("O2", "eeg", "%", no_signal) == "its unit is %, no voltage"
    assert judge("X7", "eeg", "bpm", no_signal) == "its unit is bpm, no voltage"
    assert judge("X7", "eeg", "ward of Ada", no_signal) == "its unit is no voltage"


def test_a_signal_speaks_where_the_name_does_not() -> None:
    rng = numpy_rng(0, "signal")
    time = np.arange(10_000) / 1000
    assert judge_signal(quiet()) is None
    assert judge_signal((0.3 + 2e-5 * rng.standard_normal(10_000)).astype(np.float32)) is None, "an offset is no swing"
    assert "mV" in str(judge_signal((0.02 * np.sin(2 * np.pi * 440 * time)).astype(np.float32)))
    assert "trigger" in str(judge_signal(((time % 3 > 2) * 1e-4).astype(np.float32)))
    assert judge_signal(np.zeros(100, np.float32)) is None, "flat is for the quality check to say"


def test_no_decision_looks_at_another_channel() -> None:
    names, types = ["Fp1", "mystery", "C3", "C4"], ["eeg"] * 4
    signals = {1: quiet()}
    asked: list[int] = []

    def sample(index: int) -> NDArray[np.float32]:
        asked.append(index)
        return signals[index]

    assert choose_channels(names, types, [None] * 4, sample=sample).kept == (0, 1, 2, 3)
    signals[1] = 1000 * quiet()
    assert choose_channels(names, types, [None] * 4, sample=sample).kept == (0, 2, 3)
    assert set(asked) == {1}


def test_eyes_of_a_sleep_recording_and_electrodes_of_a_net() -> None:
    sleep = ["E1", "E2", "F3", "C3", "O1"]
    chosen = choose_channels(sleep, ["eeg"] * 5, [None] * 5, sample=lambda _: quiet())
    assert set(chosen.left_out) == {"E1", "E2"}
    net = [f"E{i}" for i in range(1, 33)] + ["Cz"]
    assert not choose_channels(net, ["eeg"] * 33, [None] * 33, sample=lambda _: quiet()).left_out


def test_a_cap_comes_before_other_brain_signals() -> None:
    names = [f"E{i}" for i in range(16)] + [f"MEG{i}" for i in range(300)]
    types = ["eeg"] * 16 + ["mag"] * 300
    chosen = choose_channels(names, types, [None] * 316, sample=lambda _: quiet())
    assert chosen.kind == "eeg"
    assert chosen.left_out["MEG0"] == "MEG beside the EEG"


@pytest.mark.parametrize(
    ("names", "intracranial"),
    [
        ([f"G{i}" for i in range(64)] + [f"DAMT{i}" for i in range(8)] + [f"AIT{i}" for i in range(4)], True),
        (["Fp1", "Fp2", "C3", "C4", "Pz", "Oz"], False),
        ([f"A{i}" for i in range(1, 33)] + [f"B{i}" for i in range(1, 33)], False),
        ([f"E{i}" for i in range(1, 129)], False),
        ([f"EEG {i:03d}" for i in range(32)], False),
    ],
)
def test_contacts_are_told_by_their_shafts(names: list[str], intracranial: bool) -> None:
    assert looks_intracranial(names) is intracranial


def test_nothing_left_is_said_with_what_there_was() -> None:
    with pytest.raises(InputError, match=r"no brain channel among its 2: 1 heart \(ECG\), 1 sound"):
        choose_channels(["ECG", "Audio"], ["eeg"] * 2, [None] * 2, sample=lambda _: quiet())


def test_standard_names_are_those_of_the_template() -> None:
    from mne.channels import make_standard_montage

    assert all(is_standard_name(name) for name in make_standard_montage("colin27_1005").ch_names)
    assert not any(is_standard_name(name) for name in OTHERS)
    assert all(reason_by_name(name) is None for name in BRAIN)
