"""The embedding "mert": MERT-v1 (Li et al. 2024), loaded into transformers' own HuBERT.

The hub's repository asks for its own code to be run (`trust_remote_code`); it never is. As configured for
MERT-v1-95M that code computes what HuBERT computes, so `transformers.HubertModel` takes the weights; a config that asks
for anything HuBERT has not is refused. Weights are read from safetensors only: where the hub has
none, convert them once in an environment you trust and name the folder.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from eeg2music.errors import CheckpointError
from eeg2music.evaluation.embedders.base import (
    Embedder,
    Options,
    names_of,
    pieces,
    torch_device,
)
from eeg2music.evaluation.embedders.registry import EMBEDDERS
from eeg2music.files import read_json, sha256_json
from eeg2music.types import FloatArray

SHORTEST_S = 0.5
# What MERT adds to HuBERT, and the values with which it adds nothing.
SAME_AS_HUBERT = {
    "feature_extractor_cqt": False,
    "deepnorm": False,
    "attention_relax": -1.0,
    "feat_proj_layer_norm": True,
}
# Used in training alone.
UNUSED_WEIGHTS = ("masked_spec_embed",)
_NOT_SETTINGS = ("auto_map", "model_type", "architectures", "transformers_version", *SAME_AS_HUBERT)


@EMBEDDERS.add("mert")
class Mert(Embedder):
    """Mean over time of the last hidden layer (768 for MERT-v1-95M), from the hub or a folder."""

    name = "mert"
    hub = "m-a-p/MERT-v1-95M"
    shortest_s = SHORTEST_S
    note = "Mean over time of the last hidden layer."

    def __init__(self, options: Options) -> None:
        from eeg2music.targets.cache import model_hash

        self._source = options.source or self.hub
        model, self._extractor = _load(self._source)
        settings = self._extractor.to_dict()
        self._weights = model_hash(model)
        self._identity = sha256_json({"model": self._weights, "extractor": settings, "layer": "last"})
        self._device = torch_device(options.device)
        self._model: Any = model.eval().to(self._device).requires_grad_(False)
        self.dim, self.sample_rate_hz = int(model.config.hidden_size), int(self._extractor.sampling_rate)

    def _vector(self, audio: FloatArray) -> FloatArray:
        parts = []
        for part in pieces(audio, self.sample_rate_hz):
            inputs = self._extractor(part, sampling_rate=self.sample_rate_hz, return_tensors="pt")
            hidden = self._model(inputs["input_values"].to(self._device)).last_hidden_state
            parts.append(hidden[0].mean(dim=0).float().cpu().numpy())
        return np.asarray(np.mean(parts, axis=0), dtype=np.float32)

    def identity(self) -> str:
        return self._identity

    def known_as(self) -> frozenset[str]:
        return super().known_as() | names_of(self._source, part_of_generator=True) | {self._weights}


def _load(source: str) -> tuple[Any, Any]:
    """HubertModel and its feature extractor."""
    from eeg2music.compat import mend_torchaudio, quiet_libraries
    from eeg2music.weights import local_folder

    mend_torchaudio()
    import torch
    from transformers import HubertConfig, HubertModel, Wav2Vec2FeatureExtractor
    from transformers.utils.hub import cached_file

    local = local_folder(source) is not None
    try:
        values = dict(read_json(str(cached_file(source, "config.json"))))
        _refuse_other(source, values)
        config = HubertConfig(**{key: value for key, value in values.items() if key not in _NOT_SETTINGS})
        with quiet_libraries():
            loaded: Any = HubertModel.from_pretrained(
                source,
                config=config,
                use_safetensors=True,
                output_loading_info=True,
                dtype=torch.float32,
                local_files_only=local,
            )
        extractor = Wav2Vec2FeatureExtractor.from_pretrained(source, local_files_only=local)
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise CheckpointError(
            f"No MERT can be loaded from {source!r} ({reason})",
            allowed="the folder or hub name of a MERT-v1 whose weights are safetensors",
            remedy="convert pickled weights where you trust them (safetensors.torch.save_file), and name the folder "
            "with sources.mert=FOLDER",
        ) from None
    model, report = loaded
    from eeg2music.weights import refuse_misfit

    refuse_misfit(source, report, UNUSED_WEIGHTS)
    return model, extractor


def _refuse_other(source: str, values: dict[str, Any]) -> None:
    for key, plain in SAME_AS_HUBERT.items():
        if values.get(key, plain) != plain:
            raise CheckpointError(
                f"The MERT {source!r} has {key} = {values[key]!r}, which only code from the hub computes",
                allowed=f"{key} = {plain!r}, as in MERT-v1-95M",
                remedy="use m-a-p/MERT-v1-95M; code from the hub is never run",
            )
