"""Which clips lie farthest from music? The Fréchet distance of each clip by itself (per-song FAD, Gui et al. 2024).

A distance of one clip takes several vectors of it: every file is cut into equal pieces, as many for all, and each is
embedded. Few pieces make a nearly flat Gaussian, so that the value is of use beside others of as many pieces alone:
files of the reference, against the rest of it, are the measure. Reads and embeds nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeg2music.errors import InputError
from eeg2music.evaluation.outside.clips import Clip
from eeg2music.metrics.frechet import enough, frechet_per_sample
from eeg2music.types import FloatArray

Float64 = NDArray[np.float64]
# Of a piece, where the embedding does not ask for more; and how much of a file is cut.
PIECE_S, LONGEST_S = 1.0, 10.0
FEWEST_PIECES = 2
# Clips that are named.
WORST = 5
# Of the reference's own files, each measured without the tenth of them that it is in.
USUAL, FOLDS = 0.95, 10


@dataclass(frozen=True)
class Cut:
    """The beginning of every file in so many pieces of so many seconds."""

    pieces: int
    seconds: float

    def of(self, audio: FloatArray, sample_rate_hz: int) -> list[FloatArray]:
        """(samples,) -> pieces; resampling may have taken a sample of the last one."""
        size = round(self.seconds * sample_rate_hz)
        return [audio[place * size : (place + 1) * size] for place in range(self.pieces)]


@dataclass(frozen=True)
class Pieces:
    """Files in pieces, embedded.

    Attributes
    ----------
    generated : {clip: (piece, dim)}
    reference : (file, piece, dim)
    """

    cut: Cut
    generated: Mapping[str, Float64]
    reference: Float64


def common_cut(clips: Iterable[Clip], embedding: str, shortest_s: float) -> Cut:
    """The cut that all files allow.

    Parameters
    ----------
    shortest_s : that the embedding takes

    Raises
    ------
    InputError
        If the shortest file does not hold two pieces.
    """
    shortest = min(clips, key=lambda clip: clip.seconds)
    seconds = max(PIECE_S, shortest_s)
    count = int((min(shortest.seconds, LONGEST_S) + 0.5 / shortest.sample_rate_hz) / seconds)
    if count < FEWEST_PIECES:
        raise InputError(
            f"{shortest.name} is too short for a distance of its own in {embedding!r}: {shortest.seconds:.2f} s",
            allowed=f"{FEWEST_PIECES * seconds:g} s or more",
            remedy="leave frechet_per_clip out of `distances`, or generate longer clips",
        )
    return Cut(count, seconds)


def by_clip(reference: Float64, samples: Float64, names: Sequence[str]) -> dict[str, Any]:
    """Distance of every clip from the reference, and which are the farthest.

    Parameters
    ----------
    reference : (file, piece, dim), samples : (clip, piece, dim)
    names : (clip,)

    Returns
    -------
    Ready for JSON: "worst" [{"clip", "value"}], the farthest first; "n" (clips), "median", "beyond" (how many lie
    farther than 95 % of the reference's own files; 5 % are expected of music of the same kind), "reference_median" and
    "reference_95" of these, "n_reference" (files), "pieces" (of a file), "dim", and whether the reference has "enough"
    pieces for a covariance.
    """
    dim = reference.shape[2]
    values = frechet_per_sample(reference.reshape(-1, dim), samples)
    own = _of_reference(reference)
    limit = float(np.quantile(own, USUAL))
    farthest = np.argsort(-values, kind="stable")[:WORST]
    return {
        "worst": [{"clip": names[place], "value": float(values[place])} for place in farthest],
        "n": len(values),
        "median": float(np.median(values)),
        "beyond": int(np.sum(values > limit)),
        "reference_median": float(np.median(own)),
        "reference_95": limit,
        "n_reference": len(reference),
        "pieces": reference.shape[1],
        "dim": dim,
        "enough": enough(reference.shape[0] * reference.shape[1], dim),
    }


def _of_reference(reference: Float64) -> Float64:
    """Distance of each of its files from the others. (file, piece, dim) -> (file,)"""
    fold = np.arange(len(reference)) % min(FOLDS, len(reference))
    values = np.empty(len(reference))
    for number in np.unique(fold):
        rest = reference[fold != number].reshape(-1, reference.shape[2])
        values[fold == number] = frechet_per_sample(rest, reference[fold == number])
    return values
