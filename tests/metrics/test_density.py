"""Density, coverage, precision and recall against loops, scikit-learn, and cases with a known answer."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eeg2music.errors import InputError
from eeg2music.metrics import density
from eeg2music.metrics.density import density_coverage, expected_coverage

MEASURES = ("density", "coverage", "precision", "recall")


def by_loops(real: np.ndarray, made: np.ndarray, k: int) -> dict[str, float]:
    """The four definitions, word by word, on squared distances of whole numbers or reals."""

    def apart(a: np.ndarray, b: np.ndarray) -> float:
        return float(sum((p - q) ** 2 for p, q in zip(a.tolist(), b.tolist(), strict=True)))

    def reach(rows: np.ndarray) -> list[float]:
        return [sorted(apart(a, b) for j, b in enumerate(rows) if j != i)[k - 1] for i, a in enumerate(rows)]

    of_real, of_made = reach(real), reach(made)
    inside = [[apart(a, b) <= r for b in made] for a, r in zip(real, of_real, strict=True)]
    recalled = [[apart(a, b) <= r for b, r in zip(made, of_made, strict=True)] for a in real]
    columns = list(zip(*inside, strict=True))
    return {
        "density": sum(map(sum, inside)) / (k * len(made)),
        "coverage": sum(map(any, inside)) / len(real),
        "precision": sum(map(any, columns)) / len(made),
        "recall": sum(map(any, recalled)) / len(real),
    }


def found(real: np.ndarray, made: np.ndarray, k: int) -> dict[str, float]:
    result = density_coverage(real, made, nearest=k)._asdict()
    return {name: result[name] for name in MEASURES}


@pytest.mark.parametrize("k", [1, 3, 5])
def test_equals_the_loops(k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(k)
    real, made = rng.normal(size=(33, 4)) + 30.0, 0.8 * rng.normal(size=(21, 4)) + 30.5
    expected = by_loops(real, made, k)
    assert found(real, made, k) == pytest.approx(expected, abs=1e-14)
    monkeypatch.setattr(density, "BLOCK_ROWS", 4)
    assert found(real, made, k) == pytest.approx(expected, abs=1e-14)
    assert 0 < expected["coverage"] < 1


@pytest.mark.parametrize("shift", [0.0, 1 / 3])
def test_ties_at_the_rim_count_as_inside(shift: float) -> None:
    """On a grid nearly every distance is a tie, and a shift makes it tie only up to rounding."""
    rng = np.random.default_rng(0)
    grid = np.array(list(itertools.product(range(5), range(4))), dtype=float)
    made = rng.integers(-1, 7, size=(18, 2)).astype(float)
    expected = by_loops(grid, made, 2)
    assert found(grid + shift, made + shift, 2) == pytest.approx(expected, abs=1e-14)
    # Just off the grid there are no ties, and less lies inside: they matter here.
    assert found(grid, made + 1e-4, 2)["density"] < 0.9 * expected["density"]


def test_balls_are_those_of_scikit_learn() -> None:
    from sklearn.neighbors import NearestNeighbors

    rng = np.random.default_rng(1)
    real, made = rng.normal(size=(200, 8)), rng.normal(size=(150, 8)) * 1.2
    reach = NearestNeighbors(n_neighbors=6).fit(real).kneighbors(real)[0][:, -1]
    apart, nearest = NearestNeighbors(n_neighbors=150).fit(made).kneighbors(real)
    inside = apart <= reach[:, None]
    result = density_coverage(real, made)
    assert result.density == pytest.approx(inside.sum() / (5 * 150))
    assert result.coverage == pytest.approx(inside[:, 0].mean())
    assert result.precision == pytest.approx(len(set(nearest[inside].tolist())) / 150)
    reach_made = NearestNeighbors(n_neighbors=6).fit(made).kneighbors(made)[0][:, -1]
    assert result.recall == pytest.approx((apart <= reach_made[nearest]).any(axis=1).mean())


def test_equal_distributions_score_one_and_the_expected_coverage() -> None:
    """Means over 40 draws within four standard errors of 1, and of lemma 2 of Naeem et al."""
    rng = np.random.default_rng(2)
    draws = [density_coverage(rng.normal(size=(60, 3)), rng.normal(size=(40, 3)), nearest=3) for _ in range(40)]
    for values, expected in (
        ([draw.density for draw in draws], 1.0),
        ([draw.coverage for draw in draws], draws[0].coverage_expected),
    ):
        assert abs(np.mean(values) - expected) < 4 * np.std(values, ddof=1) / np.sqrt(len(values))
    assert draws[0].coverage_expected == expected_coverage(60, 40, 3)


def test_expected_coverage_by_counting_orders() -> None:
    """n = 4, m = 3: of the six others of an item, in any order, the nearest k are all its own kind."""
    for k in (1, 2, 3):
        orders = list(itertools.permutations("rrrggg"))
        empty = sum(set(order[:k]) == {"r"} for order in orders) / len(orders)
        assert expected_coverage(4, 3, k) == pytest.approx(1 - empty)


def test_far_apart_is_zero_and_a_copy_is_one() -> None:
    x = np.random.default_rng(3).normal(size=(50, 4))
    assert set(found(x, x + 100.0, 5).values()) == {0.0}
    same = found(x, x, 5)
    assert (same["coverage"], same["precision"], same["recall"]) == (1.0, 1.0, 1.0)


def test_a_collapsed_generator_is_precise_and_covers_nothing() -> None:
    rng = np.random.default_rng(4)
    real = rng.normal(size=(200, 3))
    result = density_coverage(real, np.repeat(real[:1], 100, axis=0))
    assert result.precision == 1.0
    assert result.coverage < 0.1
    # Its balls have no volume: they hold the one real item it repeats.
    assert result.recall == 1 / 200
    near = density_coverage(real, np.repeat(real[:1], 100, axis=0) + 1e-3 * rng.normal(size=(100, 3)))
    assert near.coverage < 0.1


def test_duplicated_reference_clips_are_refused() -> None:
    rng = np.random.default_rng(5)
    x = rng.normal(size=(40, 16))
    x[7:13] = x[7]
    with pytest.raises(InputError, match=r"6 reference rows have 5 copies.*row 7.*duplicated"):
        density_coverage(x, rng.normal(size=(40, 16)))
    density_coverage(x, rng.normal(size=(40, 16)), nearest=6)


@pytest.mark.parametrize(
    ("real", "made", "match"),
    [
        (np.zeros((5, 2)), np.zeros((9, 2)), "reference has shape .* n >= 6"),
        (np.zeros((9, 2)), np.zeros((5, 2)), "generated has shape .* n >= 6"),
        (np.zeros((9, 2)), np.zeros((9, 3)), "dimension"),
        (np.full((9, 2), np.nan), np.zeros((9, 2)), "not finite"),
    ],
)
def test_bad_input_is_named(real: np.ndarray, made: np.ndarray, match: str) -> None:
    with pytest.raises(InputError, match=match):
        density_coverage(real, made)


def test_no_neighbours_are_no_measure() -> None:
    with pytest.raises(InputError, match="nearest = 0"):
        density_coverage(np.zeros((9, 2)), np.zeros((9, 2)), nearest=0)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), scale=st.floats(1e-3, 1e3))
def test_rotation_shift_unit_and_order_change_nothing(seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    real, made = rng.normal(size=(15, 3)), rng.normal(size=(12, 3)) + 0.5
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    before = found(real, made, 3)
    after = found(scale * (rng.permutation(real) @ rotation + 3.0), scale * (rng.permutation(made) @ rotation + 3.0), 3)
    assert after == pytest.approx(before, abs=1e-12)
