"""Degradations of band power: each does what it says, and strength zero does nearly nothing."""

from __future__ import annotations

import numpy as np
import pytest

from eeg2music.scoring import spectral
from eeg2music.seeding import numpy_rng


def music(seed: int = 0, stems: int = 4) -> np.ndarray:
    rng = numpy_rng(0, "music", seed)
    notes = rng.random((stems, 96, 120)) > 0.97
    return (notes * rng.random((stems, 96, 120)) + 1e-6).astype(np.float32)


def level_db(power: np.ndarray) -> np.ndarray:
    return 10 * np.log10(power + 1e-9)


def test_strength_zero_leaves_the_mix_recognizable_and_one_does_not() -> None:
    stems, donor = music(0), music(1)
    mix = level_db(stems.sum(0))
    mild = level_db(spectral.degrade_power(stems, donor, music(2), 0.0, numpy_rng(0)))
    harsh = [level_db(spectral.degrade_power(stems, donor, music(2), 1.0, numpy_rng(n))) for n in range(8)]
    loud = mix > -15
    assert np.abs(mild - mix)[loud].mean() < 2.0
    assert np.mean([np.abs(h - mix)[loud].mean() for h in harsh]) > 6.0


@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0])
def test_the_result_is_finite_positive_and_repeatable(strength: float) -> None:
    for number in range(10):
        given = (music(), music(1), music(2), strength)
        one, other = (spectral.degrade_power(*given, numpy_rng(number)) for _ in range(2))
        assert one.dtype == np.float32 and one.shape == (96, 120)
        assert np.isfinite(one).all() and (one > 0).all()
        np.testing.assert_array_equal(one, other)


def test_silent_stems_and_donors_do_no_harm() -> None:
    silent = np.zeros_like(music())
    for number in range(5):
        assert np.isfinite(spectral.degrade_power(silent, silent, silent, 1.0, numpy_rng(number))).all()
        assert np.isfinite(spectral.degrade_power(music(), silent, silent, 1.0, numpy_rng(number))).all()


def test_revoicing_keeps_the_envelope_and_takes_the_donors_notes() -> None:
    stem, donor = music(0)[0] + 0.01, music(1)[0] + 0.01
    out = spectral.revoice(stem, donor)
    np.testing.assert_allclose(out.sum(0), stem.sum(0), rtol=1e-4)
    np.testing.assert_allclose(out / out.sum(0), donor / donor.sum(0), rtol=1e-3, atol=1e-6)


def test_transposition_moves_by_bands() -> None:
    power = music()[0]
    np.testing.assert_allclose(spectral.transpose(power, 3.0)[3:], power[:-3])
    np.testing.assert_allclose(spectral.transpose(power, -2.0)[:-2], power[2:])
    np.testing.assert_allclose(spectral.transpose(power, 0.5)[1:], (power[1:] + power[:-1]) / 2, rtol=1e-5)


def test_contamination_has_its_level() -> None:
    power = music()[0]
    added = spectral.contaminate(power, music(1)[0], -6.0) - power
    assert added.sum() / power.sum() == pytest.approx(10**-0.6, rel=1e-3)
    np.testing.assert_array_equal(spectral.contaminate(power, 0 * power, 0.0), power)


def test_a_delay_moves_frames_and_holds_the_edge() -> None:
    power = music()[0]
    np.testing.assert_array_equal(spectral.delay(power, 2)[:, 2:], power[:, :-2])
    np.testing.assert_array_equal(spectral.delay(power, -3)[:, :-3], power[:, 3:])
    np.testing.assert_array_equal(spectral.delay(power, 2)[:, 0], power[:, 0])


def test_a_reverb_only_looks_back() -> None:
    power = np.zeros((4, 50), np.float32)
    power[:, 20] = 1.0
    out = spectral.reverberate(power, decay_frames=8.0, wet=0.3)
    assert (out[:, :20] == 0).all()
    tail = out[0, 21:]
    np.testing.assert_allclose(tail[1:] / tail[:-1], np.exp(-1 / 8.0), rtol=1e-3)


def test_noise_has_the_level_it_should() -> None:
    power = np.ones((96, 120), np.float32)
    noisy = spectral.add_noise(power, 0.0, numpy_rng(3))
    assert 0.0 < (noisy - power).mean() < 10 ** (-3.0)
