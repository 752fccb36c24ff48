"""Controls remove exactly one thing: what must survive survives, what must go is gone."""

from __future__ import annotations

import logging
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from scipy import signal
from torch import nn

from eeg2music.encoders.brain import BrainEncoder
from eeg2music.errors import DataError, InputError
from eeg2music.evaluation.controls import derangement, phase_randomize, reinitialised, time_shift
from eeg2music.seeding import numpy_rng
from eeg2music.types import SignalSpec


@pytest.fixture
def eeg() -> np.ndarray:
    """Four correlated channels, ten seconds at 64 Hz, with a shared burst."""
    rng = np.random.default_rng(0)
    sources = rng.normal(size=(2, 640)).cumsum(axis=1)
    sources[:, 300:320] += 40.0
    return (rng.normal(size=(4, 2)) @ sources + rng.normal(size=(4, 640))).astype(np.float32)


@pytest.mark.parametrize("samples", [640, 639])
def test_phase_randomize_keeps_spectra_and_cross_spectra(eeg: np.ndarray, samples: int) -> None:
    eeg = eeg[:, :samples]
    surrogate = phase_randomize(eeg, numpy_rng(0, "a"))
    assert surrogate.dtype == np.float32
    before, after = np.fft.rfft(eeg.astype(float)), np.fft.rfft(surrogate.astype(float))
    scale = np.abs(before).max() ** 2
    cross_before = before[:, None] * before[None].conj()
    cross_after = after[:, None] * after[None].conj()
    np.testing.assert_allclose(cross_after / scale, cross_before / scale, atol=1e-6)
    # By Parseval the zero-lag covariance is kept as well.
    np.testing.assert_allclose(np.cov(surrogate), np.cov(eeg), rtol=1e-4, atol=1e-3)


def test_phase_randomize_destroys_timing(eeg: np.ndarray) -> None:
    correlations = [
        np.corrcoef(signal.detrend(eeg[0]), signal.detrend(phase_randomize(eeg, numpy_rng(0, i))[0]))[0, 1]
        for i in range(200)
    ]
    assert abs(np.mean(correlations)) < 0.1


def test_phases_per_channel_would_break_the_covariance(eeg: np.ndarray) -> None:
    """The planted fraud: each channel alone. A spatial decoder would fail for the wrong reason."""
    fraud = np.concatenate([phase_randomize(eeg[i : i + 1], numpy_rng(0, i)) for i in range(4)])
    assert np.abs(np.cov(fraud) - np.cov(eeg)).max() > 0.1 * np.abs(np.cov(eeg)).max()


def test_windows_of_a_batch_get_their_own_phases(eeg: np.ndarray) -> None:
    both = phase_randomize(np.stack([eeg, eeg]), numpy_rng(0, "batch"))
    assert both.shape == (2, 4, 640)
    assert not np.allclose(both[0], both[1])


def test_phase_randomize_refuses_nan(eeg: np.ndarray) -> None:
    eeg[1, 5] = np.nan
    with pytest.raises(InputError, match="not finite"):
        phase_randomize(eeg, numpy_rng(0))


def test_time_shift_keeps_every_sample_and_its_distance(eeg: np.ndarray) -> None:
    for i in range(50):
        shifted = time_shift(eeg, numpy_rng(0, i), min_shift=128)
        lag = next(k for k in range(640) if np.array_equal(np.roll(eeg, k, axis=-1), shifted))
        assert 128 <= lag <= 512
    assert len({time_shift(eeg, numpy_rng(0, i)).tobytes() for i in range(30)}) > 20


def test_time_shift_refuses_an_impossible_shift(eeg: np.ndarray) -> None:
    with pytest.raises(InputError, match="1 to 320"):
        time_shift(eeg, numpy_rng(0), min_shift=321)


@pytest.mark.parametrize("n", [2, 3, 50])
def test_derangement_moves_everything(n: int) -> None:
    for i in range(30):
        order = derangement(n, numpy_rng(0, i))
        assert sorted(order) == list(range(n))
        assert not np.any(order == np.arange(n))


def test_derangement_never_pairs_a_song_with_itself() -> None:
    rng = np.random.default_rng(0)
    for i in range(30):
        songs = [f"song-{s}" for s in rng.permutation([0] * 5 + [1] * 3 + [2] * 2 + [3])]
        if songs.count("song-0") * 2 > len(songs):
            continue
        order = derangement(songs, numpy_rng(0, i))
        assert sorted(order) == list(range(len(songs)))
        assert all(songs[a] != songs[b] for a, b in enumerate(order))
    with pytest.raises(DataError, match="at most half"):
        derangement(np.array([1, 1, 1, 2]), numpy_rng(0))


def test_derangement_depends_on_the_seed_alone() -> None:
    songs = list(range(20)) * 2
    assert np.array_equal(derangement(songs, numpy_rng(3, "x")), derangement(songs, numpy_rng(3, "x")))
    assert not np.array_equal(derangement(songs, numpy_rng(3, "x")), derangement(songs, numpy_rng(4, "x")))


class Plain(nn.Module):
    """A small network with everything that a re-initialisation must get right."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(8, 16)
        self.norm = nn.BatchNorm1d(16)
        self.last = nn.Linear(16, 4)
        self.register_buffer("positions", torch.arange(4.0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(torch.relu(self.norm(self.first(x)))) + self.positions


class Stubborn(nn.Module):
    """Holds a bare parameter that nothing resets."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 3, generator=torch.Generator().manual_seed(0)))


def trained() -> Plain:
    model = Plain()
    with torch.no_grad():
        model.norm.running_mean += 5.0
        model.positions += 100.0
    return model.eval()


def test_reinitialised_forgets_weights_and_keeps_data() -> None:
    model = trained()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    fresh = reinitialised(model, seed=0)
    assert isinstance(fresh, Plain)
    assert not fresh.training
    for name in ("first.weight", "last.weight", "norm.running_mean"):
        assert not torch.equal(fresh.state_dict()[name], before[name]), name
    assert torch.equal(fresh.positions, model.positions)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), f"the trained model's {name} changed"


def test_a_fresh_encoder_says_nothing_on_the_screen() -> None:
    encoder = BrainEncoder.build(SignalSpec(kind="eeg", sfreq_hz=64.0, subjects=()), points=16, filters=2, width=8)
    said: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = said.append  # type: ignore[method-assign]
    logging.getLogger("diffusers").addHandler(handler)
    try:
        reinitialised(encoder, seed=0)
    finally:
        logging.getLogger("diffusers").removeHandler(handler)
    assert said == []


def test_reinitialised_depends_on_its_seed_and_leaves_torch_alone() -> None:
    model = trained()
    state = torch.random.get_rng_state()
    first, again, other = (reinitialised(model, seed=s).first.weight for s in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.random.get_rng_state(), state)


class Configured(Stubborn):
    """Has no reset, but can be built from its config, as every model of the package."""

    config: ClassVar[dict[str, Any]] = {"width": 5, "_use_default_values": ["width"]}

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(width, width))

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Configured:
        dropped = config.get("_use_default_values", [])
        return cls(**{key: value for key, value in config.items() if key not in dropped})


def test_reinitialised_builds_from_a_config_where_there_is_one() -> None:
    model = Configured(width=5).double()
    fresh = reinitialised(model, seed=0)
    assert fresh.weight.shape == (5, 5)
    assert fresh.weight.dtype == torch.float64
    assert not torch.equal(fresh.weight, model.weight)


def test_a_weight_that_kept_its_values_is_caught() -> None:
    with pytest.raises(InputError, match="weight"):
        reinitialised(Stubborn(), seed=0)
