"""What the diffusion model is trained on, computed once and kept on disk: latents, embeddings and curves of songs.

One folder per song, named by the hash of everything that decides its content (the audio, the codec's and the CLAP's
weights), so that nothing stale is ever read, work that was interrupted goes on, and new songs add to what is there.
Reads audio; trains nothing.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from eeg2music.audio import read_audio
from eeg2music.errors import DataError
from eeg2music.files import atomic_folder, sha256_file, sha256_json
from eeg2music.targets.cache import AudioEmbedder
from eeg2music.targets.curves import control_curves
from eeg2music.training.data import MIX, StimuliFolder
from eeg2music.types import CURVE_RATE_HZ, FRAME_RATE_HZ, SAMPLE_RATE_HZ, STEMS, WINDOW_S, FloatArray

logger = logging.getLogger(__name__)

SCHEMA = 1
# Starts of windows lie on whole seconds, where latent frames (75 Hz) and curve frames (32 Hz) meet.
GRID_S = 1
# A song is encoded in stretches of at most this length, which bounds the memory.
STRETCH_S = 30


class LatentCodec(Protocol):
    """The part of a codec that is needed here."""

    def encode(self, audio: Tensor) -> Tensor: ...
    def normalize(self, latents: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class SongLatents:
    """One song.

    Attributes
    ----------
    latents : (stem, channel, frame) float16, normalised, memory-mapped
    curves : (stem, curve, curve_frame) float16, memory-mapped
    embeddings : (1 + stem, start, embedding) float16: of the mix and of each stem, windows of WINDOW_S from each
        whole second
    """

    latents: NDArray[np.float16]
    curves: NDArray[np.float16]
    embeddings: NDArray[np.float16]

    @property
    def starts(self) -> int:
        """How many windows there are to choose from."""
        return int(self.embeddings.shape[1])

    def window(self, start_s: int) -> dict[str, FloatArray]:
        """Latents (stem, channel, 375), curves (stem, curve, 160) and embeddings of the window from `start_s`."""
        frame, frames = start_s * FRAME_RATE_HZ, round(WINDOW_S * FRAME_RATE_HZ)
        curve, curves = start_s * CURVE_RATE_HZ, round(WINDOW_S * CURVE_RATE_HZ)
        embeddings = _unit(self.embeddings[:, start_s // GRID_S].astype(np.float32))
        return {
            "latents": self.latents[..., frame : frame + frames].astype(np.float32),
            "curves": self.curves[..., curve : curve + curves].astype(np.float32),
            "global_embedding": embeddings[0],
            "stem_embedding": embeddings[1:],
        }


class LatentCache:
    """Latents, embeddings and curves of the songs of a folder; what is missing is computed by `fill`.

    Parameters
    ----------
    root : the folder of the cache
    music : the songs, each at least WINDOW_S long
    identity : hash of whatever turns audio into latents and embeddings
    """

    def __init__(self, root: str | os.PathLike[str], music: StimuliFolder, identity: str) -> None:
        refuse_short(music)
        self.root, self.music = Path(root), music
        self.keys = {song: _key(music, song, identity) for song in music.songs}

    @property
    def content_hash(self) -> str:
        """Hash over everything in the cache."""
        return sha256_json(self.keys)

    def missing(self) -> list[str]:
        """Songs that have not been computed."""
        return [song for song, key in self.keys.items() if not (self.root / key).is_dir()]

    def fill(self, codec: LatentCodec, embedder: AudioEmbedder, songs: Sequence[str] | None = None) -> None:
        """Compute what is missing, of all songs or of `songs`; each appears whole or not at all."""
        missing = self.missing()
        songs = missing if songs is None else [song for song in songs if song in set(missing)]
        for done, song in enumerate(songs, start=1):
            arrays = song_arrays(self.music, song, codec, embedder)
            with atomic_folder(self.root / self.keys[song]) as folder:
                for name, array in arrays.items():
                    np.save(folder / f"{name}.npy", array, allow_pickle=False)
            if done % 50 == 0 or done == len(songs):
                logger.info("latents of %d of %d songs computed", done, len(songs))

    def song(self, song: str) -> SongLatents:
        """One song's arrays, memory-mapped.

        Raises
        ------
        DataError
            If it has not been computed.
        """
        folder = self.root / self.keys[song]
        if not folder.is_dir():
            raise DataError(f"{song} is not in the latent cache {self.root}", remedy="fill the cache first")
        names = ("latents", "curves", "embeddings")
        return SongLatents(*(np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in names))


def refuse_short(music: StimuliFolder) -> None:
    """Refuse songs that no window fits into.

    Raises
    ------
    DataError
    """
    short = [song for song in music.songs if music.duration_s(song) < WINDOW_S]
    if short:
        raise DataError(
            f"{len(short)} songs are too short to train on: {', '.join(short[:5])}",
            allowed=f"{WINDOW_S:g} s or more",
        )


@torch.no_grad()
def song_arrays(
    music: StimuliFolder, song: str, codec: LatentCodec, embedder: AudioEmbedder
) -> dict[str, NDArray[np.float16]]:
    """Everything of one song; see `SongLatents`."""
    tracks = [read_audio(music.path(song, name)) for name in (MIX, *STEMS)]
    seconds = min(track.size for track in tracks) // SAMPLE_RATE_HZ
    audio = torch.from_numpy(np.stack([track[: seconds * SAMPLE_RATE_HZ] for track in tracks]))
    latents = torch.cat(
        [codec.normalize(codec.encode(part)) for part in audio[1:].split(STRETCH_S * SAMPLE_RATE_HZ, dim=-1)], dim=-1
    )
    # EnCodec may give a frame more than asked for.
    latents = latents[..., : seconds * FRAME_RATE_HZ]
    starts = range(0, seconds - int(WINDOW_S) + 1, GRID_S)
    return {
        "latents": _half(latents),
        "curves": _half(control_curves(audio[1:])),
        "embeddings": _half(_embeddings(audio, starts, embedder)),
    }


def _embeddings(audio: Tensor, starts: Sequence[int], embedder: AudioEmbedder) -> Tensor:
    """(track, samples) -> (track, start, embedding)."""
    length = round(WINDOW_S * SAMPLE_RATE_HZ)
    columns = [
        embedder.embed_audio(audio[:, start * SAMPLE_RATE_HZ : start * SAMPLE_RATE_HZ + length]) for start in starts
    ]
    return torch.stack(columns, dim=1)


def _key(music: StimuliFolder, song: str, identity: str) -> str:
    digest = hashlib.sha256(f"{SCHEMA}:{identity}".encode())
    for name in (MIX, *STEMS):
        digest.update(sha256_file(music.path(song, name)).encode())
    return digest.hexdigest()[:32]


def _half(values: Tensor) -> NDArray[np.float16]:
    return np.ascontiguousarray(values.float().cpu().numpy().astype(np.float16))


def _unit(vectors: FloatArray) -> FloatArray:
    unit: FloatArray = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True).clip(1e-6)
    return unit
