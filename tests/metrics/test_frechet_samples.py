"""FAD extrapolated over sub-samples against known truths, and FAD clip by clip."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import linalg, stats

from eeg2music.errors import InputError
from eeg2music.metrics.frechet import frechet_distance, frechet_infinity, frechet_per_sample


def cloud(n: int, dim: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, dim))


def test_the_line_runs_through_the_distances_of_the_sub_samples() -> None:
    x, y = cloud(400, 3, 0), 1.3 * cloud(60, 3, 1) + 0.2
    found = frechet_infinity(x, y, seed=5, sizes=[60, 40, 15], repeats=3)
    assert found.sizes == (60, 40, 15)
    assert found.distances[0] == frechet_distance(x, y)
    # The definition in plain loops: shuffle, cut into disjoint pieces, average.
    by_hand = []
    for size in (40, 15):
        pieces = []
        for repeat in range(3):
            shuffled = y[np.random.default_rng([5, repeat]).permutation(60)]
            pieces.extend(frechet_distance(x, shuffled[i : i + size]) for i in range(0, 60 - size + 1, size))
        by_hand.append(np.mean(pieces))
    assert found.distances[1:] == pytest.approx(by_hand, rel=1e-12)
    slope, value = np.polyfit(1.0 / np.array(found.sizes), found.distances, 1)
    assert (found.slope, found.value) == pytest.approx((slope, value))
    assert found.slope > 0
    assert found.value - found.low == pytest.approx(found.high - found.value)


def test_repeats_with_its_seed_and_only_with_it() -> None:
    x, y = cloud(100, 4, 0), cloud(50, 4, 1)
    assert frechet_infinity(x, y, seed=3) == frechet_infinity(x, y, seed=3)
    assert frechet_infinity(x, y, seed=3) != frechet_infinity(x, y, seed=4)


def test_the_bias_of_few_samples_is_gone_and_the_interval_covers_the_truth() -> None:
    """60 draws from one known Gaussian: the plain distance is too high in the mean, the extrapolated one is not."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=(3000, 4))
    spread = np.diag([1.4, 1.0, 0.8, 0.5])
    gap, covariance = x.mean(0) - 0.3, np.cov(x.T)
    root = linalg.sqrtm(covariance @ spread @ spread).real
    truth = gap @ gap + np.trace(covariance + spread @ spread - 2.0 * root)
    draws = [
        frechet_infinity(x, 0.3 + rng.normal(size=(40, 4)) @ spread, seed=number, repeats=4) for number in range(60)
    ]
    values = np.array([draw.value for draw in draws])
    plain = np.array([draw.distances[0] for draw in draws])
    standard_error = values.std(ddof=1) / np.sqrt(len(values))
    assert abs(values.mean() - truth) < 3 * standard_error
    assert plain.mean() - truth > 4 * standard_error
    assert np.mean([draw.low <= truth <= draw.high for draw in draws]) >= 0.85


def test_the_width_of_the_interval_is_that_of_a_shifted_mean() -> None:
    """One dimension, far shifted: the distance is nearly shift², whose standard error is 2 shift sd / √n."""
    shift, n = 50.0, 400
    y = shift + cloud(n, 1, 4)
    found = frechet_infinity(cloud(5000, 1, 3), y, seed=0, repeats=60)
    expected = 1.96 * 2 * shift * y.std(ddof=1) / np.sqrt(n)
    assert (found.high - found.low) / 2 == pytest.approx(expected, rel=0.25)


def test_rows_of_one_group_count_once() -> None:
    """The mean over draws of one row a group, whatever the order of the rows; copies change nothing."""
    x, y = cloud(500, 3, 0), cloud(40, 3, 1)
    groups = np.repeat(np.arange(20), 2)
    draws = [frechet_infinity(x, y[start::2], seed=2) for start in (0, 1)]
    found = frechet_infinity(x, y, seed=2, groups=groups)
    assert found.sizes == (20, 10, 6)
    assert found.value == pytest.approx(np.mean([draw.value for draw in draws]))
    assert found.distances == pytest.approx(np.mean([draw.distances for draw in draws], axis=0))
    once = frechet_infinity(x, y, seed=2)
    copied = frechet_infinity(x, np.tile(y, (3, 1)), seed=2, groups=[*range(40)] * 3)
    assert np.array([copied.low, copied.value, copied.high]) == pytest.approx([once.low, once.value, once.high])
    with pytest.raises(InputError, match="rows of 7 groups"):
        frechet_infinity(x, y[:14], seed=2, groups=groups[:14])
    with pytest.raises(InputError, match="one label for each row"):
        frechet_infinity(x, y, seed=2, groups=groups[1:])


def test_the_interval_is_the_jackknifes_and_there_is_none_of_too_few() -> None:
    x, y = 1.2 * cloud(900, 3, 0), 0.4 + cloud(120, 3, 1)
    found = frechet_infinity(x, y, seed=0)
    without = np.array([frechet_distance(x, np.delete(y, row, axis=0)) for row in range(120)])
    expected = stats.t.ppf(0.975, 119) * np.sqrt(119 / 120 * np.sum((without - without.mean()) ** 2))
    assert (found.high - found.low) / 2 == pytest.approx(expected, rel=0.05)
    few = frechet_infinity(cloud(900, 16, 0), cloud(40, 16, 1), seed=0)
    assert (few.low, few.high) == (None, None) and np.isfinite(few.value)


def test_default_sub_samples_stay_large_enough_for_their_dimensions() -> None:
    assert frechet_infinity(cloud(100, 5, 0), cloud(40, 5, 1), seed=0, repeats=2).sizes == (40, 20, 13, 10)
    assert frechet_infinity(cloud(100, 16, 0), cloud(40, 16, 1), seed=0, repeats=2).sizes == (40, 20)


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"sizes": [20]}, "two or more"),
        ({"sizes": [20, 21]}, "smallest at most 10"),
        ({"sizes": [20, 15]}, "smallest at most 10"),
        ({"sizes": [10, 1]}, "from 2"),
        ({"repeats": 1}, "repeats = 1"),
    ],
)
def test_sub_samples_that_carry_no_line_are_refused(given: dict, match: str) -> None:
    with pytest.raises(InputError, match=match):
        frechet_infinity(cloud(20, 2, 0), cloud(20, 2, 1), seed=0, **given)
    with pytest.raises(InputError, match="n >= 8"):
        frechet_infinity(cloud(20, 2, 0), cloud(7, 2, 1), seed=0)


def test_per_sample_is_the_distance_of_each_clips_frames() -> None:
    """Fewer frames than dimensions and more of them, each clip on its own."""
    reference = cloud(200, 6, 0)
    for frames in (3, 20):
        clips = np.random.default_rng(1).normal(size=(4, frames, 6)) + np.arange(4)[:, None, None]
        found = frechet_per_sample(reference, clips)
        assert found == pytest.approx([frechet_distance(reference, clip) for clip in clips], rel=1e-12)
        assert (np.diff(found) > 0).all()


def test_clips_of_the_wrong_shape_are_named() -> None:
    with pytest.raises(InputError, match="two frames or more"):
        frechet_per_sample(cloud(9, 2, 0), cloud(5, 2, 1))
    with pytest.raises(InputError, match="two frames or more"):
        frechet_per_sample(cloud(9, 2, 0), cloud(5, 2, 1)[:, None])
    with pytest.raises(InputError, match="dimension"):
        frechet_per_sample(cloud(9, 2, 0), np.zeros((2, 4, 3)))
    with pytest.raises(InputError, match="not finite"):
        frechet_per_sample(cloud(9, 2, 0), np.full((2, 4, 2), np.nan))
