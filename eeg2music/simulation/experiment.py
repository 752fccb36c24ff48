"""The plan of a simulated listening experiment: which listener hears which song when, and how clearly.

Everything derives from the configuration; nothing is read from or written to disk here.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field, field_validator

from eeg2music.config import Config
from eeg2music.config_words import Unfit
from eeg2music.errors import ConfigError
from eeg2music.seeding import derive_seed, numpy_rng
from eeg2music.simulation.calibration import CLEAN_SNR_DB, REAL_SNR_DB
from eeg2music.simulation.listening import Listener, crosstalk_matrix, draw_listener
from eeg2music.simulation.session import Stimulus, Trial, simulate_listener
from eeg2music.types import Recording

Snr = Literal["clean", "real"] | float
NAMED_SNR_DB = {"clean": CLEAN_SNR_DB, "real": REAL_SNR_DB}
# Louder responses leave the range of the files, 16 bits of 0.1 microvolt: 36 runs of twelve listeners peaked at up to
# 2.2 mV at 25 dB and 3.9 mV at 30 dB, of 3.3 mV that there are.
MAX_SNR_DB = 25.0
SNR_WORDS = f"clean, real, a number of dB from -80 to {MAX_SNR_DB:g}, or a list of these"
_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"


class SimulationConfig(Config):
    """What to simulate.

    Songs are numbered within (style, song_seed) and shared out among the subjects; subjects are
    numbered within seed. Two configurations with different seeds share neither. A listener hears every song `repeats`
    times; with `repeated_songs` only so many of them, and the others once.
    """

    out: Path
    subjects: int = Field(4, ge=0)
    first_subject: int = Field(0, ge=0)
    subject_prefix: str = Field("", pattern="^[A-Za-z0-9]*$")
    seed: int = Field(0, ge=0)

    songs: int = Field(24, ge=1)
    styles: tuple[str, ...] | None = None
    song_seed: int = Field(1, ge=0)
    first_song: int = Field(0, ge=0)
    song_seconds: float = Field(16.0, ge=2.0, le=600.0)

    songs_per_subject: int | None = Field(None, ge=1)
    repeats: int = Field(1, ge=1)
    repeated_songs: int | None = Field(None, ge=0)
    runs: int = Field(3, ge=1, le=99)
    snr: Snr | tuple[Snr, ...] = Field("clean", description=SNR_WORDS)
    snr_by: Literal["subject", "trial"] = "subject"

    sfreq_hz: float = Field(256.0, ge=64.0, le=20_000.0)
    montage: Literal["eeg64", "eeg32"] = "eeg64"
    crosstalk: float | tuple[tuple[float, ...], ...] = 0.1
    response_family: Literal["default", "late"] = "default"
    line_freq_hz: Literal[50, 60] = 50
    workers: int = Field(2, ge=1)

    @field_validator("snr")
    @classmethod
    def _levels(cls, value: Snr | tuple[Snr, ...]) -> Snr | tuple[Snr, ...]:
        levels = value if isinstance(value, tuple) else (value,)
        if not levels or not all(isinstance(level, str) or -80.0 <= level <= MAX_SNR_DB for level in levels):
            raise Unfit(allowed=SNR_WORDS)
        return value

    @field_validator("crosstalk")
    @classmethod
    def _mixing(cls, value: float | tuple[tuple[float, ...], ...]) -> float | tuple[tuple[float, ...], ...]:
        crosstalk_matrix(value)
        return value

    @property
    def snr_levels_db(self) -> tuple[float, ...]:
        levels = self.snr if isinstance(self.snr, tuple) else (self.snr,)
        return tuple(NAMED_SNR_DB[level] if isinstance(level, str) else float(level) for level in levels)


def dataset_songs(config: SimulationConfig) -> list[str]:
    """Ids of the songs of the data set, styles in turn.

    Raises
    ------
    ConfigError
        If more songs per subject, or more repeated songs, are wanted than there are.
    """
    from eeg2music.simulation.library import song_ids

    each = config.songs_per_subject or config.songs
    if each > config.songs:
        raise ConfigError(
            f"songs_per_subject = {each} does not fit",
            allowed=f"up to songs = {config.songs}",
            remedy="raise songs or lower songs_per_subject",
        )
    if config.styles is None:
        return song_ids(None, config.song_seed, config.songs, start=config.first_song)
    if not config.styles:
        raise ConfigError(
            "styles = [] does not fit",
            allowed="at least one style, or null for all",
            remedy="name one, or leave it out",
        )
    places = range(config.songs)
    count = -(-config.songs // len(config.styles))
    by_style = {style: song_ids(style, config.song_seed, count, start=config.first_song) for style in config.styles}
    return [by_style[config.styles[place % len(by_style)]][place // len(by_style)] for place in places]


def subject_id(config: SimulationConfig, index: int) -> str:
    """A random label without meaning, unique to (seed, index): "k3x9qa" after the prefix."""
    number = derive_seed(config.seed, "subject", index)
    letters = []
    for _ in range(6):
        number, place = divmod(number, len(_ALPHABET))
        letters.append(_ALPHABET[place])
    return config.subject_prefix + "".join(letters)


def dataset_listener(config: SimulationConfig, index: int) -> Listener:
    """The listener with that number."""
    return draw_listener(
        subject_id(config, index),
        montage=config.montage,
        response_family=config.response_family,
        crosstalk=config.crosstalk,
        line_hz=float(config.line_freq_hz),
    )


def subject_songs(config: SimulationConfig, index: int) -> list[str]:
    """The songs that subject hears: consecutive shares of one shuffled list, so that all songs are used evenly."""
    songs = dataset_songs(config)
    order = numpy_rng(config.seed, "songs").permutation(len(songs))
    each = config.songs_per_subject or len(songs)
    return [songs[order[(index * each + place) % len(songs)]] for place in range(each)]


@dataclass(frozen=True)
class PlannedTrial:
    """A presentation before the song exists. number and repeat count from 1 within the session."""

    song: str
    number: int
    repeat: int
    snr_db: float


def session_plan(config: SimulationConfig, index: int) -> list[list[PlannedTrial]]:
    """The trials of each run of one subject.

    Every repeat is a new shuffle of the whole list, so that presentations of a song lie apart.
    """
    songs = subject_songs(config, index)
    rng = numpy_rng(config.seed, "order", subject_id(config, index))
    levels = config.snr_levels_db
    trials: list[PlannedTrial] = []
    for repeat in range(1, config.repeats + 1):
        played = songs if repeat == 1 else songs[: config.repeated_songs]
        for place in rng.permutation(len(played)):
            level = levels[index % len(levels)] if config.snr_by == "subject" else levels[rng.integers(len(levels))]
            trials.append(PlannedTrial(played[place], len(trials) + 1, repeat, level))
    edges = np.linspace(0, len(trials), min(config.runs, len(trials)) + 1).round().astype(int)
    return [trials[start:stop] for start, stop in itertools.pairwise(edges)]


def record_run(config: SimulationConfig, index: int, run: int, stimuli: Mapping[str, Stimulus]) -> Recording:
    """Run number `run` (from 1) of one subject, in memory.

    The data set on disk holds the same but for the rounding to 16 bits.
    """
    trials = [
        Trial(stimuli[planned.song], planned.number, planned.repeat, planned.snr_db)
        for planned in session_plan(config, index)[run - 1]
    ]
    return simulate_listener(
        dataset_listener(config, index), trials, sfreq_hz=config.sfreq_hz, seed=config.seed, run=run
    )
