"""A few seconds of made-up stems in the layout of a stimuli folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from eeg2music.audio import write_audio
from eeg2music.files import write_json
from eeg2music.seeding import numpy_rng
from eeg2music.types import SAMPLE_RATE_HZ, STEMS


def write_music(root: Path, songs: list[str], seconds: float = 3.0) -> Path:
    """Drums are noise bursts; the other stems are sawtooth-like tones of the song's own pitch."""
    time = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    for song in songs:
        rng = numpy_rng(0, "music", song)
        pitch_hz = 100 * 2 ** rng.random()
        stems = [0.1 * rng.standard_normal(time.size) * (np.modf(time * 2)[0] < 0.2)]
        for octave in (0, 1, 2):
            tone = sum(np.sin(2 * np.pi * pitch_hz * 2**octave * k * time) / k for k in range(1, 6))
            stems.append(0.1 * tone * (1 + 0.5 * np.sin(2 * np.pi * 3 * time)))
        audio = np.stack(stems).astype(np.float32)
        for name, samples in zip((*STEMS, "mix"), (*audio, audio.sum(axis=0)), strict=True):
            write_audio(root / "stimuli" / song / f"{name}.wav", samples)
        write_json(root / "stimuli" / song / "annotations.json", {"song_id": song, "key": "C"})
    return root
