"""Songs on disk as training data: which there are, which are held out, and stretches of their stems.

Layout: ROOT/stimuli/<song id>/{drums,bass,harmony,melody,mix}.wav and, where known, annotations.json.
Reads only; makes no music.
"""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from eeg2music.audio import audio_duration_s, read_audio
from eeg2music.errors import DataError, LeakError
from eeg2music.files import read_json, sha256_file, sha256_json
from eeg2music.seeding import derive_seed
from eeg2music.types import SAMPLE_RATE_HZ, STEMS, FloatArray

logger = logging.getLogger(__name__)

MIX = "mix"
_LAYOUT = "a folder stimuli/<song>/ with " + ", ".join(f"{name}.wav" for name in (*STEMS, MIX))


class StimuliFolder:
    """The songs of a stimuli folder, or some of them.

    Parameters
    ----------
    root : the folder that holds `stimuli/`, or that folder itself
    songs : ids to keep; all complete songs where None

    Raises
    ------
    DataError
        If there is no song, or one of `songs` is missing or incomplete (all are listed together).
    """

    def __init__(self, root: str | os.PathLike[str], songs: Sequence[str] | None = None) -> None:
        folder = Path(root)
        self.folder = folder / "stimuli" if (folder / "stimuli").is_dir() else folder
        if not self.folder.is_dir():
            raise DataError(f"No music at {folder}", allowed=_LAYOUT, remedy="eeg2music simulate makes such a folder")
        found = sorted(entry.name for entry in self.folder.iterdir() if _is_complete(entry))
        if songs is not None and (missing := sorted(set(songs) - set(found))):
            raise DataError(
                f"{len(missing)} songs are missing or incomplete in {self.folder}: {', '.join(missing[:5])}",
                allowed=_LAYOUT,
            )
        self.songs: tuple[str, ...] = tuple(found if songs is None else sorted(set(songs)))
        if not self.songs:
            raise DataError(
                f"No complete song in {self.folder}", allowed=_LAYOUT, remedy="eeg2music simulate makes such a folder"
            )

    def __len__(self) -> int:
        return len(self.songs)

    def path(self, song: str, name: str) -> Path:
        """Where the audio of a stem (or "mix") lies."""
        return self.folder / song / f"{name}.wav"

    @functools.cache  # noqa: B019 - lives as long as the training
    def duration_s(self, song: str) -> float:
        """Length of a song's mix."""
        return audio_duration_s(self.path(song, MIX))

    def annotations(self, song: str) -> dict[str, Any]:
        """The song's annotations; empty where there are none."""
        file = self.folder / song / "annotations.json"
        return dict(read_json(file)) if file.is_file() else {}

    def crop(self, song: str, names: Sequence[str], start_s: float, seconds: float) -> FloatArray:
        """(name, samples) float32 at SAMPLE_RATE_HZ, zero-padded past the end of the song."""
        return np.stack([read_audio(self.path(song, name), start_s=start_s, duration_s=seconds) for name in names])

    def split(self, part: Literal["train", "valid"], valid_share: float = 0.08) -> StimuliFolder:
        """The training or the held-out songs. A song's side depends on its id, not on the other songs.

        (But for the smallest hash, which is held out in any case: a folder of few songs has a validation
        set too. A folder of one song is on both sides.)
        """
        if len(self.songs) == 1:
            if part == "valid":
                logger.warning("%s is the only song: validation is on the song that is trained on", self.songs[0])
            return self
        ranked = {song: derive_seed(0, "split", song) / 2**63 for song in self.songs}
        lowest = min(ranked, key=ranked.__getitem__)
        held_out = {song for song, value in ranked.items() if value < valid_share} | {lowest}
        if part == "valid":
            return StimuliFolder(self.folder, sorted(held_out))
        return StimuliFolder(self.folder, sorted(set(self.songs) - held_out))

    @functools.cached_property
    def content_hash(self) -> str:
        """Hash over names, sizes and annotations of the songs (audio itself is too much to read at start)."""
        rows = []
        for song in self.songs:
            sizes = [self.path(song, name).stat().st_size for name in (*STEMS, MIX)]
            rows.append([song, sizes, sha256_json(self.annotations(song))])
        return sha256_json(rows)

    @functools.cached_property
    def stimuli(self) -> dict[str, str]:
        """{song: hash of its mix}, by which a song is known under another name.

        Of the mix alone: stems that are silent are the same in many songs.
        """
        return {song: sha256_file(self.path(song, MIX)) for song in self.songs}

    def manifest(self, held_out: StimuliFolder | None = None) -> dict[str, Any]:
        """What belongs beside the weights: ids, hashes of the mixes and content hash of the songs.

        Under "valid" ids and hashes of the songs that were held out. A song on both sides was not held out.
        """
        unseen = [] if held_out is None else sorted(set(held_out.songs) - set(self.songs))
        told: dict[str, Any] = {"songs": list(self.songs), "stimuli": sorted(set(self.stimuli.values()))}
        if held_out is not None and unseen:
            told["valid"] = {"songs": unseen, "stimuli": sorted({held_out.stimuli[song] for song in unseen})}
        return {**told, "data_hash": self.content_hash}


def training_and_validation(
    data: str, valid_data: str | None = None, valid_share: float = 0.08
) -> tuple[StimuliFolder, StimuliFolder]:
    """The songs to train on, and those to validate on: all of `valid_data`, or a share of `data`.

    Raises
    ------
    LeakError
        If `valid_data` holds songs that are trained on.
    """
    folder = StimuliFolder(data)
    songs = folder.split("train", valid_share)
    if valid_data is None:
        return songs, folder.split("valid", valid_share)
    valid = StimuliFolder(valid_data)
    both = sorted(set(songs.songs) & set(valid.songs))
    if both:
        raise LeakError(
            f"{len(both)} songs of {valid_data} are trained on: {', '.join(both[:5])}",
            remedy="leave task.valid_data out: a share of the songs of task.data is then held out",
        )
    return songs, valid


def random_start_s(rng: np.random.Generator, duration_s: float, seconds: float) -> float:
    """A start on a whole sample, so that the crop lies inside the song where it fits."""
    room = max(0, round((duration_s - seconds) * SAMPLE_RATE_HZ))
    return int(rng.integers(0, room + 1)) / SAMPLE_RATE_HZ


def _is_complete(folder: Path) -> bool:
    return not folder.name.startswith(".") and all((folder / f"{name}.wav").is_file() for name in (*STEMS, MIX))
