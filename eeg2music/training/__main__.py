"""`accelerate launch -m eeg2music.training NAME CONFIG [key=value …]`: train one thing on this machine's processes.

The same as `eeg2music train NAME CONFIG` for use under a launcher. Several CPU processes are started by
`accelerate launch --multi_gpu --num_processes 2 -m eeg2music.training NAME CONFIG train.device=cpu` (with `--cpu`,
accelerate starts one whatever number it is given) or by `torchrun --nproc_per_node 2 -m eeg2music.training …`.
Once it trains, SIGTERM and SIGINT end the run with a checkpoint and an export; the second one ends it at once. Errors
a user can mend are one line, exit code 2.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence

import yaml

from eeg2music.errors import Eeg2MusicError
from eeg2music.training.config import resolve
from eeg2music.training.loop import check_run, train

logger = logging.getLogger("eeg2music.training")


def main(arguments: Sequence[str]) -> int:
    """Train as the arguments say; returns the exit code."""
    parser = argparse.ArgumentParser(prog="eeg2music.training")
    parser.add_argument("name", help="what to train: codec, clap, encoder, diffusion, scorer")
    parser.add_argument("config", help="YAML file, or the name of one that ships, such as codec/smoke")
    parser.add_argument("overrides", nargs="*", help="dotted overrides, such as train.steps=100")
    parser.add_argument(
        "--dry-run", action="store_true", help="check what takes no work, show the resolved config and stop"
    )
    options = parser.parse_intermixed_args(list(arguments))
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    for noisy in ("accelerate", "transformers", "diffusers", "torch", "matplotlib"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    try:
        if options.dry_run:
            config = resolve(options.name, options.config, options.overrides)
            check_run(options.name, config)
            sys.stdout.write(yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False))
            return 0
        result = train(options.name, options.config, options.overrides, stop_on_signals=True)
    except Eeg2MusicError as error:
        logger.error("%s", error)
        return 2
    logger.info("%s at step %d: %s", "Finished" if result.finished else "Stopped", result.step, result.export)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
