"""Which song was heard? Identification of the embedding and of the generated music, beside its controls.

Input: a YAML file such as configs/eval/mini.yaml. Output: scores.json, scores.md, split.json, report.html
and clips to listen to, in --out.
Launch: python eval/identification.py configs/eval/mini.yaml --out out/eval  (the same as `eeg2music evaluate`)
Expected score: the README's table.
"""

import sys

from eeg2music.cli import main

if __name__ == "__main__":
    sys.argv[1:1] = ["evaluate"]
    main()
