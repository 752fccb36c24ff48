"""The checkpoint's scorer is not the encoder that conditioned: `evaluate` refuses otherwise.

Goes by the numbers in the weight files and by the hashes that training manifests name, whatever folders and files are
called. A copy that was trained further has other numbers and passes: what was done to it nobody declared. What others
made is judged by `outside.circular`.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import torch

from eeg2music.errors import LeakError
from eeg2music.evaluation.known import JUDGE
from eeg2music.evaluation.tables import CIRCULAR
from eeg2music.files import read_json, sha256_file
from eeg2music.scoring.encoder import ScorerNet
from eeg2music.targets.cache import model_hash
from eeg2music.weights import MANIFEST_NAME, checkpoint_sha256, load_model, read_state

# All that conditions or makes the sound; and what their manifests call the audio encoder they were trained towards.
CONDITIONING = ("clap", "encoder", "diffusion", "codec")
DECLARED = ("clap_hash", "clap_sha256")
# Vectors and constants may coincide; whole matrices of random numbers do not.
FEWEST_NUMBERS = 64


def check_judge(folder: Path, *, allow: bool = False) -> list[str]:
    """Refuse a scorer that is, or shares weights with, a model that conditioned the generation.

    Parameters
    ----------
    folder : of the models
    allow : score all the same

    Returns
    -------
    What makes the score circular, in words for a stamp; empty for a scorer that conditions nothing.

    Raises
    ------
    LeakError
        If there is anything to say, unless `allow`.
    """
    found = [*_shared_weights(folder), *_declared(folder)]
    if found and not allow:
        raise LeakError(
            f"Circular encoder: the scorer {found[0]}",
            allowed="a scorer that conditioned nothing",
            remedy="use the checkpoint's own scorer; --allow-circular scores all the same and stamps the report",
        )
    return [f"{CIRCULAR}: the scorer {what}: the score of generated music is not independent." for what in found]


def _shared_weights(folder: Path) -> list[str]:
    own = _matrices(folder / JUDGE)
    found = []
    for name in CONDITIONING:
        shared = len(own & _matrices(folder / name))
        if shared:
            found.append(f"shares {shared} of its {len(own)} weight matrices with the {name}")
    return found


def _matrices(folder: Path) -> frozenset[str]:
    """Hashes of the weight matrices below a folder, as float32, whatever they are named."""
    found = set()
    for file in sorted(folder.rglob("*.safetensors")):
        for tensor in read_state(file).values():
            if tensor.ndim < 2 or tensor.numel() < FEWEST_NUMBERS or not tensor.is_floating_point():
                continue
            values = tensor.to(torch.float32)
            if values.min() < values.max():
                found.add(hashlib.sha256(values.contiguous().numpy().tobytes()).hexdigest())
    return frozenset(found)


def _declared(folder: Path) -> list[str]:
    """Models whose training manifest names the scorer as the audio encoder that they were trained towards."""
    names = {checkpoint_sha256(folder / JUDGE), model_hash(load_model(ScorerNet, folder / JUDGE))}
    names |= {sha256_file(file) for file in (folder / JUDGE).rglob("*.safetensors")}
    found = []
    for name in CONDITIONING:
        file = folder / name / MANIFEST_NAME
        manifest: dict[str, Any] = read_json(file) if file.is_file() else {}
        if names & {manifest.get(key) for key in DECLARED}:
            found.append(f"is the audio encoder that the {name} was trained towards, by its manifest")
    return found
