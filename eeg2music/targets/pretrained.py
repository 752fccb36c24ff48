"""Loads a CLAP by name or path: the project's own small one, or a published one through transformers.

Both have the same interface: 24 kHz mono audio in, unit-norm embeddings out. Weights are read from
safetensors only. Nothing here trains.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from eeg2music.audio import resample
from eeg2music.compat import mend_torchaudio, quiet_libraries
from eeg2music.errors import CheckpointError
from eeg2music.files import read_json
from eeg2music.targets.clap import ClapMini, check_audio, check_texts
from eeg2music.targets.towers import unit_norm
from eeg2music.types import SAMPLE_RATE_HZ
from eeg2music.weights import CONFIG_NAME, load_model, local_folder, refuse_misfit, refuse_pickle

# Of the contrastive loss; published models may lack them.
_NOT_OF_EMBEDDINGS = {"logit_scale_a", "logit_scale_t"}


class TransformersClap(nn.Module):
    """A published CLAP (transformers.ClapModel) behind ClapMini's interface.

    Parameters
    ----------
    model : transformers.ClapModel
    extractor : transformers.ClapFeatureExtractor
    tokenizer : the model's tokenizer
    """

    def __init__(self, model: Any, extractor: Any, tokenizer: Any) -> None:
        super().__init__()
        self.model: Any = model.eval()
        self.extractor, self.tokenizer = extractor, tokenizer

    @property
    def sample_rate_hz(self) -> int:
        """Sampling rate of the audio that `embed_audio` takes; it is resampled to the model's."""
        return SAMPLE_RATE_HZ

    @property
    def embedding_dim(self) -> int:
        """Length of an embedding (512 for the published models)."""
        return int(self.model.config.projection_dim)

    def embed_audio(self, audio: Tensor) -> Tensor:
        """(batch, samples) at 24 kHz -> (batch, embedding) float32, unit norm.

        Longer audio than the model takes (10 s) is cut into equal pieces whose embeddings are averaged;
        transformers would take a random piece.
        """
        check_audio(audio)
        wave = resample(audio.detach().cpu().float().numpy(), SAMPLE_RATE_HZ, self.extractor.sampling_rate)
        pieces = -(-wave.shape[-1] // int(self.extractor.nb_max_samples))
        parts = [self._piece(part) for part in np.array_split(wave, pieces, axis=-1)]
        return unit_norm(torch.stack(parts).mean(0))

    def embed_text(self, texts: Sequence[str]) -> Tensor:
        """(batch,) strings -> (batch, embedding) float32, unit norm."""
        check_texts(texts)
        tokens = self.tokenizer(list(texts), padding=True, truncation=True, return_tensors="pt")
        inputs = {key: tokens[key].to(self.model.device) for key in ("input_ids", "attention_mask")}
        return unit_norm(_pooled(self.model.get_text_features(**inputs)))

    def forward(self, audio: Tensor) -> Tensor:
        """`embed_audio`."""
        return self.embed_audio(audio)

    def _piece(self, wave: np.ndarray) -> Tensor:
        features = self.extractor(list(wave), sampling_rate=self.extractor.sampling_rate, return_tensors="pt")
        mel = features["input_features"].to(self.model.device, self.model.dtype)
        # Where no clip is long, transformers marks one at random as long: nothing here is.
        longer = torch.zeros(len(wave), 1, dtype=torch.bool, device=mel.device)
        return unit_norm(_pooled(self.model.get_audio_features(input_features=mel, is_longer=longer)))


def load_clap(name_or_path: str | os.PathLike[str]) -> ClapMini | TransformersClap:
    """Load a CLAP for inference (eval mode, float32, no gradients).

    Parameters
    ----------
    name_or_path : a ClapMini folder, a folder of a transformers ClapModel, or a hub name such as
        "laion/larger_clap_music". A path that is not there is never asked for on the hub

    Raises
    ------
    CheckpointError
        If it is not there, is pickled, damaged or another kind of model, or its weights do not fit its config.
    """
    folder = local_folder(name_or_path)
    clap: ClapMini | TransformersClap
    if folder is None:
        clap = _load_transformers(str(name_or_path), local=False)
    else:
        refuse_pickle(folder)
        config = _read_config(folder)
        if config.get("_class_name") == "ClapMini":
            clap = load_model(ClapMini, folder)
        elif config.get("model_type") == "clap":
            clap = _load_transformers(str(folder), local=True)
        else:
            kind = config.get("_class_name") or config.get("model_type") or "of an unknown kind"
            raise CheckpointError(f"The model in {folder} is {kind}", allowed="ClapMini or a transformers ClapModel")
    return clap.eval().requires_grad_(False)


def _read_config(folder: Path) -> dict[str, Any]:
    file = folder / CONFIG_NAME
    if not file.is_file():
        raise CheckpointError(
            f"No checkpoint at {folder}: {CONFIG_NAME} is missing",
            allowed=f"a folder with {CONFIG_NAME} and a .safetensors file",
            remedy="check the path",
        )
    try:
        return dict(read_json(file))
    except ValueError as error:
        raise CheckpointError(f"{file} is not valid JSON ({error})", remedy="copy it again") from None


def _load_transformers(name: str, *, local: bool) -> TransformersClap:
    mend_torchaudio()
    from safetensors import SafetensorError
    from transformers import AutoTokenizer, ClapFeatureExtractor, ClapModel

    try:
        with quiet_libraries():
            loaded: Any = ClapModel.from_pretrained(
                name,
                use_safetensors=True,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # they are refused below, by name
                dtype=torch.float32,
                local_files_only=local,
            )
        extractor = ClapFeatureExtractor.from_pretrained(name, local_files_only=local)
        tokenizer = AutoTokenizer.from_pretrained(name, local_files_only=local)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:200]
        raise CheckpointError(
            f"No CLAP can be loaded from {name!r} ({reason})",
            allowed="a ClapMini folder, or the folder or hub name of a ClapModel in safetensors",
            remedy="check the name or copy the checkpoint again, and the network if it is on the hub",
        ) from None
    model, report = loaded
    # Tables of numbers that the model makes itself: releases of transformers differ in which of them they store.
    tables = {key for key, buffer in model.named_buffers() if not buffer.is_floating_point()}
    refuse_misfit(name, report, harmless=tables | _NOT_OF_EMBEDDINGS)
    return TransformersClap(model, extractor, tokenizer)


def _pooled(output: Any) -> Tensor:
    """transformers 5 returns an output object, transformers 4 a tensor."""
    return output if isinstance(output, Tensor) else output.pooler_output
