"""Does a generated stem follow what was heard? Known answers for known sounds."""

from __future__ import annotations

import json

import numpy as np
import pytest

from eeg2music.errors import InputError
from eeg2music.evaluation.follow import beat_aligned_correlation, fine_onset_curves, following, onset_curves
from eeg2music.seeding import numpy_rng
from eeg2music.types import CURVE_RATE_HZ, SAMPLE_RATE_HZ, STEMS, FloatArray

SECONDS = 3
HOP = SAMPLE_RATE_HZ // CURVE_RATE_HZ


def clicks(*clips: str) -> FloatArray:
    """Stems of decaying noise bursts at random times, (clip, stem, samples)."""
    audio = np.zeros((len(clips), len(STEMS), SECONDS * SAMPLE_RATE_HZ), dtype=np.float32)
    length = SAMPLE_RATE_HZ // 10
    decay = np.exp(-np.arange(length) / 600.0)
    for row, clip in enumerate(clips):
        for stem in range(len(STEMS)):
            rng = numpy_rng(0, clip, stem)
            for start in rng.integers(0, audio.shape[-1] - length, 9):
                audio[row, stem, start : start + length] += 0.2 * decay * rng.standard_normal(length)
    return audio


def test_the_heard_stems_follow_themselves_and_not_each_other() -> None:
    heard = clicks("a", "b", "c")
    found = following(heard, heard, seed=0)
    assert found["mean"] == pytest.approx(1.0, abs=1e-6)
    assert set(found["by_stem"]) == set(STEMS)
    assert found["lag_s"] == 0.0
    assert found["n"] == 3
    assert found["null"] < 0.6


def test_other_music_does_not_follow() -> None:
    found = following(clicks("x", "y", "z"), clicks("a", "b", "c"), seed=0)
    assert abs(found["mean"]) < 0.25
    # The null may take the lag that suits each pair best: it is the harder one.
    assert found["null"] > found["mean"]


def test_what_takes_its_best_lag_has_an_interval_over_songs() -> None:
    heard = clicks("a", "b", "c", "a", "b", "c")
    names = ["a", "b", "c"] * 2
    found = following(heard, heard, seed=0, songs=names, listeners=["x"] * 3 + ["y"] * 3)
    assert found["ci95_of"]["mean_by_listener"] == pytest.approx([1.0, 1.0])
    for null in ("null", "null_by_beat"):
        low, high = found["ci95_of"][null]
        assert low < found[null] < high
    # Without listeners there is no such mean, and with one song no interval.
    assert following(heard, heard, seed=0, songs=names)["ci95_of"]["mean_by_listener"] is None
    alone = following(heard[:2], heard[:2], seed=0, songs=["a", "a"], listeners=["x", "y"])
    assert (alone["mean_by_listener"], alone["ci95_of"]["mean_by_listener"]) == (pytest.approx(1.0), None)


def test_one_lag_for_all_is_found() -> None:
    heard = clicks("a", "b", "c")
    late = np.zeros_like(heard)
    late[..., 2 * HOP :] = heard[..., : -2 * HOP]
    found = following(late, heard, seed=0)
    assert found["lag_s"] == pytest.approx(2 / CURVE_RATE_HZ)
    assert found["mean"] > 0.95


def test_a_lag_beyond_the_allowed_is_not_mended() -> None:
    heard = clicks("a", "b", "c")
    late = np.zeros_like(heard)
    late[..., 8 * HOP :] = heard[..., : -8 * HOP]
    assert following(late, heard, seed=0)["mean"] < 0.4


def moved(audio: FloatArray, frames: int) -> FloatArray:
    """Late by so many frames of the curves; early where negative."""
    out = np.zeros_like(audio)
    shift = abs(frames) * HOP
    if frames > 0:
        out[..., shift:] = audio[..., :-shift]
    else:
        out[..., :-shift] = audio[..., shift:]
    return out


def test_each_listener_may_have_a_lag_of_their_own() -> None:
    heard = clicks("a", "b", "a", "b")
    made = np.concatenate([moved(heard[:2], 1), moved(heard[2:], -1)])
    found = following(made, heard, seed=0, songs=["a", "b"] * 2, listeners=["x", "x", "y", "y"])
    assert found["lag_s_by_listener"] == {"x": 1 / CURVE_RATE_HZ, "y": -1 / CURVE_RATE_HZ}
    assert found["mean_by_listener"] == pytest.approx(1.0, abs=0.03)
    assert found["mean"] < 0.8
    # The pairs of the null choose among more lags, each for itself.
    assert found["null"] < 0.6
    json.dumps(found, allow_nan=False)


def test_one_listener_has_the_one_lag() -> None:
    heard = clicks("a", "b", "c")
    found = following(moved(heard, 1), heard, seed=0, listeners=["x"] * 3)
    assert found["mean_by_listener"] == found["mean"]
    assert found["lag_s_by_listener"] == {"x": found["lag_s"]}


def test_without_listeners_there_is_no_lag_of_theirs() -> None:
    found = following(clicks("a", "b"), clicks("a", "b"), seed=0)
    assert (found["mean_by_listener"], found["lag_s_by_listener"]) == (None, None)


