"""Train the brain encoder (windows of brain signals -> embeddings and control curves of what was heard).

Input: prepared recordings (`task.caches`, `task.valid_caches`: other people hearing other pieces), whose events name
the audio that was heard with its stems beside it, and a trained CLAP (`task.clap`).
Output: OUT/export, which `eeg2music.encoders.brain.BrainEncoder` loads; targets are kept in `task.targets`.
Launch: accelerate launch train/encoder.py configs/encoder/mini.yaml task.caches=[…] task.valid_caches=[…] train.out=…
Two processes on CPU: accelerate launch --multi_gpu --num_processes 2 train/encoder.py … train.device=cpu
Other encoders train likewise: configs/encoder/brainmodule.yaml (extra `baselines`) and configs/encoder/ridge.yaml.
Expected: simulated listeners at 0 dB, neither they nor their songs trained on: pairwise_joint 0.99 and top1_joint
above 0.8 in a gallery of 50 songs of one style (chance 0.5 and 0.02).
"""

import sys

from eeg2music.training.__main__ import main

if __name__ == "__main__":
    raise SystemExit(main(["encoder", *sys.argv[1:]]))
