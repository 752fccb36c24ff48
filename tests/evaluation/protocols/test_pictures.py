"""A protocol's pictures are of what it scores: the same gallery, similarity and first place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from eeg2music.config import load_config
from eeg2music.evaluation.protocols import ProtocolConfig
from eeg2music.evaluation.protocols.pictures import _search, protocol_pictures
from eeg2music.evaluation.protocols.scoring import compared, run_protocol
from eeg2music.evaluation.protocols.windows import Row
from eeg2music.evaluation.retrieval_pictures import rank_curve

CONFIGS = Path(__file__).parents[3] / "configs" / "eval" / "protocols"
SONGS = 10


def load(name: str, *overrides: str) -> ProtocolConfig:
    return load_config(ProtocolConfig, CONFIGS / f"{name}.yaml", ("permutations=20", *overrides))


def decoded(repeats: int) -> tuple[np.ndarray, np.ndarray, list[Row]]:
    """Predictions, targets and rows of two listeners who heard ten songs of ten styles."""
    rng = np.random.default_rng(0)
    music = 3.0 + rng.standard_normal((SONGS, 6))
    rows = [
        Row(f"song-{n}", f"style-{n}", f"listener-{who}", 0.0, repeat + 1)
        for who in range(2)
        for n in range(SONGS)
        for repeat in range(repeats)
    ]
    target = np.stack([music[int(row.song.removeprefix("song-"))] for row in rows])
    return target + 2.0 * rng.standard_normal(target.shape), target, rows


def test_matrix_and_ranks_are_of_what_is_scored() -> None:
    config = load("brain2music", "gallery.size=10")
    predicted, target, rows = decoded(config.repeats)
    controls = {"signal-blind": np.ones_like(target)}
    (part,) = compared(config, predicted, target, rows, controls=controls)
    curve = rank_curve(_search(part, "decoder"), kind="correlation")
    scored = run_protocol(config, predicted, target, rows, controls=controls)
    first = next(row for row in scored if (row["condition"], row["metric"]) == ("decoder", "top-1"))
    assert curve.share[0] == pytest.approx(first["value"])
    assert [curve.low[0], curve.high[0]] == pytest.approx(first["ci95"])
    pictures = {title: note for title, note, png in protocol_pictures(config, [part]) if png is not None}
    assert list(pictures) == ["What was decoded: retrieval matrix", "What was decoded: ranks of what was heard"]
    assert "decoder 20 queries, 10 windows" in pictures["What was decoded: retrieval matrix"]
    ranks = pictures["What was decoded: ranks of what was heard"]
    assert "intervals over songs" in ranks and "decoder 20, signal-blind 20" in ranks


def test_folds_with_a_gallery_each_have_no_matrix_and_say_so() -> None:
    config = load("nmedt_pairs_held_out")
    predicted, target, rows = decoded(config.repeats)
    folds = [int(row.song.removeprefix("song-")) // 2 for row in rows]
    parts = compared(config, predicted, target, rows, folds=folds)
    ((title, note, png),) = protocol_pictures(config, parts)
    assert (title, png) == ("What was decoded", None) and "with the 2 songs of its fold alone" in note
