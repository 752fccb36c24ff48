"""Audio distances: analytic cases, and scipy's transform as the reference."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import signal

from eeg2music.errors import InputError
from eeg2music.metrics import audio


@pytest.fixture
def noise() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(2, 24_000)) * 0.1


def test_si_sdr_of_orthogonal_noise_is_its_ratio() -> None:
    t = np.arange(24_000) / 24_000
    ref, other = np.sin(2 * np.pi * 100 * t), np.sin(2 * np.pi * 300 * t)
    estimate = np.stack([5.0 * (ref + 0.1 * other), -(ref + other), other])
    found = audio.si_sdr(estimate, np.stack([ref] * 3))
    np.testing.assert_allclose(found[:2], [20.0, 0.0], atol=1e-9)
    assert found[2] < -200


def test_si_sdr_limits(noise: np.ndarray) -> None:
    assert audio.si_sdr(np.zeros(100), noise[0, :100]) == -np.inf
    # An offset in one signal is ignored unless it is asked for.
    assert audio.si_sdr(noise[0] + 1.0, noise[0]) > 200
    assert audio.si_sdr(noise[0] + 1.0, noise[0], zero_mean=False) < 0
    with pytest.raises(InputError, match=r"index \[1\] is silent"):
        audio.si_sdr(noise, np.stack([noise[0], np.zeros(24_000)]))


def test_magnitude_equals_scipy(noise: np.ndarray) -> None:
    _, _, expected = signal.stft(
        noise[0], window="hann", nperseg=512, noverlap=512 - 128, boundary="zeros", padded=False
    )
    found = audio.magnitude(noise[0], 512, 128)
    frames = min(len(found), expected.shape[1])
    np.testing.assert_allclose(found[:frames], np.abs(expected).T[:frames], atol=1e-12)


def test_mel_matrix_is_librosas() -> None:
    from librosa.filters import mel

    expected = mel(sr=24_000, n_fft=1024, n_mels=40, htk=True, norm=None, dtype=np.float64).T
    np.testing.assert_allclose(audio.mel_matrix(1024, 24_000, 40), expected / expected.sum(0), atol=1e-12)


def test_log_mel_distance_is_a_level_difference(noise: np.ndarray) -> None:
    np.testing.assert_allclose(audio.log_mel_distance(0.5 * noise, noise), 6.0206, atol=1e-3)
    assert np.all(audio.log_mel_distance(noise, noise) == 0.0)
    # Silence against silence agrees: both lie at the floor.
    assert audio.log_mel_distance(np.zeros(4800), np.zeros(4800)) == 0.0


def test_mel_correlation_equals_numpy_band_by_band(noise: np.ndarray) -> None:
    mixed = noise[0] + noise[1]
    left, right = audio.log_mel(mixed), audio.log_mel(noise[0])
    by_band = [np.corrcoef(left[:, band], right[:, band])[0, 1] for band in range(audio.MEL_BANDS)]
    assert audio.mel_correlation(mixed, noise[0]) == pytest.approx(np.mean(by_band), abs=1e-10)
    by_cell = np.corrcoef(left.ravel(), right.ravel())[0, 1]
    assert audio.mel_correlation(mixed, noise[0], kind="cell") == pytest.approx(by_cell, abs=1e-10)


def test_a_common_tilt_is_no_likeness_by_band_but_by_cell() -> None:
    """Why "band" is the default: unrelated noise of one colour."""
    brown = np.random.default_rng(3).normal(size=(2, 24_000)).cumsum(axis=-1)
    brown -= brown.mean(axis=-1, keepdims=True)
    assert abs(audio.mel_correlation(*brown)) < 0.15
    assert audio.mel_correlation(*brown, kind="cell") > 0.8


def test_mel_correlation_leaves_out_bands_that_never_sound(noise: np.ndarray) -> None:
    time = np.arange(24_000) / 24_000
    low = np.sin(2 * np.pi * 200 * time) * (1.5 + np.sin(2 * np.pi * 3 * time)) * np.hanning(24_000)
    assert audio.mel_correlation(low, low) == pytest.approx(1.0)
    assert audio.mel_correlation(np.zeros(24_000), low) == 0.0
    with pytest.raises(InputError, match="silent"):
        audio.mel_correlation(noise[0], np.zeros(24_000))
    with pytest.raises(InputError, match="Unknown kind"):
        audio.mel_correlation(noise[0], noise[0], kind="whole")  # type: ignore[arg-type]


def test_multi_scale_stft_distance_of_a_gain(noise: np.ndarray) -> None:
    """A gain g: convergence |1 - g| and log difference |ln g| at every scale."""
    expected = 0.5 + np.log(2.0)
    np.testing.assert_allclose(audio.multi_scale_stft_distance(0.5 * noise, noise), expected, atol=0.02)
    assert np.all(audio.multi_scale_stft_distance(noise, noise) == 0.0)
    with pytest.raises(InputError, match="silent"):
        audio.multi_scale_stft_distance(noise[0], np.zeros(24_000))


def test_correlation_equals_numpy_and_constants_count_zero(noise: np.ndarray) -> None:
    expected = np.corrcoef(noise[0], noise[1])[0, 1]
    assert audio.correlation(noise[0], noise[1]) == pytest.approx(expected, abs=1e-12)
    assert audio.correlation(np.ones(10), noise[0, :10]) == 0.0


def test_envelope_correlation_follows_the_loudness(noise: np.ndarray) -> None:
    t = np.arange(24_000) / 24_000
    slow, other = 1 + np.sin(2 * np.pi * 3 * t), 1 + np.cos(2 * np.pi * 3 * t)
    assert audio.envelope_correlation(slow * noise[0], slow * noise[1]) > 0.95
    assert abs(audio.envelope_correlation(other * noise[0], slow * noise[1])) < 0.1


def test_onset_correlation_takes_one_lag_for_all() -> None:
    rng = np.random.default_rng(1)
    heard = rng.exponential(size=(3, 4, 160))
    late = np.roll(heard, 2, axis=-1)
    late[0, 0] = np.roll(heard[0, 0], -1)  # one dissenter does not get a lag of its own
    found = audio.onset_correlation(late, heard, max_lag=8)
    assert found.lag_frames == 2
    assert found.correlation.shape == (3, 4)
    assert found.correlation[1, 1] > 0.999
    assert abs(found.correlation[0, 0]) < 0.4
    assert found.mean == pytest.approx(found.correlation.mean())


def test_onset_correlation_of_unrelated_curves_is_near_zero() -> None:
    """The price of trying 17 lags over 64 curves together is small; over one curve alone it is not."""
    rng = np.random.default_rng(2)
    found = audio.onset_correlation(rng.exponential(size=(64, 160)), rng.exponential(size=(64, 160)), max_lag=8)
    assert abs(found.mean) < 0.05


def test_bad_input_is_named(noise: np.ndarray) -> None:
    with pytest.raises(InputError, match="equal shapes"):
        audio.si_sdr(noise[0], noise)
    with pytest.raises(InputError, match="max_lag"):
        audio.onset_correlation(np.ones(10), np.ones(10), max_lag=6)
    with pytest.raises(InputError, match="not finite"):
        audio.log_mel_distance(noise * np.nan, noise)
    with pytest.raises(InputError, match="shorter than one frame"):
        audio.envelope(np.ones(10))
