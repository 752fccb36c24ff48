"""Scores of one condition in one embedding: identification of what was heard, and distances from music as a whole.

Takes vectors only; reads and embeds nothing. Fréchet distances over too few clips are refused, unless asked for, and
then they are stamped.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeg2music.errors import InputError
from eeg2music.evaluation.identification import identify
from eeg2music.evaluation.outside.config import Distance
from eeg2music.evaluation.outside.manifest import Clips, Row
from eeg2music.metrics.breakdown import breakdown
from eeg2music.metrics.density import NEAREST, density_coverage
from eeg2music.metrics.frechet import enough, frechet_distance, frechet_infinity
from eeg2music.metrics.kernel import kernel_distance_both
from eeg2music.metrics.retrieval import similarity_matrix

Float64 = NDArray[np.float64]
# `frechet_infinity` halves the clips more than once.
FEWEST_FOR_INFINITY = 8
TOP = (1, 5, 10)
WAYS = (10,)


@dataclass(frozen=True)
class Space:
    """Everything in one embedding.

    Attributes
    ----------
    generated : {clip: (dim,)}
    gallery : (g, dim), or None where nothing is to be identified
    reference : (m, dim) music as a whole, or None
    unit_norm : compare by the plain cosine; otherwise dimensions are first centred and scaled by the gallery
    scaled : distances are in units of the reference's deviation, dimension by dimension
    """

    name: str
    dim: int
    generated: Mapping[str, Float64]
    gallery: Float64 | None
    reference: Float64 | None
    unit_norm: bool
    scaled: bool

    def stacked(self, items: Sequence[str]) -> Float64:
        """(n, dim)"""
        return np.stack([np.asarray(self.generated[item], dtype=np.float64) for item in items])


def identification(
    space: Space, rows: Sequence[Row], clips: Clips, *, seed: int, permutations: int
) -> dict[str, Any] | None:
    """What `identify` gives, and under "breakdown" what `metrics.breakdown` does; None without gallery.

    The breakdown holds every figure with its chance overall, by seed, subject and style, within style and within
    song, as far as the manifest names them and there are two or more.
    """
    if space.gallery is None or any(row.reference is None for row in rows):
        return None
    query, gallery = space.stacked([row.item for row in rows]), space.gallery
    if not space.unit_norm:
        query, gallery = scaled_by(gallery, query), scaled_by(gallery, gallery)
    place = {name: number for number, name in enumerate(clips.gallery)}
    target = np.array([place[str(row.reference)] for row in rows])
    scores = identify(
        query,
        gallery,
        target,
        songs=[row.cluster for row in rows],
        subjects=[row.subject for row in rows],
        seed=seed,
        permutations=permutations,
    )
    scores["similarity"] = "cosine" if space.unit_norm else "cosine, centred and scaled by the gallery"
    of_query, of_item = _labels(rows, clips)
    scores["breakdown"] = breakdown(
        similarity_matrix(query, gallery), target, query_labels=of_query, gallery_labels=of_item, ks=TOP, ways=WAYS
    )
    return scores


def distances(
    space: Space, items: Sequence[str], wanted: Sequence[Distance], *, allow_small: bool, seed: int, condition: str
) -> dict[str, Any] | None:
    """Distances of the clips `items` from the reference; None without one.

    Returns
    -------
    As far as wanted: "frechet"; "kernel" with the width of the reference and "kernel_reversed" with the width of what
    is judged; "frechet_infinity" with its interval; "coverage" with density, precision and recall. Always: n,
    n_reference, dim, `enough` for a covariance on both sides, `scaling` in words.

    Raises
    ------
    InputError
        If a Fréchet distance is wanted of fewer clips or references than twice the dimension, unless `allow_small`.
    """
    if space.reference is None or not wanted:
        return None
    judged, reference = space.stacked(items), space.reference
    if space.scaled:
        judged, reference = scaled_by(reference, judged), scaled_by(reference, reference)
    smaller = min(len(judged), len(reference))
    is_enough = enough(smaller, space.dim)
    if "frechet" in wanted and not is_enough and not allow_small:
        raise InputError(
            f"Too few for a Fréchet distance: {len(judged)} clips of {condition!r} and {len(reference)} references in "
            f"{space.dim} dimensions ({space.name})",
            allowed=f"{2 * space.dim} or more of both",
            remedy="ask for distances=[kernel,frechet_infinity] instead; --allow-small scores all the same and stamps "
            "the score",
        )
    scores: dict[str, Any] = {
        "n": len(judged),
        "n_reference": len(reference),
        "dim": space.dim,
        "enough": is_enough,
        "scaling": "by the reference's deviation" if space.scaled else "none",
    }
    if len(judged) < 2:
        return {**scores, "why": "one clip is no distribution"}
    if "frechet" in wanted:
        scores["frechet"] = frechet_distance(reference, judged)
    if "kernel" in wanted:
        scores["kernel"], scores["kernel_reversed"] = kernel_distance_both(reference, judged)
    if "frechet_infinity" in wanted:
        scores["frechet_infinity"] = _infinity(reference, judged, seed)
    if "coverage" in wanted and smaller > NEAREST:
        scores["coverage"] = density_coverage(reference, judged)._asdict()
    return scores


def scaled_by(reference: Float64, vectors: Float64) -> Float64:
    """Centre and scale (n, dim) by the mean and deviation of the reference alone; constant dimensions are only centred.

    >>> scaled_by(np.array([[0.0, 5.0], [2.0, 5.0]]), np.array([[3.0, 6.0]]))
    array([[2., 1.]])
    """
    mean, deviation = reference.mean(axis=0), reference.std(axis=0)
    moving = deviation > 1e-9 * np.maximum(np.abs(mean), 1.0)
    return np.asarray((vectors - mean) / np.where(moving, deviation, 1.0))


def _infinity(reference: Float64, judged: Float64, seed: int) -> dict[str, Any] | None:
    if len(judged) < FEWEST_FOR_INFINITY:
        return None
    found = frechet_infinity(reference, judged, seed=seed)
    return {
        "value": found.value,
        "ci95": [found.low, found.high],
        "sizes": list(found.sizes),
        # Below, the curve that is extrapolated as a line bends.
        "enough": enough(found.sizes[-1], judged.shape[1]),
    }


def _labels(rows: Sequence[Row], clips: Clips) -> tuple[dict[str, list[Hashable]], dict[str, list[Hashable]]]:
    """Labels of queries and of gallery items, each where all have one and there are two or more different ones."""
    queries: dict[str, list[Hashable]] = {
        "seed": [row.seed for row in rows],
        "subject": [row.subject for row in rows],
        "style": [row.style for row in rows],
    }
    heard = {row.reference: row for row in clips.rows if row.reference is not None}
    items: dict[str, list[Hashable]] = {
        "style": [heard[name].style if name in heard else None for name in clips.gallery],
        # A further candidate without a song is a song of its own.
        "song": [heard[name].song_label if name in heard else name for name in clips.gallery],
    }

    def told(labels: dict[str, list[Hashable]]) -> dict[str, list[Hashable]]:
        return {name: of for name, of in labels.items() if None not in of and len(set(of)) > 1}

    # Within a label says something only where several items share one.
    return told(queries), {name: of for name, of in told(items).items() if len(set(of)) < len(of)}
