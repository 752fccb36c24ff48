"""Writes simulated songs to a stimuli folder: ROOT/stimuli/<song id>/{stems, mix}.wav, annotations.json, song.mid.

Resumable and atomic by song: a song's folder is there whole or not at all, and an existing one is left as it is. The
result does not depend on the number of processes.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from eeg2music.errors import InputError, did_you_mean
from eeg2music.files import atomic_folder, read_json, write_json
from eeg2music.simulation.annotations import SCHEMA, annotate
from eeg2music.simulation.composer import STYLES, compose
from eeg2music.simulation.midi import write_midi
from eeg2music.simulation.rendering import FULL_SCALE, render
from eeg2music.simulation.song import Song, format_song_id
from eeg2music.types import SAMPLE_RATE_HZ, STEMS

_LOG = logging.getLogger(__name__)
FILES = (*(f"{stem}.wav" for stem in STEMS), "mix.wav", "annotations.json", "song.mid")


def song_ids(style: str | None, seed: int, count: int, *, start: int = 0) -> list[str]:
    """Ids of ``count`` songs.

    Args:
        style: one of ``STYLES``; None takes all styles in turn.
        seed: which family of songs; families never share a song.
        start: index of the first one.

    Raises:
        InputError: unknown style, or a negative seed, count or start.
    """
    if style is not None and style not in STYLES:
        raise InputError(
            f"unknown style {style!r}",
            allowed=", ".join(STYLES),
            remedy=did_you_mean(style, STYLES) or "choose one of these",
        )
    if min(seed, count, start) < 0:
        raise InputError(f"seed {seed}, count {count}, start {start}", allowed="whole numbers from 0")
    if style is not None:
        return [format_song_id(style, seed, start + place) for place in range(count)]
    places = range(start, start + count)
    return [format_song_id(STYLES[place % len(STYLES)], seed, place // len(STYLES)) for place in places]


def write_songs(
    root: str | os.PathLike[str],
    ids: Iterable[str],
    *,
    duration_s: float = 16.0,
    workers: int = 2,
    progress: Callable[[int, int], None] | None = None,
) -> list[Path]:
    """Compose, render and write songs that are not there yet.

    Args:
        root: the data set's folder; songs go to ``root/stimuli``.
        workers: processes; 1 stays in this one.
        progress: called with how many songs are there and of how many, whenever one was written.

    Returns: the song folders, in the order of ``ids``.

    Raises:
        InputError: a malformed id, a bad duration, or an existing song of another duration.
    """
    wanted = list(dict.fromkeys(ids))
    folder = Path(root) / "stimuli"
    missing = [song_id for song_id in wanted if not is_complete(folder / song_id, duration_s)]
    _LOG.info("%d songs wanted, %d to write", len(wanted), len(missing))
    folder.mkdir(parents=True, exist_ok=True)
    write = partial(write_song, folder, duration_s=duration_s)
    for done, path in enumerate(_written(write, missing, workers), start=1):
        _LOG.debug("%d of %d: %s", done, len(missing), path.name)
        if progress is not None:
            progress(len(wanted) - len(missing) + done, len(wanted))
    return [folder / song_id for song_id in wanted]


def _written(write: partial[Path], missing: Sequence[str], workers: int) -> Iterator[Path]:
    """Write songs in this process or in several; the folders in order, each when it is there."""
    if workers <= 1 or len(missing) <= 1:
        yield from map(write, missing)
        return
    # spawn: a fork would inherit the locks of threads that a caller may hold
    with ProcessPoolExecutor(min(workers, len(missing)), mp_context=get_context("spawn")) as pool:
        yield from pool.map(write, missing)


def is_complete(path: Path, duration_s: float) -> bool:
    """Whether a song's folder is whole.

    Raises:
        InputError: it is whole but of another duration.
    """
    if not all((path / name).is_file() for name in FILES):
        return False
    found = read_json(path / "annotations.json")
    if found.get("schema") != SCHEMA or found.get("duration_s") != float(duration_s):
        raise InputError(
            f"{path} holds a song of {found.get('duration_s')} s (schema {found.get('schema')})",
            allowed=f"{float(duration_s)} s (schema {SCHEMA})",
            remedy="write to another folder, or remove this one",
        )
    return True


def write_song(folder: Path, song_id: str, *, duration_s: float = 16.0) -> Path:
    """Write one song to ``folder/song_id``, replacing an incomplete one."""
    song = compose(song_id, duration_s=duration_s)
    with atomic_folder(folder / song_id) as temporary:
        write_audio_files(song, temporary)
        write_midi(song, temporary / "song.mid")
        write_json(temporary / "annotations.json", annotate(song))
    return folder / song_id


def write_audio_files(song: Song, folder: Path) -> None:
    """Write the stems and their exact sum as 16-bit WAV files."""
    import soundfile

    integers = np.round(render(song) * FULL_SCALE).astype(np.int32)
    names = (*STEMS, "mix")
    for name, samples in zip(names, (*integers, integers.sum(axis=0)), strict=True):
        soundfile.write(folder / f"{name}.wav", samples.astype(np.int16), SAMPLE_RATE_HZ, subtype="PCM_16")
