"""Does the scorer find the right window again, under degradations it was not trained with?

Query: a degraded rendering of one window. Gallery: the clean windows of up to 50 songs of one style,
the same stretch of time of each. Reads songs; trains nothing.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from eeg2music.metrics.retrieval import identification_accuracy, topk_accuracy
from eeg2music.scoring.degradations import DEGRADATIONS, heavily_degraded
from eeg2music.scoring.encoder import ScorerNet
from eeg2music.seeding import numpy_rng
from eeg2music.training.data import StimuliFolder
from eeg2music.training.features import StyleGroups
from eeg2music.types import STEMS, FloatArray

GALLERY = 50
_Degrade = Callable[[FloatArray, np.random.Generator], FloatArray]


@torch.no_grad()
def scorer_scores(scorer: ScorerNet, folder: StimuliFolder, window_s: float) -> dict[str, float]:
    """Identification of degraded windows among those of songs of one style, mean over styles.

    Returns
    -------
    <degradation>_top1 for each of `DEGRADATIONS`; heavy_top1 and heavy_pairwise: remixed, then four of
    them one after the other; other_time: share of windows for which another window of the *same* song
    is farther than the heavily degraded right one; gallery: songs per style.
    """
    groups = StyleGroups(folder)
    chosen = [songs[:GALLERY] for songs in groups.by_style.values() if len(songs) > 1]
    rows = [_style_scores(scorer, folder, songs, window_s) for songs in chosen]
    return {key: float(np.mean([row[key] for row in rows])) for key in (rows[0] if rows else ())}


def _style_scores(scorer: ScorerNet, folder: StimuliFolder, songs: list[str], window_s: float) -> dict[str, float]:
    starts = {song: 0.4 * max(0.0, folder.duration_s(song) - window_s) for song in songs}
    stems = {song: folder.crop(song, STEMS, starts[song], window_s) for song in songs}
    gallery = _embed(scorer, [stems[song].sum(0) for song in songs])
    figures = {"gallery": float(len(songs))}

    def query(name: str, degrade: _Degrade) -> NDArray[np.float32]:
        return _embed(scorer, [degrade(stems[song], numpy_rng(0, name, song)) for song in songs])

    for name, degradation in DEGRADATIONS.items():
        queries = query(name, lambda audio, rng, f=degradation: f(audio.sum(0), rng))  # type: ignore[misc]
        figures[f"{name}_top1"] = topk_accuracy(queries, gallery, 1)
    heavy = query("heavy", heavily_degraded)
    elsewhere = [folder.crop(song, STEMS, _other_start_s(folder, song, window_s), window_s).sum(0) for song in songs]
    other_time = (heavy * _embed(scorer, elsewhere)).sum(1)
    own = (heavy * gallery).sum(1)
    figures["heavy_top1"] = topk_accuracy(heavy, gallery, 1)
    figures["heavy_pairwise"] = identification_accuracy(heavy, gallery)
    figures["other_time"] = float(np.mean(other_time < own))
    return figures


def _other_start_s(folder: StimuliFolder, song: str, window_s: float) -> float:
    return max(0.0, folder.duration_s(song) - window_s)


def _embed(scorer: ScorerNet, clips: list[FloatArray]) -> NDArray[np.float32]:
    with torch.no_grad():
        parts = [scorer.embed(torch.from_numpy(np.stack(clips[at : at + 16]))) for at in range(0, len(clips), 16)]
    embedded: NDArray[np.float32] = torch.cat(parts).float().cpu().numpy()
    return embedded
