"""Train the codec (EnCodec: sound <-> latents).

Input: a stimuli folder of songs with stems (`task.data`; `eeg2music simulate` makes one).
Output: OUT/export, which `eeg2music.codec.encodec.Codec.from_pretrained` loads.
Launch: accelerate launch train/codec.py configs/codec/mini.yaml task.data=… train.out=…
Two processes on CPU: accelerate launch --multi_gpu --num_processes 2 train/codec.py … train.device=cpu
Expected: SI-SDR of at least 10 dB on held-out tonal stems with configs/codec/mini.yaml.
"""

import sys

from eeg2music.training.__main__ import main

if __name__ == "__main__":
    raise SystemExit(main(["codec", *sys.argv[1:]]))
