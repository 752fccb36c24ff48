"""Rooms decay as long as they say, amplifiers add harmonics, and peaks are rounded off."""

from __future__ import annotations

import numpy as np
import pytest

from eeg2music.seeding import numpy_rng
from eeg2music.simulation.effects import active_rms, impulse_response, reverberate, saturate, tame_peaks
from eeg2music.simulation.song import Room
from eeg2music.types import SAMPLE_RATE_HZ, FloatArray

TIME_S = np.arange(2 * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
NOISE: FloatArray = numpy_rng(0, "effects").standard_normal(3 * SAMPLE_RATE_HZ).astype(np.float32)
TONE: FloatArray = (0.2 * np.sin(2 * np.pi * 220.0 * TIME_S)).astype(np.float32)


@pytest.mark.parametrize("decay_s", [0.5, 1.5])
def test_a_room_falls_by_sixty_decibels_in_its_decay_time(decay_s: float) -> None:
    response = impulse_response(Room(decay_s, 0.5, 0.02, {}), NOISE)
    assert not response[: round(0.02 * SAMPLE_RATE_HZ)].any()
    assert np.sum(response.astype(float) ** 2) == pytest.approx(1.0, rel=1e-5)
    # The early reflections are over after 80 ms.
    early, late = (0.1 * SAMPLE_RATE_HZ, (0.1 + decay_s / 2) * SAMPLE_RATE_HZ)
    level = [float(np.mean(response[round(at) : round(at) + 1200].astype(float) ** 2)) for at in (early, late)]
    assert 10 * np.log10(level[0] / level[1]) == pytest.approx(30.0, abs=4.0)


def test_a_room_adds_what_it_is_told_to_and_keeps_the_length() -> None:
    response = np.zeros(1000, dtype=np.float32)
    response[500] = 1.0
    stems = np.stack([TONE, TONE])
    out = reverberate(stems, response, np.array([0.0, 0.5], dtype=np.float32))
    assert out.shape == stems.shape and out.dtype == np.float32
    np.testing.assert_allclose(out[0], TONE, atol=1e-6)
    np.testing.assert_allclose(out[1, 500:], TONE[500:] + 0.5 * TONE[:-500], atol=1e-6)


def test_an_amplifier_adds_odd_harmonics_and_holds_loud_sounds_down() -> None:
    np.testing.assert_allclose(saturate(TONE, 0.01), TONE, atol=1e-5)
    out = saturate(TONE, 6.0)
    # The cabinet overshoots a little.
    assert np.abs(out).max() < 1.3 * 3.0 / 6.0 * TONE.std()
    spectrum = np.abs(np.fft.rfft(out))
    first, second, third = (spectrum[round(220 * k * 2)] for k in (1, 2, 3))
    assert third > 0.03 * first and second < 1e-3 * first


def test_peaks_are_rounded_off_and_the_rest_is_left() -> None:
    peaky = TONE.copy()
    peaky[::4800] = 3.0
    out = tame_peaks(peaky, 4.0)
    calm = np.abs(peaky) < 0.3
    np.testing.assert_allclose(out[calm], peaky[calm], atol=1e-6)
    assert np.abs(out).max() <= 4.0 * active_rms(peaky) * 1.001 < 3.0


def test_pauses_do_not_lower_the_level() -> None:
    assert active_rms(np.concatenate([TONE, np.zeros_like(TONE)])) == pytest.approx(active_rms(TONE), rel=0.02)
    assert active_rms(np.zeros_like(TONE)) > 0.0
