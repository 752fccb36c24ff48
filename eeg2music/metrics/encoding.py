"""How well features of the music predict each voxel or channel: the encoding model's scores.

Correlation of held-out predictions (`metrics.ridge`), its permutation null, the false discovery rate, and what is
explained beyond a control such as the genre. Rows are samples: (n, target), groups and blocks (n,) labels. A target
that never changes is refused by its place, never scored as 0.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from eeg2music.errors import InputError
from eeg2music.metrics.checks import Float64, embeddings
from eeg2music.metrics.ridge import (
    FOLDS,
    PENALTIES,
    codes,
    explained_variance,
    held_out_predictions,
    refuse_constant,
    rows,
)


class Partition(NamedTuple):
    """Share of the variance that two feature spaces explain, (target,) each, on held-out groups.

    both, first, second : R² of the joint model and of each alone
    unique_first = both - second, unique_second = both - first, shared = first + second - both; each may
        come out below 0, because they are differences of estimates on held-out data
    """

    both: Float64
    first: Float64
    second: Float64
    unique_first: Float64
    unique_second: Float64
    shared: Float64


def target_correlation(predicted: ArrayLike, observed: ArrayLike, fold: ArrayLike | None = None) -> Float64:
    """Pearson correlation of each target over the rows; 0 where the prediction is constant.

    Parameters
    ----------
    predicted, observed : (n, target)
    fold : (n,) in which each row was held out. Each fold's mean is then taken off both sides first: the training
        mean is low where the held-out rows are high, which would make useless predictions correlate negatively.

    >>> target_correlation([[1.0], [2.0], [3.0]], [[2.0], [4.0], [6.0]]).round(6)
    array([1.])
    """
    ours, ref = _standard(predicted, observed, fold)
    return np.asarray(np.einsum("nv,nv->v", ours, ref))


def permutation_null(
    predicted: ArrayLike,
    observed: ArrayLike,
    blocks: Sequence[Hashable],
    *,
    rng: np.random.Generator,
    permutations: int = 1000,
    fold: ArrayLike | None = None,
) -> Float64:
    """Correlations after whole blocks (songs) of the predictions have changed places; nothing is fitted again.

    Rows inside a block keep their order, because neighbours are alike. Blocks of unequal length are laid end to end
    in the new order. With B blocks there are only B! orders: below five, small p-values cannot come out.

    Parameters
    ----------
    predicted, observed : (n, target)
    blocks : (n,) labels, four or more
    fold : as in `target_correlation`

    Returns
    -------
    (permutations, target)
    """
    ours, ref = _standard(predicted, observed, fold)
    number = codes("blocks", blocks, len(ref))
    members = [np.flatnonzero(number == block) for block in range(int(number.max()) + 1)]
    if len(members) < 4:
        raise InputError(f"{len(members)} blocks to permute", allowed="four or more", remedy="cut shorter blocks")
    # Rows sorted by block, on both sides: a block's rows need not lie together.
    home = np.concatenate(members)
    ref = np.ascontiguousarray(ref[home])
    null = np.empty((permutations, ref.shape[1]))
    for draw in range(permutations):
        order = np.concatenate([members[block] for block in rng.permutation(len(members))])
        null[draw] = np.einsum("nv,nv->v", ours[order], ref)
    return null


def permutation_p_values(observed: ArrayLike, null: ArrayLike) -> Float64:
    """One-sided p of each target, the observed value counted (Phipson and Smyth 2010). (target,), (p, target).

    >>> permutation_p_values([3.0], [[1.0], [2.0], [4.0]])
    array([0.5])
    """
    values, draws = np.asarray(observed, dtype=np.float64), embeddings("null", null)
    if values.shape != draws.shape[1:]:
        raise InputError(f"observed has shape {values.shape}, the null {draws.shape}", allowed="(target,), (p, target)")
    # Sums in another order differ in the last bits; those are ties.
    margin = 1e-12 * np.maximum(1.0, np.abs(values))
    return np.asarray((1 + np.sum(draws >= values - margin, axis=0)) / (1 + len(draws)))


def benjamini_hochberg(p_values: ArrayLike) -> Float64:
    """Adjusted p-values that bound the false discovery rate (Benjamini and Hochberg 1995; scipy). (n,) -> (n,).

    >>> benjamini_hochberg([0.01, 0.02, 0.03, 0.5]).round(2)
    array([0.04, 0.04, 0.04, 0.5 ])
    """
    from scipy.stats import false_discovery_control

    values = np.asarray(p_values, dtype=np.float64)
    if values.ndim != 1 or not values.size or not np.all((values >= 0.0) & (values <= 1.0)):
        raise InputError(f"p-values of shape {values.shape}", allowed="(n,) from 0 to 1, n >= 1")
    return np.asarray(false_discovery_control(values, method="bh"), dtype=np.float64)


def variance_partition(
    first: ArrayLike,
    second: ArrayLike,
    responses: ArrayLike,
    groups: Sequence[Hashable],
    *,
    penalties: Sequence[float] = PENALTIES,
    folds: int = FOLDS,
) -> Partition:
    """What each of two feature spaces explains alone and what they share (de Heer et al. 2017).

    For music: audio embeddings against the genre (`one_hot`), since much of what embeddings predict may be genre
    alone. All three models have one penalty a target and scaled features; a genre must have songs on both sides.

    Parameters
    ----------
    first : (n, dim), second : (n, dim), responses : (n, target), groups : (n,)
    """
    left, y = rows(first, responses)
    right, _ = rows(second, responses)

    def score(x: Float64) -> Float64:
        return explained_variance(held_out_predictions(x, y, groups, penalties=penalties, folds=folds), y)

    both, a, b = score(np.hstack([left, right])), score(left), score(right)
    return Partition(both, a, b, both - b, both - a, a + b - both)


def one_hot(labels: Sequence[Hashable]) -> Float64:
    """(n,) labels to (n, class) of 0 and 1, classes in order of first appearance.

    >>> one_hot(["pop", "jazz", "pop"])
    array([[1., 0.],
           [0., 1.],
           [1., 0.]])
    """
    number = codes("labels", labels, len(labels))
    return np.eye(int(number.max()) + 1)[number]


def _standard(predicted: ArrayLike, observed: ArrayLike, fold: ArrayLike | None) -> tuple[Float64, Float64]:
    """Both sides centred (within folds) and of unit norm, so that their product is Pearson's r."""
    ours, ref = embeddings("predicted", predicted, at_least=2), embeddings("observed", observed, at_least=2)
    if ours.shape != ref.shape:
        raise InputError(f"predicted has shape {ours.shape}, observed has {ref.shape}", allowed="equal shapes")
    refuse_constant(ref)
    places = np.zeros(len(ref), dtype=np.int64) if fold is None else np.asarray(fold)
    if places.shape != (len(ref),):
        raise InputError(f"fold has shape {places.shape}", allowed=f"({len(ref)},)")
    sides = []
    for side in (ours, ref):
        centred = np.array(side)
        for number in np.unique(places):
            centred[places == number] -= side[places == number].mean(axis=0)
        norm = np.linalg.norm(centred, axis=0)
        # What is left of a constant prediction after centring is rounding, not a signal.
        floor = 1e-13 * np.sqrt(len(side)) * np.maximum(np.abs(side).max(axis=0), 1e-300)
        sides.append(np.divide(centred, norm, out=np.zeros_like(centred), where=norm > floor))
    return sides[0], sides[1]
