"""How a prepared cache is made."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from eeg2music.config import Config
from eeg2music.preprocess.eeg import ALGORITHM_VERSION, PreprocessConfig
from eeg2music.recordings.prepared import SCHEMA
from eeg2music.types import WINDOW_S


class PrepareConfig(Config):
    """How a cache is made.

    Attributes
    ----------
    window_s, hop_s : windows inside each stimulus (or over a recording without stimuli)
    channels, montage : as for reading one recording
    skip_unusable : leave out recordings that cannot be used instead of stopping
    workers : processes; 0 takes one per core. Does not change a byte of the cache
    """

    window_s: float = Field(default=WINDOW_S, ge=1.0, le=60.0)
    hop_s: float = Field(default=WINDOW_S / 2, gt=0.0)
    channels: tuple[str, ...] | None = None
    montage: str | None = None
    skip_unusable: bool = False
    workers: int = Field(default=0, ge=0)
    preprocess: PreprocessConfig = PreprocessConfig()

    def identity(self) -> dict[str, Any]:
        """What decides the content of a prepared recording. Whether others are left out does not."""
        values = self.model_dump(mode="json", exclude={"workers", "skip_unusable"})
        return {**values, "algorithm": ALGORITHM_VERSION, "schema": SCHEMA}
