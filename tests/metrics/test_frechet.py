"""The Fréchet distance against scipy in float64 and mpmath with 50 digits."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg

from eeg2music.errors import InputError
from eeg2music.metrics import frechet
from eeg2music.metrics.frechet import covariance_factor, frechet_distance, root_trace


def closed_form(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """(distance, tr A + tr B) as usually written, with scipy's matrix root."""
    a, b = np.cov(x.T), np.cov(y.T)
    gap = x.mean(0) - y.mean(0)
    root = np.trace(linalg.sqrtm(a @ b)).real
    traces = float(np.trace(a) + np.trace(b))
    return float(gap @ gap) + traces - 2.0 * float(root), traces


def fifty_digits(x: np.ndarray, y: np.ndarray) -> float:
    with mpmath.workdps(50):
        rows_x, rows_y = mpmath.matrix(x.tolist()), mpmath.matrix(y.tolist())
        mean_x, cov_x = _moments(rows_x)
        mean_y, cov_y = _moments(rows_y)
        values = mpmath.eig(cov_x * cov_y, left=False, right=False)
        root = mpmath.fsum(mpmath.sqrt(mpmath.re(v)) for v in values if mpmath.re(v) > 0)
        dim = x.shape[1]
        traces = mpmath.fsum(cov_x[i, i] + cov_y[i, i] for i in range(dim))
        gap = mpmath.fsum((mean_x[i] - mean_y[i]) ** 2 for i in range(dim))
        return float(gap + traces - 2 * root)


def _moments(rows: mpmath.matrix) -> tuple[list, mpmath.matrix]:
    n, dim = rows.rows, rows.cols
    mean = [mpmath.fsum(rows[i, j] for i in range(n)) / n for j in range(dim)]
    centred = mpmath.matrix(n, dim)
    for i in range(n):
        for j in range(dim):
            centred[i, j] = rows[i, j] - mean[j]
    return mean, centred.T * centred / (n - 1)


def test_equals_scipy_on_well_conditioned_data() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(900, 48))
    y = 0.3 + rng.normal(size=(700, 48)) @ (np.eye(48) + 0.05 * rng.normal(size=(48, 48)))
    expected, traces = closed_form(x, y)
    assert frechet_distance(x, y) == pytest.approx(expected, abs=1e-8 * traces)


@pytest.mark.parametrize("decay", [2.0, 5.0])
def test_equals_fifty_digits_on_ill_conditioned_data(decay: float) -> None:
    """Standard deviations from 1 down to 10^-decay, rotated differently in x and y."""
    rng = np.random.default_rng(1)
    scales = np.logspace(0, -decay, 6)

    def rotation() -> np.ndarray:
        return np.linalg.qr(rng.normal(size=(6, 6)))[0]

    x = rng.normal(size=(12, 6)) * scales @ rotation()
    y = rng.normal(size=(14, 6)) * scales @ rotation() + 0.01
    assert frechet_distance(x, y) == pytest.approx(fifty_digits(x, y), abs=1e-13)


ILL_CONDITIONED = {
    # Rows, dimensions, and the standard deviations before a random rotation.
    "eigenvalues from 1 to 1e-12": (14, np.logspace(0, -6, 6)),
    "rank three of six": (14, np.array([1.0, 0.3, 0.1, 0.0, 0.0, 0.0])),
    "fewer rows than dimensions": (4, np.logspace(0, -6, 6)),
    "one dimension alone": (9, np.array([1.0, 0.0, 0.0, 0.0])),
}


@pytest.mark.parametrize("case", ILL_CONDITIONED)
def test_equals_fifty_digits_where_covariances_are_singular_or_nearly_so(case: str) -> None:
    n, scales = ILL_CONDITIONED[case]
    rng = np.random.default_rng(7)

    def cloud(rows: int) -> np.ndarray:
        rotation = np.linalg.qr(rng.normal(size=(len(scales), len(scales))))[0]
        return rng.normal(size=(rows, len(scales))) * scales @ rotation

    x, y = cloud(n), cloud(n + 1) + 0.01
    assert frechet_distance(x, y) == pytest.approx(fifty_digits(x, y), abs=1e-14)
    assert frechet_distance(x, y[:, ::-1]) == pytest.approx(fifty_digits(x, y[:, ::-1]), abs=1e-14)


