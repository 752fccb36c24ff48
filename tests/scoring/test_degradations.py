"""Degradations of waveforms: measurable effect, same length, repeatable."""

from __future__ import annotations

import numpy as np
import pytest

from eeg2music.scoring.degradations import DEGRADATIONS, band_limited, heavily_degraded, noisy, remixed, shifted
from eeg2music.seeding import numpy_rng
from eeg2music.types import SAMPLE_RATE_HZ

SECONDS = np.arange(SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ


def tune() -> np.ndarray:
    parts = [np.sin(2 * np.pi * f * SECONDS) * np.exp(-4 * ((SECONDS * 3) % 1)) for f in (220, 554, 3000)]
    return np.asarray(0.2 * np.sum(parts, 0), np.float32)


@pytest.mark.parametrize("name", list(DEGRADATIONS))
def test_each_changes_the_sound_and_nothing_else(name: str) -> None:
    one, other = (DEGRADATIONS[name](tune(), numpy_rng(0, name)) for _ in range(2))
    assert one.shape == tune().shape and one.dtype == np.float32 and np.isfinite(one).all()
    np.testing.assert_array_equal(one, other)
    assert np.abs(one - tune()).max() > 1e-3
    assert np.isfinite(DEGRADATIONS[name](np.zeros_like(tune()), numpy_rng(0))).all()


def test_noise_has_its_ratio() -> None:
    added = noisy(tune(), numpy_rng(0), snr_db=6.0) - tune()
    assert 10 * np.log10(np.mean(tune() ** 2) / np.mean(added**2)) == pytest.approx(6.0, abs=0.05)


def test_a_band_limit_leaves_nothing_above_it() -> None:
    spectrum = np.abs(np.fft.rfft(band_limited(tune(), numpy_rng(0))))
    assert spectrum[6100:].max() < 1e-3 * spectrum.max()


def test_a_shift_moves_the_sound() -> None:
    click = np.zeros(SAMPLE_RATE_HZ, np.float32)
    click[12_000] = 1.0
    where = [int(shifted(click, numpy_rng(n)).argmax()) for n in range(20)]
    assert max(abs(w - 12_000) for w in where) <= 0.06 * SAMPLE_RATE_HZ
    assert min(where) < 12_000 < max(where)


def test_smearing_keeps_the_envelope_and_loses_the_waveform() -> None:
    out = DEGRADATIONS["smeared"](tune(), numpy_rng(0))
    envelope = [np.sqrt(np.square(a[: 20 * 1200]).reshape(20, -1).mean(1)) for a in (tune(), out)]
    assert np.corrcoef(*envelope)[0, 1] > 0.8
    assert abs(np.corrcoef(tune(), out)[0, 1]) < 0.5


def test_a_remix_never_drops_everything() -> None:
    stems = np.stack([tune(), 0 * tune(), 0.1 * tune(), 0 * tune()])
    for number in range(30):
        assert np.abs(remixed(stems, numpy_rng(number), drop=1.0)).max() > 0
    assert np.isfinite(heavily_degraded(stems, numpy_rng(0))).all()
