"""A recording in, stems and a mix and a report out: what `eeg2music generate` does.

Reads, preprocesses, encodes, generates, mixes and writes; the deciding parts live in their stages.
Everything is written beside the target folder first and moved into place at the end.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from eeg2music.audio import write_audio
from eeg2music.config import Config
from eeg2music.errors import InputError
from eeg2music.files import atomic_folder, write_json
from eeg2music.mixing.mixer import MixerConfig, MixResult, mix
from eeg2music.pipeline import BrainToMusicPipeline, Hook, SamplingConfig, load_pipeline, no_hook
from eeg2music.types import REGIONS, SAMPLE_RATE_HZ, STEMS, FloatArray, Recording


class GenerateConfig(Config):
    """What `generate` can be told. Times in seconds, frequencies in Hz."""

    seed: int = 0
    channels: tuple[str, ...] | None = None
    montage: str | None = None
    start_s: float | None = None
    stop_s: float | None = None
    line_freq_hz: float | None = None
    sampling: SamplingConfig = SamplingConfig()
    mixer: MixerConfig = MixerConfig()


@dataclass
class Stopwatch:
    """Seconds spent in each named stage."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - start
