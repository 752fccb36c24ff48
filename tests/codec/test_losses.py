"""Distances: closed forms, invariances, and gradients where signals are silent."""

from __future__ import annotations

import math

import pytest
import torch

from eeg2music.codec.losses import log_mel_distance, noise_to_signal_db, si_sdr_db, spectral_distances


def tone(hz: float, samples: int = 12_000) -> torch.Tensor:
    return 0.5 * torch.sin(2 * math.pi * hz * torch.arange(samples) / 24_000)[None]


def test_si_sdr_of_orthogonal_noise_is_the_power_ratio() -> None:
    heard, noise = tone(500.0), tone(1500.0)  # whole periods: orthogonal
    assert si_sdr_db(heard + 0.1 * noise, heard).item() == pytest.approx(20.0, abs=1e-3)


def test_si_sdr_does_not_change_with_scale_or_offset() -> None:
    heard = tone(440.0)
    decoded = heard + 0.05 * torch.randn(heard.shape, generator=torch.Generator().manual_seed(0))
    expected = si_sdr_db(decoded, heard)
    torch.testing.assert_close(si_sdr_db(3 * decoded + 0.2, heard), expected, atol=1e-3, rtol=0)
    torch.testing.assert_close(si_sdr_db(decoded, 0.1 * heard), expected, atol=1e-3, rtol=0)


def test_noise_to_signal_depends_on_scale_and_is_limited() -> None:
    heard = tone(500.0)
    assert noise_to_signal_db(torch.zeros_like(heard), heard).item() == pytest.approx(0.0, abs=0.01)
    assert noise_to_signal_db(heard * 1.1, heard).item() == pytest.approx(-19.6, abs=0.1)  # -20 dB, softened
    assert noise_to_signal_db(heard, heard).item() == pytest.approx(-30.0, abs=0.1)


def test_silence_has_finite_losses_and_gradients() -> None:
    silence = torch.zeros(2, 4000)
    decoded = (1e-4 * torch.randn(2, 4000)).requires_grad_()
    linear, logarithmic = spectral_distances(decoded, silence)
    (noise_to_signal_db(decoded, silence).mean() + linear + logarithmic).backward()
    assert decoded.grad is not None and torch.isfinite(decoded.grad).all()
    assert abs(noise_to_signal_db(decoded, silence).mean().item()) < 0.1


@pytest.mark.parametrize("distance", [lambda a, b: sum(spectral_distances(a, b)), lambda a, b: log_mel_distance(a, b)])
def test_spectral_distances_are_zero_for_the_same_and_grow(distance) -> None:
    heard = tone(440.0)
    assert float(distance(heard, heard)) == 0
    near, far = tone(442.0), tone(1320.0)
    assert 0 < float(distance(near, heard)) < float(distance(far, heard))


def test_spectral_distances_do_not_hear_polarity() -> None:
    heard = tone(440.0)
    assert float(log_mel_distance(-heard, heard)) == pytest.approx(0, abs=1e-4)
