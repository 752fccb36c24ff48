"""Train the joint stem diffusion (conditions -> latents of all stems).

Input: a stimuli folder of songs with stems (`task.data`), a trained codec (`task.codec`) and CLAP (`task.clap`).
Output: OUT/export, which `eeg2music.diffusion.transformer.JointStemTransformer` loads; latents stay in `task.cache`.
Launch: accelerate launch train/diffusion.py configs/diffusion/mini.yaml task.data=… task.codec=… train.out=…
Two processes on CPU: accelerate launch --multi_gpu --num_processes 2 train/diffusion.py … train.device=cpu
Expected: in log.jsonl, `noisy_loss` of held-out songs well below that with other songs' curves or embeddings.
"""

import sys

from eeg2music.training.__main__ import main

if __name__ == "__main__":
    raise SystemExit(main(["diffusion", *sys.argv[1:]]))
