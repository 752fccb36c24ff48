"""The linear model that every decoder has to beat: ridge regression, fitted on listeners and songs that are not scored.

A linear encoder in place of the trained one, of the same inputs and outputs, so that it goes through the same scores.
Closed form throughout; penalties are chosen over whole songs of the fit alone. Scores nothing.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import torch

from eeg2music.encoders.ridge import PENALTIES, RidgeEncoder
from eeg2music.errors import DataError
from eeg2music.evaluation.heard import take
from eeg2music.metrics.ridge import group_folds
from eeg2music.pipeline import BrainToMusicPipeline
from eeg2music.types import EEG_RATE_HZ, Conditions, SignalSpec, Window

FOLDS = 4
BATCH = 48


def fit_linear_decoder(
    pipeline: BrainToMusicPipeline,
    windows: Sequence[Window],
    rows: Sequence[int],
    conditions: Conditions,
    works: Sequence[str] | None = None,
) -> tuple[RidgeEncoder, dict[str, float]]:
    """Fit it, and say which penalties were chosen.

    Parameters
    ----------
    pipeline : says how windows become batches
    windows : n of one length
    rows : (n,) which song, row of `conditions`, each one heard
    conditions : what the encoder is to read, one row a song
    works : work of each row of `conditions`, where a work has several

    Raises
    ------
    DataError
        With fewer songs than folds.
    """
    groups: list[Hashable] = [row if works is None else works[row] for row in rows]
    if len(set(groups)) < FOLDS:
        raise DataError(f"{len(set(groups))} songs to fit on", allowed=f"{FOLDS} or more", remedy="raise fit.songs")
    fold = group_folds(groups, FOLDS, n=len(rows))
    batches, folds = [], []
    for number in range(int(fold.max()) + 1):
        members = [row for row in range(len(rows)) if fold[row] == number]
        for start in range(0, len(members), BATCH):
            chosen = members[start : start + BATCH]
            heard = take(conditions, [rows[row] for row in chosen])
            batches.append(_batch(pipeline, [windows[row] for row in chosen], heard))
            folds.append(number)
    spec = SignalSpec("eeg", float(EEG_RATE_HZ), (), n_channels_max=max(len(window.eeg) for window in windows))
    dim = int(conditions.global_embedding.shape[-1])
    encoder = RidgeEncoder.build(spec, embedding_dim=dim).eval()
    return encoder, encoder.fit_choosing(batches, folds)


def at_the_edge(penalties: Mapping[str, float]) -> str:
    """Says which chosen penalties are the least or the largest of those tried; empty where none is.

    >>> at_the_edge({"curve_penalty": 0.1, "embedding_penalty": 1000.0})
    'the embedding penalty 1000 is the largest of those tried'
    """
    ends = {min(PENALTIES): "least", max(PENALTIES): "largest"}
    return "; ".join(
        f"the {name.replace('_', ' ')} {penalty:g} is the {ends[penalty]} of those tried"
        for name, penalty in penalties.items()
        if penalty in ends
    )


def edge_remarks(levels: Sequence[Mapping[str, Any]]) -> list[str]:
    """A sentence for each linear decoder, by level and seed, whose penalties lie at the edge of those tried."""
    return [
        f"{level['name']}, {name}, seed {seeded['seed']}: {seeded['given']['edge']}"
        for level in levels
        for name, entry in level["scores"].items()
        for seeded in entry["seeds"]
        if seeded.get("given", {}).get("edge")
    ]


def _batch(pipeline: BrainToMusicPipeline, windows: Sequence[Window], heard: Conditions) -> dict[str, torch.Tensor]:
    names = ("eeg", "positions_m", "channel_mask", "subject")
    inputs = dict(zip(names, (value.cpu() for value in pipeline.inputs(windows)), strict=True))
    # Nobody is known to it: who listens is not among its inputs.
    inputs["subject"] = torch.full_like(inputs["subject"], -1)
    embedding = torch.cat([heard.global_embedding[:, None], heard.stem_embedding], dim=1)
    return {**inputs, "embedding": embedding.cpu(), "curves": heard.curves.cpu()}
