"""Linear decoding in numpy: lagged samples, closed-form ridge, and a scaler that has seen the training rows alone.

The small counterpart of `encoders.ridge` for analyses that need no model on disk. Never splits data: whoever calls
decides which rows train.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eeg2music.errors import InputError

Array = NDArray[np.float64]


def lagged(signal: Array, lags: int) -> Array:
    """What follows each sample: columns are the signal 0 to lags - 1 samples later, zeros after its end.

    Parameters
    ----------
    signal : (..., frame)
    lags : how many, 1 or more

    Returns
    -------
    (..., frame, lag)

    >>> lagged(np.array([1.0, 2.0, 3.0]), 2)
    array([[1., 2.],
           [2., 3.],
           [3., 0.]])
    """
    padded = np.concatenate([signal, np.zeros((*signal.shape[:-1], lags - 1))], axis=-1)
    return np.stack([padded[..., lag : lag + signal.shape[-1]] for lag in range(lags)], axis=-1)


def standard(values: Array) -> Array:
    """Zero mean and unit deviation along the last axis; a constant becomes zeros."""
    centred = values - values.mean(axis=-1, keepdims=True)
    return np.asarray(centred / np.maximum(centred.std(axis=-1, keepdims=True), 1e-12))


def ridge_weights(gram: Array, cross: Array, penalty: float) -> Array:
    """(X'X + a I)^-1 X'Y, a = penalty times the mean of the diagonal (Hoerl and Kennard 1970, eq. 2.1).

    Parameters
    ----------
    gram : (feature, feature) X'X
    cross : (feature,) or (feature, output) X'Y
    """
    amount = penalty * np.trace(gram) / len(gram)
    return np.asarray(np.linalg.solve(gram + amount * np.eye(len(gram)), cross))


def ridge_predict(train: ArrayLike, target: ArrayLike, test: ArrayLike, *, penalty: float) -> Array:
    """Ridge regression with centring and scaling learned on the training rows alone.

    Parameters
    ----------
    train : (n, feature)
    target : (n, dim), row i belongs to row i of `train`
    test : (m, feature)
    penalty : in units of the scaled predictors' mean sum of squares

    Returns
    -------
    (m, dim); the mean where no predictor varies

    Raises
    ------
    InputError
        For shapes that do not fit, values that are not finite, or a penalty that is not positive.

    >>> ridge_predict([[0.0], [1.0], [2.0]], [[0.0], [2.0], [4.0]], [[3.0]], penalty=1e-9).round(6)
    array([[6.]])
    """
    x, y, z = (np.asarray(values, dtype=np.float64) for values in (train, target, test))
    if x.ndim != 2 or y.ndim != 2 or z.ndim != 2 or len(x) != len(y) or x.shape[1] != z.shape[1] or len(x) < 1:
        raise InputError(
            f"Ridge regression of {y.shape} on {x.shape}, to predict from {z.shape}",
            allowed="(n, dim) on (n, feature), from (m, feature)",
        )
    if not (np.isfinite(x).all() and np.isfinite(y).all() and np.isfinite(z).all()):
        raise InputError("Ridge regression on values that are not finite")
    if not penalty > 0.0:
        raise InputError(f"A ridge penalty of {penalty}", allowed="above 0")
    centre, mean = x.mean(axis=0), y.mean(axis=0)
    spread = x.std(axis=0)
    scale = np.where(spread > 1e-12, spread, 1.0)
    x, z = (x - centre) / scale, (z - centre) / scale
    if not (spread > 1e-12).any():
        return np.tile(mean, (len(z), 1))
    if x.shape[1] <= len(x):
        return mean + z @ ridge_weights(x.T @ x, x.T @ (y - mean), penalty)
    # More predictors than rows: the same solution from the smaller system.
    kernel = x @ x.T
    amount = penalty * np.trace(kernel) / x.shape[1]
    return np.asarray(mean + z @ x.T @ np.linalg.solve(kernel + amount * np.eye(len(x)), y - mean))
