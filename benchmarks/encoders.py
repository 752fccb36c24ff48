"""The brain encoder beside the published convolutional one and ridge: equal data, equal steps, the same training path.

    python benchmarks/encoders.py PREPARED [--valid PREPARED] [--clap DIR] [--steps 300] [--batch-size 16] [--seeds 1]

PREPARED is what `eeg2music prepare` wrote; without --valid, a share of its people and pieces is held out. Each encoder
is trained as `eeg2music train encoder` trains it, with its own config (configs/encoder: mini, brainmodule, ridge) and
the windows of the same visits; ridge is fitted in closed form on as many windows, of which memory holds FIT_WINDOWS.
Windows without positions are left out of training, because two of the three cannot take them.

Printed per seed and encoder: identification of held-out pieces by held-out people (mix and stems together, one window
of each of up to 50 pieces in a gallery), pairwise and top-1, with intervals clustered by piece, and beside it
  shuffled     targets of other pieces: chance, or the figures tell something else than what was heard
  phase        phases of the recording at random: what its spectrum alone tells
  untrained    the same encoder with random weights (ridge has none to draw)
The sizes by default are for a look; figures to be quoted need the steps of the configs (ours 5000 of 64, BrainModule
3000 of 64).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from eeg2music.encoders.base import Encoder
from eeg2music.encoders.registry import ENCODERS
from eeg2music.evaluation.controls import derangement, phase_randomize, reinitialised
from eeg2music.evaluation.statistics import cluster_interval
from eeg2music.files import write_json
from eeg2music.metrics.chance import PAIRWISE_CHANCE, topk_chance
from eeg2music.metrics.retrieval import pairwise_score, similarity_matrix, standing, topk_hit
from eeg2music.origin import made_with
from eeg2music.pipeline import default_checkpoint
from eeg2music.seeding import numpy_rng
from eeg2music.training.config import resolve
from eeg2music.training.encoder import EncoderTask
from eeg2music.training.encoder_data import Presentation, Windows
from eeg2music.training.encoder_scores import galleries
from eeg2music.training.loop import train
from eeg2music.training.order import collate
from eeg2music.types import FloatArray
from eeg2music.weights import load_model

CONFIGS = {"brain": "encoder/mini", "brainmodule": "encoder/brainmodule", "ridge": "encoder/ridge"}
FIT_WINDOWS = 4000
BATCH = 32

Place = tuple[Presentation, int]
Change = Callable[[FloatArray, np.random.Generator], FloatArray]


def main() -> None:
    """Train, score and print."""
    given = _arguments()
    rows = []
    for seed in range(given.seeds):
        for name in given.encoders:
            for row in compared(name, seed, given):
                rows.append({"encoder": name, "seed": seed, **row})
                print(_line(rows[-1]), flush=True)
    if given.out is not None:
        write_json(
            given.out, {"made_with": made_with(), "steps": given.steps, "batch_size": given.batch_size, "rows": rows}
        )


def compared(name: str, seed: int, given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Train one encoder; its figures and those of its controls."""
    overrides = settings(name, seed, given)
    result = train("encoder", CONFIGS[name], overrides)
    task = EncoderTask(resolve("encoder", CONFIGS[name], overrides).task, seed=seed)
    task.train_items()
    source = Windows(task.split.valid, task.targets, task.spec, task.samples, seed, None)
    encoder: Encoder = load_model(ENCODERS[name], result.export)
    songs = [part.song for part, _ in task.valid]
    predicted, target = embeddings(encoder, source, task.valid)
    yield {"condition": "brain", **scores(predicted, target, songs)}
    order = derangement(songs, numpy_rng(seed, "shuffled"))
    yield {"condition": "shuffled", **scores(predicted[order], target, songs)}
    yield {"condition": "phase", **scores(*embeddings(encoder, source, task.valid, phase_randomize), songs)}
    if not encoder.fitted_in_closed_form:
        fresh: Any = reinitialised(encoder, seed)
        yield {"condition": "untrained", **scores(*embeddings(fresh, source, task.valid), songs)}


