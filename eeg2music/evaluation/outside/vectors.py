"""Arrays of embeddings, and what of them cannot be scored honestly. Pure checks on (n, dim); nothing is repaired."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eeg2music.errors import DataError, InputError, LeakError

Float64 = NDArray[np.float64]

# Nearer than this share of the median distance between clips, two clips are one: a gain or a rounding between them.
NEAR = 1e-3
BLOCK_ROWS = 1024
MEDIAN_ROWS = 2048


def load_array(path: Path) -> Float64:
    """(n, dim) from .npy, or from .npz with a single array. Pickles are never opened.

    Raises
    ------
    InputError
        If it is neither, or holds anything but a table of numbers.
    """
    allowed = "a .npy, or a .npz with one array, of shape (n, dim), without pickled objects"
    try:
        with path.open("rb") as handle:
            # By its first bytes: numpy would take any other file for a pickle.
            is_numpy = handle.read(4) in (b"\x93NUM", b"PK\x03\x04")
        if not is_numpy:
            raise ValueError("no numpy file")
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.lib.npyio.NpzFile):
            with loaded:
                if len(loaded.files) != 1:
                    raise ValueError(f"{len(loaded.files)} arrays")
                loaded = loaded[loaded.files[0]]
    except (ValueError, OSError, EOFError) as error:
        reason = " ".join(str(error).split())[:120]
        raise InputError(f"{path.name} cannot be read ({reason})", allowed=allowed, remedy="save it anew") from None
    if loaded.ndim != 2 or loaded.dtype.kind not in "fiu" or 0 in loaded.shape:
        raise InputError(
            f"{path.name} holds shape {loaded.shape} of {loaded.dtype}", allowed=allowed, remedy="save it anew"
        )
    return np.asarray(loaded, dtype=np.float64)


def refuse_finite(vectors: Float64, names: Sequence[str], where: str) -> None:
    """Refuse NaN and infinity. (n, dim), and a name for each row."""
    finite = np.isfinite(vectors).all(axis=1)
    if not finite.all():
        first = names[int(np.argmin(finite))]
        raise InputError(
            f"NaN or infinite embeddings: {int((~finite).sum())} of {len(vectors)} in {where}, such as {first}",
            allowed="finite numbers",
            remedy="look at those clips; they are never dropped",
        )


def refuse_bad(vectors: Float64, names: Sequence[str], where: str) -> None:
    """Refuse NaN and infinity, and vectors that are all equal. (n, dim), and a name for each row."""
    refuse_finite(vectors, names, where)
    spread = float(np.abs(vectors - vectors[0]).max())
    if len(vectors) > 1 and spread <= 1e-6 * max(float(np.abs(vectors).max()), 1e-30):
        raise DataError(
            f"Constant embeddings: all {len(vectors)} of {where} are equal",
            allowed="embeddings that tell clips apart",
            remedy="check the encoder and what it was given",
        )


def refuse_near(vectors: Float64, names: Sequence[str], where: str, remedy: str) -> None:
    """Refuse two rows that are nearly equal: duplicates behind a change of level or format."""
    if len(vectors) < 3:
        return
    limit = NEAR * _median_distance(vectors)
    norms = np.sum(vectors**2, axis=1)
    for start in range(0, len(vectors), BLOCK_ROWS):
        block = slice(start, start + BLOCK_ROWS)
        squared = norms[block, None] + norms - 2.0 * vectors[block] @ vectors.T
        # The product loses digits of small distances: candidates are measured again, directly.
        close = np.argwhere(squared <= limit**2 + 1e-9 * float(norms.max()))
        for row, other in close:
            first, second = int(other), start + int(row)
            if first < second and np.linalg.norm(vectors[first] - vectors[second]) <= limit:
                raise DataError(
                    f"Near-duplicate clips in {where}: {names[second]} and {names[first]} have nearly equal embeddings",
                    allowed="each clip once",
                    remedy=remedy,
                )


def refuse_copied(
    vectors: Float64, names: Sequence[str], references: Float64, reference_names: Sequence[str], condition: str
) -> None:
    """Refuse generated clips whose embedding is that of a reference, to a rounding."""
    if len(references) < 2:
        return
    limit = NEAR * _median_distance(references)
    for row, name in zip(vectors, names, strict=True):
        distance = np.linalg.norm(references - row, axis=1)
        nearest = int(distance.argmin())
        if distance[nearest] <= limit:
            raise LeakError(
                f"The generated clip {name} of {condition!r} is a copy of the reference {reference_names[nearest]}: "
                "their embeddings are nearly equal",
                allowed="audio that was generated",
                remedy=f"name {condition!r} under `copied` if it is meant as a ceiling",
            )


def _median_distance(vectors: Float64) -> float:
    """Median distance between different rows; of an evenly spaced part of them above 2048."""
    from eeg2music.metrics.kernel import median_distance

    rows = vectors
    if len(rows) > MEDIAN_ROWS:
        rows = rows[np.linspace(0, len(rows) - 1, MEDIAN_ROWS).round().astype(int)]
    return median_distance(rows)
