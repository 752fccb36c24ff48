"""What pictures are drawn from, and what their captions say."""

from __future__ import annotations

from typing import Any

import numpy as np

from eeg2music.evaluation.identification import identify
from eeg2music.evaluation.pictures import level_pictures, map_facts
from eeg2music.evaluation.units import Matched, UnitResult
from eeg2music.seeding import numpy_rng

SONGS, DIM = 8, 6
LEVEL: dict[str, Any] = {"name": "clean", "snr_db": 0.0}


def unit(name: str, noise: float, *, clips: bool = True, seed: int = 4) -> UnitResult:
    gallery = numpy_rng(0, "gallery").normal(size=(SONGS, DIM)).astype(np.float32)
    target = np.tile(np.arange(SONGS), 2)
    query = gallery[target] + noise * numpy_rng(seed, name).normal(size=(2 * SONGS, DIM)).astype(np.float32)
    songs, subjects = [f"s{row}" for row in target], [f"sub-{row // SONGS}" for row in range(2 * SONGS)]
    score = identify(query, gallery, target, songs=songs, subjects=subjects, seed=seed, permutations=9)
    matched = Matched(query, gallery, target)
    entry = {"seed": seed, "embedding": score, "generated": score if clips else None}
    return UnitResult(entry, {}, None if name == "no_brain" else matched, matched if clips else None)


def test_each_picture_says_seed_level_counts_and_gallery() -> None:
    found = {
        "brain": [unit("brain", 0.5), unit("brain", 0.5, seed=5)],
        "shuffled": [unit("shuffled", 9.0)],
        "oracle": [unit("oracle", 0.1)],
        "no_brain": [unit("no_brain", 9.0)],
    }
    pictures = {title: (note, png) for title, note, png in level_pictures(LEVEL, found)}
    assert list(pictures) == [
        "clean (0 dB): retrieval matrix",
        "clean (0 dB): ranks of the heard song",
        "clean (0 dB): map of the embeddings",
    ]
    for note, png in pictures.values():
        assert "Seed 4" in note and "interval" in note and "8 songs" in note and "16" in note
        assert png is not None and png.startswith(b"\x89PNG")
    plane = pictures["clean (0 dB): map of the embeddings"][0]
    facts = map_facts(found)
    assert facts is not None and facts["seed"] == 4 and list(facts["conditions"]) == ["brain", "oracle", "no_brain"]
    assert f"it carries {100 * facts['variance_share']:.0f} % of the variance" in plane
    near = {name: of["median_cosine_own"] - of["median_cosine_others"] for name, of in facts["conditions"].items()}
    assert near["oracle"] > near["brain"] > near["no_brain"]


def test_only_what_there_is_is_drawn() -> None:
    quiet = {"brain": [unit("brain", 0.5, clips=False)]}
    assert [title.split(": ")[1] for title, _, _ in level_pictures(LEVEL, quiet)] == [
        "retrieval matrix", "ranks of the heard song",
    ]  # fmt: skip
    without = {"no_brain": [unit("no_brain", 9.0)], "other_subject": [UnitResult(None, {}, why="one listener")]}
    assert [title.split(": ")[1] for title, _, _ in level_pictures(LEVEL, without)] == ["map of the embeddings"]
    assert level_pictures(LEVEL, {}) == []
    assert map_facts(quiet) is None
