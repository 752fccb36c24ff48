"""Which voxels or channels follow the music? Encoding scores of arrays, or of a prepared set.

Features of the music (embeddings, curves) predict each response; whole songs are held out. One row for each target:
correlation, p, q, the variance explained beyond a control such as the genre, and the noise ceiling where there are
repeats. Draws nothing and reads no models: who calls gives the features.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eeg2music.errors import InputError
from eeg2music.evaluation.encoding_data import EncodingData, lagged, prepared_encoding_data
from eeg2music.evaluation.statistics import cluster_interval
from eeg2music.metrics.audio import correlation
from eeg2music.metrics.ceiling import noise_ceiling
from eeg2music.metrics.checks import Float64, embeddings, finite
from eeg2music.metrics.encoding import (
    benjamini_hochberg,
    one_hot,
    permutation_null,
    permutation_p_values,
    target_correlation,
    variance_partition,
)
from eeg2music.metrics.ridge import FOLDS, PENALTIES, HeldOut, HeldOutRidge, explained_variance
from eeg2music.seeding import numpy_rng

__all__ = ["EncodingData", "encoding_scores", "lagged", "prepared_encoding_data"]

PERMUTATIONS = 200
LEVEL = 0.05
LEAST_ROWS = 3


def encoding_scores(
    features: ArrayLike,
    responses: ArrayLike,
    groups: Sequence[Hashable],
    *,
    names: Sequence[str],
    seed: int,
    control: Sequence[Hashable] | None = None,
    repeats: ArrayLike | None = None,
    permutations: int = PERMUTATIONS,
    penalties: Sequence[float] = PENALTIES,
    folds: int = FOLDS,
    leave_out_constant: bool = False,
) -> dict[str, Any]:
    """Encoding scores of every target, ready for JSON.

    Parameters
    ----------
    features : (n, dim), responses : (n, target)
    groups : (n,) song (or block of time) of each row: held out together, permuted together, the clusters of the
        interval; four or more
    names : (target,)
    control : (n,) label of each row, e.g. its genre: adds the variance that the features explain beyond it
    repeats : (repeat, n, target) single presentations whose mean `responses` is: adds the noise ceiling
    leave_out_constant : leave targets that never change out and name them, where they are refused otherwise

    Returns
    -------
    "rows": for each target "name", "r" (mean over held-out folds), "r2", "p_value", "q_value" (Benjamini-Hochberg over
    targets), "penalty" (geometric mean over folds), with `control` "r2_control", "unique", "unique_control" and
    "shared", with `repeats` "ceiling" and "r_of_ceiling" (None where repeats share nothing). Beside them "mean_r" with
    "ci95" (over groups), "significant" (targets with q < 0.05), "n", "groups", "targets", "left_out", and how it
    was done.

    Raises
    ------
    InputError
        For arrays that do not fit or targets that never change, by name.
    """
    x, y = embeddings("features", features), embeddings("responses", responses)
    trials = None if repeats is None else _repeats(repeats, y)
    kept, left_out = _that_change(y, names, leave_out_constant)
    y = y[:, kept]
    model = HeldOutRidge(x, groups, penalties=penalties, folds=folds)
    found = model.predict(y)
    r = target_correlation(found.predicted, y, found.fold)
    null = permutation_null(
        lambda permuted: target_correlation(model.predict(permuted).predicted, permuted, model.fold),
        y,
        groups,
        rng=numpy_rng(seed, "encoding", "permutation"),
        permutations=permutations,
    )
    p = permutation_p_values(r, null)
    columns: dict[str, Float64] = {
        "r": r,
        "r2": explained_variance(found, y),
        "p_value": p,
        "q_value": benjamini_hochberg(p),
        "penalty": np.exp(np.log(found.penalty).mean(axis=0)),
    }
    if control is not None:
        columns |= _beyond(x, control, y, groups, penalties, folds)
    if trials is not None:
        ceiling = noise_ceiling(trials[:, :, kept]).correlation
        share = np.divide(r, ceiling, out=np.full(len(r), np.nan), where=ceiling > 0.0)
        columns |= {"ceiling": ceiling, "r_of_ceiling": share}
    return {
        "rows": _table([names[place] for place in kept], columns),
        **_summary(found, y, groups),
        "significant": int(np.sum(columns["q_value"] < LEVEL)),
        "n": len(y),
        "groups": len(set(groups)),
        "targets": len(kept),
        "left_out": left_out,
        "permutations": permutations,
        "seed": seed,
        "method": "ridge, a penalty for each target, nested cross-validation over whole groups; null: groups of "
        "responses permuted, fitted anew",
    }


def _repeats(repeats: ArrayLike, y: Float64) -> Float64:
    trials = finite("repeats", repeats)
    if trials.ndim != 3 or trials.shape[1:] != y.shape:
        raise InputError(f"repeats has shape {trials.shape}", allowed=f"(repeat, {y.shape[0]}, {y.shape[1]})")
    return trials


def _that_change(y: Float64, names: Sequence[str], leave_out: bool) -> tuple[NDArray[np.int64], dict[str, str]]:
    """Places of the targets that can be scored, and why the others cannot."""
    if len(names) != y.shape[1]:
        raise InputError(f"{len(names)} names for {y.shape[1]} targets", allowed="one each")
    still = np.ptp(y, axis=0) == 0.0
    left_out = {str(name): "never changes" for name, out in zip(names, still, strict=True) if out}
    if (left_out and not leave_out) or len(left_out) == len(names):
        shown = ", ".join(list(left_out)[:5]) + (" ..." if len(left_out) > 5 else "")
        raise InputError(
            f"{len(left_out)} of {len(names)} targets never change: {shown}",
            allowed="voxels or channels with a signal",
            remedy="leave them out (leave_out_constant), they are then named in the result",
        )
    return np.flatnonzero(~still), left_out


def _beyond(
    x: Float64,
    control: Sequence[Hashable],
    y: Float64,
    groups: Sequence[Hashable],
    penalties: Sequence[float],
    folds: int,
) -> dict[str, Float64]:
    part = variance_partition(x, one_hot(control), y, groups, penalties=penalties, folds=folds)
    return {
        "r2_control": part.second,
        "unique": part.unique_first,
        "unique_control": part.unique_second,
        "shared": part.shared,
    }


def _summary(found: HeldOut, y: Float64, groups: Sequence[Hashable]) -> dict[str, Any]:
    """Mean correlation within groups over all targets, and its interval over groups."""
    labels = list(groups)
    values, kept = [], []
    for label in dict.fromkeys(labels):
        rows = [place for place, name in enumerate(labels) if name == label]
        if len(rows) >= LEAST_ROWS:
            values.append(float(correlation(found.predicted[rows].T, y[rows].T).mean()))
            kept.append(label)
    if len(kept) < 2:
        # One row a song: there is no correlation within one.
        return {"mean_r": None, "ci95": None, "interval": None}
    interval = cluster_interval(values, kept)
    return {
        "mean_r": interval.estimate,
        "ci95": [interval.low, interval.high],
        "interval": f"{interval.method}, correlations within each",
    }


def _table(names: Sequence[str], columns: dict[str, Float64]) -> list[dict[str, Any]]:
    """One mapping for each target; what is undefined is None."""
    return [
        {"name": str(name)} | {key: float(v[place]) if np.isfinite(v[place]) else None for key, v in columns.items()}
        for place, name in enumerate(names)
    ]
