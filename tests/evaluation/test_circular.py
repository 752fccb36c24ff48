"""`evaluate` refuses a scorer that conditioned the music it judges, by its numbers and by what manifests declare."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from eeg2music.errors import LeakError
from eeg2music.evaluation.circular import CONDITIONING, check_judge
from eeg2music.evaluation.runner import EvaluateConfig, LevelConfig, run_evaluation
from eeg2music.files import read_json, write_json
from eeg2music.pipeline import default_checkpoint
from eeg2music.scoring.encoder import ScorerNet
from eeg2music.targets.cache import model_hash
from eeg2music.weights import MANIFEST_NAME, WEIGHTS_NAME, checkpoint_sha256, load_model


@pytest.fixture
def checkpoint(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_checkpoint, tmp_path / "checkpoint"))


def add_scorer_weights(folder: Path) -> None:
    """One matrix of the scorer among a model's own, under another name and in another file."""
    weights = load_file(folder.parent / "scorer" / WEIGHTS_NAME)
    save_file({"borrowed": next(one for one in weights.values() if one.ndim == 2)}, folder / "more.safetensors")


def test_the_shipped_scorer_and_a_fresh_one_pass(tiny_checkpoint: Path) -> None:
    assert check_judge(tiny_checkpoint) == check_judge(default_checkpoint()) == []


@pytest.mark.parametrize("name", CONDITIONING)
def test_shared_weights_are_caught(checkpoint: Path, name: str) -> None:
    add_scorer_weights(checkpoint / name)
    with pytest.raises(LeakError, match=f"Circular encoder: the scorer shares 1 of its .* with the {name}") as caught:
        check_judge(checkpoint)
    assert "--allow-circular" in str(caught.value)
    (stamp,) = check_judge(checkpoint, allow=True)
    assert stamp.startswith("CIRCULAR: the scorer shares")


@pytest.mark.parametrize("how", ["model", "folder"])
def test_an_encoder_that_was_trained_towards_the_scorer_is_caught(checkpoint: Path, how: str) -> None:
    scorer = checkpoint / "scorer"
    named = model_hash(load_model(ScorerNet, scorer)) if how == "model" else checkpoint_sha256(scorer)
    file = checkpoint / "encoder" / MANIFEST_NAME
    write_json(file, {**read_json(file), "clap_hash": named})
    with pytest.raises(LeakError, match="the audio encoder that the encoder was trained towards"):
        check_judge(checkpoint)


def test_evaluate_refuses_before_it_scores_and_stamps_what_is_allowed(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from eeg2music.evaluation import runner

    add_scorer_weights(checkpoint / "clap")
    level = LevelConfig(name="clean", snr="clean", conditions=("brain",), generate=())
    config = EvaluateConfig(checkpoint=str(checkpoint), seeds=(0,), levels=(level,))
    with pytest.raises(LeakError, match="Circular encoder"):
        run_evaluation(config, tmp_path / "out", device="cpu")
    assert not (tmp_path / "out").exists()
    # What is scored does not matter here: nothing is, and the stamp is there all the same.
    monkeypatch.setattr(runner, "_finish_units", lambda *_: None)
    monkeypatch.setattr(runner, "_results", lambda *_: {})
    monkeypatch.setattr(runner, "_level_scores", lambda *_: EMPTY)
    monkeypatch.setattr(
        runner, "_split", lambda *_: {"test": {"songs": [], "works": {}}, "look_alikes": {"warnings": []}}
    )
    scores = run_evaluation(config.model_copy(update={"allow_circular": True}), tmp_path / "out", device="cpu")
    assert scores["stamps"][0].startswith("CIRCULAR: the scorer shares 1")
    for name in ("scores.md", "report.html", "card.md"):
        text = (tmp_path / "out" / name).read_text()
        assert "CIRCULAR: the scorer shares 1" in text and "conditions nothing" not in text


EMPTY = {
    "name": "clean",
    "snr_db": None,
    "style": "funk",
    "subjects": [],
    "gallery": [],
    "scores": {},
    "distances": {},
    "surprises": [],
    "expectations": 0,
}
