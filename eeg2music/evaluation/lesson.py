"""Music and listeners that are not scored: what the controls that learn are fitted on.

Songs of the gallery's styles and family that are not in the gallery, and listeners with names of their own. What is
fitted on them is checked by name against what is scored. Fits and scores nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from pydantic import Field

from eeg2music.config import Config
from eeg2music.evaluation.heard import Heard, audio_conditions
from eeg2music.evaluation.known import scored_side
from eeg2music.evaluation.material import ListeningConfig, further_songs, listener_of, song_windows, style_of
from eeg2music.evaluation.splits import Manifest, refuse_leaks
from eeg2music.pipeline import concatenate
from eeg2music.preprocess.eeg import PreprocessConfig, preprocess
from eeg2music.simulation.composer import compose
from eeg2music.simulation.rendering import render
from eeg2music.simulation.session import Stimulus, Trial, simulate_listener, stimulus_from_stems
from eeg2music.types import SAMPLE_RATE_HZ, WINDOW_S, Conditions, Window


class FitConfig(Config):
    """What the controls that learn are given.

    Attributes
    ----------
    songs : how many, those that follow the gallery's in their family
    listeners : how many, none of whom is scored
    songs_each : how many of the songs each listener hears (the ridge model's windows are listeners times these)
    prepared : for prepared recordings: another cache to learn from, that shares no song, work or listener with what is
        scored. Of it at most `songs` stretches of 5 s are taken, and `listeners` times `songs_each` windows
    """

    songs: int = Field(default=240, ge=4)
    listeners: int = Field(default=24, ge=1)
    songs_each: int = Field(default=60, ge=1)
    prepared: str | None = None


@dataclass(frozen=True)
class Lesson:
    """Songs outside the gallery.

    Attributes
    ----------
    songs : their ids
    styles : of each song
    stimuli : what a simulated listener hears
    conditions : what the generator would be told of each song's window, one row a song
    """

    songs: tuple[str, ...]
    styles: tuple[str, ...]
    stimuli: tuple[Stimulus, ...]
    conditions: Conditions


def make_lesson(clap: object, listening: ListeningConfig, fit: FitConfig) -> Lesson:
    """Compose, render and embed the songs, one at a time: hundreds at once would fill the memory."""
    start = round(listening.window_start_s * SAMPLE_RATE_HZ)
    stop = start + round(WINDOW_S * SAMPLE_RATE_HZ)
    songs = further_songs(listening, listening.songs + fit.songs)
    stimuli, conditions = [], []
    for name in songs:
        song = compose(name, duration_s=listening.song_seconds)
        stems = render(song)
        stimuli.append(stimulus_from_stems(name, stems, song.notes))
        conditions.append(audio_conditions(clap, stems[None, :, start:stop]))
    return Lesson(tuple(songs), tuple(map(style_of, songs)), tuple(stimuli), concatenate(conditions))


def lesson_listeners(fit: FitConfig) -> list[str]:
    """Names of the listeners; how one responds comes with the name."""
    return [f"lesson{number:02d}" for number in range(1, fit.listeners + 1)]


def heard_by(listener: int, fit: FitConfig) -> list[int]:
    """Rows of the lesson that a listener hears: consecutive shares of the songs, so that all are used evenly."""
    each = min(fit.songs_each, fit.songs)
    return [(listener * each + place) % fit.songs for place in range(each)]


def lesson_windows(
    lesson: Lesson, listening: ListeningConfig, fit: FitConfig, snr_db: float, *, seed: int
) -> tuple[list[Window], list[int]]:
    """The listeners' windows, recorded and cleaned as the scored ones are, and the song (row of the lesson) of each."""
    windows: list[Window] = []
    rows: list[int] = []
    for number, subject in enumerate(lesson_listeners(fit)):
        chosen = heard_by(number, fit)
        trials = [Trial(lesson.stimuli[row], place, snr_db=snr_db) for place, row in enumerate(chosen)]
        recorded = simulate_listener(listener_of(listening, subject), trials, seed=seed)
        cut = song_windows(
            preprocess(recorded, PreprocessConfig()), [lesson.songs[row] for row in chosen], listening.window_start_s
        )
        # Copies, or every window would keep its whole recording in memory.
        windows += [_alone(window) for window in cut]
        rows += chosen
    return windows, rows


def refuse_taught(songs: Sequence[str], subjects: Sequence[str], heard: Heard) -> None:
    """Raise if what a control is fitted on is among what is scored.

    Raises
    ------
    LeakError
        Naming the songs or the listeners.
    """
    taught = Manifest(frozenset(songs), subjects=frozenset(subjects))
    refuse_leaks(taught, scored_side(heard), kinds=("song", "work", "subject"))


def _alone(window: Window) -> Window:
    return replace(window, eeg=np.array(window.eeg))
