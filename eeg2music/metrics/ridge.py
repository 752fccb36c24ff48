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
from eeg2music.metrics.checks import Float64, embeddings, label_codes

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


def held_out_predictions(
    features: ArrayLike,
    responses: ArrayLike,
    groups: Sequence[Hashable],
    *,
    penalties: Sequence[float] = PENALTIES,
    folds: int = FOLDS,
    scale: bool = True,
) -> HeldOut:
    """Predict each group by a ridge regression (Hoerl and Kennard 1970) fitted on the others.

    |y - Xw - c|² + penalty |w|², each target with the penalty of least held-out squared error among the others
    (nested), solved by one singular value decomposition a fold for all penalties and targets together. The error is the
    mean over folds of the mean over rows, as in himalaya's RidgeCV and scikit-learn's GridSearchCV; ties go to the
    penalty named first.

    Parameters
    ----------
    features : (n, dim), responses : (n, target)
    groups : (n,) rows of one group are never on both sides of a fold; three groups or more, so that two are left to
        choose penalties with
    penalties : of the squared weights, above 0
    folds : at most; fewer where there are fewer groups
    scale : divide features by their deviation in the training rows of each fold (they are always centred)

    >>> x = np.arange(12.0)[:, None]
    >>> found = held_out_predictions(x, 3.0 * x, np.arange(12) // 3, penalties=[1e-9])
    >>> bool(np.allclose(found.predicted, 3.0 * x))
    True
    """
    x, y = rows(features, responses)
    return HeldOutRidge(x, groups, penalties=penalties, folds=folds, scale=scale).predict(y)


class HeldOutRidge:
    """`held_out_predictions` for the same features and any number of responses: features are decomposed once.

    Parameters
    ----------
    features : (n, dim)
    groups, penalties, folds, scale : as of `held_out_predictions`
    """

    def __init__(
        self,
        features: ArrayLike,
        groups: Sequence[Hashable],
        *,
        penalties: Sequence[float] = PENALTIES,
        folds: int = FOLDS,
        scale: bool = True,
    ) -> None:
        x, labels, alphas = embeddings("features", features), list(groups), _penalties(penalties)
        if len(set(labels)) < 3:
            raise InputError(
                f"{len(set(labels))} groups to hold out", allowed="three or more, e.g. songs or blocks of time"
            )
        self._x = x
        self.fold = group_folds(labels, folds, n=len(x))
        self._models = []
        for number in range(int(self.fold.max()) + 1):
            train = np.flatnonzero(self.fold != number)
            self._models.append(_Chosen(x[train], [labels[i] for i in train], alphas, folds, scale))

    def predict(self, responses: ArrayLike) -> HeldOut:
        """Every group by the model of the others. (n, target) -> see `HeldOut`."""
        x, y = rows(self._x, responses)
        predicted, baseline = np.empty_like(y), np.empty_like(y)
        chosen = []
        for number, models in enumerate(self._models):
            test = self.fold == number
            model = models.fit(y[~test])
            predicted[test] = x[test] @ model.weight + model.intercept
            baseline[test] = y[~test].mean(axis=0)
            chosen.append(model.penalty)
        return HeldOut(predicted, baseline, self.fold, np.stack(chosen))


def explained_variance(found: HeldOut, responses: ArrayLike) -> Float64:
    """1 - (squared error) / (squared error of the training mean), so that a model without features scores 0. (target,)

    Below 0 where the model does harm. Not the R² about the test rows' own mean, which no model may know.
    """
    y = embeddings("responses", responses)
    return np.asarray(1.0 - np.sum((y - found.predicted) ** 2, axis=0) / np.sum((y - found.baseline) ** 2, axis=0))


def group_folds(groups: Sequence[Hashable], folds: int, *, n: int) -> Index:
    """(n,) fold of each row: whole groups, the largest first, each to the fold that has fewest rows so far."""
    number = label_codes("groups", groups, n)
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


class _Chosen:
    """Ridge on the same rows and features for any responses, each with the penalty that suits it."""

    def __init__(self, x: Float64, labels: list[Hashable], alphas: Float64, folds: int, scale: bool) -> None:
        self._alphas = alphas
        fold = group_folds(labels, folds, n=len(x))
        self._inner = []
        for number in range(int(fold.max()) + 1):
            test = fold == number
            system = _System(x[~test], scale)
            self._inner.append((test, system, system.rotate(x[test])))
        self._whole = _System(x, scale)

    def fit(self, y: Float64) -> RidgeFit:
        error = np.zeros((len(self._alphas), y.shape[1]))
        for test, system, rotated in self._inner:
            projected, mean = system.project(y[~test])
            wanted = y[test] - mean
            for place, alpha in enumerate(self._alphas):
                gap = wanted - (rotated * system.shrink(alpha)) @ projected
                error[place] += np.einsum("nv,nv->v", gap, gap) / len(gap)
        return self._whole.solve(y, self._alphas[error.argmin(axis=0)])


class _System:
    """Training rows of the features, centred (and scaled) and decomposed once for all penalties and responses."""

    def __init__(self, x: Float64, scale: bool) -> None:
        self._mean = x.mean(axis=0)
        centred = x - self._mean
        deviation = centred.std(axis=0) if scale else np.ones(x.shape[1])
        # A feature that never changes in training (a genre that is not there) says nothing.
        self._scale = np.where(deviation > 1e-12 * np.abs(self._mean), deviation, 1.0)
        u, self._singular, self._vt = linalg.svd(centred / self._scale, full_matrices=False, check_finite=False)
        self._ut = np.ascontiguousarray(u.T)

    def rotate(self, x: Float64) -> Float64:
        """(n, dim) -> (n, component)."""
        return ((x - self._mean) / self._scale) @ self._vt.T

    def project(self, y: Float64) -> tuple[Float64, Float64]:
        """Responses of the training rows as (component, target), and their mean (target,)."""
        mean = y.mean(axis=0)
        return self._ut @ (y - mean), mean

    def shrink(self, alpha: float | Float64) -> Float64:
        """(component,) for one penalty, (component, target) for one of each target."""
        singular = self._singular if np.ndim(alpha) == 0 else self._singular[:, None]
        return singular / (singular**2 + alpha)

    def solve(self, y: Float64, alpha: Float64) -> RidgeFit:
        """Weights with a penalty for each target. alpha (target,)."""
        projected, mean = self.project(y)
        weight = (self._vt.T @ (self.shrink(alpha) * projected)) / self._scale[:, None]
        return RidgeFit(weight, mean - self._mean @ weight, alpha)


def _penalties(penalties: Sequence[float]) -> Float64:
    values = np.asarray(penalties, dtype=np.float64)
    if values.ndim != 1 or not values.size or not np.all(np.isfinite(values) & (values > 0.0)):
        raise InputError(f"Penalties {list(penalties)}", allowed="finite numbers above 0")
    return values
