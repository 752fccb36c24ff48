"""Identification: exact against loops, honest under the null, and not fooled by planted frauds."""

from __future__ import annotations

import json
import tracemalloc

import numpy as np
import pytest

from eeg2music.errors import DataError, InputError
from eeg2music.evaluation import identification
from eeg2music.evaluation.identification import identify, score_tables
from eeg2music.metrics.retrieval import TIE_TOLERANCE, pairwise_score, standing, topk_hit

SONGS, SUBJECTS, DIM = 20, 4, 16


def listeners(noise: float, seed: int = 0) -> dict:
    """Every subject hears every song once; the query is the song's gallery row plus noise."""
    rng = np.random.default_rng(seed)
    gallery = rng.normal(size=(SONGS, DIM))
    target = np.repeat(np.arange(SONGS), SUBJECTS)
    query = gallery[target] + noise * rng.normal(size=(len(target), DIM))
    return {
        "query": query,
        "gallery": gallery,
        "target_index": target,
        "songs": [f"song-{t}" for t in target],
        "subjects": [f"sub-{i % SUBJECTS}" for i in range(len(target))],
    }


def test_equals_the_loops() -> None:
    data = listeners(2.0)
    query, gallery, target = data["query"], data["gallery"], data["target_index"]
    cosine = np.array([[a @ b / np.sqrt(a @ a * (b @ b)) for b in gallery] for a in query])
    ranks = np.array([1 + np.sum(row > row[own]) for row, own in zip(cosine, target, strict=True)])
    found = identify(**data, seed=0, permutations=99)
    assert found["accuracy"] == pytest.approx(np.mean((SONGS - ranks) / (SONGS - 1)), abs=1e-12)
    assert found["top1"] == pytest.approx(np.mean(ranks == 1))
    assert found["top5"] == pytest.approx(np.mean(ranks <= 5))
    assert found["mrr"] == pytest.approx(np.mean(1 / ranks))
    assert found["median_rank"] == np.median(ranks)


def test_says_all_that_a_reader_needs() -> None:
    found = identify(**listeners(1.0), seed=7, permutations=199)
    json.dumps(found, allow_nan=False)
    assert found["n"] == 80
    assert found["gallery_size"] == SONGS
    assert (found["songs"], found["subjects"], found["seed"]) == (20, 4, 7)
    assert (found["chance"], found["top1_chance"]) == (0.5, 1 / SONGS)
    assert found["ci95"][0] < found["accuracy"] < found["ci95"][1]
    assert found["top1_ci95"][0] <= found["top1"] <= found["top1_ci95"][1]
    assert found["p_value"] == pytest.approx(1 / 200)
    assert "20 songs" in found["interval"]


def test_versions_of_one_work_count_as_one() -> None:
    """Twenty songs of ten works: intervals and permutations are those of ten, the cells stay those of the songs."""
    data = listeners(40.0)
    works = [f"work-{target % 10}" for target in data["target_index"]]
    found = identify(**data, works=works, seed=0, permutations=99)
    alone, as_songs = (identify(**{**data, **more}, seed=0, permutations=99) for more in ({}, {"songs": works}))
    for key in ("ci95", "top1_ci95", "p_value", "top1_p_value"):
        assert found[key] == as_songs[key]
    assert found["ci95"] != alone["ci95"] and found["p_value"] != alone["p_value"]
    assert (found["songs"], found["works"]) == (20, 10) and "works" not in alone
    assert "over 10 works" in found["interval"] and "With these 10 works" in found["power"]
    cells = found["cells"]
    assert cells["work"] == [f"work-{int(song[5:]) % 10}" for song in cells["song"]]
    assert {key: cells[key] for key in alone["cells"]} == alone["cells"]
    with pytest.raises(DataError, match="Identification over one work"):
        identify(**data, works=["w"] * 80, seed=0)


def test_same_seed_same_numbers() -> None:
    data = listeners(4.0)
    assert identify(**data, seed=1, permutations=99) == identify(**data, seed=1, permutations=99)


def test_score_tables_equal_standing_for_every_target() -> None:
    """Ties included: the null is computed with the same rule as the score."""
    similarity = np.random.default_rng(0).integers(0, 4, size=(15, 9)).astype(float)
    pairwise, top1 = score_tables(similarity)
    for item in range(9):
        found = standing(similarity, np.full(15, item), tolerance=TIE_TOLERANCE)
        np.testing.assert_allclose(pairwise[:, item], pairwise_score(found), atol=1e-12)
        np.testing.assert_allclose(top1[:, item], topk_hit(found, 1), atol=1e-12)


