"""How well features of the music predict each voxel or channel: the encoding model's scores.

Correlation of held-out predictions (`metrics.ridge`), its permutation null, the false discovery rate, and what is
explained beyond a control such as the genre. Rows are samples: (n, target), groups and blocks (n,) labels. A target
that never changes is refused by its place, never scored as 0.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from eeg2music.errors import InputError
from eeg2music.metrics.checks import Float64, embeddings, label_codes
from eeg2music.metrics.ridge import (
    FOLDS,
    PENALTIES,
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
    fold : (n,) in which each row was held out. The result is then the mean of the folds' own correlations, weighted
        by their rows. Over all rows at once useless predictions correlate negatively: the training mean is low
        where the held-out rows are high, and predictions are small where the folds disagree.

    >>> target_correlation([[1.0], [2.0], [3.0]], [[2.0], [4.0], [6.0]]).round(6)
    array([1.])
    """
    ours, ref = _standard(predicted, observed, fold)
    return np.asarray(np.einsum("nv,nv->v", ours, ref))


def permutation_null(
    score: Callable[[Float64], ArrayLike],
    responses: ArrayLike,
    blocks: Sequence[Hashable],
    *,
    rng: np.random.Generator,
    permutations: int = 200,
) -> Float64:
    """Scores after whole blocks (songs) of the responses have changed places, the model fitted anew each time.

    Fitting anew is what makes it a test: cross-validated predictions of each fold lean on the responses of the
    others, so that permuting finished predictions gives p < 0.05 about twice too often. Rows inside a block keep their
    order, because neighbours are alike; a block that is too long for its new place is cut, one that is too short
    starts over.

    Parameters
    ----------
    score : (n, target) responses -> (target,), all of the fitting included
    responses : (n, target)
    blocks : (n,) labels, four or more; with B of them there are only B! orders

    Returns
    -------
    (permutations, target)

    >>> from eeg2music.metrics.ridge import HeldOutRidge
    >>> features, songs = np.random.default_rng(0).normal(size=(40, 2)), np.arange(40) // 5
    >>> model = HeldOutRidge(features, songs)
    >>> null = permutation_null(
    ...     lambda y: target_correlation(model.predict(y).predicted, y, model.fold), features @ [[1.0], [2.0]], songs,
    ...     rng=np.random.default_rng(1), permutations=19)
    >>> bool(null.max() < 0.8)
    True
    """
    y = embeddings("responses", responses, at_least=2)
    number = label_codes("blocks", blocks, len(y))
    members = [np.flatnonzero(number == block) for block in range(int(number.max()) + 1)]
    if len(members) < 4:
        raise InputError(f"{len(members)} blocks to permute", allowed="four or more", remedy="cut shorter blocks")
    if permutations < 1:
        raise InputError(f"permutations = {permutations}", allowed="1 or more")
    null = np.empty((permutations, y.shape[1]))
    source = np.empty(len(y), dtype=np.int64)
    for draw in range(permutations):
        for place, block in zip(members, rng.permutation(len(members)), strict=True):
            source[place] = np.resize(members[block], len(place))
        null[draw] = score(y[source])
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
    number = label_codes("labels", labels, len(labels))
    return np.eye(int(number.max()) + 1)[number]


def _standard(predicted: ArrayLike, observed: ArrayLike, fold: ArrayLike | None) -> tuple[Float64, Float64]:
    """Both sides centred and of unit norm (in each fold, weighted by its rows): their product is Pearson's r."""
    ours, ref = embeddings("predicted", predicted, at_least=2), embeddings("observed", observed, at_least=2)
    if ours.shape != ref.shape:
        raise InputError(f"predicted has shape {ours.shape}, observed has {ref.shape}", allowed="equal shapes")
    refuse_constant(ref)
    places = np.zeros(len(ref), dtype=np.int64) if fold is None else np.asarray(fold)
    if places.shape != (len(ref),):
        raise InputError(f"fold has shape {places.shape}", allowed=f"({len(ref)},)")
    sides = []
    for side in (ours, ref):
        unit = np.zeros_like(side)
        for number in np.unique(places):
            some = places == number
            unit[some] = _unit(side[some]) * np.sqrt(np.mean(some))
        sides.append(unit)
    return sides[0], sides[1]


def _unit(values: Float64) -> Float64:
    """Columns centred and of unit norm; 0 for those that are constant. (n, target) -> (n, target)."""
    centred = values - values.mean(axis=0)
    norm = np.linalg.norm(centred, axis=0)
    # What is left of a constant prediction after centring is rounding, not a signal.
    floor = 1e-13 * np.sqrt(len(values)) * np.maximum(np.abs(values).max(axis=0), 1e-300)
    return np.divide(centred, norm, out=np.zeros_like(centred), where=norm > floor)
