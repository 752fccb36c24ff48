"""Scores in parts: from stored vectors and names, equal to the parts scored by themselves."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

from eeg2music.errors import DataError
from eeg2music.evaluation.breakdowns import level_breakdown, query_names
from eeg2music.evaluation.identification import identify
from eeg2music.evaluation.statistics import cluster_interval, limits_of, score_limits
from eeg2music.evaluation.units import Matched, UnitResult
from eeg2music.metrics.retrieval import median_limits, similarity_matrix, standing, summarise
from eeg2music.seeding import numpy_rng

SONGS, SUBJECTS, DIM = 12, 3, 8


def result(seed: int, noise: float = 1.0, *, rows: list[int] | None = None) -> UnitResult:
    """A unit whose listener sub-2 hears worse than the others; `rows` of the queries have clips."""
    rng = numpy_rng(seed, "breakdown test")
    gallery = numpy_rng(0, "gallery").normal(size=(SONGS, DIM))
    # Songs in an order of their own: names follow the target, not the number.
    target = np.tile(numpy_rng(1, "order").permutation(SONGS), SUBJECTS)
    subjects = np.repeat(np.arange(SUBJECTS), SONGS)
    query = gallery[target] + noise * (1.0 + 9.0 * (subjects == 2))[:, None] * rng.normal(size=(len(target), DIM))

    def part(chosen: np.ndarray) -> tuple[Matched, dict[str, Any]]:
        names = [f"song-{row:02d}" for row in target[chosen]]
        heard = [f"sub-{number}" for number in subjects[chosen]]
        score = identify(query[chosen], gallery, target[chosen], songs=names, subjects=heard, seed=seed, permutations=9)
        return Matched(query[chosen].astype(np.float32), gallery.astype(np.float32), target[chosen]), score

    decoded, embedding = part(np.arange(len(target)))
    made, generated = part(np.array(rows)) if rows else (None, None)
    return UnitResult({"seed": seed, "embedding": embedding, "generated": generated}, {}, decoded, made)


def test_parts_equal_their_queries_scored_alone() -> None:
    found = level_breakdown({"brain": [result(0), result(1)], "shuffled": [result(2)]})
    assert set(found) == {"brain"} and set(found["brain"]) == {"embedding"}
    rows = {(row["group"], row["value"]): row for row in found["brain"]["embedding"]}
    assert set(rows) == {
        ("overall", None),
        *(("seed", n) for n in (0, 1)),
        *(("subject", f"sub-{n}") for n in range(3)),
    }
    assert rows["overall", None]["n"] == 2 * SONGS * SUBJECTS
    assert rows["subject", "sub-2"]["identification"] < rows["subject", "sub-0"]["identification"] - 0.1
    parts = []
    for seed in (0, 1):
        matched = result(seed).decoded
        assert matched is not None
        place = slice(2 * SONGS, 3 * SONGS)
        parts.append(standing(similarity_matrix(matched.query[place], matched.gallery), matched.target[place]))
    alone = summarise(parts, (1, 5, 10), ways=(2, 10, 50))
    assert {key: rows["subject", "sub-2"][key] for key in alone} == pytest.approx(alone)


def test_every_figure_has_its_chance_and_gallery() -> None:
    row = level_breakdown({"oracle": [result(0, rows=[0, 5, 14, 30])]})["oracle"]["generated"][0]
    assert (row["n"], row["gallery_min"], row["gallery_max"]) == (4, SONGS, SONGS)
    assert row["way2"] == pytest.approx(row["identification"])
    assert (row["top1_chance"], row["way10_chance"]) == (1 / SONGS, 0.1)
    assert row["way50"] is None  # the gallery is smaller


def test_every_figure_has_the_interval_of_its_queries_over_songs() -> None:
    rows = level_breakdown({"brain": [result(0), result(1)]})["brain"]["embedding"]
    figures = [key.removesuffix("_chance") for key in rows[0] if key.endswith("_chance")]
    for row in rows:
        for figure in figures:
            limits = row[f"{figure}_ci95"]
            assert limits is None if row[figure] is None else limits[0] <= row[figure] <= limits[1]
    # By hand: the two seeds of a listener's query are of one song, and so in one cluster.
    found = [result(seed) for seed in (0, 1)]
    score = [one.entry["embedding"] for one in found if one.entry is not None]
    hits = [value for one in score for value in one["cells"]["top1"][SONGS : 2 * SONGS]]
    songs = [name for one in score for name in one["cells"]["song"][SONGS : 2 * SONGS]]
    by_hand = cluster_interval(hits, songs, bounds=(0.0, 1.0))
    second = next(row for row in rows if row["value"] == "sub-1")
    assert second["top1_ci95"] == pytest.approx([by_hand.low, by_hand.high])
    assert by_hand.high - by_hand.low > 0.05


def test_one_song_gives_no_interval() -> None:
    of = limits_of(["a", "a", "b"])
    assert of(np.array([0.0, 1.0]), np.array([0, 1])) is None
    assert of(np.array([0.0, 1.0]), np.array([1, 2])) is not None


def test_the_interval_of_a_median_covers_it() -> None:
    songs = np.repeat(np.arange(20), 4)
    covered = 0
    for draw in range(400):
        rng = numpy_rng(draw, "median")
        # Skewed, and alike within a song.
        ranks = np.exp(rng.normal(size=20)[songs] + 0.5 * rng.normal(size=len(songs)))
        low, high = median_limits(ranks, lambda shares: score_limits(shares, songs.tolist())) or (0.0, 0.0)
        covered += low <= 1.0 <= high
    assert 0.92 <= covered / 400 <= 0.985


def test_one_seed_and_one_listener_are_no_parts() -> None:
    rows = level_breakdown({"brain": [result(0, rows=list(range(SONGS)))]})["brain"]["generated"]
    assert [row["group"] for row in rows] == ["overall"]


def test_songs_and_listeners_come_from_the_score_of_the_queries() -> None:
    unit = result(0)
    assert unit.decoded is not None and unit.entry is not None
    songs, subjects = query_names(unit.decoded, unit.entry["embedding"]["cells"])
    assert songs == [f"song-{row:02d}" for row in unit.decoded.target]
    assert subjects == [f"sub-{row // SONGS}" for row in range(SONGS * SUBJECTS)]


def test_queries_of_one_listener_to_one_song_leave_the_listeners_untold() -> None:
    unit = result(0)
    assert unit.decoded is not None
    cells = {"song": ["song-x", "song-y"], "subject": ["a", "a"], "n": [2, 1]}
    three = unit.decoded._replace(query=unit.decoded.query[:3], target=np.array([4, 1, 4]))
    assert query_names(three, cells) == (["song-x", "song-y", "song-x"], None)


def test_a_score_of_other_queries_is_refused() -> None:
    unit = result(0)
    assert unit.decoded is not None and unit.entry is not None
    cells = copy.deepcopy(unit.entry["embedding"]["cells"])
    with pytest.raises(DataError, match="one score for these vectors"):
        query_names(unit.decoded._replace(target=unit.decoded.target[:-1]), cells)
    cells["song"][-1], cells["song"][-2] = cells["song"][-2], cells["song"][-1]
    with pytest.raises(DataError, match="another order"):
        query_names(unit.decoded, cells)
