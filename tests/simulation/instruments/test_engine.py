"""Oscillators and envelopes against analytic cases."""

from __future__ import annotations

import numpy as np
import pytest

from eeg2music.simulation.instruments.engine import (
    TOP_HZ,
    band,
    envelope,
    lowpass_response,
    one_pole,
    oscillate,
    partial_count,
    phase_track,
    ring,
    tables_from,
)
from eeg2music.types import SAMPLE_RATE_HZ


def test_table_has_the_harmonics_asked_for() -> None:
    audio = oscillate(tables_from(np.array([[1.0, 0.0, 0.5]])), phase_track(200.0, SAMPLE_RATE_HZ))
    spectrum = np.abs(np.fft.rfft(audio)) / SAMPLE_RATE_HZ * 2
    assert spectrum[600] / spectrum[200] == pytest.approx(0.5, rel=1e-3)
    assert spectrum[400] < 1e-3 * spectrum[200]
    assert np.sqrt(np.mean(audio**2)) == pytest.approx(1.0, rel=1e-3)


def test_no_partial_lies_above_the_band() -> None:
    for frequency in (30.0, 440.0, 3000.0, 20_000.0):
        assert partial_count(frequency) >= 1
        assert partial_count(frequency) == 1 or partial_count(frequency) * frequency <= TOP_HZ


def test_position_blends_rows() -> None:
    tables = tables_from(np.array([[1.0, 0.0], [0.0, 1.0]]))
    phase = phase_track(100.0, 4800)
    low, high = oscillate(tables, phase, np.zeros(4800)), oscillate(tables, phase, np.ones(4800))
    assert np.allclose(oscillate(tables, phase, np.full(4800, 0.25)), 0.75 * low + 0.25 * high, atol=1e-6)


def test_vibrato_keeps_the_mean_frequency() -> None:
    plain = phase_track(440.0, 3 * SAMPLE_RATE_HZ)
    wobbling = phase_track(440.0, 3 * SAMPLE_RATE_HZ, vibrato_hz=5.0, depth_cents=40.0)
    assert abs(wobbling[-1] - plain[-1]) < 1.0
    deviation = np.diff(wobbling)[-SAMPLE_RATE_HZ:] * SAMPLE_RATE_HZ / 440.0
    assert 1200 * np.log2(deviation.max()) == pytest.approx(40.0, abs=2.0)


def test_envelope_rises_holds_and_falls_to_zero() -> None:
    shape = envelope(0.5, 0.05, 9.0, 1.0, 0.1)
    assert shape[0] == 0.0
    assert shape[int(0.3 * SAMPLE_RATE_HZ)] == pytest.approx(1.0, abs=0.01)
    assert shape[-1] == 0.0
    assert shape.size == pytest.approx((0.5 + 0.16 + 0.004) * SAMPLE_RATE_HZ, abs=3)


def test_mode_rings_at_its_frequency_and_decays_by_60_db() -> None:
    blow = np.zeros(SAMPLE_RATE_HZ)
    blow[0] = 1.0
    audio = ring(np.array([1000.0]), np.array([0.5]), np.array([1.0]), blow)
    start, late = (np.abs(audio[at : at + 48]).max() for at in (0, SAMPLE_RATE_HZ // 2))
    assert 20 * np.log10(late / start) == pytest.approx(-60.0, abs=0.6)
    assert np.argmax(np.abs(np.fft.rfft(audio))) == 1000


def test_modes_above_the_band_are_left_out() -> None:
    assert not ring(np.array([11_800.0]), np.array([0.5]), np.array([1.0]), np.ones(100)).any()


def test_filters() -> None:
    time = np.arange(SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ

    def gain(kind: str, frequency: float) -> float:
        tone = np.sin(2 * np.pi * frequency * time)
        out = band(tone, 1000.0, 2.0) if kind == "band" else one_pole(tone, 500.0, high=kind == "high")
        return float(np.std(out[SAMPLE_RATE_HZ // 2 :]) / np.std(tone))

    assert gain("band", 1000.0) == pytest.approx(1.0, abs=0.01)
    assert gain("band", 100.0) < 0.1
    assert gain("low", 50.0) > 0.98 > 0.2 > gain("low", 5000.0)
    assert gain("high", 50.0) < 0.2
    assert lowpass_response(np.array([10.0]), 1000.0, 0.0)[0] == pytest.approx(1.0, abs=0.01)
    assert lowpass_response(np.array([1000.0]), 1000.0, 1.0)[0] > 2.0
    assert lowpass_response(np.array([8000.0]), 1000.0, 0.5)[0] < 0.01
