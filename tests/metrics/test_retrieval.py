"""Retrieval scores against loops written from the definitions, ties and all."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import pearsonr

from eeg2music.errors import InputError
from eeg2music.metrics import retrieval


@pytest.fixture
def pairs() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    target = rng.normal(size=(23, 7)) + 0.4
    return target + 1.5 * rng.normal(size=target.shape), target


def cosines(predicted: np.ndarray, target: np.ndarray) -> np.ndarray:
    return np.array([[a @ b / np.sqrt((a @ a) * (b @ b)) for b in target] for a in predicted])


def brute_scores(similarity: np.ndarray, index: np.ndarray, k: int) -> dict[str, float]:
    """Every measure by listing, ties resolved by averaging over all orders of the tied items."""
    pairwise, top, reciprocal, ranks = [], [], [], []
    for row, own in zip(similarity, index, strict=True):
        others = [row[j] for j in range(len(row)) if j != own]
        wins = sum(1.0 if row[own] > o else 0.5 if row[own] == o else 0.0 for o in others)
        pairwise.append(wins / len(others))
        above = sum(o > row[own] for o in others)
        places = [above + 1 + t for t in range(sum(o == row[own] for o in others) + 1)]
        top.append(np.mean([place <= k for place in places]))
        reciprocal.append(np.mean([1.0 / place for place in places]))
        ranks.append(np.mean(places))
    return {
        "pairwise": float(np.mean(pairwise)),
        "top": float(np.mean(top)),
        "mrr": float(np.mean(reciprocal)),
        "median": float(np.median(ranks)),
    }


def test_paired_scores_equal_the_loops(pairs: tuple[np.ndarray, np.ndarray]) -> None:
    predicted, target = pairs
    expected = brute_scores(cosines(predicted, target), np.arange(23), 5)
    assert retrieval.identification_accuracy(predicted, target) == pytest.approx(expected["pairwise"], abs=1e-15)
    assert retrieval.topk_accuracy(predicted, target, 5) == pytest.approx(expected["top"], abs=1e-15)
    assert retrieval.mean_reciprocal_rank(predicted, target) == pytest.approx(expected["mrr"], abs=1e-15)
    assert retrieval.median_rank(predicted, target) == expected["median"]


def test_correlation_kind_is_pearson_over_dimensions(pairs: tuple[np.ndarray, np.ndarray]) -> None:
    predicted, target = pairs
    found = retrieval.similarity_matrix(predicted, target, kind="correlation")
    expected = [[pearsonr(a, b).statistic for b in target] for a in predicted]
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_rectangular_support_and_heavy_ties_equal_the_loops() -> None:
    rng = np.random.default_rng(0)
    similarity = rng.integers(0, 4, size=(40, 9)).astype(float)
    index = rng.integers(0, 9, size=40)
    expected = brute_scores(similarity, index, 3)
    found = retrieval.standing(similarity, index)
    assert retrieval.pairwise_score(found).mean() == pytest.approx(expected["pairwise"], abs=1e-12)
    assert retrieval.topk_hit(found, 3).mean() == pytest.approx(expected["top"], abs=1e-12)
    assert retrieval.reciprocal_rank(found).mean() == pytest.approx(expected["mrr"], abs=1e-12)
    assert np.median(retrieval.mean_rank(found)) == expected["median"]


def test_nway_equals_all_draws_listed() -> None:
    similarity = np.random.default_rng(1).integers(0, 3, size=(12, 7)).astype(float)
    index = np.arange(12) % 7
    expected = []
    for row, own in zip(similarity, index, strict=True):
        others = [j for j in range(7) if j != own]
        wins = []
        for draw in itertools.combinations(others, 3):
            best = max(row[own], *(row[j] for j in draw))
            wins.append((row[own] == best) / sum(row[j] == best for j in (own, *draw)))
        expected.append(np.mean(wins))
    found = retrieval.nway_score(retrieval.standing(similarity, index), 4)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_two_way_is_the_pairwise_score() -> None:
    found = retrieval.standing(np.random.default_rng(2).normal(size=(30, 11)), np.arange(30) % 11)
    np.testing.assert_allclose(retrieval.nway_score(found, 2), retrieval.pairwise_score(found), atol=1e-12)


def test_duplicated_targets_tie_even_where_blas_rounds_differently() -> None:
    """Equal rows at different places of a product may differ in the last bit."""
    rng = np.random.default_rng(5)
    target = np.repeat(rng.normal(size=(1, 129)), 301, axis=0)
    predicted = rng.normal(size=target.shape).astype(np.float32)
    assert retrieval.identification_accuracy(predicted, target) == 0.5
    assert retrieval.topk_accuracy(predicted, target, 1) == pytest.approx(1 / 301)


def test_a_constant_prediction_scores_chance(pairs: tuple[np.ndarray, np.ndarray]) -> None:
    _, target = pairs
    constant = np.ones_like(target)
    n = len(target)
    assert retrieval.identification_accuracy(constant, target) == pytest.approx(0.5, abs=1e-12)
    assert retrieval.topk_accuracy(constant, target, 3) == pytest.approx(3 / n, abs=1e-12)
    assert retrieval.topk_accuracy(np.zeros_like(target), target, 3) == pytest.approx(3 / n, abs=1e-12)
    # Pearson has no direction for a constant row: all ties, chance for every single query.
    assert retrieval.identification_accuracy(constant, target, kind="correlation") == 0.5


def test_blocks_change_nothing(pairs: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch) -> None:
    predicted, target = pairs
    whole = retrieval.mean_reciprocal_rank(predicted, target)
    monkeypatch.setattr(retrieval, "BLOCK_ROWS", 4)
    assert retrieval.mean_reciprocal_rank(predicted, target) == pytest.approx(whole, abs=1e-15)


def test_one_pass_gives_what_the_single_measures_give(pairs: tuple[np.ndarray, np.ndarray]) -> None:
    predicted, target = pairs
    scores = retrieval.retrieval_scores(predicted, target, ks=(1, 5, 10), ways=(2, 10))
    assert scores["identification"] == retrieval.identification_accuracy(predicted, target)
    for k in (1, 5, 10):
        assert scores[f"top{k}"] == retrieval.topk_accuracy(predicted, target, k)
        assert scores[f"top{k}_chance"] == pytest.approx(k / 23)
    assert scores["mrr"] == retrieval.mean_reciprocal_rank(predicted, target)
    assert scores["mrr_chance"] == pytest.approx(sum(1 / rank for rank in range(1, 24)) / 23)
    assert scores["median_rank"] == retrieval.median_rank(predicted, target)
    assert (scores["median_rank_chance"], scores["identification_chance"]) == (12.0, 0.5)
    assert scores["way2"] == pytest.approx(scores["identification"])
    assert (scores["way2_chance"], scores["way10_chance"]) == (0.5, 0.1)
    assert (scores["n"], scores["gallery_min"], scores["gallery_max"]) == (23, 23, 23)
    pearson = retrieval.retrieval_scores(predicted, target, kind="correlation")
    assert pearson["identification"] == retrieval.identification_accuracy(predicted, target, kind="correlation")


def test_a_constant_prediction_scores_every_chance(pairs: tuple[np.ndarray, np.ndarray]) -> None:
    scores = retrieval.retrieval_scores(np.zeros_like(pairs[1]), pairs[1], ways=(3,))
    for name in ("identification", "top1", "top5", "top10", "way3", "mrr", "median_rank"):
        assert scores[name] == pytest.approx(scores[f"{name}_chance"], abs=1e-12)


def test_counts_above_and_level_equal_the_loops() -> None:
    """The integers beneath every score, exactly."""
    rng = np.random.default_rng(6)
    similarity = rng.integers(-3, 4, size=(60, 17)) / 7.0
    index = rng.integers(0, 17, size=60)
    found = retrieval.standing(similarity, index)
    pairs = list(zip(similarity.tolist(), index.tolist(), strict=True))
    assert found.above.tolist() == [sum(value > row[own] for value in row) for row, own in pairs]
    assert found.level.tolist() == [sum(value == row[own] for value in row) - 1 for row, own in pairs]


def test_summary_of_unequal_galleries_weighs_queries_alike() -> None:
    rng = np.random.default_rng(7)
    small = retrieval.standing(rng.normal(size=(3, 2)), [0, 1, 0])
    large = retrieval.standing(rng.normal(size=(5, 9)), [0, 1, 2, 3, 4])
    row = retrieval.summarise([small, large], [1, 4], ways=(2, 3))
    hits = np.concatenate([retrieval.topk_hit(small, 2), retrieval.topk_hit(large, 4)])
    assert row["top4"] == pytest.approx(hits.mean())
    assert row["top4_chance"] == pytest.approx((3 * 1.0 + 5 * 4 / 9) / 8)
    assert (row["n"], row["gallery_min"], row["gallery_max"]) == (8, 2, 9)
    # Three-way identification has no meaning in a gallery of two.
    assert row["way3"] is None
    assert row["way2"] == pytest.approx(row["identification"])


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(2, 15), ties=st.booleans())
def test_the_order_of_rows_changes_nothing(seed: int, n: int, ties: bool) -> None:
    rng = np.random.default_rng(seed)
    predicted, target = (rng.integers(-2, 3, (2, n, 3)) if ties else rng.normal(size=(2, n, 3))).astype(float)
    order = rng.permutation(n)
    scores = retrieval.retrieval_scores(predicted, target, ks=[1, n])
    assert retrieval.retrieval_scores(predicted[order], target[order], ks=[1, n]) == pytest.approx(scores)
    assert scores[f"top{n}"] == 1.0


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: retrieval.identification_accuracy([[np.nan, 1]] * 2, [[1, 1]] * 2), "not finite"),
        (lambda: retrieval.identification_accuracy([[1, 1]] * 2, [[1, 1]] * 3), "equal shapes"),
        (lambda: retrieval.identification_accuracy([[1, 1]], [[1, 1]]), "nothing to confuse"),
        (lambda: retrieval.topk_accuracy([[1, 1]] * 2, [[1, 1]] * 2, 3), "gallery size, 2"),
        (lambda: retrieval.retrieval_scores([[1, 1]] * 4, [[1, 1]] * 4), "k = 5.*gallery size, 4"),
        (lambda: retrieval.retrieval_scores([[1, 1]] * 4, [[1, 1]] * 4, ks=[1], ways=[5]), "n_way = 5"),
        (lambda: retrieval.standing([[1.0, 2.0]], [2]), "0 to 1"),
        (lambda: retrieval.standing([[1.0, 2.0]], [-1]), "0 to 1"),
        (lambda: retrieval.standing([[1.0, np.inf]], [0]), "not finite"),
        (lambda: retrieval.similarity_matrix([[1.0, 2.0]], [[1.0]]), "dimension"),
    ],
)
def test_bad_input_is_named(call, match: str) -> None:
    with pytest.raises(InputError, match=match):
        call()
