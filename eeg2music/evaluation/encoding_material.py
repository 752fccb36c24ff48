"""Listeners for encoding models: simulated ones, or those of a prepared cache, each with the presentations it heard.

Says which stretches of which recording belong to which music, and how often the same was heard. Scores nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from eeg2music.errors import DataError
from eeg2music.evaluation.encoding_config import EncodingListening
from eeg2music.evaluation.encoding_data import (
    EncodingData,
    Stretch,
    common_channels,
    encoding_rows,
    heard_windows,
    prepared_encoding_data,
)
from eeg2music.evaluation.encoding_features import FeatureSet
from eeg2music.evaluation.material import composed
from eeg2music.preprocess.eeg import channel_mask, preprocess
from eeg2music.recordings.manifests import Manifest, declared_works, stimulus_hashes
from eeg2music.recordings.prepared import PreparedDataset
from eeg2music.simulation.composer import STYLES
from eeg2music.simulation.listening import draw_listener
from eeg2music.simulation.session import Trial, simulate_listener
from eeg2music.types import CURVE_RATE_HZ, EEG_RATE_HZ, FloatArray, Recording

Signals = Mapping[str, FloatArray]


@dataclass(frozen=True)
class Listened:
    """One listener's recordings and what was heard in them.

    Attributes
    ----------
    names, positions_m : of the good channels; (channel, 3) metres, NaN where unknown
    kind : "eeg", "meg" or "ieeg"
    signals : {recording: (channel, time)} preprocessed, all channels
    rows : (features, signals) -> the rows of each presentation, of the same music in the same order. Other signals
        than the listener's own are surrogates of them
    why_no_ceiling : where there is one presentation only
    """

    subject: str
    names: tuple[str, ...]
    positions_m: FloatArray
    kind: str
    signals: Signals
    rows: Callable[[FeatureSet, Signals], tuple[EncodingData, ...]]
    why_no_ceiling: str | None


@dataclass(frozen=True)
class Study:
    """All listeners, made one by one when they are asked for.

    Attributes
    ----------
    songs : of all listeners
    genre_of, work_of : {song: label}, as far as they are declared
    stimuli : hashes of the songs' audio files, where there are files
    """

    subjects: tuple[str, ...]
    songs: tuple[str, ...]
    genre_of: Mapping[str, str]
    work_of: Mapping[str, str]
    listener: Callable[[str], Listened]
    stimuli: frozenset[str] = frozenset()

    @property
    def scored(self) -> Manifest:
        """What no model may know."""
        return Manifest(frozenset(self.songs), self.work_of, stimuli=self.stimuli)


def simulated_study(config: EncodingListening, seed: int) -> Study:
    """Every listener hears all songs, `presentations` times one after the other. seed : of noise and pauses."""
    songs = config.songs
    return Study(config.subjects, tuple(songs), songs, {}, partial(_simulated, config, seed))


def prepared_study(cache: str | Path, genres: Mapping[str, str]) -> Study:
    """The listeners of a prepared cache whose windows name their audio. genres : {song: genre}, where it is known.

    Raises
    ------
    DataError
        If no window has audio.
    """
    data = PreparedDataset(cache)
    heard = [row for row in data.rows if row["stimulus_file"]]
    if not heard:
        raise DataError(f"No window of {cache} has audio", remedy="prepare a data set that names its stimuli")
    songs = tuple(sorted({row["stimulus"] for row in heard}))
    subjects = tuple(sorted({row["subject"] for row in heard}))
    return Study(
        subjects,
        songs,
        known_genres(songs, genres),
        declared_works(heard),
        partial(_prepared, data),
        stimuli=stimulus_hashes(row["stimulus_file"] for row in heard),
    )


def known_genres(songs: tuple[str, ...], declared: Mapping[str, str]) -> dict[str, str]:
    """{song: genre} as declared; a simulated song says its own. Songs of no known genre are left out."""
    own = {song: song.partition("-")[0] for song in songs if song.partition("-")[0] in STYLES}
    return {song: declared.get(song, own.get(song, "")) for song in songs if song in declared or song in own}


def _simulated(config: EncodingListening, seed: int, subject: str) -> Listened:
    listener = draw_listener(
        subject, montage=config.montage, response_family=config.response_family, crosstalk=config.crosstalk
    )
    trials = [
        Trial(composed(song, config.song_seconds)[0], 1 + number + turn * len(config.songs), turn + 1, config.snr_db)
        for turn in range(config.presentations)
        for number, song in enumerate(config.songs)
    ]
    recording = preprocess(simulate_listener(listener, trials, seed=seed))
    good = channel_mask(recording)

    def rows(features: FeatureSet, signals: Signals) -> tuple[EncodingData, ...]:
        signal = signals[recording.key]
        return tuple(
            encoding_rows(
                _played(recording, turn + 1, signal[good], config.song_seconds), names, features.of,
                rate_hz=features.rate_hz, lags=features.lags, power=features.power,
            )
            for turn in range(config.presentations)
        )  # fmt: skip

    names = tuple(name for name, kept in zip(recording.channel_names, good, strict=True) if kept)
    why = None if config.presentations > 1 else "each song was heard once"
    return Listened(
        recording.subject, names, recording.positions_m[good], recording.kind, {recording.key: recording.signal_v},
        rows, why,
    )  # fmt: skip


def _played(recording: Recording, turn: int, signal: FloatArray, seconds: float) -> Iterator[Stretch]:
    """The songs of one presentation, whole, in the order they were first played in."""
    for event in recording.events:
        if event.stimulus and event.fields["repeat"] == turn:
            song = Path(event.stimulus).parent.name
            first = round(event.onset_s * EEG_RATE_HZ)
            audio = composed(song, seconds)[1].sum(axis=0)
            yield Stretch(song, audio, signal[:, first : first + round(seconds * EEG_RATE_HZ)])


def _prepared(data: PreparedDataset, subject: str) -> Listened:
    heard = heard_windows(data, subject)
    names, good = common_channels(data, heard)
    presentations, why = _presentations(data, heard)
    recordings = sorted({data.rows[place]["recording"] for place in heard})

    def rows(features: FeatureSet, signals: Signals) -> tuple[EncodingData, ...]:
        return tuple(
            prepared_encoding_data(
                data, subject, features.of, rate_hz=features.rate_hz, lags=features.lags, power=features.power,
                places=places, signals=signals,
            )
            for places in presentations
        )  # fmt: skip

    positions = data.channels(recordings[0])[0][good]
    kind = str(data.meta["channels_by_recording"][recordings[0]]["kind"])
    return Listened(subject, names, positions, kind, {name: data.signal(name) for name in recordings}, rows, why)


def _presentations(data: PreparedDataset, heard: list[int]) -> tuple[list[list[int]], str | None]:
    """Windows that do not overlap, by presentation: the same stretches of the same songs in each, where all repeat."""
    trials: dict[str, dict[tuple[str, str], list[int]]] = {}
    for place in sorted(heard, key=lambda place: (data.rows[place]["recording"], data.rows[place]["start_sample"])):
        row = data.rows[place]
        of_trial = trials.setdefault(row["stimulus"], {}).setdefault((row["recording"], str(row["trial"])), [])
        last = data.rows[of_trial[-1]] if of_trial else None
        if last is None or row["start_sample"] >= last["start_sample"] + last["n_samples"]:
            of_trial.append(place)
    count = min(len(of_song) for of_song in trials.values())
    if count < 2:
        everything = [place for of_song in trials.values() for places in of_song.values() for place in places]
        return [everything], "not every song was heard twice"
    presentations: list[list[int]] = [[] for _ in range(count)]
    for of_song in trials.values():
        for same in zip(*list(of_song.values())[:count], strict=False):
            # Windows start on a grid of their own, so that the same stretch begins up to a step apart.
            if np.ptp([_start_s(data, place) for place in same]) < 1 / CURVE_RATE_HZ:
                for turn, place in enumerate(same):
                    presentations[turn].append(place)
    return presentations, None


def _start_s(data: PreparedDataset, place: int) -> float:
    """Where in its stimulus a window starts."""
    row = data.rows[place]
    return float(row["start_sample"] / EEG_RATE_HZ - row["stimulus_onset_s"])
