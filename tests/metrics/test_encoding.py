"""Scores of an encoding model: references, planted variance, and a null that is one."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from eeg2music.errors import InputError
from eeg2music.metrics import encoding
from eeg2music.metrics.ceiling import noise_ceiling
from eeg2music.metrics.ridge import HeldOutRidge, held_out_predictions
from eeg2music.seeding import numpy_rng


def test_correlation_equals_scipy() -> None:
    ours, ref = numpy_rng(0, "pair").normal(size=(2, 50, 6))
    expected = [stats.pearsonr(ours[:, v], ref[:, v]).statistic for v in range(6)]
    np.testing.assert_allclose(encoding.target_correlation(ours, ref), expected, atol=1e-12)


def test_a_constant_prediction_scores_zero_even_with_rounding() -> None:
    ref = numpy_rng(0, "ref").normal(size=(50, 2))
    assert encoding.target_correlation(np.full((50, 2), 0.1), ref).tolist() == [0.0, 0.0]


def test_useless_predictions_correlate_negatively_unless_each_fold_counts_for_itself() -> None:
    """Predictions that know nothing but the mean of the others, and features that say nothing."""
    rng = numpy_rng(0, "means")
    groups = np.repeat(np.arange(5), 20)
    y = rng.normal(size=(5, 200))[groups] + rng.normal(size=(100, 200))
    found = held_out_predictions(rng.normal(size=(100, 3)), y, groups)
    assert encoding.target_correlation(found.predicted, y).mean() < -0.3
    assert abs(encoding.target_correlation(found.predicted, y, found.fold).mean()) < 0.02


def test_correlation_over_folds_is_the_weighted_mean_of_theirs() -> None:
    ours, ref = numpy_rng(0, "folds").normal(size=(2, 50, 2))
    fold = np.repeat([0, 1, 2], [10, 15, 25])
    by_fold = [[stats.pearsonr(ours[fold == f, v], ref[fold == f, v]).statistic for v in range(2)] for f in range(3)]
    expected = np.average(by_fold, axis=0, weights=[10, 15, 25])
    np.testing.assert_allclose(encoding.target_correlation(ours, ref, fold), expected, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("smooth", [False, True])
def test_the_null_is_calibrated_over_songs_of_unequal_length(smooth: bool) -> None:
    """Responses that have nothing to do with the features: p <= 0.05 in one of twenty, however alike neighbours are."""
    rng = numpy_rng(0, "null")
    shares = []
    for _ in range(40):
        songs = np.repeat(np.arange(12), rng.integers(15, 25, 12))
        x, y = (song_by_song(rng, songs, columns, smooth) for columns in (4, 20))
        model = HeldOutRidge(x, songs, penalties=[1.0, 100.0, 1e4])
        p = p_values(model, y, songs.tolist(), rng)
        shares.append(np.mean(p <= 0.05))
    assert np.mean(shares) == pytest.approx(0.05, abs=0.02)


@pytest.mark.slow
def test_rows_permuted_one_by_one_would_call_noise_a_finding() -> None:
    """Why whole songs change places: neighbours are alike."""
    rng = numpy_rng(0, "rows")
    shares = []
    for _ in range(10):
        songs = np.repeat(np.arange(12), 20)
        x, y = (song_by_song(rng, songs, columns, smooth=True) for columns in (4, 20))
        model = HeldOutRidge(x, songs, penalties=[1.0, 100.0, 1e4])
        shares.append(np.mean(p_values(model, y, list(range(len(y))), rng) <= 0.05))
    assert np.mean(shares) > 0.1


def song_by_song(rng: np.random.Generator, songs: np.ndarray, columns: int, smooth: bool) -> np.ndarray:
    """Noise, or running sums of it within each song."""
    parts = [rng.normal(size=(int(np.sum(songs == song)), columns)) for song in np.unique(songs)]
    return np.concatenate([part.cumsum(axis=0) if smooth else part for part in parts])


def p_values(model: HeldOutRidge, y: np.ndarray, blocks: list[int], rng: np.random.Generator) -> np.ndarray:
    def score(responses: np.ndarray) -> np.ndarray:
        return encoding.target_correlation(model.predict(responses).predicted, responses, model.fold)

    null = encoding.permutation_null(score, y, blocks, rng=rng, permutations=99)
    return encoding.permutation_p_values(score(y), null)


def test_what_was_planted_stands_out() -> None:
    rng = numpy_rng(0, "planted")
    songs = np.repeat(np.arange(8), 15)
    x = rng.normal(size=(120, 3))
    y = np.hstack([x @ rng.normal(size=(3, 2)) + rng.normal(size=(120, 2)), rng.normal(size=(120, 2))])
    p = p_values(HeldOutRidge(x, songs), y, songs.tolist(), rng)
    assert (p[:2] == 0.01).all()
    assert (p[2:] > 0.03).all()


def test_permutation_p_values_equal_a_count() -> None:
    rng = numpy_rng(0, "p")
    null, observed = rng.normal(size=(99, 4)), rng.normal(size=4)
    expected = [(1 + sum(null[:, v] >= observed[v])) / 100 for v in range(4)]
    np.testing.assert_allclose(encoding.permutation_p_values(observed, null), expected)
    assert encoding.permutation_p_values(np.array([9.0]), null[:, :1]) == 0.01


def test_blocks_move_whole_keep_their_order_and_may_lie_apart() -> None:
    y = np.arange(12.0)[:, None] + 1.0
    blocks = np.tile(np.arange(4), 3)
    seen: list[np.ndarray] = []

    def score(responses: np.ndarray) -> np.ndarray:
        seen.append(responses[:, 0].copy())
        return responses[0]

    encoding.permutation_null(score, y, blocks.tolist(), rng=numpy_rng(0, "blocks"), permutations=300)
    original = [tuple(y[blocks == b, 0]) for b in range(4)]
    orders = {tuple(original.index(tuple(draw[blocks == b])) for b in range(4)) for draw in seen}
    assert orders == set(itertools.permutations(range(4)))


def test_blocks_of_unequal_length_are_cut_or_start_over() -> None:
    y, blocks = np.arange(11.0)[:, None], [0] * 5 + [1, 1] + [2, 2] + [3, 3]
    draws: list[np.ndarray] = []
    encoding.permutation_null(
        lambda r: draws.append(r[:, 0].copy()) or r[0], y, blocks, rng=numpy_rng(0, "cut"), permutations=50
    )
    first = {tuple(draw[:5]) for draw in draws}
    assert first == {(0, 1, 2, 3, 4), (5, 6, 5, 6, 5), (7, 8, 7, 8, 7), (9, 10, 9, 10, 9)}
    assert {tuple(draw[5:7]) for draw in draws} == {(0, 1), (5, 6), (7, 8), (9, 10)}


def test_benjamini_hochberg_equals_its_definition() -> None:
    """Rejected at level q: the k smallest, k the last with p(k) <= k q / n."""
    p = np.sort(numpy_rng(0, "bh").random(200) ** 3)
    adjusted = encoding.benjamini_hochberg(p[::-1])[::-1]
    for level in (0.01, 0.05, 0.2):
        passing = [k for k in range(1, 201) if p[k - 1] <= k * level / 200]
        assert np.sum(adjusted <= level) == (passing[-1] if passing else 0)
    np.testing.assert_allclose(encoding.benjamini_hochberg(p), stats.false_discovery_control(p), atol=0)


def test_the_false_discovery_rate_is_kept() -> None:
    rng = numpy_rng(0, "fdr")
    shares = []
    for _ in range(300):
        p = np.concatenate([rng.random(80), stats.norm.sf(rng.normal(3.0, 1.0, 20))])
        found = encoding.benjamini_hochberg(p) <= 0.1
        shares.append(found[:80].sum() / max(found.sum(), 1))
    assert np.mean(shares) < 0.1


def test_variance_is_partitioned_as_it_was_planted() -> None:
    """Four kinds of voxel: audio alone, genre alone, what both know, noise."""
    rng = numpy_rng(0, "partition")
    genre = np.repeat(np.arange(5), 120)
    songs = np.repeat(np.arange(60), 10)
    dummy = encoding.one_hot(genre.tolist())
    known = dummy @ rng.normal(size=(5, 2))
    own = rng.normal(size=(600, 6))
    audio = np.hstack([known, own])
    # A second description of the genre that the audio does not have.
    hidden = dummy @ np.array([1.0, -1.0, 1.0, -1.0, 0.0])[:, None]
    basis = np.hstack([known, np.ones((600, 1))])
    hidden -= basis @ np.linalg.lstsq(basis, hidden, rcond=None)[0]
    signals = [own[:, :1], hidden / hidden.std(), known[:, :1] / known[:, :1].std(), np.zeros((600, 1))]
    y = np.hstack([s + 0.5 * rng.normal(size=(600, 20)) for s in signals])
    found = encoding.variance_partition(audio, dummy, y, songs, penalties=[0.1, 1.0, 10.0, 100.0])
    kind = [slice(20 * k, 20 * k + 20) for k in range(4)]
    assert found.unique_first[kind[0]].mean() == pytest.approx(0.8, abs=0.05)
    assert found.unique_second[kind[1]].mean() == pytest.approx(0.8, abs=0.05)
    assert found.shared[kind[2]].mean() == pytest.approx(0.8, abs=0.07)
    for part in (found.unique_first[kind[2]], found.unique_first[kind[1]], found.shared[kind[0]]):
        assert abs(part.mean()) < 0.03
    assert abs(found.both[kind[3]].mean()) < 0.03
    np.testing.assert_allclose(found.unique_first + found.unique_second + found.shared, found.both)


@pytest.mark.parametrize("count", [2, 5])
def test_the_ceiling_is_the_planted_one(count: int) -> None:
    """A perfect model correlates with the mean of R repeats at sqrt(S / (S + N / R))."""
    rng = numpy_rng(count, "ceiling")
    signal = rng.normal(size=(4000, 3))
    repeats = signal + np.array([0.5, 1.0, 2.0]) * rng.normal(size=(count, 4000, 3))
    found = noise_ceiling(repeats)
    planted = np.sqrt(1.0 / (1.0 + np.array([0.25, 1.0, 4.0]) / count))
    np.testing.assert_allclose(found.correlation, planted, atol=0.05)
    np.testing.assert_allclose(found.signal_power, 1.0, atol=0.2)
    np.testing.assert_allclose(encoding.target_correlation(signal, repeats.mean(axis=0)), planted, atol=0.02)


def test_signal_power_is_the_mean_covariance_of_pairs() -> None:
    """Its definition without the shortcut: repeats share nothing but the signal."""
    repeats = numpy_rng(0, "pairs").normal(size=(4, 30, 2)).cumsum(axis=1)
    for target in range(2):
        table = np.cov(repeats[:, :, target], bias=True)
        off_diagonal = table[~np.eye(4, dtype=bool)]
        assert noise_ceiling(repeats).signal_power[target] == pytest.approx(off_diagonal.mean())


def test_split_halves_agree_with_two_repeats() -> None:
    rng = numpy_rng(0, "halves")
    signal = rng.normal(size=(5000, 2))
    halves = signal + np.array([0.7, 1.5]) * rng.normal(size=(2, 5000, 2))
    half = encoding.target_correlation(*halves)
    # Hsu et al. 2004.
    np.testing.assert_allclose(np.sqrt(2 / (1 + 1 / half)), noise_ceiling(halves).correlation, atol=0.01)


def test_repeats_without_anything_in_common_have_no_ceiling() -> None:
    repeats = np.stack([np.sin(np.arange(40.0)), -np.sin(np.arange(40.0))])[..., None]
    assert noise_ceiling(repeats + 1e-3 * np.arange(40.0)[None, :, None]).correlation < 0.1
    assert noise_ceiling(repeats).correlation == 0.0


@pytest.mark.slow
def test_five_thousand_voxels_fit_in_memory_and_find_what_was_planted() -> None:
    rng = numpy_rng(0, "large")
    x, songs = rng.normal(size=(500, 128)), np.arange(500) // 10
    y = rng.normal(size=(500, 5000)) * 4.0
    y[:, :1000] += x @ rng.normal(size=(128, 1000)) / 4.0
    model = HeldOutRidge(x, songs)

    def score(responses: np.ndarray) -> np.ndarray:
        return encoding.target_correlation(model.predict(responses).predicted, responses, model.fold)

    null = encoding.permutation_null(score, y, songs.tolist(), rng=rng, permutations=5)
    # Six draws decide no p-value: the null's spread does here.
    q = encoding.benjamini_hochberg(stats.norm.sf(score(y) / null.std()))
    assert np.mean(q[1000:] < 0.05) < 0.05
    assert np.mean(q[:1000] < 0.05) > 0.8


def test_bad_input_is_named() -> None:
    ok = numpy_rng(0, "ok").normal(size=(20, 3))
    with pytest.raises(InputError, match="equal shapes"):
        encoding.target_correlation(ok, ok[:, :2])
    with pytest.raises(InputError, match="1 of 3 targets never change: 1"):
        encoding.target_correlation(ok, np.where(np.arange(3) == 1, 0.0, ok))
    with pytest.raises(InputError, match="3 blocks"):
        encoding.permutation_null(lambda y: y[0], ok, (np.arange(20) % 3).tolist(), rng=numpy_rng(0))
    with pytest.raises(InputError, match="from 0 to 1"):
        encoding.benjamini_hochberg([0.5, 1.5])
    with pytest.raises(InputError, match="two repeats"):
        noise_ceiling(ok[None])
