"""Material of random numbers: the real path of every score without seconds of simulation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from eeg2music.evaluation.heard import Heard
from eeg2music.seeding import numpy_rng
from eeg2music.types import EEG_RATE_HZ, SAMPLE_RATE_HZ, STEMS, WINDOW_S, Window

MakeHeard = Callable[..., Heard]


@pytest.fixture(scope="session")
def make_heard() -> MakeHeard:
    """Every subject hears every song once: make_heard(songs=6, subjects=("sub-a", "sub-b"))."""

    def build(songs: int = 6, subjects: tuple[str, ...] = ("sub-a", "sub-b"), channels: int = 8) -> Heard:
        names = tuple(f"song-{number}" for number in range(songs))
        samples = round(WINDOW_S * SAMPLE_RATE_HZ)
        stems = np.stack(
            [0.1 * numpy_rng(0, name).standard_normal((len(STEMS), samples), dtype=np.float32) for name in names]
        )
        # Each song has an envelope of its own, so that its curves and embeddings are its own too.
        for number, song in enumerate(stems):
            beat = (np.arange(samples) * (1.1 + 0.3 * number) / SAMPLE_RATE_HZ) % 1.0
            song *= np.exp(-6.0 * beat).astype(np.float32)
        return Heard(
            windows=tuple(_window(subject, name, channels) for subject in subjects for name in names),
            target=np.tile(np.arange(songs), len(subjects)),
            stems=stems,
            songs=names,
            style="noise",
        )

    return build


def _window(subject: str, song: str, channels: int) -> Window:
    rng = numpy_rng(0, subject, song)
    places = numpy_rng(0, "places").normal(size=(channels, 3))
    places *= 0.09 / np.linalg.norm(places, axis=1, keepdims=True)
    return Window(
        eeg=rng.standard_normal((channels, round(WINDOW_S * EEG_RATE_HZ)), dtype=np.float32),
        positions_m=places.astype(np.float32),
        channel_mask=np.ones(channels, dtype=bool),
        subject=subject,
        window_id=f"{subject}/{song}",
        stimulus_id=song,
    )
