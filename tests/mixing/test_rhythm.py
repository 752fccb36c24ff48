"""Tempo and beats of sounds whose beats are known."""

from __future__ import annotations

import mixing_band as band
import numpy as np
import pytest

from eeg2music.mixing.rhythm import analyse_rhythm, onset_strength, pulse_strength


@pytest.mark.parametrize("bpm", [63.0, 88.0, 97.3, 120.0, 123.0, 151.0])
def test_tempo_of_drums_to_a_fifth_of_a_beat_per_minute(bpm: float) -> None:
    found = analyse_rhythm(band.drums(bpm))
    level = min((0.5, 1.0, 2.0), key=lambda ratio: abs(found.tempo_bpm / (bpm * ratio) - 1))
    assert found.tempo_bpm == pytest.approx(bpm * level, rel=0.002)
    assert found.confidence > 0.3


@pytest.mark.parametrize("stem", [band.bass, band.harmony, band.melody])
def test_three_beats_per_minute_can_be_told_apart_on_every_stem(stem) -> None:
    slow, fast = analyse_rhythm(stem(117.0)), analyse_rhythm(stem(120.0))
    assert fast.tempo_bpm / slow.tempo_bpm == pytest.approx(120 / 117, abs=0.004)


def test_beats_lie_on_the_beats() -> None:
    """F-measure with a window of 70 ms, as mir_eval counts it, at the metrical level found."""
    found = analyse_rhythm(band.drums(100.0))
    period = 60.0 / found.tempo_bpm
    true = np.arange(0.0, 10.0, period)
    near = np.abs(found.beats_s[:, None] - true).min(axis=1)
    assert np.mean(near < 0.07) > 0.9
    assert abs(len(found.beats_s) - len(true)) <= 2


def test_beats_equal_mir_eval_judgement() -> None:
    beat = pytest.importorskip("mir_eval.beat", reason="mir_eval is not installed")
    found = analyse_rhythm(band.drums(120.0))
    assert beat.f_measure(np.arange(0.0, 10.0, 60.0 / found.tempo_bpm), found.beats_s) > 0.9


def test_no_pulse_no_confidence() -> None:
    noise = 0.1 * np.random.default_rng(0).normal(size=240_000).astype(np.float32)
    assert analyse_rhythm(noise).confidence < 0.2
    hum = (0.2 * np.sin(np.arange(240_000) / 20)).astype(np.float32)
    assert analyse_rhythm(hum).confidence < 0.25
    for silent in (np.zeros(240_000, np.float32), np.zeros(10, np.float32)):
        found = analyse_rhythm(silent)
        assert found.tempo_bpm == 0.0
        assert found.beats_s.size == 0


def test_too_short_for_a_tempo() -> None:
    assert analyse_rhythm(band.drums(120.0, seconds=1.5)).tempo_bpm == 0.0


def test_onset_strength_rises_with_the_onsets_only() -> None:
    onset = onset_strength(band.drums(120.0))
    expected = np.zeros(len(onset), bool)
    for k in range(40):
        centre = round(k * 0.25 * 93.75)
        expected[max(0, centre - 2) : centre + 5] = True
    assert onset[expected[: len(onset)]].sum() > 0.9 * onset.sum()


def test_pulse_strength_peaks_at_the_tempo() -> None:
    onset = onset_strength(band.drums(120.0))
    own, other = pulse_strength(onset, np.array([120.0, 123.0]))
    assert own > 3 * other
