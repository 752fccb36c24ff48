"""Intervals cover and tests hold their level: the benchmark's own data sets, fewer of them, with binomial bounds."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from scipy import stats

from eeg2music.evaluation.clusters import ClusterSums, cluster_sums, effective_clusters, jackknife
from eeg2music.evaluation.identification import score_tables
from eeg2music.evaluation.statistics import cluster_interval, cluster_limits, sign_flips
from eeg2music.evaluation.units import UnitResult
from eeg2music.files import read_json
from eeg2music.metrics.retrieval import similarity_matrix

DATA_SETS = 400
FILE = Path(__file__).parents[2] / "benchmarks" / "statistics_calibration.py"


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    """benchmarks/statistics_calibration.py."""
    spec = importlib.util.spec_from_file_location("eeg2music_statistics_calibration", FILE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def within(rate: float, limits: tuple[float, float], count: int) -> bool:
    """Whether `count` data sets of a true rate inside the limits could have given this one (in all but 1 in 10,000)."""
    low, high = stats.binom.ppf(1e-4, count, limits[0]), stats.binom.ppf(1.0 - 1e-4, count, limits[1])
    return bool(low <= rate * count <= high)


@pytest.mark.parametrize("songs", [8, 12, 25])
@pytest.mark.parametrize("part", ["interval_rows", "paired_rows"])
def test_a_few_hundred_data_sets(benchmark: ModuleType, part: str, songs: int) -> None:
    rows = list(getattr(benchmark, part)(DATA_SETS, songs, np.random.default_rng(songs)))
    for row in rows:
        if row.used:
            assert within(row.rate, benchmark.LIMITS[row.what], DATA_SETS), row
    assert sum(row.used for row in rows) >= 2


@pytest.mark.parametrize("part", ["identification_rows", "pooled_rows", "class_rows", "fold_rows"])
def test_scores_without_knowledge(benchmark: ModuleType, part: str) -> None:
    """Of one seed and of several together, of classes, and of folds."""
    rows = list(getattr(benchmark, part)(DATA_SETS, 8, np.random.default_rng(0)))
    assert {row.what for row in rows} >= {"covers", "p < 0.05"}
    assert all(row.used and within(row.rate, benchmark.LIMITS[row.what], DATA_SETS) for row in rows), rows


def test_seeds_taken_for_songs_of_their_own_would_fail(benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check can fail: three seeds of a song, counted as three songs, have far too short intervals."""

    def pooled(results: Sequence[UnitResult]) -> dict[str, Any]:
        values, songs = [], []
        for number, one in enumerate(results):
            assert one.decoded is not None
            query, gallery, target = one.decoded
            values.append(score_tables(similarity_matrix(query, gallery))[0][np.arange(len(target)), target])
            songs += [f"{number}/{song}" for song in target]
        interval = cluster_interval(np.concatenate(values), songs, bounds=(0.0, 1.0))
        figures = {"ci95": (interval.low, interval.high), "p_value": 1.0, "top1_p_value": 1.0}
        return {"embedding": figures, "embedding_centred": figures}

    monkeypatch.setattr(benchmark, "pooled_scores", pooled)
    covers = next(iter(benchmark.pooled_rows(DATA_SETS, 8, np.random.default_rng(0))))
    assert covers.what == "covers" and not within(covers.rate, benchmark.COVERAGE, DATA_SETS), covers


@pytest.mark.parametrize("part", ["endless_rows", "kernel_rows"])
def test_intervals_of_distances_are_over_songs(benchmark: ModuleType, part: str) -> None:
    """FAD-∞ and the kernel distance; the check can fail: near-copies taken for songs have far too short ones."""
    rows = list(getattr(benchmark, part)(DATA_SETS, np.random.default_rng(3)))
    for row in rows:
        assert within(row.rate, benchmark.LIMITS[row.what], DATA_SETS) == row.used, row
    assert {row.used for row in rows} == {True, False}


def test_percentile_bootstraps_would_fail(benchmark: ModuleType) -> None:
    """The check can fail: what is usually done covers too little at eight songs."""
    enough = 4 * DATA_SETS
    rows = benchmark.interval_rows(enough, 8, np.random.default_rng(1))
    usual = [row for row in rows if row.method == "percentile bootstrap"]
    assert len(usual) == 4
    assert not any(within(row.rate, benchmark.COVERAGE, enough) for row in usual)


