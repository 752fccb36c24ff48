"""Train ScorerNet (the encoder that only scores what was generated).

Input: a stimuli folder of songs that no other model is trained on (`task.data`).
Output: OUT/export, which `eeg2music.scoring.encoder.ScorerNet` loads.
Launch: accelerate launch train/scorer.py configs/scorer/mini.yaml task.data=… train.out=…
Two processes on CPU: accelerate launch --multi_gpu --num_processes 2 train/scorer.py … train.device=cpu
Expected: in log.jsonl, degraded windows of held-out songs find their originals among those of the same style.
"""

import sys

from eeg2music.training.__main__ import main

if __name__ == "__main__":
    raise SystemExit(main(["scorer", *sys.argv[1:]]))
