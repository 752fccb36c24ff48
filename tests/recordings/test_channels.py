"""Which channels are the brain's: by type, name, unit, and by signal where the name says nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from eeg2music.errors import InputError
from eeg2music.recordings.channel_words import reason_by_name
from eeg2music.recordings.channels import ChannelChoice, choose_channels, judge, judge_signal, looks_intracranial
from eeg2music.recordings.montages import is_standard_name
from eeg2music.seeding import numpy_rng

BRAIN = [
    "Fp1", "EEG Fz-REF", "EEGC3", "Fc5.", "T3", "M1", "A1", "AFF5h", "G12", "DAMT3", "E77", "B14", "EEG 003", "Ch4",
    "LA12",
]  # fmt: skip
OTHERS = {
    "HEOG": "eye", "VEOG": "eye", "EOG left": "eye", "EOG horizontal": "eye", "LOC": "eye", "EMG1": "muscle",
    "ChinEMG": "muscle", "ECG": "heart", "EKGL": "heart", "AUX69": "auxiliary", "BIP65": "auxiliary",
    "EXG3": "auxiliary", "DC5": "auxil",
    "Status": "trigger", "STI 014": "trigger", "TRIG": "trigger", "Digi": "trigger", "Button": "trigger",
    "EDF Annotations": "trigger", "Pleth": "pulse", "OSAT": "pulse", "SpO2": "pulse", "PR": "pulse",
    "Resp nasal": "respiration", "Resp oro-nasal": "respiration", "THOR": "respiration", "Temp": "temperature",
    "GSR1": "skin", "ACC_X": "movement", "Gyro Y": "movement", "Audio": "sound", "Mic1": "sound", "Photo": "light",
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
        ([f"EEG{name}" for name in ("Fp1", "Fp2", "F3", "F4", "F7", "F8", "C3", "C4", "P3", "P4", "O1", "O2")], False),
        ([f"EEG{place}{i}" for place in "FCPO" for i in range(1, 5)], False),
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


SHAFTS = [f"{shaft}{i}" for shaft in ("LAT", "ACC", "HIP", "AI") for i in range(1, 7)] + [
    f"TEMP{i}" for i in range(1, 5)
]


def choose(names: list[str], types: str | list[str] = "eeg", **options: Any) -> ChannelChoice:
    listed = [types] * len(names) if isinstance(types, str) else types
    return choose_channels(names, listed, ["µV"] * len(names), sample=lambda _: quiet(), **options)


def test_contacts_of_a_shaft_are_no_muscle_no_motion_and_no_auxiliary_input() -> None:
    chosen = choose([*SHAFTS, "EKG1", "AUX1", "DC1", "DC2", "DC3", "DC4", "TRIG"])
    assert chosen.kind == "ieeg"
    assert [name for i, name in enumerate(SHAFTS) if i not in chosen.kept] == []
    assert set(chosen.left_out) == {"EKG1", "AUX1", "DC1", "DC2", "DC3", "DC4", "TRIG"}


@pytest.mark.parametrize("odd", ["LAT", "ACC", "AI", "TEMP"])
def test_beside_a_cap_such_names_stay_what_recorders_mean_by_them(odd: str) -> None:
    cap = ["Fp1", "Fp2", "F3", "F4", "C3", "C4", "P3", "P4", "O1", "O2"]
    chosen = choose([*cap, *(f"{odd}{i}" for i in range(1, 9))])
    assert chosen.kind == "eeg"
    assert chosen.kept == tuple(range(10))
    few = choose([f"HIP{i}" for i in range(8)] + [f"AMY{i}" for i in range(8)] + [f"{odd}{i}" for i in range(1, 4)])
    assert set(few.left_out) == {f"{odd}{i}" for i in range(1, 4)}, "three are no shaft"


def test_what_is_worn_on_the_head_has_no_shafts() -> None:
    """AI is an analogue input there, and may carry the sound."""
    names = [*EQUIDISTANT, *(f"AI{i}" for i in range(1, 9))]
    cap = np.concatenate([on_sphere(len(EQUIDISTANT), -0.3), np.full((8, 3), np.nan, np.float32)])
    for chosen in (choose(names, positions_m=cap), choose(names, kind="eeg")):
        assert chosen.kept == tuple(range(len(EQUIDISTANT)))


@pytest.mark.parametrize("type_", ["seeg", "ecog", "dbs"])
def test_a_type_that_is_stated_outweighs_a_name_but_not_that_of_sound(type_: str) -> None:
    names = ["LAT1", "DC2", "PR1", "Audio", "MusicL"]
    chosen = choose(names, type_)
    assert chosen.kind == "ieeg"
    assert [names[i] for i in chosen.kept] == ["LAT1", "DC2", "PR1"]


def test_eeg_is_what_converters_call_every_channel_and_outweighs_no_name() -> None:
    assert judge("AUX69", "eeg", "µV", no_signal) is not None


EQUIDISTANT = [f"{row}{i}" for row in ("LL", "L", "Z", "R", "RR") for i in range(1, 14)]


def on_sphere(count: int, lowest: float) -> NDArray[np.float32]:
    """Points evenly spread over a head's sphere from its top down to `lowest` radii above its middle."""
    up = np.linspace(1.0, lowest, count)
    around = np.arange(count) * np.pi * (3 - np.sqrt(5))
    flat = np.sqrt(1 - up**2)
    return (0.095 * np.c_[flat * np.cos(around), flat * np.sin(around), up] + [0, 0.01, 0.04]).astype(np.float32)


def test_an_equidistant_cap_is_told_by_its_positions_or_by_its_data_set() -> None:
    cap = on_sphere(len(EQUIDISTANT), -0.3)
    assert choose(EQUIDISTANT).kind == "ieeg", "by the names alone nobody can tell"
    assert choose(EQUIDISTANT, positions_m=cap).kind == "eeg"
    assert choose(EQUIDISTANT, kind="eeg").kind == "eeg"
    assert choose(EQUIDISTANT, wanted=EQUIDISTANT[:40], positions_m=cap).kind == "eeg"
    assert choose(EQUIDISTANT, wanted=EQUIDISTANT[:40], kind="eeg").kind == "eeg"


def test_positions_of_contacts_are_no_cap() -> None:
    rng = numpy_rng(0, "contacts")
    shafts = np.concatenate(
        [tip + np.arange(13)[:, None] * 0.0035 * out for tip, out in zip(
            rng.uniform(-0.04, 0.04, (5, 3)), rng.standard_normal((5, 3)) / np.sqrt(3), strict=True
        )]
    ).astype(np.float32)  # fmt: skip
    grid = np.stack(np.meshgrid(np.arange(13), np.arange(5)), axis=-1).reshape(-1, 2) * 0.008 - [0.05, 0.016]
    bent = np.c_[np.sqrt(0.07**2 - (grid**2).sum(axis=1)), grid].astype(np.float32)
    for places in (shafts, bent, np.full((65, 3), np.nan, np.float32)):
        assert choose(EQUIDISTANT, positions_m=places).kind == "ieeg"


def test_the_data_set_tells_eeg_from_ieeg_and_nothing_else() -> None:
    cap = ["Fp1", "Fp2", "C3", "C4"]
    assert choose(cap, kind="ieeg").kind == "ieeg"
    assert choose(cap, "seeg", kind="eeg").kind == "ieeg"
    assert choose([f"E{i}" for i in range(20)], kind="meg").kind == "eeg", "the cap of a MEG recording"
    assert choose(["M1x", "M2x"], "mag", kind="meg").kind == "meg"
