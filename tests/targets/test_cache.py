"""What targets are kept under: the hash of a model's weights and the scales of the curves."""

from __future__ import annotations

import pytest
import torch

from eeg2music.targets import curves
from eeg2music.targets.cache import curve_scales, model_hash
from eeg2music.targets.clap import ClapMini
from eeg2music.targets.tokenizer import build_vocabulary


def make_clap(seed: int = 0) -> ClapMini:
    torch.manual_seed(seed)
    return ClapMini(build_vocabulary([]), audio_width=8, dilations=(1,), text_width=8, text_layers=1).eval()


def test_the_hash_of_a_model_is_that_of_its_weights() -> None:
    clap = make_clap(0)
    assert model_hash(clap) == model_hash(make_clap(0))
    assert model_hash(clap) != model_hash(make_clap(1))
    before = model_hash(clap)
    with torch.no_grad():
        next(clap.audio_tower.parameters()).flatten()[0].add_(1e-3)
    assert model_hash(clap) != before


def test_other_scales_of_the_curves_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    before = curve_scales()
    assert curve_scales() == before
    monkeypatch.setattr(curves, "ONSET_SCALE", 2.0)
    assert curve_scales() != before