def test_a_listener_is_named_for_every_clip() -> None:
    with pytest.raises(InputError, match="1 listeners for 2 clips"):
        following(clicks("a", "b"), clicks("a", "b"), seed=0, listeners=["x"])


def test_stems_that_are_silent_in_the_heard_window_do_not_count() -> None:
    heard = clicks("a", "b")
    made = heard.copy()
    heard[:, 1] = 0.0
    heard[0, 2] = 0.0
    found = following(made, heard, seed=0)
    assert found["by_stem"][STEMS[1]] is None
    assert found["by_stem"][STEMS[2]] == pytest.approx(1.0, abs=1e-6)
    assert found["mean"] == pytest.approx(1.0, abs=1e-6)
    json.dumps(found, allow_nan=False)


def test_silence_generated_for_music_counts_as_not_following() -> None:
    heard = clicks("a", "b")
    assert following(np.zeros_like(heard), heard, seed=0)["mean"] == pytest.approx(0.0, abs=0.05)


def test_what_the_mean_is_of_is_kept_clip_by_clip() -> None:
    heard = clicks("a", "b", "a")
    heard[1, 2] = 0.0
    found = following(clicks("x", "b", "a"), heard, seed=0, songs=["a", "b", "a"], listeners=["p", "p", "q"])
    cells = found["cells"]
    assert (cells["song"], cells["subject"]) == (["a", "b", "a"], ["p", "p", "q"])
    assert cells["correlation"][1][2] is None
    values = [value for row in cells["correlation"] for value in row if value is not None]
    assert len(values) == 11 and np.mean(values) == pytest.approx(found["mean"])


def test_nothing_to_compare_is_none_not_nan() -> None:
    silent = np.zeros((2, len(STEMS), SECONDS * SAMPLE_RATE_HZ), dtype=np.float32)
    found = following(clicks("a", "b"), silent, seed=0)
    assert (found["mean"], found["null"]) == (None, None)
    json.dumps(found, allow_nan=False)


def test_the_null_pairs_different_songs() -> None:
    # Two listeners heard the same two songs: paired by clip alone, a clip could meet its own song.
    heard = clicks("a", "b", "a", "b")
    for seed in range(8):
        found = following(heard, heard, seed=seed, songs=["a", "b", "a", "b"])
        assert found["null"] < 0.6
    assert following(clicks("a"), clicks("a"), seed=0)["null"] is None
    assert following(heard[:2], heard[:2], seed=0, songs=["a", "a"])["null"] is None
    assert following(heard[:3], heard[:3], seed=0, songs=["a", "b", "a"])["null"] is None


def test_curves_of_one_clip_do_not_depend_on_the_others() -> None:
    audio = clicks("a", "b")
    assert np.array_equal(onset_curves(audio)[1], onset_curves(audio[1:])[0])


def click_track(bpm: float, first_s: float = 0.1, seconds: int = 5) -> FloatArray:
    """One burst a beat in every stem, (stem, samples)."""
    audio = np.zeros((len(STEMS), seconds * SAMPLE_RATE_HZ), dtype=np.float32)
    length = SAMPLE_RATE_HZ // 10
    burst = 0.2 * np.exp(-np.arange(length) / 600.0) * numpy_rng(0, "burst").standard_normal(length)
    for time_s in np.arange(first_s, seconds - 0.1, 60.0 / bpm):
        start = round(time_s * SAMPLE_RATE_HZ)
        audio[:, start : start + length] += burst
    return audio


def test_fine_curves_hold_the_curves() -> None:
    audio = clicks("a")[0]
    np.testing.assert_allclose(fine_onset_curves(audio)[:, ::3], onset_curves(audio[None])[0], atol=1e-6)


@pytest.mark.parametrize(("bpm", "other_bpm"), [(120, 100), (100, 120), (97, 113), (113, 92)])
@pytest.mark.parametrize("first_s", [0.1, 0.33])
def test_click_tracks_of_different_tempo_agree_when_aligned_by_beat(
    bpm: float, other_bpm: float, first_s: float
) -> None:
    mine, other = click_track(bpm), click_track(other_bpm, first_s)
    pair = np.stack([mine, other])
    aligned = beat_aligned_correlation(onset_curves(pair)[0], fine_onset_curves(other), bpm, other_bpm)
    assert aligned.min() > 0.95
    assert beat_aligned_correlation(onset_curves(pair)[0], fine_onset_curves(other), bpm, bpm).max() < 0.7


def test_the_null_by_beat_stretches_and_the_other_one_does_not() -> None:
    heard = np.stack([click_track(120), click_track(100)])
    found = following(heard, heard, seed=0, tempi_bpm=[120, 100])
    assert found["null"] < 0.5
    assert found["null_by_beat"] > 0.9
    # Where nobody composed it, the tempo is found in the sound.
    assert following(heard, heard, seed=0)["null_by_beat"] > 0.9
    with pytest.raises(InputError, match="1 tempi for 2 clips"):
        following(heard, heard, seed=0, tempi_bpm=[120])


def test_where_there_is_no_pulse_nothing_is_stretched() -> None:
    audio = click_track(120)
    curves, fine = onset_curves(audio[None])[0], fine_onset_curves(audio)
    assert beat_aligned_correlation(curves, fine, 0.0, 100.0).min() == pytest.approx(1.0, abs=1e-6)
