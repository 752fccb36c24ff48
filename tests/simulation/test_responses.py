"""Response functions: latencies, shift by listener, what survives of fast rhythm."""

from __future__ import annotations

import numpy as np
import pytest

from eeg2music.errors import ConfigError
from eeg2music.simulation.responses import FAMILIES, FEATURES, KERNEL_S, kernels, respond

RATE = 240.0


def test_deflections_lie_between_50_and_300_ms() -> None:
    for deflections in FAMILIES["default"].values():
        assert all(0.050 <= peak.latency_s <= 0.300 for peak in deflections)
    assert set(FAMILIES["default"]) == set(FAMILIES["late"]) == set(FEATURES)


@pytest.mark.parametrize("latency_s", [-0.03, 0.0, 0.03])
def test_largest_deflection_comes_when_the_table_says(latency_s: float) -> None:
    for feature, row in zip(FEATURES, kernels("default", 1000.0, latency_s), strict=True):
        largest = max(FAMILIES["default"][feature], key=lambda peak: abs(peak.height))
        assert np.abs(row).argmax() / 1000.0 == pytest.approx(largest.latency_s + latency_s, abs=0.006)


def test_late_family_is_forty_milliseconds_later_and_wider() -> None:
    early, late = kernels("default", 1000.0), kernels("late", 1000.0)
    for a, b in zip(early, late, strict=True):
        assert (np.abs(b).argmax() - np.abs(a).argmax()) == pytest.approx(40, abs=6)
    for feature in FEATURES:
        pairs = zip(FAMILIES["default"][feature], FAMILIES["late"][feature], strict=True)
        assert all(wide.width_s > narrow.width_s for narrow, wide in pairs)


def test_an_impulse_gives_the_kernel_and_silence_nothing() -> None:
    taps = kernels("default", RATE)
    impulse = np.zeros((4, 100), dtype=np.float32)
    impulse[:, 10] = 2.0
    out = respond(impulse, taps)
    assert out.shape == (4, 100 + taps.shape[1] - 1)
    assert np.allclose(out[:, 10 : 10 + taps.shape[1]], 2.0 * taps, atol=1e-5)
    assert np.abs(out[:, :10]).max() < 1e-6


def test_convolution_agrees_with_numpy() -> None:
    rng = np.random.default_rng(0)
    features = rng.standard_normal((2, 4, 500)).astype(np.float32)
    taps = kernels("late", RATE, 0.01)
    out = respond(features, taps)
    for stem in range(2):
        for k in range(4):
            assert np.allclose(out[stem, k], np.convolve(features[stem, k], taps[k]), atol=1e-4)


def test_twelve_hertz_survives_in_the_onset_response_and_thirty_does_not() -> None:
    row = kernels("default", RATE)[FEATURES.index("onset")]
    gain = np.abs(np.fft.rfft(row, 2400))
    at = gain / gain.max()
    assert at[120] > 0.2  # 12 Hz
    assert at[300] < 0.1  # 30 Hz


def test_kernels_have_died_out_at_their_end() -> None:
    for family in FAMILIES:
        taps = kernels(family, RATE, 0.03)
        assert taps.shape == (4, round(KERNEL_S * RATE))
        assert np.abs(taps[:, -5:]).max() < 0.01 * np.abs(taps).max()


def test_unknown_family_is_named() -> None:
    with pytest.raises(ConfigError, match=r"early.*Allowed: default, late"):
        kernels("early", RATE)
