"""Ridge regression for thousands of targets at once, scored on groups of rows that it was not fitted on.

A penalty for each target, chosen by cross-validation over whole groups (songs or blocks). Scaling, penalties and
weights are learned on the training groups alone. Rows are samples: features (n, dim), responses (n, target),
groups (n,). A target that never changes is refused by its place, never scored as 0.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import linalg

from eeg2music.errors import InputError
from eeg2music.metrics.checks import Float64, embeddings

PENALTIES = tuple(float(10.0**power) for power in range(-2, 7))
FOLDS = 5
Index = NDArray[np.int64]


class RidgeFit(NamedTuple):
    """A linear model of every target.

    weight : (dim, target) for features as they were given
    intercept : (target,)
    penalty : (target,) chosen for each
    """

    weight: Float64
    intercept: Float64
    penalty: Float64


class HeldOut(NamedTuple):
    """Predictions for rows that the model had not seen.

    predicted : (n, target)
    baseline : (n, target) mean of the training rows: what a model without features predicts
    fold : (n,) in which each row was held out
    penalty : (fold, target)
    """

    predicted: Float64
    baseline: Float64
    fold: Index
    penalty: Float64


def fit_ridge(
    features: ArrayLike,
    responses: ArrayLike,
    groups: Sequence[Hashable],
    *,
    penalties: Sequence[float] = PENALTIES,
    folds: int = FOLDS,
    scale: bool = True,
) -> RidgeFit:
    """Ridge regression (Hoerl and Kennard 1970), each target with the penalty of least held-out squared error.

    |y - Xw - c|² + penalty |w|², solved by one singular value decomposition a fold for all penalties and targets
    together. The error is the mean over folds of the mean over rows, as in himalaya's RidgeCV and scikit-learn's
    GridSearchCV; ties go to the penalty named first.

    Parameters
    ----------
    features : (n, dim), responses : (n, target)
    groups : (n,) rows of one group are never on both sides of a fold; two groups or more
    penalties : of the squared weights, above 0
    folds : at most; fewer where there are fewer groups
    scale : divide features by their deviation in the training rows of each fold (they are always centred)

    >>> x = np.arange(12.0)[:, None]
    >>> model = fit_ridge(x, 3.0 * x + 1.0, np.arange(12) // 3, penalties=[1e-9, 1.0])
    >>> model.weight.round(6), model.intercept.round(6), model.penalty
    (array([[3.]]), array([1.]), array([1.e-09]))
    """
    x, y = rows(features, responses)
    alphas = _penalties(penalties)
    fold = group_folds(groups, folds, n=len(x))
    error = np.zeros((len(alphas), y.shape[1]))
    for number in range(int(fold.max()) + 1):
        test = fold == number
        system = _System(x[~test], y[~test], scale)
        for place, alpha in enumerate(alphas):
            error[place] += np.mean((y[test] - system.predict(x[test], alpha)) ** 2, axis=0)
    chosen = error.argmin(axis=0)
    return _System(x, y, scale).solve(alphas[chosen])


def held_out_predictions(
    features: ArrayLike,
    responses: ArrayLike,
    groups: Sequence[Hashable],
    *,
    penalties: Sequence[float] = PENALTIES,
    folds: int = FOLDS,
    scale: bool = True,
) -> HeldOut:
    """Predict each group by a model fitted on the others, its penalties chosen among the others too (nested).

    Parameters
    ----------
    As of `fit_ridge`; three groups or more, so that two are left to choose penalties with.

    >>> x = np.arange(12.0)[:, None]
    >>> found = held_out_predictions(x, 3.0 * x, np.arange(12) // 3, penalties=[1e-9])
    >>> bool(np.allclose(found.predicted, 3.0 * x))
    True
    """
    x, y = rows(features, responses)
    labels = list(groups)
    if len(set(labels)) < 3:
        raise InputError(
            f"{len(set(labels))} groups to hold out", allowed="three or more, e.g. songs or blocks of time"
        )
    fold = group_folds(labels, folds, n=len(x))
    predicted, baseline = np.empty_like(y), np.empty_like(y)
    chosen = []
    for number in range(int(fold.max()) + 1):
        test = fold == number
        rest = [label for label, out in zip(labels, test, strict=True) if not out]
        model = fit_ridge(x[~test], y[~test], rest, penalties=penalties, folds=folds, scale=scale)
        predicted[test] = x[test] @ model.weight + model.intercept
        baseline[test] = y[~test].mean(axis=0)
        chosen.append(model.penalty)
    return HeldOut(predicted, baseline, fold, np.stack(chosen))


def explained_variance(found: HeldOut, responses: ArrayLike) -> Float64:
    """1 - (squared error) / (squared error of the training mean), so that a model without features scores 0. (target,)

    Below 0 where the model does harm. Not the R² about the test rows' own mean, which no model may know.
    """
    y = embeddings("responses", responses)
    return np.asarray(1.0 - np.sum((y - found.predicted) ** 2, axis=0) / np.sum((y - found.baseline) ** 2, axis=0))


def group_folds(groups: Sequence[Hashable], folds: int, *, n: int) -> Index:
    """(n,) fold of each row: whole groups, the largest first, each to the fold that has fewest rows so far."""
    number = codes("groups", groups, n)
    sizes = np.bincount(number)
    count = min(folds, len(sizes))
    if count < 2:
        raise InputError(f"{len(sizes)} groups in {folds} folds", allowed="two or more of each")
    filled, place = np.zeros(count), np.zeros(len(sizes), dtype=np.int64)
    for group in np.argsort(-sizes, kind="stable"):
        place[group] = int(filled.argmin())
        filled[place[group]] += sizes[group]
    return place[number]


def rows(features: ArrayLike, responses: ArrayLike) -> tuple[Float64, Float64]:
    """Both as (n, dim) and (n, target) in float64, or refused."""
    x, y = embeddings("features", features), embeddings("responses", responses)
    if len(x) != len(y):
        raise InputError(f"{len(x)} rows of features, {len(y)} of responses", allowed="equally many")
    refuse_constant(y)
    return x, y


def refuse_constant(y: Float64) -> None:
    """Raise if a column never changes."""
    flat = np.flatnonzero(np.ptp(y, axis=0) == 0.0)
    if flat.size:
        shown = ", ".join(map(str, flat[:5])) + (" ..." if flat.size > 5 else "")
        raise InputError(
            f"{flat.size} of {y.shape[1]} targets never change: {shown}",
            allowed="voxels or channels with a signal",
            remedy="leave them out, and say so",
        )


def codes(name: str, labels: Sequence[Hashable], n: int) -> Index:
    """Labels to 0, 1, ... in order of first appearance."""
    if len(labels) != n or n == 0:
        raise InputError(f"{len(labels)} {name} for {n} rows", allowed="one each")
    known: dict[Hashable, int] = {}
    return np.array([known.setdefault(label, len(known)) for label in labels], dtype=np.int64)


class _System:
    """Training rows, centred (and scaled) and decomposed once for every penalty."""

    def __init__(self, x: Float64, y: Float64, scale: bool) -> None:
        self._mean, self._target_mean = x.mean(axis=0), y.mean(axis=0)
        centred = x - self._mean
        deviation = centred.std(axis=0) if scale else np.ones(x.shape[1])
        # A feature that never changes in training (a genre that is not there) says nothing.
        self._scale = np.where(deviation > 1e-12 * np.abs(self._mean), deviation, 1.0)
        u, self._singular, self._vt = linalg.svd(centred / self._scale, full_matrices=False, check_finite=False)
        self._projected = u.T @ (y - self._target_mean)

    def predict(self, x: Float64, alpha: float) -> Float64:
        shrink = self._singular / (self._singular**2 + alpha)
        rotated = ((x - self._mean) / self._scale) @ self._vt.T
        return np.asarray((rotated * shrink) @ self._projected + self._target_mean)

    def solve(self, alpha: Float64) -> RidgeFit:
        """Weights with a penalty for each target. alpha (target,)."""
        shrink = self._singular[:, None] / (self._singular[:, None] ** 2 + alpha)
        weight = (self._vt.T @ (shrink * self._projected)) / self._scale[:, None]
        return RidgeFit(weight, self._target_mean - self._mean @ weight, alpha)


def _penalties(penalties: Sequence[float]) -> Float64:
    values = np.asarray(penalties, dtype=np.float64)
    if values.ndim != 1 or not values.size or not np.all(np.isfinite(values) & (values > 0.0)):
        raise InputError(f"Penalties {list(penalties)}", allowed="finite numbers above 0")
    return values
