"""Scores of one condition in one embedding: identification of what was heard, and distances from music as a whole.

Distances count songs, not clips: clips of one song (several listeners, several seeds) are alike, and taken for
independent ones they come out too far from music. The kernel distance leaves out pairs within a song, which is the mean
over all ways to take one clip of each, in closed form. The others have none, and are means over draws of one clip a
song. Takes vectors only; reads and embeds nothing. Fréchet distances over too few songs are refused, unless asked for,
and then they are stamped.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeg2music.errors import InputError
from eeg2music.evaluation.identification import Search, identify, score_tables
from eeg2music.evaluation.outside.by_clip import Pieces, by_clip
from eeg2music.evaluation.outside.config import Distance
from eeg2music.evaluation.outside.manifest import Clips, Row
from eeg2music.evaluation.outside.permuted import best_exchange
from eeg2music.evaluation.statistics import limits_of
from eeg2music.metrics.breakdown import breakdown
from eeg2music.metrics.density import NEAREST, density_coverage
from eeg2music.metrics.draws import group_codes, one_of_each
from eeg2music.metrics.frechet import enough, frechet_distance, frechet_infinity
from eeg2music.metrics.kernel import median_distance, reference_width
from eeg2music.metrics.kernel_songs import song_kernel_distance
from eeg2music.metrics.retrieval import similarity_matrix

Float64 = NDArray[np.float64]
# `frechet_infinity` halves the songs more than once.
FEWEST_FOR_INFINITY = 8
TOP = (1, 5, 10)
WAYS = (10,)
# What is not found above chance may be found under other labels.
P_CHANCE = 0.05


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
    pieces : the same files in pieces, where each clip's own distance is wanted
    """

    name: str
    dim: int
    generated: Mapping[str, Float64]
    gallery: Float64 | None
    reference: Float64 | None
    unit_norm: bool
    scaled: bool
    pieces: Pieces | None = None

    def stacked(self, items: Sequence[str]) -> Float64:
        """(n, dim)"""
        return np.stack([np.asarray(self.generated[item], dtype=np.float64) for item in items])


def search(space: Space, rows: Sequence[Row], clips: Clips) -> Search | None:
    """The clips of `rows` and the gallery, as they are compared; None without gallery or a row without reference."""
    if space.gallery is None or any(row.reference is None for row in rows):
        return None
    query, gallery = space.stacked([row.item for row in rows]), space.gallery
    if not space.unit_norm:
        query, gallery = scaled_by(gallery, query), scaled_by(gallery, gallery)
    place = {name: number for number, name in enumerate(clips.gallery)}
    target = np.array([place[str(row.reference)] for row in rows])
    return Search(query, gallery, target, [row.cluster for row in rows], [row.subject for row in rows])


def identification(
    space: Space, rows: Sequence[Row], clips: Clips, *, seed: int, permutations: int
) -> dict[str, Any] | None:
    """What `identify` gives, and under "breakdown" what `metrics.breakdown` does; None without gallery.

    The breakdown holds every figure with its chance and interval overall, by seed, subject and style, within style and
    within song, as far as the manifest names them and there are two or more. Where what was heard is not found, under
    "best_exchange" what `permuted.best_exchange` gives.
    """
    found = search(space, rows, clips)
    if found is None:
        return None
    scores = identify(
        found.query,
        found.gallery,
        found.target,
        songs=found.clusters,
        subjects=[row.subject for row in rows],
        seed=seed,
        permutations=permutations,
    )
    scores["similarity"] = "cosine" if space.unit_norm else "cosine, centred and scaled by the gallery"
    similarity = similarity_matrix(found.query, found.gallery)
    of_query, of_item = _labels(rows, clips)
    scores["breakdown"] = breakdown(
        similarity,
        found.target,
        query_labels=of_query,
        gallery_labels=of_item,
        ks=TOP,
        ways=WAYS,
        limits=limits_of(found.clusters, found.subjects),
    )
    at_chance = scores["p_value"] > P_CHANCE
    scores["best_exchange"] = (
        best_exchange(score_tables(similarity)[0], found.target, clips.gallery, seed=seed) if at_chance else None
    )
    return scores


