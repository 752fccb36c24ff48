"""The plan: who hears what, how often, how clearly; and what a configuration may say."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from eeg2music.config import build_config, load_config
from eeg2music.errors import ConfigError
from eeg2music.simulation.calibration import REAL_SNR_DB
from eeg2music.simulation.experiment import (
    SimulationConfig,
    dataset_songs,
    session_plan,
    subject_id,
    subject_songs,
)


def config(**changes: Any) -> SimulationConfig:
    return build_config(SimulationConfig, {"out": "unused", **changes})


def test_songs_are_shared_out_evenly() -> None:
    plan = config(songs=40, songs_per_subject=10, subjects=8)
    heard = Counter(song for index in range(8) for song in subject_songs(plan, index))
    assert len(heard) == 40
    assert set(heard.values()) == {2}
    assert not set(subject_songs(plan, 0)) & set(subject_songs(plan, 1))


def test_styles_take_turns_and_can_be_chosen() -> None:
    assert len({song.split("-")[0] for song in dataset_songs(config(songs=16))}) >= 6
    chosen = dataset_songs(config(songs=5, styles=["funk", "waltz"], song_seed=7, first_song=3))
    assert chosen == ["funk-7-0003", "waltz-7-0003", "funk-7-0004", "waltz-7-0004", "funk-7-0005"]


def test_repeats_lie_apart_and_some_songs_only_are_repeated() -> None:
    runs = session_plan(config(songs=6, repeats=3, repeated_songs=2, runs=2), 0)
    trials = [trial for run in runs for trial in run]
    assert len(runs) == 2
    assert [trial.number for trial in trials] == list(range(1, 11))
    counts = Counter(trial.song for trial in trials)
    assert sorted(counts.values()) == [1, 1, 1, 1, 3, 3]
    for song, count in counts.items():
        assert [trial.repeat for trial in trials if trial.song == song] == list(range(1, count + 1))
    assert {trial.song for trial in trials[:6]} == set(counts)


def test_orders_differ_by_listener_and_not_by_their_number() -> None:
    orders = [[t.song for run in session_plan(config(songs=12, subjects=n), 1) for t in run] for n in (2, 9)]
    assert orders[0] == orders[1]
    assert orders[0] != [t.song for run in session_plan(config(songs=12), 0) for t in run]


def test_levels_by_listener_and_by_trial() -> None:
    by_subject = config(songs=4, snr=["clean", -5, "real"], snr_by="subject")
    for index, level in enumerate((0.0, -5.0, REAL_SNR_DB, 0.0)):
        assert {t.snr_db for run in session_plan(by_subject, index) for t in run} == {level}
    by_trial = config(songs=40, snr=["clean", -5], snr_by="trial")
    counts = Counter(t.snr_db for run in session_plan(by_trial, 0) for t in run)
    assert set(counts) == {0.0, -5.0}
    assert min(counts.values()) > 8


def test_labels_are_anonymous_random_and_unique_to_the_seed() -> None:
    labels = {subject_id(config(seed=seed), index) for seed in range(5) for index in range(20)}
    assert len(labels) == 100
    assert all(label.isalnum() and len(label) == 6 for label in labels)
    assert subject_id(config(subject_prefix="train"), 0) == "train" + subject_id(config(), 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"snr": "noisy"}, "snr"),
        ({"snr": 200.0}, "snr"),
        ({"snr": 25.5}, "from -80 to 25"),
        ({"snr": ["clean", 30]}, "from -80 to 25"),
        ({"snr": []}, "snr"),
        ({"montage": "eeg65"}, "montage"),
        ({"subject_prefix": "a_b"}, "subject_prefix"),
        ({"crosstalk": 3.0}, "crosstalk"),
        ({"song_second": 3}, "did you mean 'song_seconds'"),
    ],
)
def test_bad_configurations_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config(**changes)


def test_more_songs_per_listener_than_there_are() -> None:
    with pytest.raises(ConfigError, match=r"songs_per_subject = 5.*up to songs = 4"):
        dataset_songs(config(songs=4, songs_per_subject=5))


def test_shipped_configurations_load_and_training_shares_nothing_with_test() -> None:
    files = sorted((Path(__file__).parents[2] / "configs" / "simulate").glob("*.yaml"))
    loaded = {file.stem: load_config(SimulationConfig, file, ["out=x"]) for file in files}
    assert {"smoke", "mini-train", "mini-test"} <= set(loaded)
    train = loaded["mini-train"]
    people = {subject_id(train, index) for index in range(train.subjects)}
    other = loaded["mini-test"]
    assert not people & {subject_id(other, index) for index in range(other.subjects)}
    assert not set(dataset_songs(train)) & set(dataset_songs(other))
    assert len(dataset_songs(other)) >= 50
    assert other.subjects >= 4
