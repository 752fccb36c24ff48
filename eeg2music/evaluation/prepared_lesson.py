"""Recordings that are not scored, from a second prepared cache: what the controls that learn are fitted on.

Songs, works, listeners and sound files of the two caches have to be apart, by the checks that splits pass. Fits and
scores nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from eeg2music.errors import DataError
from eeg2music.evaluation.heard import audio_conditions
from eeg2music.evaluation.lesson import FitConfig, Lesson
from eeg2music.evaluation.prepared_material import all_have_stems, music_of, presentation, same_stretch, stretch_start_s
from eeg2music.pipeline import concatenate
from eeg2music.recordings.manifests import declared_works, refuse_leaks, with_stimulus_hashes
from eeg2music.recordings.prepared import PreparedDataset
from eeg2music.types import WINDOW_S, Window

UNKNOWN = "unknown"
_Stretch = tuple[str, int]
T = TypeVar("T")


@dataclass(frozen=True)
class RecordedLesson:
    """Windows of other listeners to other songs.

    Attributes
    ----------
    lesson : a row for each stretch of music; a song may have several
    windows : of the recordings
    rows : (window,) row of the lesson that each heard
    works : (lesson row,) what is independent
    """

    lesson: Lesson
    windows: tuple[Window, ...]
    rows: tuple[int, ...]
    works: tuple[str, ...]


def refuse_shared(cache: Path, scored: Path) -> None:
    """Raise if two caches share a song, a work, a listener, or a sound file under two names.

    Raises
    ------
    LeakError
        Naming what is shared.
    """
    ours, theirs = (with_stimulus_hashes(PreparedDataset(one).rows) for one in (cache, scored))
    refuse_leaks(ours, theirs, kinds=("song", "work", "subject"))


def read_lesson(
    clap: object, cache: Path, scored: Path, fit: FitConfig, genres: Mapping[str, str], *, mix_only: bool
) -> RecordedLesson:
    """Windows that do not overlap, and the conditions of the music that was heard in them.

    Parameters
    ----------
    clap : embeds music into the conditioning space
    cache, scored : what is learnt from, and what is scored
    fit : at most `songs` stretches of music are taken, and at most `listeners` times `songs_each` windows of them,
        evenly spread
    genres : {song: genre}, as far as they are known
    mix_only : whether what is scored has no stems, and the stems here are left alone too

    Raises
    ------
    LeakError
        If the caches share what is scored.
    DataError
        If no window says what was heard, or songs have no stems where those that are scored do.
    """
    refuse_shared(cache, scored)
    data = PreparedDataset(cache)
    heard = _apart(data.rows)
    stretches = set(_at_most(list(dict.fromkeys(heard.values())), fit.songs))
    chosen = _at_most(
        [index for index, stretch in heard.items() if stretch in stretches], fit.listeners * fit.songs_each
    )
    if not chosen:
        raise DataError(f"no window of {cache} says what was heard", allowed="recordings that name their stimuli")
    taught = list(dict.fromkeys(heard[index] for index in chosen))
    first = {heard[index]: index for index in reversed(chosen)}
    files = [data.rows[first[stretch]]["stimulus_file"] for stretch in taught]
    if not mix_only and not all_have_stems(files):
        raise DataError("songs of fit.prepared have no stems, and those that are scored do")
    conditions = [
        audio_conditions(clap, music_of(file, stretch_start_s(data.rows[first[stretch]]), WINDOW_S, mix_only)[None])
        for stretch, file in zip(taught, files, strict=True)
    ]
    songs = tuple(song for song, _ in taught)
    work_of = declared_works(data.rows)
    row_of = {stretch: row for row, stretch in enumerate(taught)}
    return RecordedLesson(
        Lesson(songs, tuple(genres.get(song, UNKNOWN) for song in songs), (), concatenate(conditions)),
        tuple(data.window(index) for index in chosen),
        tuple(row_of[heard[index]] for index in chosen),
        tuple(work_of.get(song, song) for song in songs),
    )


def _apart(rows: Sequence[Mapping[str, Any]]) -> dict[int, _Stretch]:
    """{row: song and number of its stretch} of windows that do not overlap and whose stretch all listeners share."""
    ends: dict[tuple[str, str, float], int] = {}
    start_of: dict[_Stretch, float] = {}
    found: dict[int, _Stretch] = {}
    for index, row in enumerate(rows):
        if not row["stimulus_file"] or row["start_sample"] < ends.get(presentation(row), 0):
            continue
        start_s = stretch_start_s(row)
        stretch = (row["stimulus"], round(start_s / WINDOW_S))
        if same_stretch(start_s, start_of.setdefault(stretch, start_s)):
            found[index] = stretch
            ends[presentation(row)] = row["start_sample"] + row["n_samples"]
    return found


def _at_most(items: Sequence[T], count: int) -> list[T]:
    """Up to `count` items, evenly spread."""
    return list(items[:: max(1, -(-len(items) // count))])
