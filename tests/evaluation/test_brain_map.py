"""The brain map of an evaluation's report: drawn where there are weights for the electrodes, said where not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from eeg2music.encoders.brain import BrainEncoder
from eeg2music.evaluation import brain_map as module
from eeg2music.evaluation.brain_map import brain_map
from eeg2music.evaluation.config import EvaluateConfig, LevelConfig
from eeg2music.report import words
from eeg2music.simulation.head import MONTAGES
from eeg2music.types import REGIONS


def config(**more: Any) -> EvaluateConfig:
    return EvaluateConfig(levels=(LevelConfig(name="clean", snr="clean"),), **more)


def test_every_region_has_weights_of_its_own_on_the_montage(
    tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[tuple[Any, ...]] = []
    monkeypatch.setattr(module, "head_regions", lambda *given: drawn.append(given) or b"png")
    title, note, picture = brain_map(config(), tiny_checkpoint)
    assert (title, note, picture) == (module.TITLE, words.REGION_WEIGHTS, b"png")
    ((positions, weights, regions, good),) = drawn
    assert positions.shape == (len(MONTAGES["eeg64"]), 3) and good.all() and regions == REGIONS
    assert weights.shape == (len(REGIONS), len(positions))
    assert weights.sum(axis=1) == pytest.approx(1.0) and np.ptp(weights, axis=0).max() > 0.0


@pytest.mark.parametrize(
    ("weights", "said"),
    [(torch.zeros(1, len(REGIONS), len(MONTAGES["eeg64"])), words.NO_REGIONS), (None, words.NO_WEIGHTS)],
)
def test_without_weights_it_says_why(
    weights: torch.Tensor | None, said: str, tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BrainEncoder, "channel_weights", lambda *_: weights)
    assert brain_map(config(), tiny_checkpoint) == (module.TITLE, said, None)
