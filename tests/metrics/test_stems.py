"""Coherence, masking, loudness and peaks where the answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import signal

from eeg2music.errors import InputError
from eeg2music.metrics import stems
from eeg2music.metrics.harmony import key_score
from eeg2music.seeding import numpy_rng

RATE_HZ = 24_000
TIME_S = np.arange(RATE_HZ) / RATE_HZ


def sine(hz: float, level: float = 1.0) -> np.ndarray:
    return level * np.sin(2 * np.pi * hz * TIME_S)


def test_coherence_of_a_noisy_copy_is_what_theory_says() -> None:
    """y = x + noise of equal power at every frequency: 1 / (1 + noise power / signal power)."""
    rng = numpy_rng(0, "coherence")
    curve, noise = rng.normal(size=(2, 20_000))
    for ratio in (0.25, 1.0, 4.0):
        found = stems.stem_coherence(np.stack([curve, curve + np.sqrt(ratio) * noise]))[0, 1]
        assert found == pytest.approx(1 / (1 + ratio), abs=0.02)


def test_coherence_equals_scipy_pair_by_pair() -> None:
    curves = numpy_rng(0, "curves").normal(size=(2, 3, 160)).cumsum(axis=-1)
    found = stems.stem_coherence(curves)
    assert found.shape == (2, 3, 3)
    for clip in range(2):
        for a, b in ((0, 1), (1, 2), (2, 0)):
            hz, expected = signal.coherence(curves[clip, a], curves[clip, b], fs=32, nperseg=32, noverlap=16)
            band = (hz >= 0.5) & (hz <= 8.0)
            assert found[clip, a, b] == pytest.approx(expected[band].mean(), abs=1e-12)
    np.testing.assert_allclose(found, np.swapaxes(found, -1, -2))


def test_unrelated_curves_lie_at_the_floor() -> None:
    curves = numpy_rng(0, "unrelated").normal(size=(500, 2, 160))
    found = stems.stem_coherence(curves)[:, 0, 1]
    assert found.mean() == pytest.approx(stems.coherence_floor(160), abs=0.01)


def test_a_stem_that_never_changes_coheres_with_nothing() -> None:
    curve = numpy_rng(0, "one").normal(size=160)
    found = stems.stem_coherence(np.stack([curve, np.full(160, 0.3)]))
    np.testing.assert_array_equal(found, np.eye(2))


def test_agreement_between_stems_is_the_mean_over_pairs() -> None:
    keys = ["C major", "G major", "A minor"]
    pairs = [(a, b) for a in keys for b in keys if a != b]
    assert stems.key_agreement_between(keys) == pytest.approx(np.mean([key_score(a, b) for a, b in pairs]))
    beats = np.arange(10) / 2.0
    assert stems.beat_agreement_between([beats, beats + 0.01, beats + 0.2]) == pytest.approx(1 / 3)


def test_a_stem_under_another_is_masked_and_one_beside_it_is_not() -> None:
    noise = numpy_rng(0, "noise").normal(size=(2, RATE_HZ))
    low, high = (signal.sosfilt(signal.butter(8, edge, kind, fs=RATE_HZ, output="sos"), part)
                 for part, edge, kind in zip(noise, (1000, 3000), ("low", "high"), strict=True))  # fmt: skip
    beside = stems.masked_share(np.stack([low, high]), margin_db=10.0)
    under = stems.masked_share(np.stack([low, 0.01 * noise[1]]), margin_db=10.0)
    assert beside.max() < 0.35
    # 40 dB below in the low band, alone above it.
    assert 0.2 < under[1] < 0.8
    assert under[0] < 0.4
    louder = stems.masked_share(np.stack([noise[0], 10.0 ** (-25 / 20) * noise[1]]))
    assert louder[1] > 0.9
    assert louder[0] < 0.02


def test_the_margin_is_in_decibels_of_the_cells() -> None:
    """The same waveform at another level: every cell lies exactly that far below."""
    wave = numpy_rng(0, "wave").normal(size=RATE_HZ)
    pair = np.stack([wave, 10.0 ** (-8 / 20) * wave])
    assert stems.masked_share(pair, margin_db=7.9)[1] == 1.0
    assert stems.masked_share(pair, margin_db=8.1)[1] == 0.0


def test_pauses_are_not_masked() -> None:
    wave = numpy_rng(0, "wave").normal(size=RATE_HZ)
    short = np.where(TIME_S < 0.2, sine(6000, 30.0), 0.0)
    assert stems.masked_share(np.stack([wave, short]))[1] < 0.5
    assert stems.masked_share(np.stack([wave, 1e-4 * short]))[1] == 1.0


@pytest.mark.parametrize("level_db", [0.0, -23.0, -40.0])
def test_loudness_of_the_standards_tone(level_db: float) -> None:
    """BS.1770: a full-scale sine of 997 Hz in one channel reads -3.01 LKFS, in two 3 dB more."""
    tone = np.tile(sine(997.0, 10.0 ** (level_db / 20)), 3)
    assert stems.loudness_lufs(tone) == pytest.approx(-3.01 + level_db, abs=0.15)
    assert stems.loudness_lufs(np.stack([tone, tone])) == pytest.approx(stems.loudness_lufs(tone) + 3.01, abs=0.01)
    assert stems.loudness_lufs(sine(997.0)[:4800]) == pytest.approx(-3.01, abs=0.3)


def test_silence_is_minus_infinity() -> None:
    assert stems.loudness_lufs(np.zeros(RATE_HZ)) == -np.inf
    assert stems.loudness_lufs(sine(997.0, 1e-6)) == -np.inf
    assert stems.true_peak_dbtp(np.zeros(100)) == -np.inf


@pytest.mark.parametrize(
    ("hz", "phase", "tolerance_db"), [(6000.0, 0.25, 0.02), (997.0, 0.0, 0.02), (11_000.0, 0.3, 0.7)]
)
def test_the_true_peak_lies_between_the_samples(hz: float, phase: float, tolerance_db: float) -> None:
    tone = np.sin(2 * np.pi * hz * TIME_S + np.pi * phase) * np.hanning(RATE_HZ)
    assert abs(stems.true_peak_dbtp(tone)) < tolerance_db
    if phase == 0.25:
        assert 20 * np.log10(np.abs(tone).max()) == pytest.approx(-3.01, abs=0.01)


def test_the_true_peak_equals_an_ideal_interpolation() -> None:
    """Fourier interpolation of a band-limited periodic signal is exact."""
    audio = signal.resample(numpy_rng(0, "peaks").normal(size=3000), 4000)
    expected = 20 * np.log10(np.abs(signal.resample(audio, 4 * 4000)).max())
    inside = stems.true_peak_dbtp(np.tile(audio, 3))
    assert inside == pytest.approx(expected, abs=0.05)
    assert stems.true_peak_dbtp(np.stack([0.5 * audio, audio])) == stems.true_peak_dbtp(audio)


def test_bad_input_is_named() -> None:
    with pytest.raises(InputError, match="two stems or more"):
        stems.stem_coherence(np.ones((1, 160)))
    with pytest.raises(InputError, match="four segments"):
        stems.stem_coherence(np.ones((2, 40)))
    with pytest.raises(InputError, match="holds no bin"):
        stems.stem_coherence(numpy_rng(0, "x").normal(size=(2, 160)), band_hz=(0.1, 0.2))
    with pytest.raises(InputError, match=r"index \[1\] is silent"):
        stems.masked_share(np.stack([sine(100.0), 0 * TIME_S]))
    with pytest.raises(InputError, match="at most 2"):
        stems.loudness_lufs(np.ones((4, 1000)))
    with pytest.raises(InputError, match="oversampling = 0"):
        stems.true_peak_dbtp(np.ones(100), oversampling=0)
    with pytest.raises(InputError, match="1 key"):
        stems.key_agreement_between(["C"])
    with pytest.raises(InputError, match="1 stem"):
        stems.beat_agreement_between([[1.0]])
