"""Material of random numbers: the real path of every score without seconds of simulation."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest

from eeg2music.audio import write_audio
from eeg2music.evaluation.heard import Heard
from eeg2music.recordings.prepared import SCHEMA
from eeg2music.seeding import numpy_rng
from eeg2music.types import EEG_RATE_HZ, SAMPLE_RATE_HZ, STEMS, WINDOW_S, Window

MakeHeard = Callable[..., Heard]
WriteCache = Callable[..., Path]


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


@pytest.fixture
def write_cache(tmp_path: Path) -> WriteCache:
    """Write a prepared cache by hand: rows of (subject, song, stimulus onset, first sample), and {song: work}.

    noise : recordings of noise with known positions, in place of ramps
    """

    def write(
        rows: list[tuple[str, str | None, float, int]],
        *,
        stems: tuple[str, ...] = STEMS,
        works: Mapping[str | None, str] = MappingProxyType({}),
        name: str = "cache",
        noise: bool = False,
    ) -> Path:
        cache = tmp_path / name
        (cache / "signals").mkdir(parents=True)
        subjects = sorted({row[0] for row in rows})
        for subject in subjects:
            samples = np.tile(np.arange(30 * EEG_RATE_HZ, dtype=np.float32), (4, 1))
            if noise:
                samples = numpy_rng(0, subject).standard_normal(samples.shape, dtype=np.float32)
            np.save(cache / "signals" / f"{subject}.npy", samples)
        places = [[0.09, 0.0, 0.0], [-0.09, 0.0, 0.0], [0.0, 0.09, 0.0], [0.0, 0.0, 0.09]] if noise else [None] * 4
        channels = {"names": ["a", "b", "c", "d"], "positions_m": places, "good": [True] * 4}
        meta = {
            "schema": SCHEMA, "kind": "eeg", "sfreq_hz": EEG_RATE_HZ, "subjects": subjects, "n_channels_max": 4,
            "channels_by_recording": dict.fromkeys(subjects, channels), "content_hash": "x",
        }  # fmt: skip
        (cache / "meta.json").write_text(json.dumps(meta))
        lines = []
        for number, (subject, song, onset_s, start) in enumerate(rows):
            lines.append(
                {
                    "window_id": f"{subject}/{number}", "recording": subject, "subject": subject, "session": None,
                    "run": None, "trial": number, "stimulus": song, "repeat": 1,
                    "stimulus_file": None if song is None else f"../stimuli/{song}/mix.wav",
                    "stimulus_onset_s": None if song is None else onset_s, "start_sample": start, "n_samples": 320,
                    "work_id": works.get(song),
                }
            )  # fmt: skip
        (cache / "windows.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        for song in sorted({row[1] for row in rows if row[1]}):
            for stem in stems:
                audio = 0.1 * numpy_rng(0, song, stem).standard_normal(8 * SAMPLE_RATE_HZ)
                write_audio(tmp_path / "stimuli" / song / f"{stem}.wav", audio.astype(np.float32))
        return cache

    return write
