"""The embedding "classical": descriptors of music information retrieval, computed with librosa. Nothing is learned.

Means and deviations over the clip of timbre (MFCC without the first, which is the level), pitch classes (chroma),
spectral contrast and tonal centroids, and three numbers about the onsets. Nothing here keeps a curve in time: onset,
loudness and brightness curves condition the generator. What can still be read off them is named in `followed`.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from eeg2music.errors import MissingExtraError
from eeg2music.evaluation.embedders.base import Embedder, Options
from eeg2music.evaluation.embedders.registry import EMBEDDERS
from eeg2music.files import sha256_json
from eeg2music.types import FloatArray

# Raised when what is computed changes.
VERSION = 1
RATE_HZ = 22_050
FFT, HOP, MELS = 2048, 512, 64
MFCCS = 20
# 19 MFCC, 12 chroma, 7 contrasts, 6 centroids: mean and deviation; deviation of 19 deltas; 3 numbers about onsets.
DIM = 2 * (19 + 12 + 7 + 6) + 19 + 3
SHORTEST_S = 2.0
USUAL_BPM = 120.0


@EMBEDDERS.add("classical")
class Classical(Embedder):
    """110 descriptors; needs librosa and no network. (samples,) at 22.05 kHz, 2 s or more."""

    name = "classical"
    dim = DIM
    sample_rate_hz = RATE_HZ
    shortest_s = SHORTEST_S
    learned = False
    # Decibels, shares and beats side by side.
    scaled = True
    followed = ("onset", "brightness")
    note = (
        "Descriptors, nothing learned. Tempo and onset rate follow the onset condition, the lower MFCC the brightness "
        "condition: a generator given the right curves scores better on them without any embedding."
    )

    def __init__(self, options: Options) -> None:
        del options
        self._librosa = _librosa()

    def _vector(self, audio: FloatArray) -> FloatArray:
        feature: Any = self._librosa.feature
        magnitude = np.abs(self._librosa.stft(audio, n_fft=FFT, hop_length=HOP))
        mel = feature.melspectrogram(S=magnitude**2, sr=RATE_HZ, n_mels=MELS)
        level = self._librosa.power_to_db(mel)
        timbre = feature.mfcc(S=level, n_mfcc=MFCCS)[1:]
        # Concert pitch is taken as given: a tuning found for each clip would hide that a generator is off.
        chroma = feature.chroma_stft(S=magnitude**2, sr=RATE_HZ, tuning=0.0)
        contrast = feature.spectral_contrast(S=magnitude, sr=RATE_HZ)
        centroid = feature.tonnetz(chroma=chroma, sr=RATE_HZ)
        delta = feature.delta(timbre)
        both = [part for rows in (timbre, chroma, contrast, centroid) for part in (rows.mean(1), rows.std(1))]
        return np.concatenate([*both, delta.std(1), self._onsets(level)]).astype(np.float32)

    def _onsets(self, level: FloatArray) -> FloatArray:
        """Tempo in octaves from 120 bpm, onsets per second, and how uneven the onset strength is."""
        strength = self._librosa.onset.onset_strength(S=level, sr=RATE_HZ, hop_length=HOP)
        tempo = float(np.ravel(self._librosa.feature.tempo(onset_envelope=strength, sr=RATE_HZ, hop_length=HOP))[0])
        onsets = self._librosa.onset.onset_detect(onset_envelope=strength, sr=RATE_HZ, hop_length=HOP)
        rate = len(onsets) * RATE_HZ / HOP / strength.size
        uneven = float(strength.std() / max(float(strength.mean()), 1e-6))
        octaves = float(np.log2(tempo / USUAL_BPM)) if tempo > 0.0 else 0.0
        return np.array([octaves, rate, uneven], dtype=np.float32)

    def identity(self) -> str:
        sizes = [RATE_HZ, FFT, HOP, MELS, MFCCS]
        return sha256_json({"classical": VERSION, "librosa": self._librosa.__version__, "sizes": sizes})


def _librosa() -> ModuleType:
    try:
        import librosa
    except ImportError:
        raise MissingExtraError("librosa", "eval") from None
    module: ModuleType = librosa
    return module
