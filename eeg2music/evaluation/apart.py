"""How far generated music as a whole lies from music: Fréchet and kernel distances, density and coverage.

In the scorer's embedding, one vector for each clip, by the code that `eeg2music score` uses: songs are counted, not
clips, of which every listener has one of each song. The reference is other songs of the family than were heard: beside
the heard ones themselves what was made from them would lie too near. A plain Fréchet distance over too few songs is
refused with its reason, or stamped where it is asked for all the same; the kernel distance and the Fréchet distance at
endless songs stand beside it.

Clips are not ranked one by one: a Fréchet distance of single clips takes many vectors of each (`score` cuts files into
pieces for it), and the distance of one vector from the mean of music would call the most average clip the best. Embeds
nothing and draws nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from eeg2music.evaluation.outside.config import Distance
from eeg2music.evaluation.outside.measure import Space, distances
from eeg2music.metrics.checks import embeddings
from eeg2music.metrics.draws import group_codes, one_of_each
from eeg2music.metrics.frechet import ROWS_PER_DIM, enough
from eeg2music.types import SAMPLE_RATE_HZ, WINDOW_S

WANTED: tuple[Distance, ...] = ("frechet", "kernel", "frechet_infinity", "coverage")
# Plain figures, and those that hold several, by what of them is averaged over seeds.
FIGURES = ("frechet", "kernel", "kernel_reversed")
PARTS = {"frechet_infinity": ("value",), "coverage": ("density", "coverage", "precision", "recall")}
AUDIO = {
    "seconds": WINDOW_S,
    "sample_rate_hz": SAMPLE_RATE_HZ,
    "loudness": "the sum of the stems before the mixer, nothing normalised; the scorer is blind to the level of a clip",
}


def distance(
    vectors: ArrayLike,
    reference: ArrayLike,
    songs: ArrayLike | None = None,
    *,
    seed: int = 0,
    allow_small: bool = False,
) -> dict[str, Any]:
    """Every distance of generated clips from music, in the scorer's embedding.

    Parameters
    ----------
    vectors : (clip, dim)
    reference : (song, dim), songs of the family that were not heard; there may be none
    songs : (clip,) which song each clip was made from; None takes every clip for a song of its own
    seed : of the sub-samples that the Fréchet distance is extrapolated from
    allow_small : a Fréchet distance also of fewer songs, on either side, than twice the dimension

    Returns
    -------
    A mapping ready for JSON. `frechet`; `kernel` with the width of the reference's kernel and its interval
    `kernel_ci95`, and `kernel_reversed` with that of the clips'; `frechet_infinity` with `value`, `ci95`, `sizes` and
    `enough`; `coverage` with density, coverage, precision and recall. What cannot be had is None: `refused` says why
    there is no Fréchet distance, `why` why there is nothing at all. `too_few_for_frechet` stamps one that was asked
    for. Further n (clips), songs, draws (of one clip a song), n_reference, dim, embedding, seed and `audio` (what was
    embedded).

    Raises
    ------
    InputError
        For values that are not finite, or shapes that do not fit.
    """
    clips = embeddings("the generated clips", vectors)
    labels = group_codes(songs, len(clips))
    dim, (draws, count) = clips.shape[1], one_of_each(labels, len(clips)).shape
    compared = np.shape(reference)[0]
    small = not enough(min(count, compared), dim)
    found: dict[str, Any] = {
        **dict.fromkeys((*FIGURES, *PARTS)),
        "kernel_ci95": None,
        "n": len(clips),
        "songs": count,
        "draws": draws,
        "n_reference": compared,
        "dim": dim,
        "embedding": "scorer",
        "seed": seed,
        "audio": AUDIO,
        "too_few_for_frechet": small,
        "refused": _refusal(count, compared, dim) if small and not allow_small else None,
    }
    if compared < 2:
        return {**found, "why": "there are no songs to compare with beside those that were heard"}
    music = embeddings("the reference songs", reference)
    wanted = [name for name in WANTED if name != "frechet" or found["refused"] is None]
    space = Space("scorer", dim, {str(row): clip for row, clip in enumerate(clips)}, None, music, True, False)
    measured = distances(
        space,
        list(space.generated),
        wanted,
        songs=labels.tolist(),
        allow_small=allow_small,
        seed=seed,
        condition="generated clips",
    )
    return {**found, **(measured or {})}


def mean_of_seeds(by_seed: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Means over the seeds of what `distance` gives, and each seed's own under `seeds`.

    Intervals are each seed's: seeds share songs and listeners, so that a mean over them has none here.
    """
    means: dict[str, Any] = {key: _mean([one[key] for one in by_seed]) for key in FIGURES}
    for name, keys in PARTS.items():
        found = [one[name] for one in by_seed if one[name] is not None]
        if found:
            kept = {key: value for key, value in found[0].items() if key != "ci95"}
            means[name] = {**kept, **{key: _mean([one[key] for one in found]) for key in keys}}
    return {**by_seed[0], **means, "kernel_ci95": None, "seeds": [dict(one) for one in by_seed]}


def small_stamps(level: str, apart: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What has to be said of a level's Fréchet distances wherever they are shown."""
    return [
        f"SMALL: {level}: the Fréchet distance of {name.replace('_', ' ')} is over {one['songs']} songs and "
        f"{one['n_reference']} reference songs in {one['dim']} dimensions, and biased upward."
        for name, one in apart.items()
        if one["too_few_for_frechet"] and one["frechet"] is not None
    ]


def _refusal(songs: int, reference: int, dim: int) -> str:
    return (
        f"{songs} songs and {reference} reference songs in {dim} dimensions: a Fréchet distance takes "
        f"{ROWS_PER_DIM * dim} of both (allow_small=true measures and stamps it)"
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
