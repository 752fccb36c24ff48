"""Which channels follow the music? Encoding models of every listener, with brain maps, beside their controls.

Input: a YAML file such as configs/eval/encoding.yaml. Output: scores.json, scores.md, report.html in --out.
Launch: python eval/encoding.py configs/eval/encoding.yaml --out out/encoding  (the same as `eeg2music evaluate`)
Expected score: the comment in that file.
"""

import sys

from eeg2music.cli import main

if __name__ == "__main__":
    sys.argv[1:1] = ["evaluate"]
    main()
