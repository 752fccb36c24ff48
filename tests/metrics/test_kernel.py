"""The kernel distance against the double sum over pairs, and what an unbiased estimate must do."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist, pdist

from eeg2music.errors import InputError
from eeg2music.metrics import kernel


def double_sum(x: np.ndarray, y: np.ndarray, bandwidth: float) -> float:
    def k(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.exp(-np.sum((a - b) ** 2) / (2 * bandwidth**2)))

    n, m = len(x), len(y)
    xx = sum(k(x[i], x[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    yy = sum(k(y[i], y[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    xy = sum(k(a, b) for a in x for b in y) / (n * m)
    return xx + yy - 2 * xy


def test_equals_the_double_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(23, 6)) + 100.0, 1.3 * rng.normal(size=(17, 6)) + 100.2
    width = float(np.median(pdist(x)))
    expected = 100.0 * double_sum(x, y, width)
    assert kernel.kernel_distance(x, y) == pytest.approx(expected, abs=1e-10)
    monkeypatch.setattr(kernel, "BLOCK_ROWS", 5)
    monkeypatch.setattr(kernel, "BLOCK_COLUMNS", 7)
    assert kernel.kernel_distance(x, y) == pytest.approx(expected, abs=1e-10)
    backward = 100.0 * double_sum(x, y, float(np.median(pdist(y))))
    assert kernel.kernel_distance(y, x) == pytest.approx(backward, abs=1e-10)


def test_median_distance_is_that_of_all_pairs() -> None:
    x = np.random.default_rng(1).normal(size=(40, 5))
    assert kernel.median_distance(x) == pytest.approx(float(np.median(pdist(x))), rel=1e-12)
    assert kernel.median_distance(x[:7]) == pytest.approx(float(np.median(pdist(x[:7]))), rel=1e-12)


def test_many_rows_take_their_median_from_an_even_subset(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(5).normal(size=(41, 3))
    monkeypatch.setattr(kernel, "MEDIAN_ROWS", 21)
    assert kernel.median_distance(x) == pytest.approx(float(np.median(pdist(x[::2]))), rel=1e-12)


def test_squared_distances_and_their_slack() -> None:
    rng = np.random.default_rng(6)
    x, y = rng.normal(size=(9, 4)), rng.normal(size=(5, 4))
    np.testing.assert_allclose(kernel.squared_distances(x, y), cdist(x, y, "sqeuclidean"), atol=1e-13)
    assert (np.diag(kernel.squared_distances(x, x, slack=1e-12)) == 0).all()


def test_duplicated_clips_leave_no_width_even_where_rounding_hides_them() -> None:
    """Copies whose squared distance comes out as 1e-15 instead of 0 must not become the kernel's width."""
    hidden = 0
    for seed in range(10):
        rng = np.random.default_rng(seed)
        x = np.repeat(rng.normal(size=(1, 65)), 20, axis=0)
        x[:4] = rng.normal(size=(4, 65))
        centred = x - x.mean(axis=0)
        hidden += np.median(kernel.squared_distances(centred, centred)[np.triu_indices(20, k=1)]) > 0
        with pytest.raises(InputError, match=r"bandwidth is 0.*duplicated"):
            kernel.kernel_distance(x, rng.normal(size=(20, 65)))
    assert hidden > 0


def test_each_direction_takes_its_width_from_its_reference() -> None:
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(30, 4)), 2.0 * rng.normal(size=(20, 4))
    forward, backward = kernel.kernel_distance(x, y), kernel.kernel_distance(y, x)
    assert forward != pytest.approx(backward, rel=1e-3)
    assert kernel.kernel_distance(y, x, bandwidth=kernel.median_distance(x)) == pytest.approx(forward, abs=1e-10)


def test_unbiased_under_the_null() -> None:
    """The mean over many draws from equal distributions is zero within four standard errors."""
    rng = np.random.default_rng(3)
    draws = np.array(
        [kernel.kernel_distance(rng.normal(size=(8, 3)), rng.normal(size=(8, 3)), bandwidth=1.5) for _ in range(600)]
    )
    assert abs(draws.mean()) < 4 * draws.std() / np.sqrt(len(draws))
    assert (draws < 0).mean() > 0.3


def test_grows_with_the_shift() -> None:
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(2, 100, 5))
    distances = [kernel.kernel_distance(x, y + shift) for shift in (0.0, 0.5, 1.0, 2.0)]
    assert distances == sorted(distances)


def test_bad_input_is_named() -> None:
    with pytest.raises(InputError, match="bandwidth is 0"):
        kernel.kernel_distance(np.ones((5, 2)), np.zeros((5, 2)))
    with pytest.raises(InputError, match="bandwidth is -1"):
        kernel.kernel_distance([[0.0], [1.0]], [[0.0], [1.0]], bandwidth=-1.0)
    with pytest.raises(InputError, match="not finite"):
        kernel.kernel_distance([[np.inf], [0.0]], [[0.0], [1.0]])
    with pytest.raises(InputError, match="n >= 2"):
        kernel.kernel_distance([[0.0]], [[0.0], [1.0]])
