"""How sure an estimate of key or tempo has to be before it says anything: what the estimators find where nothing is.

Measured on notes drawn from all twelve semitones, and on bursts of noise, at random times (mean gaps of 0.15, 0.3 and
0.6 s; 40 clips each, 20 of 30 s): the limits below are what about one clip in twenty reaches. Decides no correction.
"""

from __future__ import annotations

import numpy as np

from eeg2music.mixing.harmony import Harmony
from eeg2music.mixing.rhythm import Rhythm

# Correlation of random notes with the key that fits them best: 0.63 to 0.80 by density and length (2 to 30 s).
KEY_FIT = 0.71
# Noise and drums agree less than this on one tuning; their pitch classes are not notes.
TONALITY = 0.3
# Confidence of a tempo by the clip's seconds, the densest or sparsest case: the shorter, the likelier by chance.
TEMPO_CONFIDENCE = {3.0: 0.47, 5.0: 0.20, 10.0: 0.09, 30.0: 0.055}


def tempo_confidence(duration_s: float) -> float:
    """The confidence of a tempo that random onsets reach once in twenty clips of this length."""
    seconds = np.log(list(TEMPO_CONFIDENCE))
    return float(np.interp(np.log(duration_s), seconds, list(TEMPO_CONFIDENCE.values())))


def key_is_clear(harmony: Harmony) -> bool:
    """Whether a stem fits its key better than random notes fit theirs."""
    return harmony.tonality >= TONALITY and harmony.fit > KEY_FIT


def tempo_is_clear(rhythm: Rhythm, duration_s: float) -> bool:
    """Whether a stem's pulse is more regular than that of random onsets over a clip of this length."""
    return rhythm.confidence > tempo_confidence(duration_s)
