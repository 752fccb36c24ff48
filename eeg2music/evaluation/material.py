"""Makes what is scored: recordings of unseen listeners to unseen songs, simulated or prepared.

From the simulator the recordings stay in memory, from a prepared cache they are read; both go
through the same preprocessing. Scores nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from pydantic import Field, ValidationInfo, field_validator, model_validator

from eeg2music.audio import read_audio
from eeg2music.config import Config
from eeg2music.config_words import known_names
from eeg2music.errors import ConfigError, DataError
from eeg2music.evaluation.heard import Heard
from eeg2music.preprocess.eeg import PreprocessConfig, channel_mask, preprocess
from eeg2music.recordings.manifests import declared_works, stimulus_hashes
from eeg2music.recordings.prepared import PreparedDataset
from eeg2music.recordings.split_file import read_split
from eeg2music.simulation.composer import STYLES, compose
from eeg2music.simulation.head import MONTAGES
from eeg2music.simulation.library import song_ids
from eeg2music.simulation.listening import Crosstalk, Listener, draw_listener
from eeg2music.simulation.rendering import render
from eeg2music.simulation.responses import FAMILIES
from eeg2music.simulation.session import Stimulus, Trial, simulate_listener, stimulus_from_stems
from eeg2music.types import CURVE_RATE_HZ, EEG_RATE_HZ, SAMPLE_RATE_HZ, STEMS, WINDOW_S, FloatArray, Recording, Window


class ListeningConfig(Config):
    """Simulated listeners to held-out songs of one style.

    Attributes
    ----------
    style, song_seed, songs : which songs; the seed names a family. No shipped model was trained on that of the default,
        but earlier models were scored on it and then replaced
    song_seconds, window_start_s : length of a song, and where its one window of 5 s starts
    subjects : names of the listeners; they are drawn from the name
    montage, response_family, crosstalk : as in the simulator
    """

    style: str = "funk"
    song_seed: int = 21
    songs: int = Field(default=50, ge=2)
    song_seconds: float = Field(default=8.0, gt=0)
    window_start_s: float = Field(default=1.5, ge=0)
    subjects: tuple[str, ...] = Field(default=("unseen01", "unseen02"), min_length=1)
    montage: str = "eeg64"
    response_family: str = "default"
    crosstalk: Crosstalk = 0.1

    @field_validator("style", "montage", "response_family")
    @classmethod
    def _known(cls, name: str, info: ValidationInfo) -> str:
        known = {"style": STYLES, "montage": MONTAGES, "response_family": FAMILIES}[str(info.field_name)]
        known_names([name], known)
        return name

    @model_validator(mode="after")
    def _holds_its_window(self) -> ListeningConfig:
        if self.window_start_s + WINDOW_S > self.song_seconds:
            raise ConfigError(
                f"A window of {WINDOW_S:g} s from {self.window_start_s:g} s on ends after {self.song_seconds:g} s",
                allowed=f"songs of {self.window_start_s + WINDOW_S:g} s or more",
                remedy="raise song_seconds or lower window_start_s",
            )
        return self


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
    """The heard windows, (song, stem, samples)."""
    start = round(config.window_start_s * SAMPLE_RATE_HZ)
    stop = start + round(WINDOW_S * SAMPLE_RATE_HZ)
    return np.stack([composed(name, config.song_seconds)[1][:, start:stop] for name in listening_songs(config)])


def listening_songs(config: ListeningConfig) -> list[str]:
    """Ids of the songs that are heard."""
    return song_ids(config.style, config.song_seed, config.songs)


def further_stems(config: ListeningConfig, total: int, *, batch_size: int = 16) -> Iterator[FloatArray]:
    """The windows of the songs that follow the gallery's in their family, up to `total` songs with the gallery.

    Yields (song, stem, samples) in batches, because hundreds of songs would fill the memory.
    """
    start = round(config.window_start_s * SAMPLE_RATE_HZ)
    stop = start + round(WINDOW_S * SAMPLE_RATE_HZ)
    songs = further_songs(config, total)
    for place in range(0, len(songs), batch_size):
        chosen = [compose(name, duration_s=config.song_seconds) for name in songs[place : place + batch_size]]
        yield np.stack([render(song)[:, start:stop] for song in chosen])


def further_songs(config: ListeningConfig, total: int) -> list[str]:
    """Ids of those songs."""
    return song_ids(config.style, config.song_seed, max(0, total - config.songs), start=config.songs)


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


def simulated_heard(config: ListeningConfig, snr_db: float, stems: FloatArray | None = None, *, seed: int = 0) -> Heard:
    """Every listener's windows and the gallery. `stems`: the gallery, where it is known already."""
    songs = listening_songs(config)
    windows: list[Window] = []
    recordings: dict[str, FloatArray] = {}
    for subject in config.subjects:
        recording = preprocess(simulated_recording(config, subject, snr_db, seed=seed), PreprocessConfig())
        recordings[recording.key] = recording.signal_v
        windows += song_windows(recording, songs, config.window_start_s)
    return Heard(
        windows=tuple(windows),
        target=np.tile(np.arange(len(songs)), len(config.subjects)),
        stems=gallery_stems(config) if stems is None else stems,
        songs=tuple(songs),
        style=config.style,
        recordings=recordings,
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
            Window(
                eeg=recording.signal_v[:, first : first + length],
                positions_m=recording.positions_m,
                channel_mask=channel_mask(recording),
                subject=recording.subject,
                window_id=f"{recording.key}/{song}",
                recording=recording.key,
                stimulus_id=song,
                stimulus_start_s=start_s,
                start_s=first / EEG_RATE_HZ,
            )
        )
    return found


