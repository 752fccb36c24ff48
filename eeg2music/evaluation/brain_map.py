"""Where on the head the evaluated encoder listens for each region's stem, for the report. Scores nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from eeg2music.encoders.base import UNSEEN
from eeg2music.evaluation.config import EvaluateConfig
from eeg2music.pipeline import load_pipeline
from eeg2music.recordings.prepared import PreparedDataset
from eeg2music.report import words
from eeg2music.report.figures import head_regions
from eeg2music.report.html import Picture
from eeg2music.simulation.head import montage_positions
from eeg2music.types import REGIONS, FloatArray

TITLE = "Brain maps"


@torch.no_grad()
def brain_map(config: EvaluateConfig, folder: Path) -> Picture:
    """(title, caption, PNG): how strongly each region weighs each electrode, for a listener whom it does not know.

    Drawn for the nominal positions of a simulated montage, or for those of a cache's first recording; without a picture
    where the encoder has no such weights or cannot tell the regions apart there.
    """
    encoder = load_pipeline(folder, "cpu").encoder
    positions_m, good = _electrodes(config)
    weights = encoder.channel_weights(
        torch.from_numpy(positions_m)[None], torch.from_numpy(good)[None], torch.tensor([UNSEEN])
    )
    if weights is None:
        return TITLE, words.NO_WEIGHTS, None
    if not weights.any():
        return TITLE, words.NO_REGIONS, None
    return TITLE, words.REGION_WEIGHTS, head_regions(positions_m, weights[0].float().numpy(), REGIONS, good)


def _electrodes(config: EvaluateConfig) -> tuple[FloatArray, NDArray[np.bool_]]:
    """(channel, 3) metres and which of them are good."""
    if config.prepared:
        data = PreparedDataset(config.prepared)
        positions, good = data.channels(data.recordings[0])
        return positions.copy(), good.copy()
    positions = montage_positions(config.listening.montage)[1].astype(np.float32)
    return positions, np.ones(len(positions), dtype=bool)
