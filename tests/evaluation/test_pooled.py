"""Seeds together: one figure, whose interval is over songs, and which no seed moves far."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from eeg2music.errors import DataError
from eeg2music.evaluation.compare import paired_differences
from eeg2music.evaluation.identification import identify
from eeg2music.evaluation.pooled import pooled_scores
from eeg2music.evaluation.units import Matched, UnitResult
from eeg2music.seeding import numpy_rng

SONGS, LISTENERS, DIM = 20, 3, 16
TARGET = np.tile(np.arange(SONGS), LISTENERS)
NAMES = {"songs": [f"song-{n}" for n in TARGET], "subjects": [f"sub-{n // SONGS}" for n in range(len(TARGET))]}


def unit(seed: int, knowledge: float = 0.3, target: np.ndarray = TARGET) -> UnitResult:
    gallery = numpy_rng(0, "gallery").standard_normal((SONGS, DIM)).astype(np.float32)
    noise = numpy_rng(seed, "noise").standard_normal((len(TARGET), DIM)).astype(np.float32)
    matched = Matched(knowledge * gallery[target] + noise, gallery, target)
    score = identify(matched.query, gallery, target, **NAMES, seed=seed)
    return UnitResult({"seed": seed, "embedding": score, "generated": None}, {}, decoded=matched)


def pooled(*units: UnitResult) -> dict[str, Any]:
    found = pooled_scores(units)
    assert found["generated"] is None and found["embedding"] is not None
    return found["embedding"]


def test_of_one_seed_it_is_the_seeds_own() -> None:
    one = unit(0)
    found = pooled(one)
    assert one.entry is not None and found.pop("seeds") == 1
    assert found.pop("accuracy_by_seed") == [pytest.approx(one.entry["embedding"]["accuracy"])]
    assert found == {key: one.entry["embedding"][key] for key in found}


def test_the_mean_is_that_of_the_seeds_and_lies_in_its_interval() -> None:
    units = [unit(seed) for seed in range(3)]
    found = pooled(*units)
    own = [one.entry["embedding"] for one in units if one.entry]
    assert found["accuracy"] == pytest.approx(np.mean([one["accuracy"] for one in own]))
    assert found["top1"] == pytest.approx(np.mean([one["top1"] for one in own]))
    assert found["ci95"][0] < found["accuracy"] < found["ci95"][1]
    assert found["accuracy_by_seed"] == pytest.approx([one["accuracy"] for one in own])
    assert (found["seeds"], found["n"], found["songs"]) == (3, len(TARGET), SONGS)
    # Noise of single takes averages out; songs do not become more.
    assert np.diff(found["ci95"]) < max(np.diff(one["ci95"]) for one in own)
    assert found["p_value"] <= max(one["p_value"] for one in own)


def test_conditions_are_paired_over_all_seeds() -> None:
    """The cells hold means over the seeds, so that the paired difference is that of the pooled scores."""
    brain, blind = (pooled(*(unit(seed, knowledge) for seed in range(3))) for knowledge in (0.3, 0.0))
    difference, songs, subjects = paired_differences(blind, brain, "accuracy")
    assert difference.mean() == pytest.approx(brain["accuracy"] - blind["accuracy"])
    assert (songs, subjects) == (NAMES["songs"], NAMES["subjects"])
    assert np.mean(brain["cells"]["top1"]) == pytest.approx(brain["top1"])


def test_what_hardly_varies_is_found_once_its_mean_is_taken_away() -> None:
    constant = 200.0 * numpy_rng(0, "constant").standard_normal(DIM)
    units = []
    for one in (unit(0), unit(1)):
        assert one.entry is not None and one.decoded is not None
        moved = one.decoded._replace(query=(one.decoded.query + constant).astype(np.float32))
        score = identify(moved.query, moved.gallery, TARGET, **NAMES, seed=one.entry["seed"])
        units.append(replace(one, entry={**one.entry, "embedding": score}, decoded=moved))
    found = pooled_scores(units)
    assert found["embedding"] is not None and found["embedding_centred"] is not None
    assert found["embedding"]["top1"] < 0.12 < 0.25 < found["embedding_centred"]["top1"]
    assert found["embedding_centred"]["accuracy"] > found["embedding"]["accuracy"]
    # Alike for all queries, the mean is no finding: noise stays at chance.
    blind = pooled_scores([unit(seed, 0.0) for seed in range(3)])["embedding_centred"]
    assert blind is not None and blind["ci95"][0] < 0.5 < blind["ci95"][1]


def test_curves_are_pooled_like_embeddings() -> None:
    units = [replace(one, curves=one.decoded, entry={**one.entry, "curves": one.entry["embedding"]}) for one in
             (unit(0), unit(1)) if one.entry is not None]  # fmt: skip
    found = pooled_scores(units)
    assert found["curves"] == found["embedding"] is not None
    assert pooled_scores([unit(0)])["curves"] is None


def test_versions_of_one_work_count_once() -> None:
    works = [f"work-{n // 2}" for n in TARGET]
    units = []
    for one in (unit(0), unit(1)):
        assert one.entry is not None and one.decoded is not None
        score = identify(one.decoded.query, one.decoded.gallery, TARGET, **NAMES, works=works, seed=one.entry["seed"])
        units.append(replace(one, entry={**one.entry, "embedding": score}))
    found = pooled(*units)
    assert (found["works"], found["songs"]) == (SONGS // 2, SONGS)
    assert f"over {SONGS // 2} works" in found["interval"]


def test_seeds_of_other_queries_are_refused() -> None:
    with pytest.raises(DataError, match="Seeds of other queries"):
        pooled_scores([unit(0), unit(1, target=TARGET[::-1].copy())])


def followed(seed: int) -> UnitResult:
    noise = numpy_rng(seed, "following").normal(0.0, 0.05, (len(TARGET), 4))
    of_song = numpy_rng(0, "songs").normal(0.7, 0.1, SONGS)[TARGET]
    rows: list[list[float | None]] = (of_song[:, None] + noise).tolist()
    rows[0][1] = None
    cells = {"song": NAMES["songs"], "subject": NAMES["subjects"], "correlation": rows}
    return UnitResult({"seed": seed, "following": {"cells": cells}}, {})


def test_onset_correlation_has_an_interval_over_songs() -> None:
    units = [followed(seed) for seed in range(3)]
    found = pooled_scores(units)["following"]
    kept = [one.entry["following"]["cells"]["correlation"] for one in units if one.entry]
    assert found is not None and found["mean"] == pytest.approx(np.nanmean(np.array(kept, dtype=float)))
    # As wide as songs differ; a song's four stems heard by three listeners are no songs.
    width = 2 * 2.09 * numpy_rng(0, "songs").normal(0.7, 0.1, SONGS).std(ddof=1) / np.sqrt(SONGS)
    assert found["ci95"][1] - found["ci95"][0] == pytest.approx(width, rel=0.1)
    other = followed(4)
    assert other.entry is not None
    other.entry["following"]["cells"]["song"] = list(reversed(NAMES["songs"]))
    with pytest.raises(DataError, match="other queries"):
        pooled_scores([units[0], other])