def scored_rows(data: PreparedDataset, split: str | None) -> Sequence[int]:
    """Numbers of the rows of a cache that may be scored: all, or the test side of a manifest of `eeg2music split`.

    Raises
    ------
    DataError
        If the manifest is of another cache, was changed by hand, or is held out for validation.
    LeakError
        If the manifest leaks.
    """
    if split is None:
        return range(len(data.rows))
    found = read_split(split, data)
    if found.held_out != "test":
        raise DataError(
            f"{split} is held out for {found.held_out}",
            allowed="a manifest whose test side no training has seen",
            remedy="eeg2music split CACHE --out split.json",
        )
    return found.test


def prepared_heard(cache: Path, split: str | None = None, *, style: str = "mixed") -> Heard:
    """One window of each song and subject from a prepared cache whose stimuli come with their stems.

    The gallery holds the stretch that the first listener's first window heard; every other listener's window is the
    one that heard the same stretch, to within the step that windows start on. Works are those that the cache declares,
    of songs that are not scored too: a model may know another version.

    Parameters
    ----------
    split : manifest of `eeg2music split`, whose test side alone is taken

    Raises
    ------
    DataError
        If no window says what was heard, a stem is missing, a song is declared to be of two works, or the manifest is
        not of this cache.
    LeakError
        If the manifest leaks.
    """
    data = PreparedDataset(cache)
    start_of: dict[str, float] = {}
    chosen: dict[tuple[str, str], int] = {}
    for index in scored_rows(data, split):
        row = data.rows[index]
        if not row["stimulus_file"]:
            continue
        start_s = row["start_sample"] / EEG_RATE_HZ - row["stimulus_onset_s"]
        # Windows start on a grid of their own, so that the same stretch begins up to a step apart.
        if abs(start_s - start_of.setdefault(row["stimulus"], start_s)) < 1 / CURVE_RATE_HZ:
            chosen.setdefault((row["subject"], row["stimulus"]), index)
    if not chosen:
        raise DataError(
            f"No window of {cache} says what was heard",
            allowed="recordings with a stim_file column in events.tsv",
            remedy="prepare a data set that names its stimuli",
        )
    windows = [data.window(index) for index in chosen.values()]
    songs = list(start_of)
    first = {str(window.stimulus_id): window for window in reversed(windows)}
    stems = [_stems_of(first[song]) for song in songs]
    row_of = {song: row for row, song in enumerate(songs)}
    target = np.array([row_of[str(window.stimulus_id)] for window in windows])
    recordings = {window.recording: data.signal(window.recording) for window in windows}
    return Heard(
        tuple(windows),
        target,
        np.stack(stems),
        tuple(songs),
        style,
        recordings,
        works=declared_works(data.rows),
        stimuli=stimulus_hashes(str(window.stimulus_file) for window in windows),
    )


def _stems_of(window: Window) -> FloatArray:
    folder = Path(str(window.stimulus_file)).parent
    missing = [f"{name}.wav" for name in STEMS if not (folder / f"{name}.wav").is_file()]
    if missing:
        raise DataError(f"{folder} lacks {', '.join(missing)}", allowed="one WAV file per stem beside the mix")
    start_s = float(window.stimulus_start_s or 0.0)
    return np.stack([read_audio(folder / f"{name}.wav", start_s=start_s, duration_s=WINDOW_S) for name in STEMS])
