"""Makes what is scored: simulated recordings of unseen listeners to unseen songs.

The recordings stay in memory and go through the same preprocessing as a prepared cache's. Scores nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field, ValidationInfo, field_validator, model_validator

from eeg2music.config import Config
from eeg2music.config_words import Unfit, known_names
from eeg2music.errors import ConfigError, DataError
from eeg2music.evaluation.heard import MIXED, Heard
from eeg2music.evaluation.latency import Delay
from eeg2music.preprocess.eeg import PreprocessConfig, preprocess
from eeg2music.preprocess.windows import cut_window
from eeg2music.simulation.composer import STYLES, compose
from eeg2music.simulation.head import MONTAGES
from eeg2music.simulation.listening import Crosstalk, Listener, draw_listener
from eeg2music.simulation.rendering import render
from eeg2music.simulation.responses import FAMILIES
from eeg2music.simulation.session import Stimulus, Trial, simulate_listener, stimulus_from_stems
from eeg2music.simulation.song import format_song_id, parse_song_id
from eeg2music.types import EEG_RATE_HZ, SAMPLE_RATE_HZ, WINDOW_S, FloatArray, Recording, Window


class ListeningConfig(Config):
    """Simulated listeners to held-out songs of one style or of several.

    Attributes
    ----------
    style, song_seed, songs : which songs; the seed names a family. No shipped model was trained on that of the default,
        but earlier models were scored on it and then replaced
    styles : several styles in place of `style`; songs take them in turn, so that each has as many, or one more
    song_seconds, window_start_s : length of a song, and where its first window of 5 s starts
    windows_per_song : further windows follow the first without a gap
    subjects : names of the listeners; they are drawn from the name
    montage, response_family, crosstalk : as in the simulator
    latency : "unknown" takes recordings as they are; "markers" takes out how late each listener responds, as the
        beginnings of songs tell it, whose times the events give (`evaluation.latency`)
    """

    style: str = "funk"
    styles: tuple[str, ...] = ()
    song_seed: int = 21
    songs: int = Field(default=50, ge=2)
    song_seconds: float = Field(default=8.0, gt=0)
    window_start_s: float = Field(default=1.5, ge=0)
    windows_per_song: int = Field(default=1, ge=1)
    subjects: tuple[str, ...] = Field(default=("unseen01", "unseen02"), min_length=1)
    montage: str = "eeg64"
    response_family: str = "default"
    crosstalk: Crosstalk = 0.1
    latency: Literal["unknown", "markers"] = "unknown"

    @field_validator("style", "montage", "response_family")
    @classmethod
    def _known(cls, name: str, info: ValidationInfo) -> str:
        known = {"style": STYLES, "montage": MONTAGES, "response_family": FAMILIES}[str(info.field_name)]
        known_names([name], known)
        return name

    @field_validator("styles")
    @classmethod
    def _known_styles(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        known_names(names, STYLES)
        if len(set(names)) < len(names):
            raise Unfit("a style stands twice", allowed="each style once", remedy="remove one of the two")
        return names

    @model_validator(mode="after")
    def _holds_its_windows(self) -> ListeningConfig:
        last_s = self.starts_s[-1]
        if last_s + WINDOW_S > self.song_seconds:
            raise ConfigError(
                f"A window of {WINDOW_S:g} s from {last_s:g} s on ends after {self.song_seconds:g} s",
                allowed=f"songs of {last_s + WINDOW_S:g} s or more",
                remedy="raise song_seconds or lower window_start_s",
            )
        if self.songs < 2 * len(self.styles):
            raise ConfigError(
                f"{self.songs} songs of {len(self.styles)} styles",
                allowed="two or more songs of each style",
                remedy=f"set songs to {2 * len(self.styles)} or more",
            )
        return self

    @property
    def all_styles(self) -> tuple[str, ...]:
        """The styles of the songs."""
        return self.styles or (self.style,)

    @property
    def starts_s(self) -> tuple[float, ...]:
        """Where the windows of a song start."""
        return tuple(self.window_start_s + place * WINDOW_S for place in range(self.windows_per_song))


@lru_cache(maxsize=256)
def composed(song_id: str, seconds: float) -> tuple[Stimulus, FloatArray]:
    """A song as stimulus and as stems (stem, samples)."""
    song = compose(song_id, duration_s=seconds)
    stems = render(song)
    return stimulus_from_stems(song_id, stems, song.notes), stems


def composed_tempi(config: ListeningConfig, songs: Sequence[str]) -> list[float] | None:
    """Beats per minute of songs, as composed; None where one is not among those that are heard."""
    if not set(songs) <= set(listening_songs(config)):
        return None
    tempi = {name: compose(name, duration_s=config.song_seconds).tempo_bpm for name in dict.fromkeys(songs)}
    return [tempi[name] for name in songs]


def gallery_stems(config: ListeningConfig) -> FloatArray:
    """The heard windows, (window, stem, samples): the first of every song, then the second of every song."""
    places = [round(start_s * SAMPLE_RATE_HZ) for start_s in config.starts_s]
    length, songs = round(WINDOW_S * SAMPLE_RATE_HZ), listening_songs(config)
    return np.stack(
        [composed(name, config.song_seconds)[1][:, start : start + length] for start in places for name in songs]
    )


def listening_songs(config: ListeningConfig) -> list[str]:
    """Ids of the songs that are heard."""
    return _songs(config, 0, config.songs)


def gallery_songs(config: ListeningConfig) -> list[str]:
    """The song of each window of `gallery_stems`."""
    return listening_songs(config) * config.windows_per_song


def further_stems(
    config: ListeningConfig, total: int, *, batch_size: int = 16, from_start: bool = False
) -> Iterator[FloatArray]:
    """The windows of the songs that follow the gallery's in their family, up to `total` songs with the gallery; with
    `from_start`, where the songs begin.

    Yields (song, stem, samples) in batches, because hundreds of songs would fill the memory.
    """
    start = 0 if from_start else round(config.window_start_s * SAMPLE_RATE_HZ)
    stop = start + round(WINDOW_S * SAMPLE_RATE_HZ)
    songs = further_songs(config, total)
    for place in range(0, len(songs), batch_size):
        chosen = [compose(name, duration_s=config.song_seconds) for name in songs[place : place + batch_size]]
        yield np.stack([render(song)[:, start:stop] for song in chosen])


def further_songs(config: ListeningConfig, total: int) -> list[str]:
    """Ids of those songs."""
    return _songs(config, config.songs, max(config.songs, total))


def style_of(song: str) -> str:
    """The style of a simulated song, which its id begins with."""
    return parse_song_id(song, STYLES)[0]


def _songs(config: ListeningConfig, first: int, stop: int) -> list[str]:
    """Songs of the family by number, the styles in turn."""
    styles = config.all_styles
    return [
        format_song_id(styles[place % len(styles)], config.song_seed, place // len(styles))
        for place in range(first, stop)
    ]


def listener_of(config: ListeningConfig, subject: str) -> Listener:
    """The listener of that name, as the config has them all."""
    return draw_listener(
        subject, montage=config.montage, response_family=config.response_family, crosstalk=config.crosstalk
    )


def simulated_recording(config: ListeningConfig, subject: str, snr_db: float, *, seed: int = 0) -> Recording:
    """One listener hears every song once, with pauses. `seed`: of the recording's noise and pauses."""
    listener = listener_of(config, subject)
    trials = [
        Trial(composed(name, config.song_seconds)[0], number, snr_db=snr_db)
        for number, name in enumerate(listening_songs(config))
    ]
    return simulate_listener(listener, trials, seed=seed)


