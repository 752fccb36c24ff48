"""How far is generated music from music? Fréchet and kernel distances (FAD, KAD) of a folder of clips.

Input: a manifest of clips (CSV or JSON lines) and a folder of reference music. Output: scores.json, scores.md,
report.html in --out.
Launch: python eval/fad.py clips.csv --reference music/ --embedding scorer,classical --out out/fad
(the same as `eeg2music score … identification=false measures=[]`)
Expected score: KAD near 0, and FAD falling towards it with n, for music of the reference's kind.
"""

import sys

from eeg2music.cli import main

if __name__ == "__main__":
    sys.argv[1:] = ["score", *sys.argv[1:], "identification=false", "measures=[]"]
    main()
