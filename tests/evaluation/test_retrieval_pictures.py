"""Matrix, ranks and map for any page: curves are the metrics, large ones are thinned evenly and say so."""

from __future__ import annotations

import numpy as np
import pytest

from eeg2music.evaluation import retrieval_pictures
from eeg2music.evaluation.identification import Search
from eeg2music.evaluation.retrieval_pictures import (
    cosines,
    map_picture,
    matrix_picture,
    plane_of,
    rank_curve,
    ranks_picture,
)
from eeg2music.metrics.retrieval import topk_accuracy
from eeg2music.seeding import numpy_rng

SONGS, DIM = 8, 6


def search(noise: float, songs: int = SONGS) -> Search:
    rng = numpy_rng(0, "search")
    gallery = rng.normal(size=(songs, DIM))
    query = gallery + noise * rng.normal(size=gallery.shape)
    return Search(query, gallery, np.arange(songs), [f"s{row}" for row in range(songs)])


def test_a_rank_curve_is_top_k_for_every_k() -> None:
    found = search(1.0)
    curve = rank_curve(found)
    expected = [topk_accuracy(found.query, found.gallery, k) for k in range(1, SONGS + 1)]
    assert curve.k.tolist() == list(range(1, SONGS + 1)) and curve.share.tolist() == pytest.approx(expected)
    assert np.all(np.diff(curve.share) >= 0) and np.all((curve.low <= curve.share) & (curve.share <= curve.high))
    assert (curve.low[-1], curve.share[-1], curve.high[-1]) == (1.0, 1.0, 1.0)  # for certain
    assert curve.low[0] < curve.share[0]


def test_a_constant_decoder_lies_on_the_line_of_chance() -> None:
    curve = rank_curve(Search(np.ones((SONGS, DIM)), np.ones((SONGS, DIM)), np.arange(SONGS), list("abcdefgh")))
    assert curve.share.tolist() == pytest.approx([k / SONGS for k in range(1, SONGS + 1)])


def test_other_windows_of_the_song_that_was_heard_are_no_rivals() -> None:
    songs, rng = [f"s{row}" for row in range(SONGS)], numpy_rng(1, "windows")
    gallery = np.tile(search(0.0).gallery, (2, 1)) + 1e-3 * rng.normal(size=(2 * SONGS, DIM))
    # Each query is like the other window of its song, and next like its own.
    of = Search(np.roll(gallery, SONGS, axis=0), gallery, np.arange(2 * SONGS), 2 * songs)
    assert rank_curve(of).share[0] == 0.0
    told = of._replace(gallery_songs=2 * songs)
    curve = rank_curve(told)
    assert curve.share[0] == 1.0 and curve.k[-1] == 2 * SONGS - 1
    ranks = ranks_picture("Ranks", "Seed 1", {"scorer": {"ours": told}}, of="windows")
    assert ranks is not None and "scorer, 15 windows: ours 16." in ranks[1]


def test_of_a_large_gallery_some_k_are_drawn() -> None:
    found = search(2.0, 150)
    curve = rank_curve(found)
    assert (curve.k[0], curve.k[-1]) == (1, 150) and len(curve.k) <= 100 and np.all(np.diff(curve.k) > 0)
    at = [topk_accuracy(found.query, found.gallery, int(k)) for k in curve.k]
    assert curve.share.tolist() == pytest.approx(at)


def test_captions_name_the_gallery_and_what_the_interval_is_over() -> None:
    drawn = matrix_picture("Matrix", "Of 'ours'", {"scorer": search(1.0)}, of="pieces", kind="correlation")
    assert drawn is not None and "Of 'ours': scorer 8 queries, 8 pieces" in drawn[1] and "no interval" in drawn[1]
    ranks = ranks_picture("Ranks", "Seed 1", {"scorer": {"ours": search(1.0)}}, of="pieces", over="works")
    assert ranks is not None and "95 % intervals over works" in ranks[1] and "scorer, 8 pieces: ours 8." in ranks[1]
    plane = map_picture("Map", "In scorer", {"no_brain": search(1.0)})
    assert plane is not None and "no brain 8 clips, 8 songs" in plane[1] and "has no interval" in plane[1]
    assert all(png is not None and png.startswith(b"\x89PNG") for _, _, png in (drawn, ranks, plane))


def test_without_queries_or_clusters_nothing_is_drawn() -> None:
    one = search(1.0)._replace(clusters=["a"] * SONGS)
    assert ranks_picture("Ranks", "Seed 1", {"scorer": {"ours": one}}) is None
    assert matrix_picture("Matrix", "Seed 1", {}) is None and map_picture("Map", "Seed 1", {}) is None


def test_many_queries_and_candidates_are_thinned_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is shown keeps its targets, so that a perfect decoder is still a diagonal."""
    monkeypatch.setattr(retrieval_pictures, "MOST_SHOWN", 5)
    found = search(0.0, 12)
    part = retrieval_pictures._part(found)
    assert len(part.query) == len(part.gallery) == 5
    np.testing.assert_array_equal(part.gallery[part.target], part.query)
    beyond = retrieval_pictures._part(found._replace(query=found.query[:2], target=found.target[:2]))
    assert len(beyond.gallery) == 5 and beyond.target.tolist() == [0, 1]
    drawn = matrix_picture("Matrix", "Seed 1", {"scorer": found})
    assert drawn is not None and "scorer 5 of 12 queries, 5 of 12 songs" in drawn[1]
    plane = map_picture("Map", "Seed 1", {"brain": found})
    assert plane is not None and "brain 5 of 12 clips, 12 songs" in plane[1]
    assert [len(one) for one in plane_of({"brain": found}).coordinates] == [12, 5]
    assert cosines(found)["clips"] == 5 and cosines(found)["median_cosine_own"] == pytest.approx(1.0)
