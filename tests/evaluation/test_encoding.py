"""Encoding scores: what was planted, what must be refused, and two sets of real recordings."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import signal

from eeg2music.audio import write_audio
from eeg2music.errors import DataError, InputError
from eeg2music.evaluation.encoding import encoding_scores, lagged, prepared_encoding_data
from eeg2music.metrics.audio import envelope
from eeg2music.recordings.prepared import SCHEMA
from eeg2music.seeding import numpy_rng
from eeg2music.types import EEG_RATE_HZ, SAMPLE_RATE_HZ

ROIS = ("LATL", "RATL", "LPTL", "LIPL", "LPreM", "LIFG")
# Versions of one work with and without words.
WORKS = {"11": "01", "12": "02", "13": "03", "14": "04"}


@pytest.fixture
def planted() -> tuple[np.ndarray, np.ndarray, list[str], list[str]]:
    """Twelve songs of two genres; targets: the features' own, the genre's, noise."""
    rng = numpy_rng(0, "planted")
    songs = np.repeat(np.arange(12), 12)
    genre = songs % 2
    x = rng.normal(size=(144, 5))
    y = np.column_stack([x @ rng.normal(size=5), 3.0 * genre, np.zeros(144)]) + rng.normal(size=(144, 3))
    return x, y, [f"song-{song}" for song in songs], ["pop" if g else "jazz" for g in genre]


def test_what_was_planted_is_found_and_beyond_the_genre(
    planted: tuple[np.ndarray, np.ndarray, list[str], list[str]],
) -> None:
    x, y, songs, genre = planted
    trials = y + numpy_rng(0, "trials").normal(size=(3, *y.shape)) * 0.5
    found = encoding_scores(
        x, y, songs, names=["audio", "genre", "noise"], seed=0, control=genre, repeats=trials, permutations=60
    )
    assert found == json.loads(json.dumps(found))
    audio, of_genre, noise = found["rows"]
    assert audio["r"] > 0.7
    assert audio["q_value"] < 0.06
    assert noise["p_value"] > 0.05
    assert audio["unique"] > 0.5
    assert abs(audio["unique_control"]) < 0.05
    assert of_genre["r2_control"] > 0.5
    assert of_genre["unique"] < 0.05
    assert 0.7 < audio["ceiling"] <= 1.0
    assert audio["r_of_ceiling"] == pytest.approx(audio["r"] / audio["ceiling"])
    assert found["ci95"][0] < found["mean_r"] < found["ci95"][1]
    assert (found["n"], found["groups"], found["targets"], found["left_out"]) == (144, 12, 3, {})


def test_the_same_seed_gives_the_same_scores(planted: tuple[np.ndarray, np.ndarray, list[str], list[str]]) -> None:
    x, y, songs, _ = planted
    first, again, other = (
        encoding_scores(x, y, songs, names="abc", seed=seed, permutations=20)["rows"] for seed in (0, 0, 1)
    )
    assert first == again
    assert [row["r"] for row in first] == [row["r"] for row in other]
    assert [row["p_value"] for row in first] != [row["p_value"] for row in other]


def test_a_target_that_never_changes_is_refused_by_name_or_named(
    planted: tuple[np.ndarray, np.ndarray, list[str], list[str]],
) -> None:
    x, y, songs, _ = planted
    y[:, 1] = 0.0
    with pytest.raises(InputError, match="1 of 3 targets never change: dead"):
        encoding_scores(x, y, songs, names=["a", "dead", "b"], seed=0)
    found = encoding_scores(x, y, songs, names=["a", "dead", "b"], seed=0, permutations=5, leave_out_constant=True)
    assert found["left_out"] == {"dead": "never changes"}
    assert [row["name"] for row in found["rows"]] == ["a", "b"]
    with pytest.raises(InputError, match="3 of 3"):
        encoding_scores(x, 0 * y, songs, names="abc", seed=0, leave_out_constant=True)


def test_one_row_a_song_has_scores_but_no_correlation_within_songs() -> None:
    rng = numpy_rng(0, "clips")
    x = rng.normal(size=(60, 3))
    y = x @ rng.normal(size=(3, 2)) + rng.normal(size=(60, 2))
    found = encoding_scores(x, y, list(range(60)), names="ab", seed=0, permutations=30)
    assert found["mean_r"] is None
    assert all(row["r"] > 0.3 and row["p_value"] < 0.05 for row in found["rows"])


def test_lags_look_back_only() -> None:
    values = np.arange(12.0).reshape(6, 2)
    found = lagged(values, 3)
    for frame in range(6):
        for lag in range(3):
            expected = values[frame - lag] if frame >= lag else np.zeros(2)
            np.testing.assert_array_equal(found[frame, 2 * lag : 2 * lag + 2], expected)
    with pytest.raises(InputError, match="lags = 7"):
        lagged(values, 7)


def test_bad_input_is_named(planted: tuple[np.ndarray, np.ndarray, list[str], list[str]]) -> None:
    x, y, songs, _ = planted
    with pytest.raises(InputError, match="2 names"):
        encoding_scores(x, y, songs, names="ab", seed=0)
    with pytest.raises(InputError, match="repeats has shape"):
        encoding_scores(x, y, songs, names="abc", seed=0, repeats=y[None, 1:])
    with pytest.raises(InputError, match="not finite"):
        encoding_scores(np.where(x > 2, np.nan, x), y, songs, names="abc", seed=0)
    with pytest.raises(InputError, match="groups to hold out"):
        encoding_scores(x, y, ["one"] * 144, names="abc", seed=0)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A prepared set: two recordings of one subject, six songs; channel E1 follows the loudness 1/16 s later."""
    rng, seconds = numpy_rng(0, "cache"), 5.0
    lines, channels = [], {}
    (tmp_path / "signals").mkdir()
    for recording in range(2):
        name = f"sub-a_run-{recording}"
        eeg = rng.normal(size=(3, 3 * 6 * EEG_RATE_HZ)).astype(np.float32)
        for place in range(3):
            song, start = f"song-{recording}-{place}", place * 6 * EEG_RATE_HZ
            level = np.repeat(rng.uniform(0.02, 0.4, 160), SAMPLE_RATE_HZ // 32)
            audio = (level * rng.normal(size=level.size)).clip(-1, 1).astype(np.float32)
            write_audio(tmp_path / f"{song}.wav", audio)
            loud = np.repeat(envelope(audio, rate_hz=32.0), 2)
            eeg[0, start + 4 : start + 320] += (20.0 * loud[:-4]).astype(np.float32)
            lines.append(
                {
                    "window_id": song, "recording": name, "subject": "sub-a", "session": None, "run": str(recording),
                    "trial": place, "stimulus": song, "stimulus_file": f"{song}.wav",
                    "stimulus_onset_s": start / EEG_RATE_HZ, "start_sample": start,
                    "n_samples": round(seconds * EEG_RATE_HZ), "repeat": 1, "snr_db": None,
                }
            )  # fmt: skip
        np.save(tmp_path / "signals" / f"{name}.npy", eeg)
        channels[name] = {"names": ["E1", "E2", "E3"], "positions_m": [None] * 3, "good": [True, True, recording == 0],
                          "kind": "eeg", "bad": {}, "left_out": {}, "notes": []}  # fmt: skip
    meta = {"schema": SCHEMA, "subjects": ["sub-a"], "channels_by_recording": channels, "content_hash": "x",
            "kind": "eeg", "sfreq_hz": EEG_RATE_HZ, "n_channels_max": 3}  # fmt: skip
    (tmp_path / "meta.json").write_text(json.dumps(meta))
    (tmp_path / "windows.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    return tmp_path


def test_a_prepared_set_is_scored_channel_by_channel(cache: Path) -> None:
    data = prepared_encoding_data(
        cache, "sub-a", lambda audio: envelope(audio, rate_hz=32.0)[:, None], rate_hz=32.0, lags=5
    )
    # E3 is bad in one of the recordings.
    assert data.names == ("E1", "E2")
    assert data.features.shape == (6 * 160, 5)
    assert len(set(data.groups)) == 6
    found = encoding_scores(data.features, data.responses, data.groups, names=data.names, seed=0, permutations=40)
    follows, noise = found["rows"]
    assert follows["r"] > 0.5
    assert follows["p_value"] < 0.05
    assert abs(noise["r"]) < 0.15


def test_one_embedding_a_window_predicts_power(cache: Path) -> None:
    data = prepared_encoding_data(cache, "sub-a", lambda audio: np.array([audio.std(), 1.0]), rate_hz=32.0)
    assert data.features.shape == (6, 2)
    assert data.responses.shape == (6, 2)


def test_a_subject_without_audio_is_refused(cache: Path) -> None:
    with pytest.raises(DataError, match="sub-b has no window"):
        prepared_encoding_data(cache, "sub-b", lambda audio: audio, rate_hz=32.0)


def test_real_fmri_follows_the_sound_of_a_story_and_the_empty_subject_is_named(real_data: Path) -> None:
    """Six regions, sound power and word rate (convolved with the haemodynamic response), twelve blocks of a minute."""
    folder = real_data / "alice_fmri_ccby" / "alice_data_shared"
    if not folder.is_dir():
        pytest.skip("alice_fmri_ccby is absent")
    mean_r = []
    for subject in ("s23", "s24", "s30", "s35"):
        y = np.loadtxt(folder / "6mm" / f"{subject}-timecourses.txt")
        x = np.column_stack([np.loadtxt(folder / f"{subject}-{kind}.txt") for kind in ("sndpwr", "rate")])
        blocks = (np.arange(len(y)) * 12 // len(y)).tolist()
        found = encoding_scores(x, y, blocks, names=ROIS, seed=0, permutations=39)
        mean_r.append([row["r"] for row in found["rows"]])
    # Left posterior temporal lobe: where speech is heard.
    assert np.mean(mean_r, axis=0)[ROIS.index("LPTL")] > 0.12
    assert np.min(np.mean(mean_r, axis=1)) > 0.05
    dead = np.loadtxt(folder / "6mm" / "s33-timecourses.txt")
    with pytest.raises(InputError, match="6 of 6 targets never change: s33 LATL"):
        encoding_scores(x, dead, blocks, names=[f"s33 {roi}" for roi in ROIS], seed=0)


def test_real_eeg_follows_the_onsets_of_music(real_data: Path) -> None:
    """Onset flux of the last 400 ms against three channels; versions of one work are held out together."""
    files = sorted((real_data / "openmiir_features").glob("stimulus_*.npz"))
    if not files:
        pytest.skip("openmiir_features is absent")
    features, trials, works = [], [], []
    for file in files:
        x, y = onset_and_eeg(file)
        features.append(x)
        trials.append(y)
        number = file.stem[-2:]
        works += [WORKS.get(number, number)] * len(x)
    repeats = np.concatenate(trials, axis=1)
    found = encoding_scores(
        np.concatenate(features), repeats.mean(axis=0), works, names=["P09", "P11", "P12"], seed=0,
        repeats=repeats, permutations=39,
    )  # fmt: skip
    assert found["groups"] == 8
    assert found["mean_r"] > 0.05
    assert found["ci95"][0] > 0.0
    for row in found["rows"]:
        assert row["r"] > 0.03
        assert 0.1 < row["ceiling"] < 0.9


def onset_and_eeg(file: Path) -> tuple[np.ndarray, np.ndarray]:
    """Lagged onset flux (frame, lag) and the trials (trial, frame, listener) at 32 Hz, 1 to 12 Hz, without the cue."""
    rate_hz, eeg_hz = 32.0, 512.0
    band = signal.butter(4, [1.0, 12.0], "band", fs=eeg_hz, output="sos")
    with np.load(file, allow_pickle=False) as data:
        first = float(data["cue_s"])
        times = np.arange(first, float(data["duration_s"]), 1.0 / rate_hz)
        flux = np.interp(times, data["frame_times_s"], data["onset_flux"])
        listeners = []
        for name in ("eeg_P09", "eeg_P11", "eeg_P12"):
            eeg = signal.sosfiltfilt(band, data[name].astype(float), axis=-1)
            seconds = np.arange(eeg.shape[-1]) / eeg_hz
            listeners.append([np.interp(times, seconds, trial) for trial in eeg / eeg.std()])
    return lagged(flux[:, None], 13), np.moveaxis(np.asarray(listeners), 0, -1)
