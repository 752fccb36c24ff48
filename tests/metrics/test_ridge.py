"""Ridge against himalaya and scikit-learn, and the frauds of an encoding model."""

from __future__ import annotations

import numpy as np
import pytest

from eeg2music.errors import InputError
from eeg2music.metrics.ridge import HeldOutRidge, explained_variance, group_folds, held_out_predictions
from eeg2music.seeding import numpy_rng

PENALTIES = [0.1, 1.0, 10.0, 100.0, 1000.0, 1e5]


def planted(
    rows: int = 120, dim: int = 15, targets: int = 12, groups: int = 8
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Targets from clear to pure noise, so that each wants a penalty of its own; features of unlike size."""
    rng = numpy_rng(0, "planted", dim)
    x = rng.normal(size=(rows, dim)) * np.geomspace(0.1, 10.0, dim) + rng.normal(size=dim)
    y = x @ rng.normal(size=(dim, targets)) + rng.normal(size=(rows, targets)) * np.geomspace(1.0, 1e4, targets)
    return x, y + 5.0, np.arange(rows) * groups // rows


def predefined(groups: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """(training rows, test rows) of each fold, for the whole data and, among training rows, to choose penalties by."""
    fold = group_folds(groups, 5, n=len(groups))
    return [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(fold.max() + 1)]


@pytest.mark.filterwarnings("ignore:Solving ridge is slower")
@pytest.mark.parametrize("dim", [15, 150])
def test_predictions_equal_himalaya(dim: int) -> None:
    """Penalties and what is predicted for each fold; more rows than features, and fewer."""
    ridge = pytest.importorskip("himalaya.ridge", reason="himalaya is not installed")
    x, y, groups = planted(dim=dim)
    found = held_out_predictions(x, y, groups, penalties=PENALTIES, scale=False)
    assert len(set(found.penalty.ravel())) > 2
    for number, (train, test) in enumerate(predefined(groups)):
        model = ridge.RidgeCV(alphas=PENALTIES, fit_intercept=True, cv=predefined(groups[train]))
        model.fit(x[train], y[train])
        np.testing.assert_allclose(found.penalty[number], model.best_alphas_, rtol=1e-12)
        np.testing.assert_allclose(found.predicted[test], model.predict(x[test]), rtol=1e-8, atol=1e-8)


def test_scaled_predictions_equal_scikit_learn_target_by_target() -> None:
    """GridSearchCV over a pipeline, so that its scaler too sees nothing of the held-out fold."""
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    x, y, groups = planted(targets=2)
    found = held_out_predictions(x, y, groups, penalties=PENALTIES)
    for number, (train, test) in enumerate(predefined(groups)):
        for target in range(2):
            search = GridSearchCV(
                make_pipeline(StandardScaler(), Ridge()), {"ridge__alpha": PENALTIES}, cv=predefined(groups[train]),
                scoring="neg_mean_squared_error",
            ).fit(x[train], y[train, target])  # fmt: skip
            assert found.penalty[number, target] == search.best_params_["ridge__alpha"]
            np.testing.assert_allclose(found.predicted[test, target], search.predict(x[test]), rtol=1e-8, atol=1e-8)


def test_a_prediction_never_sees_its_own_group() -> None:
    """Whatever is done to a held-out group leaves its predictions as they were."""
    x, y, groups = planted(groups=5)
    before = held_out_predictions(x, y, groups, penalties=PENALTIES)
    spoiled = y.copy()
    spoiled[groups == 2] = 1e6 * numpy_rng(0, "spoil").normal(size=spoiled[groups == 2].shape)
    after = held_out_predictions(x, spoiled, groups, penalties=PENALTIES)
    np.testing.assert_array_equal(after.predicted[groups == 2], before.predicted[groups == 2])
    np.testing.assert_array_equal(after.baseline[groups == 2], before.baseline[groups == 2])
    assert not np.allclose(after.predicted[groups == 1], before.predicted[groups == 1])


def test_the_scaler_never_sees_the_held_out_group() -> None:
    x, y, groups = planted(groups=5)
    wide = x.copy()
    wide[groups == 2] *= 1e3
    before, after = (held_out_predictions(part, y, groups, penalties=[10.0]) for part in (x, wide))
    # What is predicted is linear in the features of the group held out, of which only the scale has changed.
    at_zero = held_out_predictions(np.where(groups[:, None] == 2, 0.0, x), y, groups, penalties=[10.0])
    own, level = groups == 2, at_zero.predicted[groups == 2]
    np.testing.assert_allclose(after.predicted[own] - level, 1e3 * (before.predicted[own] - level))


def test_leaked_groups_would_flatter_and_whole_groups_do_not() -> None:
    """Each group has a level of its own in the features and the responses: rows split at random learn it."""
    rng = numpy_rng(0, "leak")
    group = np.repeat(np.arange(12), 20)
    x = rng.normal(size=(12, 30))[group] + 0.1 * rng.normal(size=(240, 30))
    y = rng.normal(size=(12, 20))[group] + 0.3 * rng.normal(size=(240, 20))
    leaky = rng.permutation(240) % 12
    flattered = explained_variance(held_out_predictions(x, y, leaky), y)
    honest = explained_variance(held_out_predictions(x, y, group), y)
    assert flattered.mean() > 0.8
    assert honest.mean() < 0.05


def test_features_are_decomposed_once_for_any_responses() -> None:
    x, y, groups = planted()
    model = HeldOutRidge(x, groups, penalties=PENALTIES)
    for responses in (y, y[::-1].copy(), y[:, :1]):
        found, expected = model.predict(responses), held_out_predictions(x, responses, groups, penalties=PENALTIES)
        np.testing.assert_array_equal(found.predicted, expected.predicted)
        np.testing.assert_array_equal(found.penalty, expected.penalty)


def test_explained_variance_of_no_model_is_zero() -> None:
    x, y, groups = planted()
    found = held_out_predictions(x, y, groups, penalties=[1e15])
    np.testing.assert_allclose(explained_variance(found, y), 0.0, atol=1e-6)


def test_a_feature_that_never_changes_in_training_is_harmless() -> None:
    x, y, groups = planted()
    flag = (groups == 0).astype(float)[:, None]
    with_flag = held_out_predictions(np.hstack([x, flag]), y, groups, penalties=[1.0], folds=8)
    without = held_out_predictions(x, y, groups, penalties=[1.0], folds=8)
    np.testing.assert_allclose(with_flag.predicted[groups == 0], without.predicted[groups == 0])


def test_folds_keep_groups_whole_and_alike_in_size() -> None:
    groups = ["a"] * 10 + ["b"] * 4 + ["c"] * 3 + ["d"] * 3 + ["e"] * 2
    fold = group_folds(groups, 3, n=22)
    assert all(len({f for f, g in zip(fold, groups, strict=True) if g == name}) == 1 for name in "abcde")
    assert sorted(np.bincount(fold)) == [6, 6, 10]
    assert group_folds(["x", "y"], 5, n=2).tolist() == [0, 1]


def test_bad_input_is_named() -> None:
    x, y, groups = planted()
    with pytest.raises(InputError, match="1 of 12 targets never change: 3"):
        held_out_predictions(x, np.where(np.arange(12) == 3, 0.0, y), groups)
    with pytest.raises(InputError, match="not finite"):
        held_out_predictions(np.where(x > 2, np.nan, x), y, groups)
    with pytest.raises(InputError, match="2 groups to hold out"):
        held_out_predictions(x, y, groups // 4)
    with pytest.raises(InputError, match="equally many"):
        held_out_predictions(x[1:], y, groups)
    with pytest.raises(InputError, match="Penalties"):
        held_out_predictions(x, y, groups, penalties=[0.0])
    with pytest.raises(InputError, match="1 groups in 5 folds"):
        group_folds(["a"] * 3, 5, n=3)
