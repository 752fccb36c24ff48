"""Bad channels: planted faults are found and named, healthy channels are left alone."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import signal as dsp

from eeg2music.preprocess.quality import assess, coarse_step, judged_blocks, robust_z, saturated
from eeg2music.seeding import numpy_rng
from eeg2music.types import FloatArray, Recording

RATE = 256.0


def cap(channels: int = 16, seconds: float = 30.0, seed: int = 0) -> NDArray[np.float64]:
    """Neighbours that share sources, as electrodes of a cap do."""
    rng = numpy_rng(seed, "cap")
    sources = np.cumsum(rng.standard_normal((6, round(seconds * RATE))), axis=1)
    sources -= np.linspace(0, 1, sources.shape[1]) * sources[:, -1:]
    mix = np.exp(-0.5 * ((np.arange(channels)[:, None] / channels * 6 - np.arange(6)[None]) / 1.2) ** 2)
    return 1e-6 * (mix @ sources + 0.5 * rng.standard_normal((channels, sources.shape[1])))


def recording(signal: NDArray[np.floating], **changes: object) -> Recording:
    count = signal.shape[0]
    return Recording(
        signal_v=signal.astype(np.float32),
        sfreq_hz=RATE,
        channel_names=tuple(f"c{i}" for i in range(count)),
        positions_m=np.full((count, 3), np.nan, dtype=np.float32),
        kind="eeg",
        key="synthetic",
    ).replace(**changes)


def plant(fault: str) -> NDArray[np.float64]:
    signal = cap()
    time = np.arange(signal.shape[1]) / RATE
    rng = numpy_rng(5, fault)
    if fault == "flat":
        signal[4] = 1.7e-5
    elif fault == "nan":
        signal[4] = np.nan
    elif fault == "some nan":
        signal[4, ::5] = np.inf
    elif fault == "saturated":
        signal[4] *= 1 + 20 * (np.sin(2 * np.pi * 0.3 * time) > 0.8)
        signal[4] = np.clip(signal[4], *np.percentile(signal[4], [2.5, 97.5]))
    elif fault == "strong":
        signal[4] *= 200
    elif fault == "weak":
        signal[4] *= 0.005
    elif fault == "fast":
        # As tense muscles are: too little to change the power below 25 Hz.
        band = dsp.butter(4, [40.0, 90.0], "bandpass", fs=RATE, output="sos")
        signal[4] += 3e-5 * dsp.sosfilt(band, rng.standard_normal(time.size))
    elif fault == "hum":
        signal[4] += 2e-2 * np.sin(2 * np.pi * 50 * time)
    return signal


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ("flat", "^flat$"),
        ("nan", "no number .* at all"),
        ("some nan", "20 % of its samples"),
        ("saturated", "^saturated for [1-9] % of the time$"),
        ("strong", "stronger than the other"),
        ("weak", "weaker than the other"),
        ("fast", "^too noisy above 30 Hz$"),
        ("hum", "^nothing but mains hum$"),
    ],
)
def test_a_planted_fault_is_found_and_nothing_else(fault: str, why: str) -> None:
    found = assess(recording(plant(fault)))
    assert list(found) == ["c4"]
    with pytest.raises(ValueError, match=why):
        raise ValueError(found["c4"])


def test_saturation_is_the_time_spent_at_a_far_extreme() -> None:
    rng = numpy_rng(0, "rails")
    signal = rng.standard_normal(20_000).astype(np.float32)
    assert saturated(signal) < 0.001
    signal[:2000] = 50.0
    assert saturated(signal) == pytest.approx(0.1, abs=0.01)


def test_a_healthy_cap_has_no_bad_channel() -> None:
    for seed in range(4):
        assert assess(recording(cap(seed=seed))) == {}


def test_independent_channels_are_not_condemned_for_being_independent() -> None:
    rng = numpy_rng(0, "independent")
    assert assess(recording(rng.standard_normal((8, 7680)) * 1e-5)) == {}


def test_a_channel_unlike_all_others_is_found_where_others_are_alike() -> None:
    signal = cap(channels=24)
    rng = numpy_rng(1, "stranger")
    stranger = np.cumsum(rng.standard_normal(signal.shape[1]))
    signal[7] = stranger / stranger.std() * signal[6].std()
    assert "c7" in assess(recording(signal))


def test_the_files_own_verdict_stays() -> None:
    found = assess(recording(cap(), bad_channels={"c3": "marked bad in channels.tsv"}))
    assert found == {"c3": "marked bad in channels.tsv"}


def test_one_bad_stretch_does_not_condemn_a_channel() -> None:
    signal = cap(seconds=60.0)
    signal[4, 1000:2500] *= 300
    assert assess(recording(signal)) == {}


def test_coarse_digitizing_is_seen() -> None:
    rng = numpy_rng(0, "coarse")
    fine = rng.standard_normal((4, 5000)).astype(np.float32) * 1e-5
    assert coarse_step(fine) is None
    step: FloatArray = np.round(fine / 2e-5).astype(np.float32) * np.float32(2e-5)
    assert coarse_step(step) == pytest.approx(2e-5, rel=0.01)


def test_blocks_avoid_gaps_where_they_can() -> None:
    signal = cap(seconds=30.0).astype(np.float32)
    gaps = np.zeros(signal.shape[1], dtype=bool)
    gaps[:1280] = True
    blocks = judged_blocks(signal, RATE, gaps)
    assert all(block.shape[1] == 1280 for block in blocks)
    assert not any(np.array_equal(block[0], signal[0, :1280]) for block in blocks)


def test_robust_z_of_equal_values_is_zero() -> None:
    assert not robust_z(np.ones(5), least=0.1).any()
