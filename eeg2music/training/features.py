"""Spectral features of whole songs, computed once and kept in memory for the tasks that train on windows.

The front-ends do not pad, so that the frames of a window are exactly a stretch of the song's frames
(up to float16). Nothing is written to disk.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eeg2music.audio import read_audio
from eeg2music.training.data import StimuliFolder

HalfArray = NDArray[np.float16]
Front = Callable[[Tensor], Tensor]


class SongFeatures:
    """Feature frames of the tracks of each song of a folder.

    Parameters
    ----------
    folder : the songs
    tracks : names of audio files, such as ("mix", "drums")
    front : (track, samples) tensor -> (track, band, frame) tensor
    quiet : the feature of silence, which pads songs shorter than a window
    limit_gb : songs beyond this much memory are computed at each visit
    """

    def __init__(
        self, folder: StimuliFolder, tracks: Sequence[str], front: Front, *, quiet: float, limit_gb: float = 4.0
    ) -> None:
        self.folder, self.tracks, self.front, self.quiet = folder, tuple(tracks), front, quiet
        self._kept: dict[str, HalfArray] = {}
        self._room = limit_gb * 2**30

    def song(self, song: str) -> HalfArray:
        """(track, band, frame) float16 of a whole song."""
        found = self._kept.get(song)
        if found is not None:
            return found
        audio = np.stack([read_audio(self.folder.path(song, track)) for track in self.tracks])
        with torch.no_grad():
            features = np.asarray(self.front(torch.from_numpy(audio)).numpy(), dtype=np.float16)
        if features.nbytes <= self._room:
            self._room -= features.nbytes
            self._kept[song] = features
        return features

    def window(self, song: str, track: int | slice, start: int, frames: int) -> NDArray[np.float32]:
        """Frames start…start + frames - 1 of one track (or several) as float32, padded with silence."""
        found = self.song(song)[track, :, max(0, start) : max(0, start + frames)]
        before = max(0, min(frames, -start))
        after = frames - before - found.shape[-1]
        pad = [(0, 0)] * (found.ndim - 1) + [(before, after)]
        return np.pad(found, pad, constant_values=self.quiet).astype(np.float32)

    def random_start(self, song: str, frames: int, rng: np.random.Generator) -> int:
        """A start so that the window lies inside the song, where it fits."""
        return int(rng.integers(0, max(0, self.song(song).shape[-1] - frames) + 1))


class StyleGroups:
    """Groups of songs, many of one style: negatives that differ in more than style.

    Songs without annotations form one style of their own.
    """

    def __init__(self, folder: StimuliFolder) -> None:
        self.songs = folder.songs
        self.style_of = {song: str(folder.annotations(song).get("style", "")) for song in self.songs}
        self.by_style: dict[str, list[str]] = {}
        for song in self.songs:
            self.by_style.setdefault(self.style_of[song], []).append(song)

    def group(self, index: int, size: int, rng: np.random.Generator, *, share: float = 1.0) -> list[str]:
        """Song number `index` and size - 1 others.

        A `share` of the group is of its style as far as there are such, the rest of any style. With fewer
        songs than `size` some come twice.
        """
        first = self.songs[index]
        mates = rng.permutation([song for song in self.by_style[self.style_of[first]] if song != first]).tolist()
        mates = mates[: max(0, round(share * size) - 1)]
        others = rng.permutation([song for song in self.songs if song != first and song not in set(mates)]).tolist()
        line = [*mates, *others][: size - 1]
        chosen = [first, *line]
        while len(chosen) < size:
            chosen.append(self.songs[int(rng.integers(len(self.songs)))])
        return chosen
