"""Train the joint stem diffusion (conditions -> latents of all stems).

Input: a stimuli folder of songs with stems (`task.data`), a trained codec (`task.codec`) and CLAP (`task.clap`).
Output: OUT/export, which `eeg2music.diffusion.transformer.JointStemTransformer` loads; latents are kept in `task.cache`.
Launch: accelerate launch train/diffusion.py configs/diffusion/mini.yaml task.data=… task.codec=… task.clap=… train.out=…
Expected: on held-out songs a flow loss well below `loss_no_conditions` and `loss_other_curves` in log.jsonl.
"""

import sys

from eeg2music.training.__main__ import main

if __name__ == "__main__":
    raise SystemExit(main(["diffusion", *sys.argv[1:]]))
