"""Linear decoding against scikit-learn and by hand."""

from __future__ import annotations

import numpy as np
import pytest

from eeg2music.encoders.linear import lagged, ridge_predict, standard
from eeg2music.errors import InputError


@pytest.mark.parametrize(("rows", "features"), [(40, 6), (12, 30)])
def test_ridge_equals_scikit_learn(rows: int, features: int) -> None:
    from sklearn.linear_model import Ridge
    from sklearn.preprocessing import StandardScaler

    rng = np.random.default_rng(0)
    x, y, z = rng.normal(3.0, 2.0, (rows, features)), rng.normal(size=(rows, 3)), rng.normal(size=(5, features))
    scaler = StandardScaler().fit(x)
    # Scaled predictors have a sum of squares of `rows` each.
    model = Ridge(alpha=0.3 * rows).fit(scaler.transform(x), y)
    expected = model.predict(scaler.transform(z))
    np.testing.assert_allclose(ridge_predict(x, y, z, penalty=0.3), expected, atol=1e-10)


def test_the_scaler_never_sees_the_test_rows() -> None:
    rng = np.random.default_rng(1)
    x, y, z = rng.normal(size=(20, 4)), rng.normal(size=(20, 2)), rng.normal(size=(6, 4))
    alone = ridge_predict(x, y, z[:1], penalty=0.5)
    beside_outliers = ridge_predict(x, y, np.concatenate([z[:1], 1e6 * z[1:]]), penalty=0.5)[:1]
    np.testing.assert_allclose(alone, beside_outliers)


def test_lags_follow_each_sample() -> None:
    signal = np.arange(12.0).reshape(2, 6)
    found = lagged(signal, 3)
    assert found.shape == (2, 6, 3)
    for lag in range(3):
        np.testing.assert_array_equal(found[:, : 6 - lag, lag], signal[:, lag:])
    assert (found[:, -1, 1:] == 0).all()


def test_a_constant_is_standardised_to_zeros() -> None:
    assert (standard(np.full((2, 5), 3.0)) == 0).all()


@pytest.mark.parametrize(
    ("train", "target", "test", "penalty"),
    [
        (np.zeros((3, 2)), np.zeros((4, 1)), np.zeros((1, 2)), 1.0),
        (np.zeros((3, 2)), np.zeros((3, 1)), np.zeros((1, 3)), 1.0),
        (np.full((3, 2), np.nan), np.zeros((3, 1)), np.zeros((1, 2)), 1.0),
        (np.zeros((3, 2)), np.zeros((3, 1)), np.zeros((1, 2)), 0.0),
    ],
)
def test_bad_arrays_are_refused(train: np.ndarray, target: np.ndarray, test: np.ndarray, penalty: float) -> None:
    with pytest.raises(InputError):
        ridge_predict(train, target, test, penalty=penalty)


def test_predictors_that_do_not_vary_predict_the_mean() -> None:
    for features in (1, 9):
        found = ridge_predict(np.ones((4, features)), [[0.0], [1.0], [2.0], [5.0]], np.ones((2, features)), penalty=0.1)
        np.testing.assert_array_equal(found, [[2.0], [2.0]])
