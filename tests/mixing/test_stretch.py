"""Transposition keeps time, stretching keeps pitch, both checked against sounds made at the right pitch and tempo."""

from __future__ import annotations

import mixing_band as band
import numpy as np
import pytest

from eeg2music.metrics.audio import log_mel_distance
from eeg2music.mixing.stretch import change, phase_vocoder, wsola


@pytest.mark.parametrize("semitones", [-6, -1, 0.5, 1, 4])
def test_transposition_equals_the_sound_played_there(semitones: float) -> None:
    low, there = band.harmony(120.0, 0.0, 6.0), band.harmony(120.0, semitones, 6.0)
    moved = change(low, semitones=semitones, tempo_factor=1.0)
    assert moved.shape == low.shape
    assert moved.dtype == np.float32
    before, after = float(log_mel_distance(low, there)), float(log_mel_distance(moved, there))
    assert after < 1.5
    assert after < 0.4 * before


def test_transposition_keeps_the_onsets_where_they_were() -> None:
    tune = band.melody(120.0, 0.0, 6.0)
    moved = change(tune, semitones=3, tempo_factor=1.0)
    assert band.beat_period_s(moved, 0.5) == pytest.approx(0.5, rel=1e-3)
    ours, theirs = (np.abs(x).reshape(-1, 240).max(axis=1) for x in (moved, tune))
    lags = range(-5, 6)
    scores = [np.corrcoef(ours[10:-10], np.roll(theirs, lag)[10:-10])[0, 1] for lag in lags]
    assert abs(lags[int(np.argmax(scores))]) <= 1  # 10 ms


@pytest.mark.parametrize("factor", [0.95, 0.975, 1.025, 1.05])
@pytest.mark.parametrize("percussive", [False, True])
def test_tempo_changes_by_the_factor(factor: float, percussive: bool) -> None:
    faster = change(band.drums(120.0), semitones=0.0, tempo_factor=factor, percussive=percussive)
    assert band.beat_period_s(faster, 0.5 / factor) == pytest.approx(0.5 / factor, rel=2e-3)
    assert faster.shape == (240_000,)


def test_stretching_keeps_pitch() -> None:
    tone = band.place([(0.0, band.note(57, 6.0, decay=0.1))], 6.0, 0.4)
    assert band.strongest_hz(change(tone, semitones=0.0, tempo_factor=1.05), 200, 240) == pytest.approx(220.0, abs=0.3)


def test_both_at_once() -> None:
    tone = band.melody(123.0, 1.0)
    mended = change(tone, semitones=-1.0, tempo_factor=120 / 123)
    right = band.melody(120.0, 0.0)
    assert band.beat_period_s(mended, 0.5) == pytest.approx(0.5, rel=2e-3)
    assert float(log_mel_distance(mended, right)) < 0.5 * float(log_mel_distance(tone, right))


def test_wsola_keeps_attacks_sharp() -> None:
    """Peaks of clicks stay within a tenth, where the vocoder would smear them."""
    clicks = band.drums(120.0)
    loudest = np.abs(change(clicks, semitones=0.0, tempo_factor=0.975, percussive=True)).max()
    assert loudest == pytest.approx(np.abs(clicks).max(), rel=0.1)


def test_nothing_to_do_returns_the_same_array() -> None:
    tone = band.melody(120.0, 0.0, 1.0)
    assert change(tone, semitones=0.0, tempo_factor=1.0) is tone


def test_faster_ends_in_silence_and_slower_is_cut_with_a_fade() -> None:
    tone = (0.3 * np.sin(np.arange(48_000) / 10)).astype(np.float32)
    fast = change(tone, semitones=0.0, tempo_factor=1.05)
    assert np.all(fast[round(48_000 / 1.05) + 1 :] == 0.0)
    slow = change(tone, semitones=0.0, tempo_factor=0.95)
    assert abs(slow[-1]) < 0.01
    assert np.abs(np.diff(slow)).max() < 0.06


@pytest.mark.parametrize("samples", [1, 100, 2400, 24_001])
def test_short_and_silent_clips(samples: int) -> None:
    for audio in (np.zeros(samples, np.float32), np.ones(samples, np.float32) * 0.1):
        for semitones, factor, percussive in ((1.0, 1.0, False), (0.0, 1.03, True), (-2.0, 0.97, False)):
            result = change(audio, semitones=semitones, tempo_factor=factor, percussive=percussive)
            assert result.shape == (samples,)
            assert np.isfinite(result).all()


def test_lengths_before_cutting() -> None:
    tone = band.melody(120.0, 0.0, 2.0)
    assert phase_vocoder(tone, 1.1).size == wsola(tone, 1.1).size == round(tone.size * 1.1)
