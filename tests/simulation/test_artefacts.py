"""Noise: each kind has the spectrum and the place it is known for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.signal import welch

from eeg2music.seeding import numpy_rng
from eeg2music.simulation import artefacts
from eeg2music.simulation.head import Head, make_head
from eeg2music.simulation.listening import draw_listener, record_noise

SFREQ = 256.0
SAMPLES = round(60 * SFREQ)


@pytest.fixture(scope="module")
def head() -> Head:
    return make_head()


@pytest.fixture
def traits() -> artefacts.NoiseTraits:
    return artefacts.NoiseTraits()


def rng() -> np.random.Generator:
    return numpy_rng(7, "test")


def spectrum(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    freqs, power = welch(values, SFREQ, nperseg=1024)
    return freqs, power


def test_background_power_falls_as_one_over_f(head: Head, traits: artefacts.NoiseTraits) -> None:
    freqs, power = spectrum(artefacts.background(head, traits, 8 * SAMPLES, SFREQ, rng()))
    use = (freqs > 2) & (freqs < 60)
    slope = np.polyfit(np.log(freqs[use]), np.log(power.mean(0)[use]), 1)[0]
    assert slope == pytest.approx(-traits.exponent, abs=0.1)


def test_background_has_the_strength_asked_for(head: Head, traits: artefacts.NoiseTraits) -> None:
    noise = artefacts.background(head, traits, 8 * SAMPLES, SFREQ, rng())
    assert np.sqrt((noise**2).mean()) * 1e6 == pytest.approx(traits.background_uv, rel=0.15)


def test_alpha_is_posterior_and_narrow(head: Head, traits: artefacts.NoiseTraits) -> None:
    noise = artefacts.alpha(head, traits, SAMPLES, SFREQ, rng())
    freqs, power = spectrum(noise)
    assert freqs[power.mean(0).argmax()] == pytest.approx(traits.alpha_hz, abs=0.8)
    strength = dict(zip(head.channel_names, noise.std(axis=1), strict=True))
    assert strength["Oz"] > 3 * strength["Fz"]


def test_blinks_are_frontal_slow_and_rare(head: Head, traits: artefacts.NoiseTraits) -> None:
    noise = artefacts.blinks(head, traits, SAMPLES, SFREQ, rng())
    strength = dict(zip(head.channel_names, np.abs(noise).max(axis=1), strict=True))
    assert max(strength, key=strength.__getitem__) in {"Fp1", "Fpz", "Fp2"}
    assert strength["Fpz"] > 5 * strength["Cz"]
    quiet = (np.abs(noise[0]) < 1e-7).mean()
    assert 0.8 < quiet < 0.99


def test_muscle_lies_at_the_rim_above_eighteen_hertz(head: Head, traits: artefacts.NoiseTraits) -> None:
    noise = np.zeros((64, SAMPLES), dtype=np.float32)
    artefacts.add_muscle(noise, head, replace(traits, muscle_rate_hz=0.5), SFREQ, rng())
    freqs, power = spectrum(noise)
    assert power[:, freqs < 12].sum() < 0.02 * power.sum()
    strength = dict(zip(head.channel_names, noise.std(axis=1), strict=True))
    assert strength["Cz"] < 0.1 * max(strength.values())


@pytest.mark.parametrize("line_hz", [50.0, 60.0])
def test_line_noise_stands_at_its_frequency(head: Head, traits: artefacts.NoiseTraits, line_hz: float) -> None:
    noise = artefacts.line(head, replace(traits, line_hz=line_hz), SAMPLES, SFREQ, rng())
    freqs, power = spectrum(noise)
    assert freqs[power.mean(0).argmax()] == pytest.approx(line_hz, abs=0.3)
    assert power[:, freqs < 12].sum() < 1e-3 * power.sum()


def test_line_noise_above_nyquist_is_absent(head: Head, traits: artefacts.NoiseTraits) -> None:
    assert not artefacts.line(head, traits, 640, 64.0, rng()).any()


def test_drift_stays_below_half_a_hertz(head: Head, traits: artefacts.NoiseTraits) -> None:
    noise = artefacts.drift(head, traits, 4 * SAMPLES, SFREQ, rng())
    freqs, power = welch(noise, SFREQ, nperseg=8192)
    assert power[:, freqs > 1].sum() < 1e-3 * power.sum()
    assert noise.std() * 1e6 == pytest.approx(traits.drift_uv, rel=0.35)


def test_noise_depends_on_seed_and_ids_alone(head: Head, traits: artefacts.NoiseTraits) -> None:
    first, again, other = (artefacts.make_noise(head, traits, 700, SFREQ, 1, run) for run in ("a", "a", "b"))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert np.isfinite(first).all()


def test_amplitudes_are_those_of_people() -> None:
    noise = record_noise(draw_listener("someone"), SAMPLES, SFREQ, 0, 1)
    assert 5.0 < np.median(noise.std(axis=1)) * 1e6 < 60.0
    assert np.abs(noise).max() < 1e-3


def test_listeners_differ_in_how_noisy_they_are() -> None:
    drawn = {artefacts.draw_traits(numpy_rng(0, k)) for k in range(5)}
    assert len(drawn) == 5
