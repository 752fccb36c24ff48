"""Does the generated music keep the class of what was heard: genre, mood, instrument?

Labels come from whoever has a classifier (or `metrics.agreement.nearest_class`), the same one for both sides. Each row
stands beside its chance, a permutation of whole songs, and the oracle's value (music generated from the heard audio's
own conditions). Embeds nothing.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eeg2music.errors import InputError
from eeg2music.evaluation.permutations import exchanged_means, lent, permutation_p_value
from eeg2music.evaluation.statistics import cluster_interval
from eeg2music.metrics.agreement import class_agreement
from eeg2music.metrics.checks import label_codes
from eeg2music.seeding import numpy_rng

PERMUTATIONS = 2000
Labels = Mapping[str, Sequence[Hashable]]


def class_scores(
    generated: Labels,
    heard: Labels,
    *,
    songs: Sequence[Hashable],
    seed: int,
    oracle: Labels | None = None,
    permutations: int = PERMUTATIONS,
) -> list[dict[str, Any]]:
    """Agreement of the classes of generated and heard clips, one row for each kind of class.

    Parameters
    ----------
    generated, heard : {"genre": (clip,) labels, ...}, the same kinds
    songs : (clip,) song of each clip: the clusters, and what is permuted
    oracle : the same of the oracle's clips

    Where most clips of a song are of one class, whole songs are right or wrong, and with few of them the interval is
    short: 95 % cover 0.92 to 0.94 at eight songs and four classes (`benchmarks/statistics_calibration.py`).

    Returns
    -------
    Rows ready for JSON with "kind", "n", "classes", "accuracy" with "ci95" and "accuracy_chance", "balanced_accuracy"
    with "balanced_ci95", "balanced_chance" and "p_value" (heard labels exchanged song by song), "kappa" (chance 0), and
    "oracle" (its balanced accuracy) with "oracle_kappa", None where none is given.

    >>> rows = class_scores({"genre": list("aabb")}, {"genre": list("aabb")}, songs=range(4), seed=0)
    >>> rows[0]["balanced_accuracy"], rows[0]["balanced_chance"]
    (1.0, 0.5)
    """
    if set(generated) != set(heard) or (oracle is not None and set(oracle) != set(heard)):
        raise InputError(
            f"Kinds of classes differ: {sorted(generated)}, {sorted(heard)}", allowed="the same on every side"
        )
    rows = []
    for kind in heard:
        made, ref = list(generated[kind]), list(heard[kind])
        if len(songs) != len(ref):
            raise InputError(f"{len(songs)} songs for {len(ref)} labels of {kind}", allowed="one each")
        found = class_agreement(made, ref)
        same = [float(a == b) for a, b in zip(made, ref, strict=True)]
        interval = cluster_interval(same, songs, bounds=(0.0, 1.0))
        balanced = cluster_interval(same, songs, bounds=(0.0, 1.0), weights=_class_weights(ref))
        best = None if oracle is None else class_agreement(list(oracle[kind]), ref)
        rows.append(
            {
                "kind": kind,
                **found._asdict(),
                "ci95": [interval.low, interval.high],
                "balanced_ci95": [balanced.low, balanced.high],
                "interval": interval.method,
                "p_value": _p_value(made, ref, songs, found.balanced_accuracy, seed, kind, permutations),
                "oracle": None if best is None else best.balanced_accuracy,
                "oracle_kappa": None if best is None else best.kappa,
                "permutations": permutations,
                "seed": seed,
            }
        )
    return rows


def _class_weights(ref: Sequence[Hashable]) -> NDArray[np.float64]:
    """(clip,) weights under which each class counts alike; their mean is 1."""
    classes = label_codes("labels", ref, len(ref))
    size = np.bincount(classes)
    return np.asarray(len(ref) / (size[classes] * len(size)))


def _p_value(
    made: list[Hashable],
    ref: list[Hashable],
    songs: Sequence[Hashable],
    observed: float,
    seed: int,
    kind: str,
    permutations: int,
) -> float:
    """Share of the exchanges of whole songs' generated labels that agree as well.

    The heard labels stay, so that the classes and their sizes are the same in every draw.
    """
    clusters = label_codes("songs", songs, len(ref))
    members = [np.flatnonzero(clusters == song) for song in range(int(clusters.max()) + 1)]
    slot = np.empty(len(ref), dtype=np.int64)
    for places in members:
        slot[places] = np.arange(len(places))
    both = label_codes("labels", [*ref, *made], 2 * len(ref))
    classes, given = both[: len(ref)], both[len(ref) :]
    scored = (given[lent(members, slot)] == classes[:, None]) * _class_weights(ref)[:, None]
    rng = numpy_rng(seed, "class permutation", kind)
    return permutation_p_value(observed, exchanged_means(scored, clusters, rng=rng, permutations=permutations))
