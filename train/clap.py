"""Train ClapMini (sound and captions in one space of 128 dimensions).

Input: a stimuli folder of songs with annotations (`task.data`).
Output: OUT/export, which `eeg2music.targets.clap.ClapMini` loads.
Launch: accelerate launch train/clap.py configs/clap/mini.yaml task.data=… train.out=…
Two processes on CPU: accelerate launch --multi_gpu --num_processes 2 train/clap.py … train.device=cpu
Expected: retrieval figures of held-out songs in log.jsonl, far above chance for audio–audio and text–audio pairs.
"""

import sys

from eeg2music.training.__main__ import main

if __name__ == "__main__":
    raise SystemExit(main(["clap", *sys.argv[1:]]))
