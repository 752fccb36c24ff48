"""What tests of several folders share: a file beside a test, a tiny CLAP, a checkpoint refused, a leak, scores."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from eeg2music.evaluation.brain import Evidence
    from eeg2music.types import Conditions


def load_file(path: Path) -> ModuleType:
    """Run a Python file as a module of its own name, without putting its folder on the path."""
    spec = importlib.util.spec_from_file_location(f"eeg2music_test_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def refused(checkpoint: Path, message: str) -> None:
    """Loading a checkpoint is refused in one line that matches."""
    from eeg2music.errors import CheckpointError
    from eeg2music.pipeline import load_pipeline

    with pytest.raises(CheckpointError, match=message) as caught:
        load_pipeline(checkpoint, "cpu")
    assert "\n" not in str(caught.value)


def write_clap(folder: Path) -> None:
    """A ClapModel with random weights, its feature extractor and a byte-level tokenizer of single letters."""
    from eeg2music.compat import mend_torchaudio

    mend_torchaudio()
    from transformers import ClapConfig, ClapFeatureExtractor, ClapModel, RobertaTokenizer

    folder.mkdir()
    letters = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *"abcdefghijklmnopqrstuvwxyz", "Ġ"]
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(letters)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    RobertaTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt")).save_pretrained(folder)
    ClapFeatureExtractor(truncation="rand_trunc").save_pretrained(folder)
    config = ClapConfig(
        text_config={
            "vocab_size": len(letters), "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
            "intermediate_size": 16, "max_position_embeddings": 80,
        },
        audio_config={
            "patch_embeds_hidden_size": 8, "hidden_size": 32, "depths": [1, 1, 1], "num_attention_heads": [1, 1, 1],
            "num_hidden_layers": 3, "enable_fusion": False,
        },
        projection_dim=24,
    )  # fmt: skip
    ClapModel(config).save_pretrained(folder)


def leaking(name: str, evidence: Evidence) -> Conditions | None:
    """As `control_conditions`, by a decoder that is told of one query in three what was heard."""
    from eeg2music.evaluation.brain import control_conditions
    from eeg2music.evaluation.heard import take

    found, told = control_conditions(name, evidence), take(evidence.oracle, evidence.heard.target)
    if found is None:
        return None
    mixed = {}
    for field in ("global_embedding", "stem_embedding"):
        mixed[field] = getattr(found, field).clone()
        mixed[field][::3] = getattr(told, field)[::3]
    return found.replace(**mixed)


def seeds_together(seeds: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any] | None]:
    """Made-up figures of several seeds: the first one's with the mean of the accuracies."""
    found: dict[str, dict[str, Any] | None] = {}
    for kind in ("embedding", "curves", "generated"):
        scores = [entry[kind] for entry in seeds if entry.get(kind)]
        means = {key: sum(one[key] for one in scores) / len(scores) for key in ("accuracy", "top1") if scores}
        found[kind] = {**scores[0], **means, "seeds": len(scores)} if scores else None
    return found
