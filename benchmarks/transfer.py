"""How much is lost under conditions the encoder never met: other response functions, 32 channels, other listeners.

Usage: python benchmarks/transfer.py [--checkpoint DIR] [--out FILE] [--seeds 5] [--songs 50]
Prints identification of the embedding, pairwise and top-1, for five seeds, each with a listener of its own, of
  base      64 channels, the response family of training
  late      an unseen family: responses 40 ms later and of other widths
  eeg32     a 32-channel montage
Everything else is as in the demonstration: 0 dB, songs of one style. A song or listener that a model was trained on is
an error. About two minutes on one core.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from eeg2music.evaluation.brain import Evidence, control_conditions, embedding_score
from eeg2music.evaluation.heard import audio_conditions
from eeg2music.evaluation.known import refuse_known
from eeg2music.evaluation.material import ListeningConfig, gallery_stems, simulated_heard
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
    for name in CASES:
        of = [row for row in rows if row["case"] == name]
        pairwise, top1 = ([row[key] for row in of] for key in ("accuracy", "top1"))
        print(
            f"{name:<6} mean of {len(of)}: pairwise {np.mean(pairwise):.3f} (sd {np.std(pairwise, ddof=1):.3f}), "
            f"top-1 {np.mean(top1):.2f} (sd {np.std(top1, ddof=1):.2f}), n {of[0]['n']} of {of[0]['gallery_size']}"
        )
    if given.out:
        write_json(given.out, {"made_with": made_with(given.checkpoint), "rows": rows})


if __name__ == "__main__":
    main()
