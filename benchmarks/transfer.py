"""How much is lost under conditions the encoder never met: other response functions, 32 channels, other listeners.

Usage: python benchmarks/transfer.py [--checkpoint DIR] [--out FILE] [--seeds 5] [--songs 50]
Prints identification of the embedding, pairwise and top-1, for five seeds, each with a listener of its own (intervals
over the songs, which the seeds share), of
  base      64 channels, the response family of training
  late      an unseen family: responses 40 ms later and of other widths
  eeg32     a 32-channel montage
Everything else is as in the demonstration: 0 dB, songs of one style. A song or listener that a model was trained on is
an error. About two minutes on one core.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from eeg2music.evaluation.brain import Evidence, control_conditions, embedding_score
from eeg2music.evaluation.heard import audio_conditions
from eeg2music.evaluation.known import refuse_known
from eeg2music.evaluation.material import ListeningConfig, gallery_stems, simulated_heard
from eeg2music.evaluation.statistics import cluster_interval
from eeg2music.evaluation.tables import with_limits
from eeg2music.files import write_json
from eeg2music.origin import made_with
from eeg2music.pipeline import default_checkpoint, load_pipeline
from eeg2music.targets.pretrained import load_clap

CASES = {"base": {}, "late": {"response_family": "late"}, "eeg32": {"montage": "eeg32"}}


def main() -> None:
    """Run all cases."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", type=Path, default=default_checkpoint())
    parser.add_argument("--out", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--songs", type=int, default=50)
    given = parser.parse_args()
    if given.seeds < 2:
        parser.error(f"--seeds {given.seeds}: a spread needs two or more")
    pipeline, clap = load_pipeline(given.checkpoint, "cpu"), load_clap(given.checkpoint / "clap")
    base = ListeningConfig(songs=given.songs)
    stems = gallery_stems(base)
    oracle = audio_conditions(clap, stems)
    rows = []
    for name, changes in CASES.items():
        for seed in range(given.seeds):
            config = base.model_copy(update={**changes, "subjects": (f"transfer{seed:02d}",)})
            heard = simulated_heard(config, 0.0, stems, seed=seed)
            refuse_known(given.checkpoint, heard)
            evidence = Evidence(pipeline, heard, None, oracle, None, seed)
            score = embedding_score(control_conditions("brain", evidence), evidence)
            rows.append({"case": name, "seed": seed, **score})
            print(f"{name:<6} seed {seed}: pairwise {score['accuracy']:.3f}, top-1 {score['top1']:.2f}", flush=True)
    means = {name: together([row for row in rows if row["case"] == name]) for name in CASES}
    for name, mean in means.items():
        cells = ", ".join(
            f"{what} {with_limits(mean[key]['mean'], mean[key]['ci95'])} (sd {mean[key]['sd']:.3f})"
            for what, key in (("pairwise", "accuracy"), ("top-1", "top1"))
        )
        print(f"{name:<6} mean of {mean['seeds']}: {cells}, n {mean['n']}, gallery {mean['gallery_size']}")
    if given.out:
        kept = [{key: value for key, value in row.items() if key != "cells"} for row in rows]
        write_json(given.out, {"made_with": made_with(given.checkpoint), "means": means, "rows": kept})


def together(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """All seeds of a case: each figure's mean, its interval over songs, and its standard deviation over seeds.

    rows : scores of `identify`, of the same songs
    """
    found: dict[str, Any] = {
        "seeds": len(rows),
        "n": sum(row["n"] for row in rows),
        "gallery_size": rows[0]["gallery_size"],
    }
    for key in ("accuracy", "top1"):
        values = [value for row in rows for value in row["cells"][key]]
        interval = cluster_interval(values, [song for row in rows for song in row["cells"]["song"]], bounds=(0.0, 1.0))
        seeds = float(np.std([row[key] for row in rows], ddof=1))
        found[key] = {"mean": interval.estimate, "ci95": [interval.low, interval.high], "sd": seeds}
    return found


if __name__ == "__main__":
    main()
