"""Latencies from the beginnings of songs: known delays are found, noise is left alone, what is moved stays whole."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter1d

from eeg2music.errors import ConfigError, InputError
from eeg2music.evaluation.config import EvaluateConfig, LevelConfig
from eeg2music.evaluation.latency import (
    GRID_S,
    LEAD_S,
    LatencyFromMarkers,
    advanced,
    beginning_windows,
    beginnings_at,
    estimate_delay,
)
from eeg2music.evaluation.material import ListeningConfig, further_stems, listener_of, simulated_recording
from eeg2music.evaluation.page import _latency
from eeg2music.evaluation.parts import Parts
from eeg2music.evaluation.runner import check_evaluation, run_evaluation
from eeg2music.evaluation.units import BEGINNINGS, Bench, level_units, songs_beside
from eeg2music.pipeline import default_checkpoint, load_pipeline
from eeg2music.preprocess.eeg import PreprocessConfig, preprocess
from eeg2music.seeding import numpy_rng
from eeg2music.targets.curves import control_curves_numpy
from eeg2music.types import (
    CURVE_RATE_HZ,
    EEG_RATE_HZ,
    SAMPLE_RATE_HZ,
    STEMS,
    WINDOW_S,
    Conditions,
    Event,
    FloatArray,
    Recording,
)

TRIALS = 24


def music(count: int, name: str) -> FloatArray:
    """Songs of decaying bursts, the first at once and the others at random, (song, stem, samples)."""
    rng = numpy_rng(0, name)
    audio = np.zeros((count, len(STEMS), round(WINDOW_S * SAMPLE_RATE_HZ)), dtype=np.float32)
    burst = np.exp(-np.arange(2400) / 600.0)
    for song in audio:
        for stem in song:
            for start in (0, *rng.integers(6000, stem.size - 2400, 8)):
                stem[start : start + 2400] += 0.2 * burst * rng.standard_normal(2400)
    return audio


SONGS, OTHERS = music(TRIALS, "heard"), music(12, "others")
TEMPLATES = beginnings_at(OTHERS)


def begun(song: FloatArray, delay_s: float) -> FloatArray:
    """(stem, 3, frame): the curves of a window in which a song begins late."""
    late = np.zeros_like(song)
    start = round((LEAD_S + delay_s) * SAMPLE_RATE_HZ)
    late[:, start:] = song[:, : song.shape[1] - start]
    return control_curves_numpy(late)


def decoded(delay_s: float, noise: float) -> FloatArray:
    """Curves of heard songs that begin late, one by one, with noise on them."""
    curves = np.stack([begun(song, delay_s) for song in SONGS])
    rng = numpy_rng(0, "noise", str(delay_s))
    return np.asarray(curves + noise * curves.std() * rng.normal(size=curves.shape), dtype=np.float32)


def test_templates_are_curves_of_late_songs() -> None:
    for place in (0, 7, 20, 40, 45, 80):
        frames = np.mean([begun(song, GRID_S[place])[:, :2] for song in OTHERS], axis=0)
        np.testing.assert_allclose(TEMPLATES[place], frames[..., 16:88], atol=1e-5)


@pytest.mark.parametrize("delay_s", [-0.03, -0.011, 0.0, 0.02, 0.034])
def test_a_delay_is_found_to_a_part_of_a_frame(delay_s: float) -> None:
    found = estimate_delay(decoded(delay_s, 1.0), TEMPLATES, seed=0)
    assert found.seconds == pytest.approx(delay_s, abs=0.006)
    assert found.error_s < 0.006
    assert found.beginnings == TRIALS


@pytest.mark.parametrize("smooth_frames", [0, 4, 10, 16])
def test_of_noise_hardly_anything_is_made(smooth_frames: int) -> None:
    """Of slow noise, too, which is what an encoder makes of a recording that has nothing in it."""
    made = []
    for draw in range(24):
        noise = numpy_rng(draw, "nothing").normal(size=(TRIALS, len(STEMS), 3, 160))
        slow = gaussian_filter1d(noise, smooth_frames, axis=-1) if smooth_frames else noise
        found = estimate_delay(slow.astype(np.float32), TEMPLATES, seed=0)
        made.append(found.seconds)
    # A guess would be off by 17 ms on average, and what is made of noise is off by that as well.
    assert np.sqrt(np.mean(np.square(made))) < 0.006
    assert np.abs(made).max() < 0.020


def test_what_no_listener_could_have_is_not_taken_out() -> None:
    """Curves that begin three frames late, all of them: a trigger cable, not a brain."""
    found = estimate_delay(decoded(3 / CURVE_RATE_HZ, 0.3), TEMPLATES, seed=0)
    assert found.error_s < 0.006
    assert found.seconds == 0.0


def test_moving_a_recording_is_exact_below_half_the_rate() -> None:
    times = np.arange(20 * EEG_RATE_HZ) / EEG_RATE_HZ

    def wave(at: np.ndarray) -> np.ndarray:
        # Silent at both ends, so that nothing runs out.
        return np.exp(-(((at - 10.0) / 2.0) ** 2)) * np.sin(2 * np.pi * 9.0 * at)

    for by_s in (0.0, 0.0071, 0.03, -0.025):
        moved = advanced(wave(times)[None].astype(np.float32), by_s, EEG_RATE_HZ)
        assert moved.dtype == np.float32
        np.testing.assert_allclose(moved[0], wave(times + by_s), atol=1e-5)


def test_nothing_comes_round_at_the_ends() -> None:
    signal = np.ones((2, 300), dtype=np.float32)
    signal[:, :150] = 0.0
    late = advanced(signal, -1.0, EEG_RATE_HZ)
    assert np.abs(late[:, :140]).max() < 0.05
    early = advanced(signal, 1.0, EEG_RATE_HZ)
    assert np.abs(early[:, -40:]).max() < 0.05


def recording(onsets_s: list[float], seconds: float = 200.0) -> Recording:
    rng = numpy_rng(0, "recording")
    return Recording(
        signal_v=rng.normal(size=(4, round(seconds * EEG_RATE_HZ))).astype(np.float32),
        sfreq_hz=float(EEG_RATE_HZ),
        channel_names=("a", "b", "c", "d"),
        positions_m=np.zeros((4, 3), np.float32),
        kind="eeg",
        key="run-1",
        subject="sub-1",
        events=(Event(0.0, 0.0, "run_start"), *(Event(onset, 8.0, "music", "x/mix.wav") for onset in onsets_s)),
    )


def test_beginnings_are_those_of_stimuli_within_the_recording() -> None:
    windows = beginning_windows(recording([0.5, 20.0, 60.0, 199.0]))
    assert [window.start_s for window in windows] == [18.75, 58.75]
    assert {window.eeg.shape for window in windows} == {(4, 320)}


def test_a_recording_without_markers_says_so() -> None:
    pipeline = cast(Any, SimpleNamespace(encode=lambda windows: None))
    with pytest.raises(InputError, match="2 events of run-1 say where a stimulus begins"):
        LatencyFromMarkers(pipeline, OTHERS)(recording([20.0, 60.0]), seed=0)


def test_a_late_listener_is_brought_to_the_others() -> None:
    """The recording is moved by what its decoded beginnings say."""
    onsets = [20.0 + 7.0 * number for number in range(TRIALS)]
    curves = torch.from_numpy(decoded(0.02, 0.3))

    def encode(windows: Any) -> Conditions:
        assert len(windows) == TRIALS
        return Conditions(torch.zeros(TRIALS, 1), torch.zeros(TRIALS, 4, 1), curves)

    given = recording(onsets)
    moved, delay = LatencyFromMarkers(cast(Any, SimpleNamespace(encode=encode)), OTHERS)(given, seed=0)
    assert delay.seconds == pytest.approx(0.02, abs=0.006)
    np.testing.assert_allclose(moved.signal_v, advanced(given.signal_v, delay.seconds, EEG_RATE_HZ))
    assert moved.events == given.events


def test_the_shipped_encoder_tells_a_late_listener_from_an_early_one() -> None:
    """Against the latencies that the simulator gave; the music that says how songs begin is none of what was heard."""
    names = ("fresh05", "fresh07")
    config = ListeningConfig(songs=16, song_seconds=6.5, song_seed=4242, subjects=names)
    align = LatencyFromMarkers(
        load_pipeline(default_checkpoint(), "cpu"),
        np.concatenate(list(further_stems(config, config.songs + 24, from_start=True))),
    )
    recorded = [preprocess(simulated_recording(config, name, 0.0), PreprocessConfig()) for name in names]
    (moved, late), (_, early) = (align(recording, seed=0) for recording in recorded)
    true_s = [listener_of(config, name).latency_s for name in names]
    # Sixteen songs that begin as they do move all listeners alike, so that their difference is surer than either.
    assert late.seconds - early.seconds == pytest.approx(true_s[0] - true_s[1], abs=0.02)
    assert true_s[0] - true_s[1] > 0.05
    # What is left in the recording is little.
    assert abs(align(moved, seed=0)[1].seconds) < 0.006


@pytest.mark.slow
def test_latencies_of_a_whole_evaluation_are_told_to_a_part_of_a_frame() -> None:
    """As many songs as configs/eval/latency.yaml has, other songs and other listeners."""
    names = ("fresh01", "fresh02", "fresh03", "fresh04")
    config = ListeningConfig(songs=50, song_seconds=6.5, song_seed=4242, subjects=names)
    align = LatencyFromMarkers(
        load_pipeline(default_checkpoint(), "cpu"),
        np.concatenate(list(further_stems(config, config.songs + BEGINNINGS, from_start=True))),
    )
    recorded = (preprocess(simulated_recording(config, name, 0.0), PreprocessConfig()) for name in names)
    found = np.array([align(recording, seed=0)[1].seconds for recording in recorded])
    true = np.array([listener_of(config, name).latency_s for name in names])
    # Half a frame. Which songs say how songs begin moves all alike: less that, listeners are told apart more finely.
    assert np.abs(found - true).max() < 0.016
    assert np.abs((found - found.mean()) - (true - true.mean())).max() < 0.008
    assert true.max() - true.min() > 0.03


def test_an_evaluation_takes_latencies_out_and_says_which(
    tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eeg2music.evaluation.units.BEGINNINGS", 8)
    listening = {"songs": 8, "song_seconds": 6.5, "subjects": ("late01", "late02")}
    level = LevelConfig(name="clean", snr="clean", conditions=("brain",), generate=())
    configs = [
        EvaluateConfig(checkpoint=str(tiny_checkpoint), listening=listening | more, levels=(level,), reference_songs=0)
        for more in ({"latency": "markers"}, {}, {"latency": "unknown"})
    ]
    unit = level_units(level, configs[0])[0]
    facts, eeg = [], []
    for config in configs[:2]:
        bench = Bench(config, tiny_checkpoint, "cpu")
        facts.append(bench.score(unit).facts)
        eeg.append(bench.evidence(unit).heard.windows[0].eeg)
    assert set(facts[0]["latency"]) == {"sub-late01", "sub-late02"} and "latency" not in facts[1]
    assert facts[0]["latency"]["sub-late01"]["beginnings"] == 8
    assert not np.array_equal(*eeg)
    # Where it is left alone, what was computed before still counts.
    keys = [Parts(tmp_path / "out", config, tiny_checkpoint, "cpu").key(unit) for config in configs]
    assert keys[0] != keys[1] == keys[2]
    rows = _latency({"name": "clean", "snr_db": 0.0, "latency": facts[0]["latency"]})["rows"]
    assert [row[0] for row in rows] == ["sub-late01", "sub-late02"] and rows[0][3] == "8"


def test_each_level_shows_its_own_latencies(
    tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What needs no recording is computed once for all levels, and says the latencies of the level that came first."""
    monkeypatch.setattr("eeg2music.evaluation.units.BEGINNINGS", 8)
    config = EvaluateConfig(
        checkpoint=str(tiny_checkpoint),
        listening={"songs": 8, "song_seconds": 6.5, "subjects": ("late01", "late02"), "latency": "markers"},
        levels=tuple(
            LevelConfig(name=name, snr=snr, conditions=("brain", "oracle"), generate=())
            for name, snr in (("clean", "clean"), ("hard", -30.0))
        ),
        seeds=(0,),
        reference_songs=0,
        sounds={"clips": 0},
    )
    scores = run_evaluation(config, tmp_path / "out", device="cpu")
    shown = [level["latency"] for level in scores["levels"]]
    assert [sorted(one) for one in shown] == [["sub-late01", "sub-late02"]] * 2
    bench = Bench(config, tiny_checkpoint, "cpu")
    for level, found in zip(config.levels, shown, strict=True):
        assert bench.score(level_units(level, config)[0]).facts["latency"] == found
    assert shown[0] != shown[1]
    # The songs that say how songs begin stand with what was scored, and no model may know them.
    named = set(json.loads((tmp_path / "out" / "split.json").read_text())["test"]["songs"])
    beside = songs_beside(config)
    assert len(beside) == 8 and set(beside) < named
    assert songs_beside(config.model_copy(update={"listening": ListeningConfig(songs=8)})) == []


def test_prepared_recordings_refuse_what_is_not_done_to_them(
    write_cache: Callable[..., Path], tiny_checkpoint: Path, tmp_path: Path
) -> None:
    cache = write_cache([("sub-a", "one", 20.0, 0), ("sub-a", "two", 40.0, 1280)])
    config = EvaluateConfig(
        checkpoint=str(tiny_checkpoint),
        prepared=str(cache),
        levels=(LevelConfig(name="all", conditions=("brain",), generate=()),),
        sounds={"clips": 0},
        listening={"latency": "markers"},
    )
    with pytest.raises(ConfigError, match=r"listening\.latency: markers with prepared recordings"):
        check_evaluation(config, tmp_path / "out")
    check_evaluation(config.model_copy(update={"listening": ListeningConfig()}), tmp_path / "out")
