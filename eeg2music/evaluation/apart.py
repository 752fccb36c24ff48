"""How far generated music as a whole lies from music: Fréchet and kernel distances, density and coverage.

In the scorer's embedding, one vector for each clip, by the code that `eeg2music score` uses. A plain Fréchet distance
over too few clips is refused with its reason, or stamped where it is asked for all the same; the kernel distance and
the Fréchet distance at endless clips stand beside it.

Clips are not ranked one by one: a Fréchet distance of single clips takes many vectors of each, and the distance of one
vector from the mean of music would call the most average clip the best. Embeds nothing and draws nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from eeg2music.evaluation.outside.config import Distance
from eeg2music.evaluation.outside.measure import Space, distances
from eeg2music.metrics.checks import Float64, embeddings
from eeg2music.metrics.frechet import ROWS_PER_DIM, enough
from eeg2music.metrics.kernel import median_distance
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


def distance(vectors: ArrayLike, reference: ArrayLike, *, seed: int = 0, allow_small: bool = False) -> dict[str, Any]:
    """Every distance of generated clips from music, in the scorer's embedding.

    Parameters
    ----------
    vectors : (clip, dim)
    reference : (song, dim), what was heard and other songs of its family
    seed : of the sub-samples that the Fréchet distance is extrapolated from
    allow_small : a Fréchet distance also of fewer clips or songs than twice the dimension

    Returns
    -------
    A mapping ready for JSON. `frechet`; `kernel` with the width of the reference's kernel and `kernel_reversed` with
    that of the clips'; `frechet_infinity` with `value`, `ci95`, `sizes` and `enough`; `coverage` with density,
    coverage, precision and recall. What cannot be had is None: `refused` says why there is no Fréchet distance, `why`
    why there is nothing at all. `too_few_for_frechet` stamps one that was asked for. Further n, n_reference, dim,
    embedding, seed and `audio` (what was embedded).

    Raises
    ------
    InputError
        For values that are not finite, or shapes that do not fit.
    """
    clips, music = embeddings("the generated clips", vectors), embeddings("the reference songs", reference, at_least=2)
    count, dim = clips.shape
    small = not enough(min(count, len(music)), dim)
    found: dict[str, Any] = {
        **dict.fromkeys((*FIGURES, *PARTS)),
        "n": count,
        "n_reference": len(music),
        "dim": dim,
        "embedding": "scorer",
        "seed": seed,
        "audio": AUDIO,
        "too_few_for_frechet": small,
        "refused": _refusal(count, len(music), dim) if small and not allow_small else None,
    }
    if _collapsed(clips):
        return {**found, "why": "half of the pairs of clips, or more, are equal: they are no distribution"}
    wanted = [name for name in WANTED if name != "frechet" or found["refused"] is None]
    space = Space("scorer", dim, {str(row): clip for row, clip in enumerate(clips)}, None, music, True, False)
    measured = distances(
        space, list(space.generated), wanted, allow_small=allow_small, seed=seed, condition="generated clips"
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
    return {**by_seed[0], **means, "seeds": [dict(one) for one in by_seed]}


def small_stamps(level: str, apart: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What has to be said of a level's Fréchet distances wherever they are shown."""
    return [
        f"SMALL: {level}: the Fréchet distance of {name.replace('_', ' ')} is over {one['n']} clips and "
        f"{one['n_reference']} songs in {one['dim']} dimensions, and biased upward."
        for name, one in apart.items()
        if one["too_few_for_frechet"] and one["frechet"] is not None
    ]


def _refusal(clips: int, songs: int, dim: int) -> str:
    return (
        f"{clips} clips and {songs} songs in {dim} dimensions: a Fréchet distance takes {ROWS_PER_DIM * dim} of both "
        "(allow_small=true measures and stamps it)"
    )


def _collapsed(clips: Float64) -> bool:
    """Whether the width of a kernel over the clips would be zero."""
    return len(clips) > 1 and median_distance(clips) == 0.0


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
