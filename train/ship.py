"""Turns the export of a run into a model that ships, with its card.

Input: the export folder of a run, a target folder. Output: weights in bfloat16, manifest, README.md.
A run that began with another's weights: the card adds up all stages.
Launch: python train/ship.py runs/clap-mini/export checkpoints/mini/clap --command "eeg2music train …" --data "…"
"""

import argparse
from pathlib import Path

from eeg2music.training.ship import ship

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("export", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--command", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--fp32", action="store_true")
    parser.add_argument(
        "--after", type=Path, nargs="*", default=[], metavar="EXPORT",
        help="exports of the earlier stages, first to last, of a run that does not list them itself",
    )  # fmt: skip
    given = parser.parse_args()
    ship(given.export, given.out, command=given.command, data=given.data, bf16=not given.fp32, after=given.after)