def test_the_shipped_figures_are_within_the_limits_and_of_the_present_settings(benchmark: ModuleType) -> None:
    """The limits themselves, not binomial bounds around them; a file of other settings or other rows is out of date."""
    shipped = read_json(FILE.with_suffix(".json"))
    settings = benchmark.settings()
    assert {key: shipped[key] for key in settings} == settings
    rows = [benchmark.Row(**{key: value for key, value in row.items() if key != "holds"}) for row in shipped["rows"]]
    now = list(benchmark.calibrate(2, 0))
    assert [row._replace(rate=0.0, data_sets=2) for row in rows] == [row._replace(rate=0.0) for row in now]
    assert {row.data_sets for row in rows} == {2000}
    assert (benchmark.COVERAGE, benchmark.RATE, benchmark.CLUSTERS) == ((0.93, 0.97), (0.035, 0.065), (8, 12, 25))
    for row, stored in zip(rows, shipped["rows"], strict=True):
        assert stored["holds"] == row.holds
        if row.used and row.what == "covers":
            assert 0.93 <= row.rate <= 0.97, row
        if row.what in ("covers 0.9", "p < 0.05 at most"):
            assert row.method.startswith("class_scores") and row.holds, row
        if row.used and row.what == "p < 0.05":
            assert 0.035 <= row.rate <= 0.065, row
        if row.what == "covers at least":
            # Wide, and only where there is nothing to tell apart, or where few songs are of a class.
            few = "unlike classes" in row.data and (row.songs == 8 or row.rate <= 0.97)
            assert few or row.data in ("12 listeners, all alike", "four near-copies, alike"), row
            assert row.rate >= 0.93 or not row.used, row


@pytest.mark.slow
def test_two_thousand_data_sets_at_every_size(benchmark: ModuleType) -> None:
    """The full benchmark: 0.93 to 0.97, and 0.035 to 0.065."""
    rows = list(benchmark.calibrate(2000, 0))
    wrong = [row for row in rows if row.used and not row.holds]
    assert not wrong
    assert {row.songs for row in rows} == {8, 12, 25, 50, 200}


def test_many_data_sets_at_once_equal_one_by_one() -> None:
    rng = np.random.default_rng(2)
    labels = np.repeat(np.arange(7), [3, 9, 4, 4, 8, 3, 5])
    values = rng.random((20, len(labels)))
    sums = [cluster_sums(row, labels.tolist()) for row in values]
    stacked = ClusterSums(np.stack([one.total for one in sums]), np.stack([one.number for one in sums]))
    for bounds in (None, (0.0, 1.0)):
        low, high = cluster_limits(stacked, bounds=bounds)
        singly = [cluster_interval(row, labels.tolist(), bounds=bounds) for row in values]
        np.testing.assert_allclose(low, [one.low for one in singly], rtol=1e-12)
        np.testing.assert_allclose(high, [one.high for one in singly], rtol=1e-12)


def test_the_jackknife_leaves_out_one_song_at_a_time() -> None:
    rng = np.random.default_rng(3)
    labels = np.repeat(np.arange(6), [2, 9, 4, 1, 7, 3])
    values = rng.normal(size=len(labels))
    without = np.array([values[labels != song].mean() for song in range(6)])
    expected = np.sqrt(5 / 6 * np.sum((without - values.mean()) ** 2))
    mean, error = jackknife(cluster_sums(values, labels.tolist()))
    assert (float(mean), float(error)) == pytest.approx((values.mean(), expected))


def test_a_song_with_most_of_the_windows_makes_the_interval_wide() -> None:
    """Eleven songs with one window and one with sixty: hardly more than one song."""
    labels = [*range(11), *[11] * 60]
    values = np.random.default_rng(4).normal(size=71)
    found = cluster_interval(values, labels)
    assert float(effective_clusters(np.bincount(labels))) < 1.5
    assert found.df == 1.0
    assert found.high - found.low > 2 * (
        cluster_interval(values[:12], range(12)).high - cluster_interval(values[:12], range(12)).low
    )


def test_sign_flips_of_few_songs_are_all_of_them_and_of_many_a_sample() -> None:
    rng = np.random.default_rng(5)
    values = rng.normal(size=4)
    null = sign_flips(values, rng=rng)
    signs = 1 - 2 * ((np.arange(1, 16)[:, None] >> np.arange(4)) & 1)
    np.testing.assert_allclose(np.sort(null), np.sort(signs @ values / 4))
    many = sign_flips(rng.normal(size=40), rng=rng, permutations=5000)
    assert len(many) == 5000
    assert abs(many.mean()) < 5 * many.std() / np.sqrt(5000)
