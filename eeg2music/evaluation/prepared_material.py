"""Reads what is scored from a prepared cache: recordings of people, what they heard, and who else heard it again.

Scores nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from eeg2music.audio import read_audio
from eeg2music.errors import DataError
from eeg2music.evaluation.heard import Heard
from eeg2music.evaluation.manifests import declared_works
from eeg2music.recordings.prepared import PreparedDataset
from eeg2music.types import CURVE_RATE_HZ, EEG_RATE_HZ, STEMS, WINDOW_S, FloatArray, Window


def prepared_heard(cache: Path, *, style: str = "mixed") -> Heard:
    """One window of each song and subject from a prepared cache whose stimuli come with their stems.

    The gallery holds the stretch that the first listener's first window heard; every other listener's window is the
    one that heard the same stretch, to within the step that windows start on. Works are those that the cache declares,
    of songs that are not scored too: a model may know another version.

    Raises
    ------
    DataError
        If no window says what was heard, a stem is missing, or a song is declared to be of two works.
    """
    data = PreparedDataset(cache)
    start_of: dict[str, float] = {}
    chosen: dict[tuple[str, str], int] = {}
    for index, row in enumerate(data.rows):
        if not row["stimulus_file"]:
            continue
        start_s = stretch_start_s(row)
        if _same_stretch(start_s, start_of.setdefault(row["stimulus"], start_s)):
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
        tuple(windows), target, np.stack(stems), tuple(songs), style, recordings, works=declared_works(data.rows)
    )


def prepared_others(cache: Path, heard: Heard) -> Heard | None:
    """Another listener's recording of a further presentation of the same stretch, query by query.

    Of several such listeners the next by name. Windows that are scored themselves are never taken: pooled over
    listeners these would give the brain's own score.

    Parameters
    ----------
    heard : as `prepared_heard` gives it of the same cache

    Returns
    -------
    None where a query has no such recording.
    """
    data = PreparedDataset(cache)
    scored = {window.window_id for window in heard.windows}
    presented = {_presentation(row) for row in data.rows if row["window_id"] in scored}
    start_of = {str(window.stimulus_id): float(window.stimulus_start_s or 0.0) for window in reversed(heard.windows)}
    further: dict[str, dict[str, int]] = {song: {} for song in start_of}
    for index, row in enumerate(data.rows):
        song = row["stimulus"]
        if not row["stimulus_file"] or song not in start_of or _presentation(row) in presented:
            continue
        if _same_stretch(stretch_start_s(row), start_of[song]):
            further[song].setdefault(row["subject"], index)
    chosen = [_next_listener(window.subject, further[str(window.stimulus_id)]) for window in heard.windows]
    found = [index for index in chosen if index is not None]
    return replace(heard, windows=tuple(map(data.window, found))) if len(found) == len(chosen) else None


def stretch_start_s(row: Mapping[str, Any]) -> float:
    """Where in its song the window of a cache's row starts."""
    return float(row["start_sample"] / EEG_RATE_HZ - row["stimulus_onset_s"])


def _same_stretch(one_s: float, other_s: float) -> bool:
    # Windows start on a grid of their own, so that the same stretch begins up to a step apart.
    return abs(one_s - other_s) < 1 / CURVE_RATE_HZ


def _presentation(row: Mapping[str, Any]) -> tuple[str, str, float]:
    return row["recording"], row["stimulus"], row["stimulus_onset_s"]


def _next_listener(subject: str, found: Mapping[str, int]) -> int | None:
    """What is found of the first listener after this one by name, in a circle."""
    others = sorted((name for name in found if name != subject), key=lambda name: (name < subject, name))
    return found[others[0]] if others else None


def _stems_of(window: Window) -> FloatArray:
    folder = Path(str(window.stimulus_file)).parent
    missing = [f"{name}.wav" for name in STEMS if not (folder / f"{name}.wav").is_file()]
    if missing:
        raise DataError(f"{folder} lacks {', '.join(missing)}", allowed="one WAV file per stem beside the mix")
    start_s = float(window.stimulus_start_s or 0.0)
    return np.stack([read_audio(folder / f"{name}.wav", start_s=start_s, duration_s=WINDOW_S) for name in STEMS])
