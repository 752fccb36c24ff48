"""Validation figures of a brain encoder: identification of held-out pieces, agreement of curves.

Arrays and models in, figures out. The full evaluation with its controls lies in
`eeg2music.evaluation`; this is what a training is steered by.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from eeg2music.encoders.base import BrainConditions, Encoder
from eeg2music.encoders.losses import delayed, moving, pearson
from eeg2music.metrics.retrieval import identification_accuracy, topk_accuracy
from eeg2music.seeding import derive_seed, numpy_rng
from eeg2music.training.encoder_data import Presentation, Windows
from eeg2music.training.order import collate
from eeg2music.types import CURVES, STEMS, FloatArray

GALLERY = 50
BATCH = 32
# Delays of a listener that are tried, in frames.
MARGIN = 4
DELAYS = tuple(np.arange(-1.5, 1.51, 0.25))


def validation_windows(
    presentations: Sequence[Presentation], samples: int, limit: int
) -> list[tuple[Presentation, int]]:
    """At most `limit` windows that do not overlap, one of each presentation before a second of any."""
    rounds: list[list[tuple[Presentation, int]]] = []
    for part in presentations:
        for place, start in enumerate(range(part.first, part.last + 1, samples)):
            if place == len(rounds):
                rounds.append([])
            rounds[place].append((part, start))
    ordered = [
        window
        for one_round in rounds
        for window in sorted(one_round, key=lambda w: derive_seed(0, "valid", w[0].recording, w[0].song, w[1]))
    ]
    return ordered[:limit]


@torch.no_grad()
def encoder_scores(
    encoder: Encoder, source: Windows, windows: Sequence[tuple[Presentation, int]], *, with_positions: bool = True
) -> dict[str, float]:
    """Figures over windows that nobody was trained on, with people presented as unknown.

    Parameters
    ----------
    windows : presentations and the samples where their windows start
    with_positions : False withholds the electrode positions

    Returns
    -------
    pairwise/top1 per space ("global", "stems", "joint" = both concatenated, as the evaluation does), gallery
    sizes, cosine to the target, and Pearson correlation per curve and per stem; "r_onset_at_delay" allows each
    listener one delay.
    """
    was_training = encoder.training
    encoder.eval()
    parts = list(_predict(encoder, source, windows, with_positions))
    encoder.train(was_training)
    predicted = {name: np.concatenate([p[name] for p, _ in parts]) for name in ("global", "stems", "joint")}
    target = {name: np.concatenate([t[name] for _, t in parts]) for name in ("global", "stems", "joint")}
    songs = [part.song for part, _ in windows]
    figures: dict[str, float] = {"windows": float(len(songs)), "songs": float(len(set(songs)))}
    for name in predicted:
        figures.update(_identification(name, predicted[name], target[name], songs))
        figures[f"cosine_{name}"] = float((predicted[name] * target[name]).sum(-1).mean())
    agreement = np.concatenate([t["agreement"] for _, t in parts])
    for index, curve in enumerate(CURVES):
        figures[f"r_{curve}"] = _known_mean(agreement[:, :, index])
    for index, stem in enumerate(STEMS):
        figures[f"r_onset_{stem}"] = _known_mean(agreement[:, index, 0])
    listeners = np.asarray([part.subject for part, _ in windows])
    later = np.concatenate([t["later"] for _, t in parts])
    # Of a listener to whom no stem ever moved, there is nothing to tell.
    told = np.isin(listeners, listeners[np.isfinite(later).any(axis=(1, 2))])
    names, counts = np.unique(listeners[told], return_counts=True)
    best = [_best(later[listeners == who]) for who in names]
    figures["r_onset_at_delay"] = float(np.average(best, weights=counts)) if best else float("nan")
    return figures


def _known_mean(values: FloatArray) -> float:
    """Mean of what is not NaN; NaN where nothing is, as of a stem that never sounds."""
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")


def _best(later: FloatArray) -> float:
    """(window, stem, delay) of one listener -> the mean correlation at the delay where it is highest."""
    return float(np.nanmean(later, axis=(0, 1)).max())


def _predict(
    encoder: Encoder, source: Windows, windows: Sequence[tuple[Presentation, int]], with_positions: bool
) -> Iterator[tuple[dict[str, FloatArray], dict[str, FloatArray]]]:
    """Predictions and targets, batch by batch."""
    unused = numpy_rng(0)
    for first in range(0, len(windows), BATCH):
        batch = collate([source.window(part, start, unused) for part, start in windows[first : first + BATCH]])
        batch = {key: value.to(encoder.device) for key, value in batch.items()}
        unseen = torch.full_like(batch["subject"], -1)
        positions = batch["positions_m"] if with_positions else torch.full_like(batch["positions_m"], torch.nan)
        out: BrainConditions = encoder(batch["eeg"], positions, batch["channel_mask"], unseen)
        embedding = torch.cat([out.global_embedding[:, None], out.stem_embedding], 1)
        agreement = torch.where(moving(batch["curves"]), pearson(out.curves, batch["curves"]), torch.nan)
        later = torch.stack([_onsets_later(out, batch, delay) for delay in DELAYS], -1)
        yield (
            _spaces(embedding),
            {**_spaces(batch["embedding"]), "agreement": agreement.cpu().numpy(), "later": later.cpu().numpy()},
        )


def _onsets_later(out: BrainConditions, batch: Mapping[str, Tensor], delay: float) -> Tensor:
    """(batch, stem) correlation of onset curves, as if the listener responded `delay` frames late."""
    made = delayed(out.curves[:, :, 0], batch["curve_shift"] + delay, MARGIN)
    aimed = batch["curves"][:, :, 0, MARGIN:-MARGIN]
    return torch.where(moving(aimed), pearson(made, aimed), torch.nan)


def _spaces(embedding: Tensor) -> dict[str, FloatArray]:
    """(batch, 1 + stem, embedding) -> the vectors that are compared, unit norm."""
    parts = torch.nn.functional.normalize(embedding.float(), dim=-1).cpu().numpy()
    stems = parts[:, 1:].reshape(len(parts), -1) / np.sqrt(parts.shape[1] - 1)
    return {"global": parts[:, 0], "stems": stems, "joint": parts.reshape(len(parts), -1) / np.sqrt(parts.shape[1])}


def _identification(name: str, predicted: FloatArray, target: FloatArray, songs: Sequence[str]) -> dict[str, float]:
    """Pairwise and top-1 in galleries with one window of each of up to 50 songs, averaged over galleries."""
    pairwise, top1, sizes = [], [], []
    for rows in galleries(songs):
        pairwise.append(identification_accuracy(predicted[rows], target[rows]))
        top1.append(topk_accuracy(predicted[rows], target[rows], 1))
        sizes.append(len(rows))
    if not sizes:
        return {}
    weight = np.asarray(sizes) / sum(sizes)
    return {
        f"pairwise_{name}": float(weight @ pairwise),
        f"top1_{name}": float(weight @ top1),
        "gallery": float(np.mean(sizes)),
    }


def galleries(songs: Sequence[str]) -> list[list[int]]:
    """Rows in groups: in a group no song comes twice, and at most 50 songs come."""
    remaining: dict[str, list[int]] = {}
    for row, song in enumerate(songs):
        remaining.setdefault(song, []).append(row)
    groups: list[list[int]] = []
    while True:
        line = [rows.pop(0) for _, rows in sorted(remaining.items()) if rows]
        if len(line) < 2:
            return groups
        count = -(-len(line) // GALLERY)
        groups.extend(part for k in range(count) if len(part := line[k::count]) > 1)
