"""ScorerNet's contract, and what it must not hear."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from eeg2music.errors import InputError
from eeg2music.scoring.encoder import BANDS, HOP, LOWEST_MIDI, LogFrequency, ScorerNet, describe, semitone_filters
from eeg2music.types import SAMPLE_RATE_HZ
from eeg2music.weights import load_model, save_model


@pytest.fixture(scope="module")
def scorer() -> ScorerNet:
    torch.manual_seed(0)
    return ScorerNet(width=16).eval()


def noise(seconds: float = 2.0, rows: int = 3) -> torch.Tensor:
    shape = (rows, round(seconds * SAMPLE_RATE_HZ))
    return 0.1 * torch.randn(shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("seconds", [1.0, 2.0, 5.0, 10.0])
def test_a_fingerprint_is_a_unit_vector(scorer: ScorerNet, seconds: float) -> None:
    with torch.no_grad():
        out = scorer.embed(noise(seconds))
    assert out.shape == (3, 128) and scorer.embedding_dim == 128
    torch.testing.assert_close(out.norm(dim=1), torch.ones(3))


@pytest.mark.parametrize("gain", [0.01, 0.3, 5.0])
def test_the_level_of_a_clip_is_inaudible(scorer: ScorerNet, gain: float) -> None:
    with torch.no_grad():
        torch.testing.assert_close(scorer.embed(gain * noise()), scorer.embed(noise()), atol=2e-4, rtol=0)


def test_half_of_what_it_sees_is_blind_to_filters() -> None:
    power = torch.rand(1, BANDS, 40, generator=torch.Generator().manual_seed(0)) + 0.5
    filtered = power * torch.linspace(0.5, 2.0, BANDS)[None, :, None]
    one, other = (describe(p).unflatten(2, (2 * BANDS, 2))[:, :, BANDS:] for p in (power, filtered))
    torch.testing.assert_close(one, other, atol=1e-3, rtol=0)


def test_silence_is_finite(scorer: ScorerNet) -> None:
    with torch.no_grad():
        assert torch.isfinite(scorer.embed(torch.zeros(1, SAMPLE_RATE_HZ))).all()


def test_each_note_has_its_band() -> None:
    filters = semitone_filters()
    assert filters.shape == (2049, BANDS)
    np.testing.assert_allclose(filters.sum(0), 1.0, rtol=1e-5)
    time = torch.arange(SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    for midi in (48, 60, 69, 100):
        tone = torch.sin(2 * torch.pi * 440.0 * 2 ** ((midi - 69) / 12) * time)
        assert int(LogFrequency()(tone[None])[0].mean(1).argmax()) == midi - LOWEST_MIDI


def test_frames_of_a_stretch_are_those_of_the_whole() -> None:
    audio, front = noise(3.0), LogFrequency()
    part = front(audio[:, 30 * HOP : 30 * HOP + SAMPLE_RATE_HZ])
    torch.testing.assert_close(part, front(audio)[..., 30 : 30 + part.shape[-1]], rtol=1e-4, atol=1e-9)


def test_saved_and_loaded_it_is_the_same(scorer: ScorerNet, tmp_path: Path) -> None:
    save_model(scorer, tmp_path / "full")
    save_model(scorer, tmp_path / "half", dtype=torch.bfloat16)
    with torch.no_grad():
        expected = scorer.embed(noise())
        torch.testing.assert_close(load_model(ScorerNet, tmp_path / "full").embed(noise()), expected, rtol=0, atol=0)
        half = load_model(ScorerNet, tmp_path / "half").embed(noise())
    assert float((half * expected).sum(1).min()) > 0.999


def test_it_shares_nothing_with_the_clap() -> None:
    import ast
    import inspect

    import eeg2music.scoring.encoder as module

    imported = {
        node.module for node in ast.walk(ast.parse(inspect.getsource(module))) if isinstance(node, ast.ImportFrom)
    }
    assert not any(name and name.startswith("eeg2music.targets") for name in imported)


def test_what_cannot_be_scored_is_refused(scorer: ScorerNet) -> None:
    with pytest.raises(InputError, match="cannot be scored"):
        scorer.embed(torch.zeros(1, 1000))
    with pytest.raises(InputError, match="cannot be scored"):
        scorer.embed(torch.zeros(SAMPLE_RATE_HZ))
    with pytest.raises(InputError, match="not finite"):
        scorer.embed(torch.full((1, SAMPLE_RATE_HZ), float("inf")))
