"""Does a generated clip find what was heard? Identification, top-k and ranks of a folder of clips.

Input: a manifest of clips (CSV or JSON lines) that names a reference for each. Output: scores.json, scores.md,
report.html in --out.
Launch: python eval/retrieval.py clips.csv --embedding scorer --out out/retrieval
(the same as `eeg2music score … distances=[] measures=[]`)
Expected score: 0.5 pairwise for clips that know nothing of what was heard.
"""

import sys

from eeg2music.cli import main

if __name__ == "__main__":
    sys.argv[1:] = ["score", *sys.argv[1:], "distances=[]", "measures=[]"]
    main()
