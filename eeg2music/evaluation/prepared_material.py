"""Reads what is scored from a prepared cache: recordings of people, what they heard, and who else heard it again.

Scores nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from eeg2music.audio import read_audio
from eeg2music.errors import DataError, first_few
from eeg2music.evaluation.heard import MIXED, Heard
from eeg2music.recordings.manifests import declared_works, stimulus_hashes
from eeg2music.recordings.prepared import PreparedDataset
from eeg2music.recordings.split_file import read_split
from eeg2music.types import CURVE_RATE_HZ, EEG_RATE_HZ, STEMS, WINDOW_S, FloatArray


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


def prepared_heard(cache: Path, split: str | None = None, *, genres: Mapping[str, str] = MappingProxyType({})) -> Heard:
    """One window of each song and subject from a prepared cache.

    The gallery has stems where those of every song lie beside its mix, or else mixes alone.

    The gallery holds the stretch that the first listener's first window heard; every other listener's window is the
    one that heard the same stretch, to within the step that windows start on. Works are those that the cache declares,
    of songs that are not scored too: a model may know another version.

    Parameters
    ----------
    split : manifest of `eeg2music split`, whose test side alone is taken
    genres : {song: genre}; of all songs that are taken, or of none

    Raises
    ------
    DataError
        If no window says what was heard, a song lacks some of its stems or its genre, or is declared to be of two
        works, or the manifest is not of this cache.
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
        start_s = stretch_start_s(row)
        if same_stretch(start_s, start_of.setdefault(row["stimulus"], start_s)):
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
    mix_only = not all_have_stems(str(first[song].stimulus_file) for song in songs)
    stems = [
        music_of(str(first[song].stimulus_file), float(first[song].stimulus_start_s or 0.0), WINDOW_S, mix_only)
        for song in songs
    ]
    row_of = {song: row for row, song in enumerate(songs)}
    target = np.array([row_of[str(window.stimulus_id)] for window in windows])
    recordings = {window.recording: data.signal(window.recording) for window in windows}
    styles = _genres_of(songs, genres)
    return Heard(
        tuple(windows),
        target,
        np.stack(stems),
        tuple(songs),
        style=styles[0] if len(set(styles)) == 1 else MIXED,
        recordings=recordings,
        works=declared_works(data.rows),
        stimuli=stimulus_hashes(str(window.stimulus_file) for window in windows),
        styles=styles if len(set(styles)) > 1 else (),
    )


def _genres_of(songs: Sequence[str], genres: Mapping[str, str]) -> tuple[str, ...]:
    """Genre of each song; none where none is known."""
    missing = [song for song in songs if song not in genres]
    if genres and missing:
        raise DataError(
            f"genres names no genre of {first_few(missing)}",
            allowed="one for each song that is scored",
            remedy="add them, or leave genres out",
        )
    return tuple(genres[song] for song in songs) if genres else ()


def prepared_others(cache: Path, heard: Heard, split: str | None = None) -> Heard | None:
    """Another listener's recording of a further presentation of the same stretch, query by query.

    Of several such listeners the next by name. Windows that are scored themselves are never taken: pooled over
    listeners these would give the brain's own score.

    Parameters
    ----------
    heard : as `prepared_heard` gives it of the same cache and split

    Returns
    -------
    None where a query has no such recording.
    """
    data = PreparedDataset(cache)
    scored = {window.window_id for window in heard.windows}
    presented = {presentation(row) for row in data.rows if row["window_id"] in scored}
    start_of = {str(window.stimulus_id): float(window.stimulus_start_s or 0.0) for window in reversed(heard.windows)}
    further: dict[str, dict[str, int]] = {song: {} for song in start_of}
    for index in scored_rows(data, split):
        row = data.rows[index]
        song = row["stimulus"]
        if not row["stimulus_file"] or song not in start_of or presentation(row) in presented:
            continue
        if same_stretch(stretch_start_s(row), start_of[song]):
            further[song].setdefault(row["subject"], index)
    chosen = [_next_listener(window.subject, further[str(window.stimulus_id)]) for window in heard.windows]
    found = [index for index in chosen if index is not None]
    return replace(heard, windows=tuple(map(data.window, found))) if len(found) == len(chosen) else None


def stretch_start_s(row: Mapping[str, Any]) -> float:
    """Where in its song the window of a cache's row starts."""
    return float(row["start_sample"] / EEG_RATE_HZ - row["stimulus_onset_s"])


def same_stretch(one_s: float, other_s: float) -> bool:
    """Whether two windows of a song heard the same of it."""
    # Windows start on a grid of their own, so that the same stretch begins up to a step apart.
    return abs(one_s - other_s) < 1 / CURVE_RATE_HZ


def presentation(row: Mapping[str, Any]) -> tuple[str, str, float]:
    """What tells the presentation that a cache's row lies in from others."""
    return row["recording"], row["stimulus"], row["stimulus_onset_s"]


def _next_listener(subject: str, found: Mapping[str, int]) -> int | None:
    """What is found of the first listener after this one by name, in a circle."""
    others = sorted((name for name in found if name != subject), key=lambda name: (name < subject, name))
    return found[others[0]] if others else None


def all_have_stems(files: Iterable[str]) -> bool:
    """Whether all four stems lie beside every one of these mixes.

    Raises
    ------
    DataError
        If some lie there and others are missing.
    """
    found = []
    for file in dict.fromkeys(files):
        folder = Path(file).parent
        missing = [f"{name}.wav" for name in STEMS if not (folder / f"{name}.wav").is_file()]
        if 0 < len(missing) < len(STEMS):
            raise DataError(
                f"{folder} lacks {', '.join(missing)}", allowed="one WAV file per stem beside the mix, or no stem"
            )
        found.append(not missing)
    return all(found)


def music_of(file: str, start_s: float, duration_s: float, mix_only: bool) -> FloatArray:
    """A stretch of a song, (stem, samples); of the mix alone (1, samples). file : of the mix"""
    mix = Path(file)
    files = [mix] if mix_only else [mix.parent / f"{name}.wav" for name in STEMS]
    return np.stack([read_audio(one, start_s=start_s, duration_s=duration_s) for one in files])