def distances(
    space: Space,
    items: Sequence[str],
    wanted: Sequence[Distance],
    *,
    songs: Sequence[Hashable | None] | None = None,
    allow_small: bool,
    seed: int,
    condition: str,
) -> dict[str, Any] | None:
    """Distances of the clips `items` from the reference; None without one.

    Parameters
    ----------
    songs : of the clips, one label each; None, also for a single clip, takes it for a song of its own

    Returns
    -------
    As far as wanted: "frechet"; "kernel" with the width of the reference and its interval "kernel_ci95",
    "kernel_reversed" with the width of what is judged; "frechet_infinity" with its interval; "coverage" with density,
    precision and recall; "frechet_per_clip" as `by_clip` gives it, with `piece_s`. Always: n (clips), songs, draws,
    `songs_named`, n_reference, dim, `enough` songs for a covariance on both sides, `scaling` in words; and `why` where
    there is no distribution to speak of.

    Raises
    ------
    InputError
        If a Fréchet distance is wanted of fewer songs or references than twice the dimension, unless `allow_small`.
    """
    if space.reference is None or not wanted:
        return None
    judged, reference = space.stacked(items), space.reference
    if space.scaled:
        judged, reference = scaled_by(reference, judged), scaled_by(reference, reference)
    codes = _codes(songs, len(judged))
    draws = one_of_each(codes, len(judged))
    count = draws.shape[1]
    smaller = min(count, len(reference))
    is_enough = enough(smaller, space.dim)
    if "frechet" in wanted and not is_enough and not allow_small:
        raise InputError(
            f"Too few for a Fréchet distance: {count} songs of {condition!r} ({len(judged)} clips) and "
            f"{len(reference)} references in {space.dim} dimensions ({space.name})",
            allowed=f"{2 * space.dim} or more of both",
            remedy=f"ask for distances=[{'kernel' if count < FEWEST_FOR_INFINITY else 'kernel,frechet_infinity'}] "
            "instead; --allow-small scores all the same and stamps the score",
        )
    scores: dict[str, Any] = {
        "n": len(judged),
        "songs": count,
        "draws": len(draws),
        "songs_named": songs is not None and None not in songs,
        "n_reference": len(reference),
        "dim": space.dim,
        "enough": is_enough,
        "scaling": "by the reference's deviation" if space.scaled else "none",
    }
    if space.pieces is not None and "frechet_per_clip" in wanted:
        scores["frechet_per_clip"] = _per_clip(space.pieces, items, scaled=space.scaled)
    if count < 2:
        return {**scores, "why": f"one {'clip' if len(judged) < 2 else 'song'} is no distribution"}
    if median_distance(judged, codes) == 0.0:
        return {**scores, "why": "half of the pairs of clips, or more, are equal: they are no distribution"}
    if "frechet" in wanted:
        scores["frechet"] = float(np.mean([frechet_distance(reference, judged[rows]) for rows in draws]))
    if "kernel" in wanted:
        scores |= _kernel(reference, judged, codes)
    if "frechet_infinity" in wanted:
        scores["frechet_infinity"] = _infinity(reference, judged, codes, seed)
    if "coverage" in wanted and smaller > NEAREST:
        found = [density_coverage(reference, judged[rows])._asdict() for rows in draws]
        # What counts something is the same in every draw, and stays a whole number.
        scores["coverage"] = {
            key: value if isinstance(value, int) else float(np.mean([one[key] for one in found]))
            for key, value in found[0].items()
        }
    return scores


def heard_in_reference(space: Space) -> int:
    """How many of the reference are candidates of the gallery, to the last digit."""
    if space.gallery is None or space.reference is None:
        return 0
    heard = {np.asarray(row, dtype=np.float64).tobytes() for row in space.gallery}
    return sum(np.asarray(row, dtype=np.float64).tobytes() in heard for row in space.reference)


def scaled_by(reference: Float64, vectors: Float64) -> Float64:
    """Centre and scale (..., dim) by mean and deviation of the reference alone; constant dimensions are only centred.

    >>> scaled_by(np.array([[0.0, 5.0], [2.0, 5.0]]), np.array([[3.0, 6.0]]))
    array([[2., 1.]])
    """
    mean, deviation = reference.mean(axis=0), reference.std(axis=0)
    moving = deviation > 1e-9 * np.maximum(np.abs(mean), 1.0)
    return np.asarray((vectors - mean) / np.where(moving, deviation, 1.0))


def _codes(songs: Sequence[Hashable | None] | None, n: int) -> NDArray[np.int64]:
    """Labels as numbers, in the order of their first clip. (n,)"""
    if songs is None:
        return group_codes(None, n)
    place: dict[Hashable, int] = {}
    labels = [("clip", row) if song is None else ("song", song) for row, song in enumerate(songs)]
    return group_codes([place.setdefault(label, len(place)) for label in labels], n)


def _kernel(reference: Float64, judged: Float64, codes: NDArray[np.int64]) -> dict[str, Any]:
    found = song_kernel_distance(reference, judged, codes)
    width = reference_width("what is judged", judged, codes)
    return {
        "kernel": found.value,
        "kernel_ci95": None if found.low is None else [found.low, found.high],
        "kernel_reversed": song_kernel_distance(reference, judged, codes, bandwidth=width).value,
    }


def _per_clip(pieces: Pieces, items: Sequence[str], *, scaled: bool) -> dict[str, Any]:
    samples, reference = np.stack([pieces.generated[item] for item in items]), pieces.reference
    if scaled:
        every = reference.reshape(-1, reference.shape[2])
        samples, reference = scaled_by(every, samples), scaled_by(every, reference)
    return {"piece_s": pieces.cut.seconds, **by_clip(reference, samples, items)}


def _infinity(reference: Float64, judged: Float64, codes: NDArray[np.int64], seed: int) -> dict[str, Any] | None:
    if codes.max() + 1 < FEWEST_FOR_INFINITY:
        return None
    found = frechet_infinity(reference, judged, groups=codes, seed=seed)
    return {
        "value": found.value,
        "ci95": None if found.low is None else [found.low, found.high],
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