@pytest.mark.parametrize("unit", [1e-6, 1e6])
def test_equals_scipy_whatever_the_unit_and_with_more_dimensions(unit: float) -> None:
    rng = np.random.default_rng(8)
    x = unit * (rng.normal(size=(3000, 128)) * np.linspace(1, 3, 128))
    y = unit * (0.2 + rng.normal(size=(2500, 128)) @ (np.eye(128) + 0.03 * rng.normal(size=(128, 128))))
    expected, traces = closed_form(x, y)
    assert abs(frechet_distance(x, y) - expected) < 1e-10 * traces


@pytest.mark.parametrize("decay", [0.0, 4.0, 7.0, 9.0, 14.0])
def test_both_ways_to_the_factor_agree(decay: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cholesky twice, or Householder: the covariance is the same to the last digits, at any condition."""
    rng = np.random.default_rng(9)
    rows = rng.normal(size=(200, 20)) * np.logspace(0, -decay, 20) @ np.linalg.qr(rng.normal(size=(20, 20)))[0]
    quick = frechet.sample_factor(rows)
    monkeypatch.setattr(frechet, "NEARLY_ORTHOGONAL", 0.0)
    careful = frechet.sample_factor(rows)
    np.testing.assert_allclose(quick.T @ quick, careful.T @ careful, atol=1e-15 * 20)
    np.testing.assert_allclose(
        linalg.svdvals(quick), linalg.svdvals(careful), rtol=1e-10, atol=1e-15 * linalg.svdvals(careful)[0] * 20
    )


def test_the_factor_of_dependent_columns_is_householders() -> None:
    rows = np.random.default_rng(10).normal(size=(50, 4))
    rows = np.hstack([rows, rows[:, :2], np.zeros((50, 1))])
    factor = frechet.sample_factor(rows)
    np.testing.assert_allclose(factor.T @ factor, np.cov(rows.T), atol=1e-14)


def test_dependent_columns_that_pass_one_cholesky_by_rounding() -> None:
    """Whether a zero pivot comes out as +1e-17 or -1e-17 is chance; the factor must be right either way."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        rows = rng.normal(size=(60, 4)) @ rng.normal(size=(4, 7))
        rows -= rows.mean(axis=0)
        factor = frechet.sample_factor(rows)
        np.testing.assert_allclose(factor.T @ factor, rows.T @ rows / 59, atol=1e-13)


def test_exact_for_fewer_samples_than_dimensions() -> None:
    """Two samples each: rank one, so tr((AB)^1/2) is |a·b| for A = aaᵀ, B = bbᵀ."""
    rng = np.random.default_rng(2)
    a, b, shift = rng.normal(size=(3, 40))
    x, y = np.stack([a, -a]), np.stack([b, -b]) + shift
    expected = shift @ shift + 2 * (a @ a) + 2 * (b @ b) - 4 * abs(a @ b)
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-13)


def test_identical_sets_are_at_zero_and_order_of_rows_does_not_matter() -> None:
    x = np.random.default_rng(3).normal(size=(30, 64))
    assert frechet_distance(x, x[::-1]) == pytest.approx(0.0, abs=1e-10)


def test_gaussian_shift_and_scale_have_the_closed_form() -> None:
    """For y = s x + c the distance is |m(1-s) - c|² + (1 - s)² tr(S)."""
    x = np.random.default_rng(4).normal(size=(200, 5))
    y = 3.0 * x + 1.0
    gap = y.mean(0) - x.mean(0)
    expected = gap @ gap + 4.0 * np.trace(np.cov(x.T))
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-12)
    assert frechet_distance(y, x) == pytest.approx(expected, rel=1e-12)


def test_the_root_of_covariances_agrees_with_that_of_samples() -> None:
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(50, 8)), 2.0 + rng.normal(size=(60, 8))
    gap, covariances = x.mean(0) - y.mean(0), [np.cov(x.T), np.cov(y.T)]
    root = root_trace(*map(covariance_factor, covariances))
    assert gap @ gap + np.trace(sum(covariances)) - 2 * root == pytest.approx(frechet_distance(x, y), rel=1e-10)