def _dense_tables(similarity: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All queries at once, with a stable order among ties."""
    n, size = similarity.shape
    order = np.argsort(similarity, axis=1, kind="stable")
    ascending = np.take_along_axis(similarity, order, axis=1)
    starts = np.concatenate([np.ones((n, 1), bool), np.diff(ascending, axis=1) > TIE_TOLERANCE], axis=1)
    ends = np.concatenate([starts[:, 1:], np.ones((n, 1), bool)], axis=1)
    place = np.arange(size)
    first = np.maximum.accumulate(np.where(starts, place, 0), axis=1)
    last = np.minimum.accumulate(np.where(ends, place, size - 1)[:, ::-1], axis=1)[:, ::-1]
    pairwise, top1 = np.empty_like(similarity), np.empty_like(similarity)
    np.put_along_axis(pairwise, order, (first + last) / 2.0 / (size - 1), axis=1)
    np.put_along_axis(top1, order, (last == size - 1) / (last - first + 1.0), axis=1)
    return pairwise, top1


@pytest.mark.parametrize("tied", [0, 20, 41])
@pytest.mark.parametrize("cells", [1, 70, 10_000])
def test_score_tables_in_blocks_are_those_of_the_dense_form(
    tied: int, cells: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the last bit: a row a block, blocks that do not divide the rows, and one block; with rows of equal values."""
    rng = np.random.default_rng(2)
    similarity = rng.normal(size=(41, 23))
    similarity[rng.permutation(41)[:tied]] = rng.integers(0, 5, size=(tied, 23)) / 7.0
    monkeypatch.setattr(identification, "TABLE_CELLS", cells)
    for found, expected in zip(score_tables(similarity), _dense_tables(similarity), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_score_tables_hold_no_more_than_themselves_and_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    similarity = np.random.default_rng(3).normal(size=(600, 500))
    monkeypatch.setattr(identification, "TABLE_CELLS", 5_000)
    tracemalloc.start()
    score_tables(similarity)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # Dense, the order, the sorted values and both ends of every run would be five more.
    assert peak < 2.5 * similarity.nbytes


def test_queries_of_all_zeros_are_exactly_chance() -> None:
    data = listeners(1.0)
    found = identify(**{**data, "query": np.zeros_like(data["query"])}, seed=0, permutations=99)
    assert found["accuracy"] == 0.5
    assert found["top1"] == pytest.approx(1 / SONGS)
    assert found["p_value"] == 1.0


def test_null_p_values_are_uniform_though_windows_of_a_song_agree() -> None:
    """Queries share a song's offset and know nothing of the music. Window-wise permutation would be far off."""
    rng = np.random.default_rng(1)
    small, inside, runs = 0, 0, 160
    target = np.repeat(np.arange(12), 4)
    labels = {"songs": target.tolist(), "subjects": [i % 4 for i in range(48)], "target_index": target}
    for _ in range(runs):
        gallery = rng.normal(size=(12, DIM)) + rng.normal(size=DIM)  # hubs included
        query = 3.0 * rng.normal(size=(12, DIM))[target] + rng.normal(size=(48, DIM))
        found = identify(query, gallery, seed=int(rng.integers(2**31)), permutations=99, **labels)
        small += found["p_value"] <= 0.05
        inside += found["ci95"][0] <= 0.5 <= found["ci95"][1]
    assert 0.01 <= small / runs <= 0.1
    assert inside / runs >= 0.91


def test_permuted_labels_fall_to_chance() -> None:
    data = listeners(0.5)
    order = np.random.default_rng(3).permutation(SONGS)
    found = identify(**{**data, "gallery": data["gallery"][order]}, seed=0, permutations=199)
    assert identify(**data, seed=0, permutations=199)["accuracy"] > 0.99
    assert found["ci95"][0] < 0.5 < found["ci95"][1]
    assert found["p_value"] > 0.05


def test_a_truncated_gallery_shows_in_size_and_chance() -> None:
    data = listeners(1.5)
    keep = data["target_index"] < 5
    small = identify(
        data["query"][keep],
        data["gallery"][:5],
        data["target_index"][keep],
        songs=np.array(data["songs"])[keep],
        subjects=np.array(data["subjects"])[keep],
        seed=0,
        permutations=99,
    )
    assert (small["gallery_size"], small["top1_chance"]) == (5, 0.2)


def test_duplicated_gallery_clips_share_the_first_place() -> None:
    data = listeners(0.01)
    doubled = np.concatenate([data["gallery"], data["gallery"]])
    found = identify(**{**data, "gallery": doubled}, seed=0, permutations=99)
    assert found["top1"] == pytest.approx(0.5)


def test_bad_input_is_named() -> None:
    data = listeners(1.0)
    broken = data["query"].copy()
    broken[3, 2] = np.nan
    with pytest.raises(InputError, match="not finite"):
        identify(**{**data, "query": broken}, seed=0)
    with pytest.raises(InputError, match="one of each"):
        identify(**{**data, "songs": data["songs"][:-1]}, seed=0)
    with pytest.raises(InputError, match="0 to 19"):
        identify(**{**data, "target_index": data["target_index"] + 1}, seed=0)
    with pytest.raises(DataError, match="two songs or more"):
        identify(**{**data, "songs": ["one"] * 80}, seed=0)
    with pytest.raises(InputError, match="nothing to confuse"):
        identify([[1.0], [1.0]], [[1.0]], [0, 0], songs=["a", "b"], subjects=["s", "s"], seed=0)
