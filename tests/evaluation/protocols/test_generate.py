"""Music generated under a protocol, by tiny random models: what conditions it, what judges it, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from eeg2music.config import load_config
from eeg2music.errors import CheckpointError, LeakError
from eeg2music.evaluation.kinds import check
from eeg2music.evaluation.protocols import ProtocolConfig
from eeg2music.evaluation.protocols.conditions import anchored, decoded_conditions, render_windows
from eeg2music.evaluation.protocols.decoded import Decoded
from eeg2music.evaluation.protocols.generate import agreement, generate_tested, spread
from eeg2music.evaluation.protocols.run import evaluate_protocol
from eeg2music.evaluation.protocols.simulated import simulate_protocol
from eeg2music.evaluation.protocols.windows import Row
from eeg2music.scoring.encoder import ScorerNet
from eeg2music.targets.pretrained import load_clap
from eeg2music.types import CURVES
from eeg2music.weights import checkpoint_sha256, load_model

CONFIG = Path(__file__).parents[3] / "configs" / "eval" / "protocols" / "retrieval_anchored_2026.yaml"
SMALL = (
    "permutations=50", "window.seconds=3", "simulated.songs=16", "simulated.song_seconds=3", "simulated.snr_db=10",
    "simulated.listeners=2", "split.test_songs=4", "metrics=[{name: identification}]",
    "published=[{value: 0.43, what: a, stage: anchored}]",
    "generated.clips=4", "generated.seconds=2", "generated.best_of=2",
)  # fmt: skip


def small(checkpoint: Path, *overrides: str) -> ProtocolConfig:
    return load_config(ProtocolConfig, CONFIG, (*SMALL, f"generated.checkpoint={checkpoint}", *overrides))


@pytest.fixture(scope="module")
def made(tiny_checkpoint: Path) -> Decoded:
    return simulate_protocol(small(tiny_checkpoint))


@pytest.fixture(scope="module")
def scores(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("generated") / "out"
    found = evaluate_protocol(small(tiny_checkpoint), out, device="cpu")
    return {**found, "text": (out / "scores.md").read_text(), "page": (out / "report.html").read_text()}


def test_every_condition_has_a_row_with_all_that_belongs_to_it(scores: dict[str, Any]) -> None:
    rows = {row["condition"]: row for row in scores["rows"] if row["space"] == "scorer"}
    assert list(rows)[:5] == [
        "generated once",
        "best of 2, chosen by the decoded onsets",
        "best of 2, chosen by the answer",
        "generated, anchored",
        "retrieved song itself",
    ]
    controls = {
        "generated without a brain",
        "generated from what was heard",
        "generated from shuffled predictions",
        "anchored in shuffled predictions",
        "best of 2 from shuffled predictions, chosen by the answer",
    }
    assert controls <= set(rows)
    for name in (*list(rows)[:5], *controls):
        row = rows[name]
        assert row["n"] == row["gallery_size"] == 4 and row["chance"] == 0.5 and len(row["ci95"]) == 2
        assert 0.0 < row["p_value"] <= 1.0 and (row["p_corrected"] is None) == (name in controls)
        assert f"| {name} | " in scores["text"]
    assert rows["generated, anchored"]["published"][0]["value"] == 0.43
    assert rows["generated, anchored"]["value"] is not None and "needs generated audio" not in scores["text"]
    assert "generated music" in scores["text"] and "the first 2 s of 4 tested windows" in scores["text"]
    assert scores["page"].count("data:image/png") == 5
    assert "What was generated: map of the embeddings" in scores["page"] and "generated once 4 clips" in scores["page"]
    assert scores["generated"]["clips"] == 4 and len(scores["generated"]["scorer_sha256"]) == 64


def test_what_was_decoded_is_in_the_pipelines_units_and_knows_the_heard_music(
    made: Decoded, tiny_checkpoint: Path
) -> None:
    config = small(tiny_checkpoint)
    assert config.generated is not None
    clap, scorer = load_clap(tiny_checkpoint / "clap"), load_model(ScorerNet, tiny_checkpoint / "scorer")
    music = render_windows(made.heard.rows, config.simulated, config.generated, clap, scorer)
    assert len(music.place) == 16 and len(music.vectors) == 16
    found = decoded_conditions(made, music, config.generated)
    assert found.curves.shape == (8, 4, 3, 64) and float(found.curves.min()) >= 0.0
    assert torch.allclose(found.stem_embedding.norm(dim=-1), torch.ones(8, 4), atol=1e-5)
    true = music.conditions.curves[music.rows(made.rows)]
    loud = CURVES.index("loudness")
    # On the scale of music, stem by stem, and following what was heard rather than another song.
    assert torch.allclose(found.curves[:, :, loud].mean(), true[:, :, loud].mean(), atol=0.1)
    onset = lambda curves: curves[:, :, CURVES.index("onset")].numpy()  # noqa: E731
    own = agreement(onset(found.curves)[:, None], onset(true))[:, 0].mean()
    other = agreement(onset(found.curves)[:, None], onset(true)[np.roll(np.arange(8), 1)])[:, 0].mean()
    assert own > other + 0.1
    moved = anchored(found, music, [0] * 8)
    assert torch.equal(moved.curves, found.curves)
    assert torch.equal(moved.global_embedding, music.conditions.global_embedding[[0] * 8])


def test_the_gallery_is_what_the_scorer_hears_and_the_library_holds_training_songs_alone(
    made: Decoded, tiny_checkpoint: Path
) -> None:
    config = small(tiny_checkpoint, "generated.best_of=1")
    assert config.generated is not None
    generated, _ = generate_tested(config, made, config.generated, device="cpu")
    tested = {row.song for row in made.rows}
    assert generated.reference is not None and not tested & set(generated.reference.songs)
    assert len(generated.reference.songs) == 12
    retrieved = np.asarray(generated.further["retrieved song itself"][0])
    library = np.asarray(generated.reference.embeddings)
    assert all(np.isclose(library, one).all(axis=1).any() for one in retrieved)
    assert np.asarray(generated.draws).shape == (4, 1, 128) and np.asarray(generated.target).shape == (8, 128)
    again, _ = generate_tested(config, made, config.generated, device="cpu")
    assert np.array_equal(generated.draws, again.draws)
    # The same noise under every condition; what differs is the condition.
    assert not np.array_equal(np.asarray(generated.draws)[:, 0], generated.further["generated without a brain"][0])


def test_models_that_know_a_tested_song_are_refused(made: Decoded, copy: Path) -> None:
    manifest = copy / "scorer" / "training_manifest.json"
    manifest.write_text(json.dumps({"songs": ["judge"], "valid": {"songs": [made.rows[0].song]}}))
    config = small(copy)
    assert config.generated is not None
    with pytest.raises(LeakError, match=made.rows[0].song):
        generate_tested(config, made, config.generated, device="cpu")


def test_a_scorer_that_conditioned_is_refused_before_anything_is_computed(copy: Path, tmp_path: Path) -> None:
    manifest = copy / "diffusion" / "training_manifest.json"
    declared = json.loads(manifest.read_text()) | {"clap_sha256": checkpoint_sha256(copy / "scorer")}
    manifest.write_text(json.dumps(declared))
    with pytest.raises(LeakError, match="Circular encoder"):
        check(small(copy), tmp_path / "out")
    with pytest.raises(CheckpointError, match="No checkpoint at"):
        check(small(tmp_path / "nothing"), tmp_path / "out")


def test_listeners_take_turns() -> None:
    rows = [Row(song, "a", who, 0.0) for who in "xy" for song in "abc"]
    assert spread(rows, 3) == [0, 4, 2] and sorted(spread(rows, 99)) == list(range(6))
    assert {rows[n].song for n in spread(rows, 3)} == set("abc")


def test_onsets_agree_whatever_their_scale() -> None:
    rng = np.random.default_rng(0)
    wanted = rng.random((3, 4, 50)).astype(np.float32)
    made = np.stack([rng.random((3, 4, 50)), 5.0 * wanted + 1.0], axis=1).astype(np.float32)
    found = agreement(made, wanted)
    assert np.allclose(found[:, 1], 1.0, atol=1e-5) and np.all(np.abs(found[:, 0]) < 0.3)
    # A silent stem agrees with nothing.
    assert np.all(agreement(np.zeros((3, 1, 4, 50), np.float32), wanted) == 0.0)