def settings(name: str, seed: int, given: argparse.Namespace) -> list[str]:
    """What all encoders are trained with, and as much of it for one that is fitted."""
    fitted = ENCODERS[name].fitted_in_closed_form
    steps = 1 if fitted else given.steps
    return [
        f"task.caches=['{given.prepared}']",
        f"task.valid_caches=['{given.valid}']" if given.valid else "task.valid_caches=[]",
        f"task.clap={given.clap}",
        f"task.targets={given.work / 'targets'}",
        f"task.valid_windows={given.windows}",
        f"task.fit_windows={max(8, min(FIT_WINDOWS, given.steps * given.batch_size))}",
        "task.augment.without_positions=0",
        f"train.out={given.work / f'{name}-{seed}'}",
        f"train.steps={steps}",
        f"train.batch_size={given.batch_size}",
        f"train.warmup_steps={max(1, steps // 20)}",
        f"train.seed={seed}",
        "train.valid_every=0",
        "train.tensorboard=false",
        *given.overrides,
    ]


@torch.no_grad()
def embeddings(
    encoder: Encoder, source: Windows, places: Sequence[Place], change: Change | None = None
) -> tuple[FloatArray, FloatArray]:
    """(window, dim) of mix and stems together, unit norm: decoded, with people unknown, and heard."""
    decoded, heard = [], []
    for first in range(0, len(places), BATCH):
        items: list[Mapping[str, Any]] = []
        for part, start in places[first : first + BATCH]:
            item = source.window(part, start, numpy_rng(0))
            if change is not None:
                item["eeg"] = change(item["eeg"], numpy_rng(source.seed, part.recording, start))
            items.append(item)
        batch = collate(items)
        nobody = torch.full_like(batch["subject"], -1)
        out = encoder(batch["eeg"], batch["positions_m"], batch["channel_mask"], nobody)
        decoded.append(_joint(torch.cat([out.global_embedding[:, None], out.stem_embedding], 1)))
        heard.append(_joint(batch["embedding"]))
    return np.concatenate(decoded), np.concatenate(heard)


def _joint(embedding: torch.Tensor) -> FloatArray:
    joint: FloatArray = torch.nn.functional.normalize(embedding.float(), dim=-1).flatten(1).numpy()
    return joint / np.sqrt(embedding.shape[1])


def scores(predicted: FloatArray, target: FloatArray, songs: Sequence[str]) -> dict[str, Any]:
    """Pairwise identification and top-1 over galleries without a piece twice, and what they are out of."""
    pairwise: list[float] = []
    top1: list[float] = []
    sizes: list[int] = []
    rows: list[int] = []
    for gallery in galleries(songs):
        found = standing(similarity_matrix(predicted[gallery], target[gallery]), np.arange(len(gallery)))
        pairwise.extend(pairwise_score(found))
        top1.extend(topk_hit(found, 1))
        sizes.extend([len(gallery)] * len(gallery))
        rows.extend(gallery)
    names = [songs[row] for row in rows]
    figures: dict[str, Any] = {"windows": len(rows), "songs": len(set(names)), "gallery": float(np.mean(sizes))}
    for key, values, chance in (("pairwise", pairwise, PAIRWISE_CHANCE), ("top1", top1, topk_chance(sizes, 1))):
        interval = cluster_interval(values, names, bounds=(0.0, 1.0))
        figures[key] = {"value": interval.estimate, "low": interval.low, "high": interval.high, "chance": chance}
    return figures


def _line(row: dict[str, Any]) -> str:
    words = "{key} {value:.3f} [{low:.3f}, {high:.3f}] (chance {chance:.3f})"
    parts = [words.format(key=key, **row[key]) for key in ("pairwise", "top1")]
    size = f"{row['windows']} windows of {row['songs']} pieces, gallery {row['gallery']:.1f}"
    return f"{row['encoder']:<12}{row['condition']:<10} seed {row['seed']}: {', '.join(parts)}, {size}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prepared", type=Path, help="prepared recordings to train on")
    parser.add_argument("--valid", type=Path, help="prepared recordings of other people who heard other pieces")
    parser.add_argument("--clap", default=str(default_checkpoint() / "clap"), help="the CLAP whose space is aimed at")
    parser.add_argument("--encoders", nargs="+", choices=list(CONFIGS), default=list(CONFIGS))
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--windows", type=int, default=300, help="held-out windows at most")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--work", type=Path, default=Path("runs/encoder-comparison"), help="runs and targets; resumed")
    parser.add_argument("--set", dest="overrides", nargs="*", default=[], metavar="KEY=VALUE", help="for all encoders")
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
