"""Reconstruction rows: the heard music itself, another's, the codec's, and material that must not flatter."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from scipy import stats

from eeg2music.errors import DataError, InputError
from eeg2music.evaluation.classes import class_scores
from eeg2music.evaluation.reconstruction import MEASURES, reconstruction_scores
from eeg2music.metrics.agreement import class_agreement
from eeg2music.seeding import numpy_rng
from eeg2music.types import SAMPLE_RATE_HZ, STEMS

SECONDS = 4.0
SCALES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10)}


def song(number: int) -> np.ndarray:
    """(stem, samples): clicks, a bass line, chords and a tune, with a tempo, a key and notes of its own."""
    rng = numpy_rng(number, "song")
    beat_s = 60.0 / (88.0 + 13.0 * number)
    scale = np.array(SCALES["major"]) + (5 * number) % 12
    time = np.arange(round(SECONDS * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    note = np.minimum(time // beat_s, 15).astype(int)
    decay = np.exp(-6.0 * (time % beat_s) / beat_s)

    def voice(pitch: np.ndarray) -> np.ndarray:
        phase = 2 * np.pi * np.cumsum(440.0 * 2.0 ** ((pitch[note] - 69) / 12)) / SAMPLE_RATE_HZ
        return np.sum([np.sin(k * phase) / k for k in range(1, 5)], axis=0) * decay

    degrees = rng.integers(0, 7, 16)
    drums = rng.normal(size=time.size) * np.exp(-60.0 * (time % beat_s))
    chords = sum(voice(48 + scale[(degrees + step) % 7]) for step in (0, 2, 4))
    stems = [drums, voice(36 + scale[degrees]), chords, voice(60 + scale[rng.integers(0, 7, 16)])]
    return 0.05 * np.stack(stems).astype(np.float32)


@pytest.fixture(scope="module")
def heard() -> np.ndarray:
    return np.stack([song(number) for number in range(4)])


def by_name(rows: list[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(row["measure"], row["stem"]): row for row in rows}


def test_the_heard_music_is_at_the_ceiling_and_another_song_at_the_null(heard: np.ndarray) -> None:
    rng = numpy_rng(0, "codec")
    codec = heard + 0.002 * rng.normal(size=heard.shape).astype(np.float32)
    same = by_name(reconstruction_scores(heard, heard, songs=range(4), seed=0, codec=codec))
    other = by_name(reconstruction_scores(np.roll(heard, 1, axis=0), heard, songs=range(4), seed=0))
    assert json.loads(json.dumps(list(same.values())))
    for (measure, stem), row in same.items():
        if row["n"] < 2:
            continue
        best = 60.0 if measure == "si_sdr_db" else 1.0
        assert row["mean"] == pytest.approx(best, abs=1e-6), (measure, stem)
        assert row["ceiling"] is not None
        assert row["ceiling"] <= row["mean"] + 1e-9
        assert row["gain"] > 0
        assert other[measure, stem]["mean"] < row["mean"] - 0.04, (measure, stem)
    for key in (("onset_f", "drums"), ("mel_correlation", "mix"), ("chroma_similarity", "harmony"),
                ("melody_correlation", "melody"), ("beat_f", "drums"), ("tempo_agreement", "drums")):  # fmt: skip
        assert same[key]["n"] == 4, key


def test_pitch_is_not_asked_of_drums_nor_contours_of_chords(heard: np.ndarray) -> None:
    rows = by_name(
        reconstruction_scores(heard, heard, songs=range(4), seed=0, measures=["key_score", "melody_direction"])
    )
    assert rows["key_score", "drums"]["n"] == 0
    assert rows["key_score", "drums"]["mean"] is None
    assert rows["key_score", "drums"]["left_out"] == 4
    assert {stem for measure, stem in rows if measure == "melody_direction"} == {"bass", "melody"}


def test_silence_is_scored_as_a_failure_and_a_silent_reference_left_out(heard: np.ndarray) -> None:
    """Silent files gain nothing, and do not turn a mean into minus infinity."""
    rows = by_name(reconstruction_scores(np.zeros_like(heard), heard, songs=range(4), seed=0))
    assert rows["si_sdr_db", "mix"]["mean"] == -60.0
    for measure in set(MEASURES) - {"si_sdr_db", "melody_correlation", "melody_direction"}:
        row = rows[measure, "mix"]
        assert row["mean"] == pytest.approx(0.0, abs=1e-9), measure
    gone = heard.copy()
    gone[1, STEMS.index("bass")] = 0.0
    left = by_name(reconstruction_scores(heard, gone, songs=range(4), seed=0, measures=["si_sdr_db"]))
    assert (left["si_sdr_db", "bass"]["n"], left["si_sdr_db", "bass"]["left_out"]) == (3, 1)
    assert left["si_sdr_db", "drums"]["n"] == 4


def test_the_null_is_another_song_and_the_seed_decides_whose(heard: np.ndarray) -> None:
    """Two clips of each song: the null never pairs a clip with its own song."""
    twice = np.repeat(heard[:3], 2, axis=0)
    rows = [
        reconstruction_scores(twice, twice, songs=["a", "a", "b", "b", "c", "c"], seed=seed, measures=["si_sdr_db"])
        for seed in (0, 0, 1, 2, 3, 4, 5)
    ]
    assert rows[0] == rows[1]
    assert any(rows[0] != others for others in rows[2:])
    # Paired with its own song once, one of six values would be 60 dB.
    assert all(row["null"] < -10 for drawn in rows for row in drawn)


def test_bad_input_is_named(heard: np.ndarray) -> None:
    with pytest.raises(InputError, match="Unknown measure 'pesq'"):
        reconstruction_scores(heard, heard, songs=range(4), seed=0, measures=["pesq"])
    with pytest.raises(InputError, match="equal shapes"):
        reconstruction_scores(heard[:3], heard, songs=range(4), seed=0)
    with pytest.raises(InputError, match="4 stems, samples"):
        reconstruction_scores(heard[:, :3], heard[:, :3], songs=range(4), seed=0)
    with pytest.raises(InputError, match="not finite"):
        reconstruction_scores(heard * np.nan, heard, songs=range(4), seed=0)
    with pytest.raises(InputError, match="3 songs"):
        reconstruction_scores(heard, heard, songs=range(3), seed=0)
    with pytest.raises(DataError, match="at most half"):
        reconstruction_scores(heard, heard, songs=["a", "a", "a", "b"], seed=0)


def test_classes_beside_chance_and_oracle() -> None:
    rng = numpy_rng(0, "classes")
    songs = np.repeat(np.arange(24), 3)
    genre = np.repeat(rng.integers(0, 4, 24), 3)
    made = np.where(rng.random(72) < 0.7, genre, rng.integers(0, 4, 72))
    row = class_scores(
        {"genre": made.tolist()}, {"genre": genre.tolist()}, songs=songs.tolist(), seed=0,
        oracle={"genre": genre.tolist()}, permutations=300,
    )[0]  # fmt: skip
    assert row["balanced_chance"] == pytest.approx(0.25)
    assert 0.5 < row["balanced_accuracy"] < row["oracle"] == 1.0
    assert row["ci95"][0] < row["accuracy"] < row["ci95"][1]
    assert row["p_value"] < 0.01
    assert json.dumps(row)


def balanced(made: Sequence[str], heard: Sequence[str]) -> tuple[float, float, float]:
    row = class_scores({"g": list(made)}, {"g": list(heard)}, songs=range(len(heard)), seed=0, permutations=9)[0]
    return (row["balanced_accuracy"], *row["balanced_ci95"])


def test_the_interval_of_balanced_accuracy_counts_each_class_alike() -> None:
    # Ten of one class all right, two of another all wrong: 0.83 of the clips, half of the classes.
    figure, low, high = balanced(["a"] * 12, ["a"] * 10 + ["b"] * 2)
    assert figure == pytest.approx(0.5)
    assert 0.05 < low < 0.2 and 0.8 < high < 0.95
    # Classes of one size: the same as of the clips.
    row = class_scores({"g": list("aababbbbaacc")}, {"g": list("aaaabbbbcccc")}, songs=range(12), seed=0,
                       permutations=9)[0]  # fmt: skip
    assert row["balanced_ci95"] == pytest.approx(row["ci95"])


def test_classes_of_unlike_size_are_no_uncertainty_by_themselves() -> None:
    heard = "a" * 40 + "b" * 10
    figure, low, high = balanced("b" + heard[1:], heard)
    assert figure == pytest.approx(0.9875)
    assert 0.8 < low < 0.95 < high < 1.0
    # All right: a song of the rarer class counts four times, so that there are as many as 32.
    figure, low, high = balanced(heard, heard)
    assert (figure, high) == (pytest.approx(1.0), pytest.approx(1.0))
    quantile = stats.t.ppf(0.975, (40 * 0.625 + 10 * 2.5) ** 2 / (40 * 0.625**2 + 10 * 2.5**2) - 1)
    assert low == pytest.approx(1.0 / (1.0 + quantile**2 / 32.0))


@pytest.mark.parametrize(("sizes", "right"), [((40, 10), 0.9), ((40, 4), 0.9), ((30, 10, 5, 5), 0.25), ((10, 2), 0.5)])
def test_the_interval_of_balanced_accuracy_covers(sizes: tuple[int, ...], right: float) -> None:
    heard = np.repeat(np.arange(len(sizes)), sizes)
    rng = numpy_rng(0, "balanced", str(sizes))
    covered, widths, figures = [], [], []
    for _ in range(300):
        made = np.where(rng.random(len(heard)) < right, heard, -1)
        figure, low, high = balanced(made.astype(str), heard.astype(str))
        covered.append(low <= right <= high)
        widths.append(high - low)
        figures.append(figure)
    # Three standard errors below 0.95, and not by being wide.
    assert np.mean(covered) > 0.91
    assert np.mean(widths) < 1.4 * 3.92 * np.std(figures)


def test_the_null_of_classes_gives_whole_songs_anothers_labels() -> None:
    """Against every order of five songs of unlike length, one by one."""
    rng = numpy_rng(0, "orders of songs")
    songs = np.repeat(np.arange(5), [1, 4, 2, 3, 2])
    heard, made = np.array([0, 1, 1, 2, 0])[songs], rng.integers(0, 4, len(songs))
    members = [np.flatnonzero(songs == song) for song in range(5)]
    null = []
    for order in permutations(range(5)):
        given = np.concatenate([np.resize(made[members[song]], len(members[n])) for n, song in enumerate(order)])
        null.append(class_agreement(given.tolist(), heard.tolist()).balanced_accuracy)
    row = class_scores({"g": made.tolist()}, {"g": heard.tolist()}, songs=songs.tolist(), seed=0, permutations=8000)[0]
    exact = np.mean(np.array(null) > row["balanced_accuracy"] - 1e-9)
    assert 0.05 < exact < 0.95
    assert row["p_value"] == pytest.approx(exact, abs=0.02)


def test_labels_that_hang_on_the_song_alone_are_not_significant() -> None:
    """One wrong label for each song, many clips of it: clips permuted one by one would call that a finding."""
    rng = numpy_rng(0, "null classes")
    songs = np.repeat(np.arange(8), 10).tolist()
    p = []
    for _ in range(60):
        made, ref = (np.repeat(rng.permutation([0, 0, 0, 0, 1, 1, 1, 1]), 10).tolist() for _ in range(2))
        p.append(class_scores({"g": made}, {"g": ref}, songs=songs, seed=0, permutations=40)[0]["p_value"])
    assert np.mean(np.array(p) <= 0.1) < 0.2


def test_classes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match="Kinds of classes differ"):
        class_scores({"genre": ["a"]}, {"mood": ["a"]}, songs=[0], seed=0)
    with pytest.raises(InputError, match="3 songs for 2 labels of genre"):
        class_scores({"genre": ["a", "b"]}, {"genre": ["a", "b"]}, songs=[0, 1, 2], seed=0)