def test_the_root_of_singular_covariances() -> None:
    """aaᵀ against bbᵀ: it is |a·b|."""
    a, b = np.random.default_rng(11).normal(size=(2, 30))
    root = root_trace(covariance_factor(np.outer(a, a)), covariance_factor(np.outer(b, b)))
    assert root == pytest.approx(abs(a @ b), abs=1e-5 * (a @ a + b @ b))


QUICK = {
    # Condition of the standard deviations, and how far the means lie from the origin.
    "well conditioned": (1.0, 0.0),
    "of condition 1000, which is squared": (1e3, 0.3),
    "too nearly dependent": (1e7, 0.0),
    "far from the origin": (10.0, 1e5),
}


@pytest.mark.parametrize("case", QUICK)
def test_the_quick_way_of_many_rows_costs_no_digits(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """16 rows a dimension, 128 dimensions: from Gram matrices and eigenvalues, or where that would not do, not."""
    condition, shift = QUICK[case]
    rng = np.random.default_rng(12)
    scales = np.logspace(0, -np.log10(condition), 128)
    x = shift + rng.normal(size=(2048, 128)) * scales @ np.linalg.qr(rng.normal(size=(128, 128)))[0]
    y = shift + 0.1 + rng.normal(size=(2100, 128)) @ (np.eye(128) + 0.03 * rng.normal(size=(128, 128)))
    quick = frechet_distance(x, y)
    taken = frechet.from_gram(x, x.mean(axis=0)) is not None
    assert taken == (case in list(QUICK)[:2])
    monkeypatch.setattr(frechet, "ROWS_FOR_ONE_PASS", 10**9)
    monkeypatch.setattr(frechet, "VALUES_BY_ROOTS", 10**9)
    traces = float(np.trace(np.cov(x.T)) + np.trace(np.cov(y.T)))
    assert abs(quick - frechet_distance(x, y)) < 1e-11 * traces
    assert abs(quick - closed_form(x, y)[0]) < 1e-8 * traces


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    rows=st.tuples(st.integers(2, 12), st.integers(2, 12)),
    dim=st.integers(1, 6),
    scale=st.floats(1e-3, 1e3),
)
def test_invariances(seed: int, rows: tuple[int, int], dim: int, scale: float) -> None:
    """Symmetric; blind to rotation, to a common shift and to the order of rows; goes with the square of the unit."""
    rng = np.random.default_rng(seed)
    x, y = (rng.normal(size=(n, dim)) * rng.uniform(0.1, 2.0, dim) + rng.normal(size=dim) for n in rows)
    rotation = np.linalg.qr(rng.normal(size=(dim, dim)))[0]
    found = frechet_distance(x, y)
    size = float(np.sum(x**2) + np.sum(y**2)) + 1.0

    def same(value: float) -> bool:
        return abs(value - found) < 1e-11 * size

    assert found >= 0.0
    assert same(frechet_distance(y, x))
    assert same(frechet_distance(x @ rotation, y @ rotation))
    assert same(frechet_distance(x + 5.0, y + 5.0))
    assert same(frechet_distance(rng.permutation(x), y))
    assert same(frechet_distance(scale * x, scale * y) / scale**2)


def test_enough_rows_are_twice_the_dimensions() -> None:
    assert frechet.enough(256, 128)
    assert not frechet.enough(255, 128)


@pytest.mark.parametrize(
    ("x", "y", "match"),
    [
        ([[0.0, np.nan]] * 3, [[0.0, 1.0]] * 3, "not finite"),
        ([[0.0]], [[1.0], [2.0]], "n >= 2"),
        ([[0.0], [1.0]], [[1.0, 2.0], [2.0, 1.0]], "dimension"),
    ],
)
def test_bad_input_is_named(x, y, match: str) -> None:
    with pytest.raises(InputError, match=match):
        frechet_distance(x, y)


def test_a_matrix_that_is_no_covariance_is_refused() -> None:
    with pytest.raises(InputError, match="eigenvalue"):
        covariance_factor(np.array([[1.0, 0.0], [0.0, -1.0]]))