def simulated_heard(
    config: ListeningConfig,
    snr_db: float,
    stems: FloatArray | None = None,
    *,
    seed: int = 0,
    align: Callable[[Recording], tuple[Recording, Delay]] | None = None,
) -> Heard:
    """Every listener's windows and the gallery.

    Parameters
    ----------
    stems : the gallery, where it is known already
    align : takes the listener's latency out of a preprocessed recording, and says what it was
    """
    songs = listening_songs(config)
    windows: list[Window] = []
    recordings: dict[str, FloatArray] = {}
    delays: dict[str, Delay] = {}
    for subject in config.subjects:
        recording = preprocess(simulated_recording(config, subject, snr_db, seed=seed), PreprocessConfig())
        if align is not None:
            recording, delays[recording.subject] = align(recording)
        recordings[recording.key] = recording.signal_v
        for start_s in config.starts_s:
            cut = song_windows(recording, songs, start_s)
            # What is generated for a window depends on its name, and a song's first window keeps the song's.
            further = start_s > config.window_start_s
            windows += [replace(one, window_id=f"{one.window_id}/{start_s:g}") for one in cut] if further else cut
    gallery = gallery_songs(config)
    several = len(config.all_styles) > 1
    return Heard(
        windows=tuple(windows),
        target=np.tile(np.arange(len(gallery)), len(config.subjects)),
        stems=gallery_stems(config) if stems is None else stems,
        songs=tuple(gallery),
        style=MIXED if several else config.all_styles[0],
        recordings=recordings,
        styles=tuple(style_of(song) for song in gallery) if several else (),
        starts_s=tuple(start_s for start_s in config.starts_s for _ in songs),
        delays=delays,
    )


def song_windows(recording: Recording, songs: Sequence[str], start_s: float) -> list[Window]:
    """The window of each song, in the order of `songs`, from a preprocessed recording with events."""
    onset_of = {Path(event.stimulus).parent.name: event.onset_s for event in recording.events if event.stimulus}
    missing = [song for song in songs if song not in onset_of]
    if missing:
        raise DataError(f"{len(missing)} songs were not heard, such as {missing[0]}", allowed="one trial of each song")
    length = round(WINDOW_S * EEG_RATE_HZ)
    found = []
    for song in songs:
        first = round((onset_of[song] + start_s) * EEG_RATE_HZ)
        if first + length > recording.signal_v.shape[1]:
            raise DataError(f"The recording ends before the window of {song}", allowed="whole windows")
        found.append(
            replace(
                cut_window(recording, first, length),
                window_id=f"{recording.key}/{song}",
                stimulus_id=song,
                stimulus_start_s=start_s,
            )
        )
    return found
