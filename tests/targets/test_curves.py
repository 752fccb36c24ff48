"""Control curves against sounds whose onset, level and brightness are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from eeg2music.targets.curves import HOP, control_curves, control_curves_numpy
from eeg2music.types import SAMPLE_RATE_HZ

ONSET, LOUDNESS, BRIGHTNESS = 0, 1, 2


def sine(freq_hz: float, seconds: float = 2.0, amplitude: float = 0.5) -> torch.Tensor:
    return amplitude * torch.sin(
        2 * torch.pi * freq_hz * torch.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    )


@pytest.mark.parametrize("frame", [0, 1, 7, 40, 62])
def test_a_click_raises_the_onset_curve_at_its_own_frame(frame: int) -> None:
    audio = torch.zeros(2 * SAMPLE_RATE_HZ)
    audio[frame * HOP] = 1.0
    onset = control_curves(audio)[ONSET]
    assert int(onset.argmax()) == frame
    far = torch.ones(64, dtype=torch.bool)
    far[max(0, frame - 1) : frame + 2] = False
    assert float(onset[far].max()) == 0.0


@pytest.mark.parametrize("freq_hz", [220.0, 1000.0, 5000.0])
def test_brightness_of_a_sine_is_its_frequency_in_octaves(freq_hz: float) -> None:
    brightness = control_curves(sine(freq_hz))[BRIGHTNESS, 4:-4]
    expected = np.log2(freq_hz / 60.0) / np.log2(8000.0 / 60.0)
    np.testing.assert_allclose(brightness.numpy(), expected, atol=0.01)


@pytest.mark.parametrize("amplitude", [1.0, 0.1, 0.01])
def test_loudness_is_level_in_decibel(amplitude: float) -> None:
    loudness = control_curves(sine(1000.0, amplitude=amplitude))[LOUDNESS, 2:-2]
    level_db = 20 * np.log10(amplitude / np.sqrt(2))
    np.testing.assert_allclose(loudness.numpy(), (level_db + 60.0) / 60.0, atol=1e-3)


def test_a_steady_sine_has_no_onsets_after_it_has_begun() -> None:
    onset = control_curves(sine(440.0))[ONSET]
    assert float(onset[4:-4].max()) < 0.02 * float(onset[:3].max())


def test_silence_is_zero() -> None:
    assert float(control_curves(torch.zeros(3, SAMPLE_RATE_HZ)).abs().max()) == 0.0


def test_a_clip_is_the_same_alone_and_in_a_batch() -> None:
    audio = torch.randn(2, 3, SAMPLE_RATE_HZ, generator=torch.Generator().manual_seed(0)) * 0.1
    together = control_curves(audio)
    assert together.shape == (2, 3, 3, 32)
    torch.testing.assert_close(together[1, 2], control_curves(audio[1, 2]), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(control_curves_numpy(audio.numpy()), together.numpy(), atol=1e-6)


@pytest.mark.parametrize("samples", [1, HOP, 5 * SAMPLE_RATE_HZ, 33_333])
def test_the_number_of_frames(samples: int) -> None:
    assert control_curves(torch.zeros(samples)).shape == (3, max(1, round(samples / HOP)))
