"""What every audio embedding is to the scores: a name, sizes, one vector per clip, and an identity.

Checks what goes in and what comes out, so that no embedding can give a NaN or another length quietly. It reads
no audio files and keeps nothing: see `eeg2music.evaluation.embedding_cache`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from eeg2music.errors import DataError, InputError
from eeg2music.files import sha256_file
from eeg2music.types import FloatArray

if TYPE_CHECKING:
    import torch

# Longer audio is embedded in equal pieces of at most this, and their vectors are averaged.
LONGEST_PIECE_S = 10.0


@dataclass(frozen=True)
class Options:
    """Where an embedding is loaded from.

    Attributes
    ----------
    checkpoint : folder of the project's models (`scorer/`, `clap/`)
    source : folder or hub name that takes the place of the embedding's own
    device : "cpu", "cuda", …, or "auto"
    """

    checkpoint: Path
    source: str | None = None
    device: str = "cpu"


class Embedder(ABC):
    """One vector for each clip.

    Attributes
    ----------
    name : as in the registry
    hub : where the hub has it; empty for those that are not there
    dim : length of the vector
    sample_rate_hz : of the audio that `embed` takes
    shortest_s : shorter clips are refused
    one_length : clips to be compared must be of one length
    unit_norm : the cosine is the natural similarity; otherwise it is taken after centring and scaling
    scaled : the dimensions have different units, so distances are taken in units of the reference's deviation
    learned : it was trained, so that a generator may have been conditioned on it
    followed : conditions of the generator that it is known to measure or hear (of "onset", "loudness", "brightness")
    note : a sentence for the report
    """

    name: str
    hub: str = ""
    dim: int
    sample_rate_hz: int
    shortest_s: float
    one_length: bool = False
    unit_norm: bool = False
    scaled: bool = False
    learned: bool = True
    followed: tuple[str, ...] = ()
    note: str = ""

    @abstractmethod
    def __init__(self, options: Options) -> None:
        """Load it, and set what the data or the weights decide."""

    def embed(self, audio: ArrayLike) -> FloatArray:
        """Embed one clip.

        Parameters
        ----------
        audio : (samples,) mono at `sample_rate_hz`

        Returns
        -------
        (dim,) float32, finite; one vector for the whole clip.

        Raises
        ------
        InputError
            For another shape, samples that are not finite, or less than `shortest_s`.
        DataError
            If what comes out is not finite.
        """
        samples = np.asarray(audio, dtype=np.float32)
        if samples.ndim != 1:
            raise InputError(
                f"Audio of shape {samples.shape} for the embedding {self.name!r}", allowed="(samples,) mono"
            )
        # Resampling may round one sample away.
        if samples.size + 1 < self.shortest_s * self.sample_rate_hz:
            raise InputError(
                f"{samples.size / self.sample_rate_hz:.2f} s of audio is too short for the embedding {self.name!r}",
                allowed=f"{self.shortest_s:g} s or more",
            )
        if not np.isfinite(samples).all():
            raise InputError("The audio to embed holds samples that are not finite", remedy="export the audio again")
        vector = np.asarray(self._vector(samples), dtype=np.float32)
        if vector.shape != (self.dim,) or not np.isfinite(vector).all():
            raise DataError(
                f"The embedding {self.name!r} gave shape {vector.shape} with "
                f"{int(vector.size - np.isfinite(vector).sum())} values that are not finite",
                allowed=f"({self.dim},) finite numbers",
                remedy="look at that clip; it is never dropped",
            )
        return vector

    @abstractmethod
    def _vector(self, audio: FloatArray) -> FloatArray:
        """(samples,) float32, checked -> (dim,)."""

    @abstractmethod
    def identity(self) -> str:
        """Hex digest of all that decides a vector beside the audio: weights, settings, versions."""

    def known_as(self) -> frozenset[str]:
        """All names and hashes by which a manifest may say that this embedding conditioned the clips."""
        # The hub's name also where it was loaded from a folder, which may be a copy.
        return frozenset(filter(None, (self.name, self.hub, self.identity())))


def pieces(audio: FloatArray, sample_rate_hz: int) -> list[FloatArray]:
    """Equal pieces (to a sample) of at most 10 s."""
    count = -(-audio.size // round(LONGEST_PIECE_S * sample_rate_hz))
    return list(np.array_split(audio, max(1, count)))


def torch_device(name: str) -> torch.device:
    """The device that `name` says; "auto" takes the best."""
    from eeg2music.pipeline import pick_device

    return pick_device(name)


def weight_files(source: str) -> tuple[Path, ...]:
    """The safetensors of a folder, or of a model of the hub as far as they have been downloaded."""
    folder = Path(source)
    if folder.is_dir():
        return tuple(sorted(folder.glob("*.safetensors")))
    from transformers.utils.hub import cached_file

    try:
        found = cached_file(source, "model.safetensors", local_files_only=True)
    except (OSError, ValueError):
        return ()
    return (Path(found),) if found else ()


def names_of(source: str, *, part_of_generator: bool) -> frozenset[str]:
    """Source, hashes of its weight files, and the hash that a `report.json` of this project has of it.

    Parameters
    ----------
    source : folder or hub name
    part_of_generator : the hash of the whole checkpoint that a folder belongs to counts too, because the clips made
        with that checkpoint were made with this model
    """
    from eeg2music.pipeline import MAKING
    from eeg2music.weights import checkpoint_sha256

    known = {source, *(sha256_file(file) for file in weight_files(source))}
    folder = Path(source)
    if folder.is_dir():
        known.add(checkpoint_sha256(folder))
        if part_of_generator and all((folder.parent / name).is_dir() for name in MAKING):
            known.add(checkpoint_sha256(folder.parent))
    return frozenset(known)
