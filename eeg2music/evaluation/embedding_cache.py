"""Embeddings of audio, computed once and kept in the user's cache folder, never beside the audio.

An entry is found by what it depends on: the samples of the audio and the embedding's identity (weights, settings,
versions). Nothing else leads to it, no path and no date, so that a file whose content changed is embedded again.
Each entry carries its own checksum; one that is damaged is computed again, and the log says so.
"""

from __future__ import annotations

import hashlib
import io
import logging
import os
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from eeg2music.evaluation.embedders.base import Embedder
from eeg2music.files import atomic_path
from eeg2music.types import FloatArray

logger = logging.getLogger(__name__)

# Raised when what an entry holds changes.
SCHEMA = 1
_DIGEST_BYTES = 32


def cache_folder() -> Path:
    """`$XDG_CACHE_HOME/eeg2music/embeddings`, by default below `~/.cache`."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    # The specification: a path that is not absolute is to be ignored.
    root = Path(base) if Path(base).is_absolute() else Path.home() / ".cache"
    return root / "eeg2music" / "embeddings"


class EmbeddingCache:
    """`Embedder.embed` with a memory.

    Parameters
    ----------
    embedder : its identity is asked for here, once
    folder : where entries lie; `cache_folder()` if None

    Attributes
    ----------
    computed, found : how many vectors were computed, and found
    """

    def __init__(self, embedder: Embedder, folder: str | os.PathLike[str] | None = None) -> None:
        self.embedder = embedder
        self.folder = cache_folder() if folder is None else Path(folder)
        self.computed = self.found = 0
        self._recipe = f"{SCHEMA} {embedder.identity()} {embedder.sample_rate_hz}"

    def embed(self, audio: ArrayLike) -> FloatArray:
        """(samples,) at the embedder's rate -> (dim,) float32. Raises what `Embedder.embed` raises."""
        file = self.path(audio)
        vector = self._read(file)
        if vector is not None:
            self.found += 1
            return vector
        vector = self.embedder.embed(audio)
        self.computed += 1
        _write(file, vector)
        return vector

    def path(self, audio: ArrayLike) -> Path:
        """Where the entry of this audio lies, whether it is there or not."""
        samples = np.ascontiguousarray(audio, dtype=np.float32)
        digest = hashlib.sha256(f"{self._recipe} {samples.shape}".encode())
        digest.update(samples.tobytes())
        name = digest.hexdigest()
        return self.folder / name[:2] / f"{name}.vector"

    def _read(self, file: Path) -> FloatArray | None:
        """The entry, or None where it is absent or damaged."""
        if not file.is_file():
            return None
        data = file.read_bytes()
        checksum, body = data[:_DIGEST_BYTES], data[_DIGEST_BYTES:]
        if hashlib.sha256(body).digest() == checksum:
            vector = np.load(io.BytesIO(body), allow_pickle=False)
            if vector.shape == (self.embedder.dim,) and vector.dtype == np.float32 and np.isfinite(vector).all():
                return np.asarray(vector)
        logger.warning("The cached embedding %s is damaged and is computed again", file.name)
        return None


def _write(file: Path, vector: FloatArray) -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(vector, dtype=np.float32), allow_pickle=False)
    body = buffer.getvalue()
    with atomic_path(file) as temporary:
        temporary.write_bytes(hashlib.sha256(body).digest() + body)
