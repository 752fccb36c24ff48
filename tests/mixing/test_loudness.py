"""Loudness against the standard's own test tone, true peaks against ideal interpolation, and a limiter that limits."""

from __future__ import annotations

import mixing_band as band
import numpy as np
import pytest
from scipy.signal import resample_poly

from eeg2music.mixing.loudness import SILENCE_LUFS, integrated_loudness, limit, master, true_peak_dbtp

TIME = np.arange(120_000) / band.RATE


def ideal_peak_db(audio: np.ndarray) -> float:
    """Peak of the band-limited interpolation by 16, computed in the spectrum; the clip's ends are left out."""
    n = audio.shape[-1]
    spectrum = np.fft.rfft(audio.astype(float), axis=-1)
    padded = np.zeros((*audio.shape[:-1], 16 * n // 2 + 1), complex)
    padded[..., : spectrum.shape[-1]] = spectrum
    fine = 16 * np.fft.irfft(padded, 16 * n, axis=-1)
    return 20 * float(np.log10(np.abs(fine[..., 1600:-1600]).max()))


def test_the_standard_tone_reads_what_the_standard_says() -> None:
    """ITU-R BS.1770: a full-scale 997 Hz sine in one channel reads -3.01 LKFS."""
    assert integrated_loudness(np.sin(2 * np.pi * 997 * TIME)) == pytest.approx(-3.01, abs=0.1)
    assert integrated_loudness(np.stack([np.sin(2 * np.pi * 997 * TIME)] * 2)) == pytest.approx(0.0, abs=0.1)


def test_gain_moves_loudness_by_itself() -> None:
    noise = 0.1 * np.random.default_rng(0).normal(size=120_000)
    assert integrated_loudness(0.5 * noise) == pytest.approx(integrated_loudness(noise) - 6.0206, abs=1e-6)


@pytest.mark.parametrize("samples", [240, 4000, 9599, 9600, 9601])
def test_clips_around_the_block_length(samples: int) -> None:
    tone = np.sin(2 * np.pi * 997 * TIME[:samples])
    assert integrated_loudness(tone) == pytest.approx(-3.0, abs=1.5)


def test_silence_is_the_gate() -> None:
    assert integrated_loudness(np.zeros(48_000)) == SILENCE_LUFS
    assert integrated_loudness(1e-6 * np.ones(48_000)) == SILENCE_LUFS
    assert true_peak_dbtp(np.zeros((2, 100))) == -120.0


def test_true_peak_between_the_samples() -> None:
    """A quarter of the sampling rate at 45 degrees: samples at 0.707, peaks at 1."""
    tone = np.sin(np.pi / 2 * np.arange(24_000) + np.pi / 4) * np.hanning(24_000)
    assert 20 * np.log10(np.abs(tone).max()) == pytest.approx(-3.01, abs=0.01)
    assert true_peak_dbtp(tone) == pytest.approx(0.0, abs=0.1)


def test_limiter_keeps_the_ceiling_and_is_no_clipper() -> None:
    loud = np.stack([3.0 * band.drums(120.0, 5.0), 2.0 * band.harmony(120.0, 0.0, 5.0)])
    limited, reduction = limit(loud, -1.0)
    assert true_peak_dbtp(limited) <= -1.0
    assert 20 * np.log10(np.abs(resample_poly(limited.astype(float), 4, 1, axis=-1)).max()) <= -1.0
    # The harmony is band-limited well below Nyquist: there the ideal interpolation agrees.
    assert ideal_peak_db(limited[1]) <= -1.0
    assert reduction > 2.0
    # One smooth gain for both channels: no waveform is cut.
    heard = np.abs(loud) > 0.05
    gain = np.where(heard, limited / np.where(heard, loud, 1.0), np.nan)
    assert np.nanmax(np.abs(gain[0] - gain[1])) < 1e-4
    assert np.nanmax(np.abs(np.diff(gain[1]))) < 0.03
    assert np.nanmin(gain) > 0.1


def test_limiter_leaves_what_is_quiet_alone() -> None:
    quiet = np.stack([band.harmony(120.0, 0.0, 2.0)] * 2)
    limited, reduction = limit(quiet, -1.0)
    assert limited is quiet
    assert reduction == 0.0
    loud_once = quiet.copy()
    loud_once[:, 30_000:30_100] *= 5.0
    limited, _ = limit(loud_once, -1.0)
    np.testing.assert_array_equal(limited[:, :29_000], loud_once[:, :29_000])


@pytest.mark.parametrize("target", [-23.0, -16.0, -11.0])
def test_master_meets_loudness_and_ceiling(target: float) -> None:
    stems = band.band(seconds=5.0)
    stereo = np.stack([stems[:2].sum(0), stems[2:].sum(0)])
    result = master(stereo, target_lufs=target, ceiling_dbtp=-1.0, max_gain_db=40.0)
    assert integrated_loudness(result.audio) == pytest.approx(target, abs=0.1)
    assert result.loudness_lufs == pytest.approx(target, abs=0.1)
    assert 20 * np.log10(np.abs(resample_poly(result.audio.astype(float), 4, 1, axis=-1)).max()) <= -1.0
    assert result.true_peak_dbtp <= -1.0


def test_master_does_not_raise_a_noise_floor_to_music() -> None:
    hiss = 1e-3 * np.random.default_rng(0).normal(size=(2, 48_000))
    result = master(hiss.astype(np.float32), target_lufs=-16.0, ceiling_dbtp=-1.0, max_gain_db=20.0)
    assert result.gain_db == 20.0
    assert result.loudness_lufs < -30.0


def test_master_of_silence_is_silence() -> None:
    result = master(np.zeros((2, 24_000), np.float32), target_lufs=-16.0, ceiling_dbtp=-1.0, max_gain_db=40.0)
    assert not np.any(result.audio)
    assert result.loudness_lufs == SILENCE_LUFS
