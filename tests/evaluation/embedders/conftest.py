"""Tiny random models in the layout of the published ones, so that the code for the hub runs without it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from support import write_clap

from eeg2music.compat import mend_torchaudio
from eeg2music.evaluation.embedders.base import Embedder, Options
from eeg2music.evaluation.embedders.registry import EMBEDDERS

Load = Callable[[str], Embedder]


@pytest.fixture(scope="session")
def sources(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """{embedding: folder} for those that come from the hub."""
    root = tmp_path_factory.mktemp("hub")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        write_clap(root / "clap-music")
        write_mert(root / "mert")
    return {
        "clap-music": str(root / "clap-music"),
        "mert": str(root / "mert"),
        "encodec": str(tiny_checkpoint / "codec"),
    }


@pytest.fixture(scope="session")
def load(sources: dict[str, str], tiny_checkpoint: Path) -> Load:
    """Load an embedding by name, with a tiny random model behind it."""
    return lambda name: EMBEDDERS[name](Options(tiny_checkpoint, sources.get(name), "cpu"))


def write_mert(folder: Path) -> None:
    """A HuBERT of random weights, under the config that MERT-v1-95M has on the hub, with code of its own beside it."""
    mend_torchaudio()
    from transformers import HubertConfig, HubertModel, Wav2Vec2FeatureExtractor

    config = HubertConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16, conv_dim=(8, 8),
        conv_stride=(10, 8), conv_kernel=(10, 8), num_feat_extract_layers=2, num_conv_pos_embeddings=4,
        num_conv_pos_embedding_groups=2,
    )  # fmt: skip
    HubertModel(config).save_pretrained(folder)
    Wav2Vec2FeatureExtractor(sampling_rate=24_000, do_normalize=True).save_pretrained(folder)
    values = json.loads((folder / "config.json").read_text())
    values |= {
        "model_type": "mert_model",
        "auto_map": {"AutoModel": "modeling_MERT.MERTModel", "AutoConfig": "configuration_MERT.MERTConfig"},
        "feature_extractor_cqt": False,
        "deepnorm": False,
        "attention_relax": -1.0,
    }
    (folder / "config.json").write_text(json.dumps(values))
    for name in ("modeling_MERT.py", "configuration_MERT.py"):
        (folder / name).write_text("raise SystemExit('code from the hub was run')\n")


@pytest.fixture(scope="session")
def noise() -> Callable[..., np.ndarray]:
    """noise(rate, seconds, seed): (samples,) float32."""

    def make(rate: int, seconds: float = 2.5, seed: int = 0) -> np.ndarray:
        samples = np.random.default_rng(seed).standard_normal(round(rate * seconds))
        return (0.1 * samples).astype(np.float32)

    return make
