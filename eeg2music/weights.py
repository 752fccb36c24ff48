"""Weights on disk: safetensors and a config, loaded strictly.

A folder holds `config.json` and `diffusion_pytorch_model.safetensors` (the diffusers
layout). Keys that are missing, left over or of another shape are an error: a model is
never run on weights it was not trained with. Pickled weights are never opened.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from inspect import signature
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from eeg2music.errors import CheckpointError, MissingExtraError
from eeg2music.files import atomic_path, read_json, sha256_folder, write_json

WEIGHTS_NAME = "diffusion_pytorch_model.safetensors"
CONFIG_NAME = "config.json"
# What a model was trained on, beside its weights.
MANIFEST_NAME = "training_manifest.json"
# Its key for what scalers, statistics and closed forms were measured on: {what: {"songs": […], "subjects": […]}}.
FITTED = "fitted"
# Its key in a diffusion model's manifest that says which latents it makes: `Codec.latent_space`.
LATENT_SPACE = "latent_space"
# Its key in an encoder's and a diffusion model's manifest that says which embeddings and curves they know:
# `targets.cache.conditioning_space`.
CONDITIONING_SPACE = "conditioning_space"
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
PICKLE_SUFFIXES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")

M = TypeVar("M", bound=nn.Module)


def read_state(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Read one safetensors file.

    Raises
    ------
    CheckpointError
        If the file is missing, pickled or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    file = Path(path)
    refuse_pickle(file.parent if file.suffix == ".safetensors" and not file.exists() else file)
    if not file.is_file():
        raise CheckpointError(
            f"No weights at {file}",
            allowed="a folder with config.json and a .safetensors file",
            remedy="copy the checkpoint again",
        )
    try:
        return load_file(file)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{file} is damaged or not safetensors ({error})",
            allowed="a whole safetensors file",
            remedy="copy it again",
        ) from None


def local_folder(name_or_path: str | os.PathLike[str]) -> Path | None:
    """The folder that a checkpoint is loaded from, or None for the name of a model on the hub.

    Only a text of the form "owner/name" is such a name, and only where neither it nor a folder "owner" is here. A path
    that is not there is an error: it must not be asked for on the network.

    Raises
    ------
    CheckpointError
        If it is neither.
    """
    folder = Path(name_or_path)
    if folder.is_dir():
        return folder
    is_name = isinstance(name_or_path, str) and _HUB_NAME.fullmatch(name_or_path) is not None
    if is_name and not folder.exists() and not folder.parent.exists():
        return None
    raise CheckpointError(
        f"No checkpoint at {folder}",
        allowed="a folder of a model, or a model's name on the hub such as facebook/encodec_24khz",
        remedy="check the path",
    )


def refuse_pickle(path: Path) -> None:
    """Raise a CheckpointError if `path` is a pickle, or a folder with nothing but pickled weights."""
    files = [path] if path.is_file() else sorted(path.glob("*")) if path.is_dir() else []
    pickles = [file for file in files if file.suffix in PICKLE_SUFFIXES]
    safe = any(file.suffix == ".safetensors" for file in files)
    if pickles and not safe:
        raise CheckpointError(
            f"{pickles[0]} is a pickled checkpoint, and opening it could run code",
            allowed="safetensors",
            remedy="convert it in an environment you trust, with safetensors.torch.save_file",
        )


def load_model(kind: type[M], folder: str | os.PathLike[str], *, weights_name: str = WEIGHTS_NAME) -> M:
    """Build `kind` from `folder/config.json` and load its weights strictly, in float32, in eval mode."""
    root = Path(folder)
    refuse_pickle(root)
    config_file = root / CONFIG_NAME
    if not config_file.is_file():
        raise CheckpointError(
            f"No checkpoint at {root}: {CONFIG_NAME} is missing",
            allowed=f"a folder with {CONFIG_NAME} and a .safetensors file",
            remedy="check the path",
        )
    model = _build(kind, config_file)
    load_strictly(model, read_state(root / weights_name), source=str(root))
    return model.float().eval()


def _build(kind: type[M], config_file: Path) -> M:
    """A model with the sizes of its config, weights still random."""
    try:
        config = read_json(config_file)
        if not isinstance(config, dict):
            # diffusers would take a text for the name of a model on the hub.
            raise TypeError(f"it holds a {type(config).__name__}")
        stored = config.get("_class_name", kind.__name__)
        if stored != kind.__name__:
            raise CheckpointError(
                f"{config_file.parent} holds a {stored}", allowed=kind.__name__, remedy="name the folder of that model"
            )
        unknown = [key for key in config if not key.startswith("_") and key not in signature(kind).parameters]
        if unknown:
            # diffusers would ignore it.
            raise TypeError(f"unknown key {unknown[0]!r}")
        model: M = kind.from_config(config)  # type: ignore[attr-defined]
    except (CheckpointError, MissingExtraError):
        raise
    except Exception as error:  # whatever a constructor says to sizes that cannot be
        reason = " ".join(str(error).split())[:200]
        raise CheckpointError(
            f"{config_file} does not describe a {kind.__name__} ({reason})",
            allowed="the config that was saved with the weights",
            remedy="copy the checkpoint again, or use the version of eeg2music that wrote it",
        ) from None
    return model


def load_strictly(model: nn.Module, state: Mapping[str, Tensor], *, source: str) -> None:
    """`load_state_dict(strict=True)` whose complaint is one readable line."""
    own = model.state_dict()
    missing = sorted(set(own) - set(state))
    extra = sorted(set(state) - set(own))
    misfits = [key for key in own if key in state and own[key].shape != state[key].shape]
    if misfits:
        key = misfits[0]
        raise CheckpointError(
            f"The weights in {source} do not fit: {key} has shape {tuple(state[key].shape)}",
            allowed=str(tuple(own[key].shape)),
            remedy="use the config that was saved with the weights",
        )
    if missing or extra:
        names = ", ".join((missing or extra)[:3])
        raise CheckpointError(
            f"The weights in {source} do not fit: {len(missing)} missing and {len(extra)} unknown keys ({names})",
            allowed=f"exactly the {len(own)} keys of the model that the config describes",
            remedy="use the config that was saved with the weights",
        )
    # Buffers too: an encoder that is fitted in closed form has nothing else.
    broken = [key for key in own if state[key].is_floating_point() and not torch.isfinite(state[key]).all()]
    if broken:
        raise CheckpointError(
            f"The weights in {source} are damaged: {broken[0]} holds values that are not finite",
            allowed="finite numbers",
            remedy="copy the checkpoint again, or train it again",
        )
    model.load_state_dict(dict(state), strict=True)


def refuse_misfit(source: str, report: Mapping[str, Any], harmless: Iterable[str] = ()) -> None:
    """Refuse weights that transformers loaded only in part: it fills what is missing with random numbers.

    Parameters
    ----------
    source : names the weights in the error
    report : what `from_pretrained(…, output_loading_info=True)` returns beside the model
    harmless : keys that may be missing or left over

    Raises
    ------
    CheckpointError
        Naming one of the keys.
    """
    keys = [*report["missing_keys"], *report["unexpected_keys"], *report["mismatched_keys"]]
    problems = [str(key) for key in keys if str(key) not in set(harmless)]
    if problems:
        raise CheckpointError(
            f"The weights of {source} do not fit its config ({problems[0]} …)",
            allowed="exactly the weights that the config describes",
            remedy="use the config that was saved with the weights",
        )


def save_model(
    model: Any, folder: str | os.PathLike[str], *, dtype: torch.dtype | None = None, exact: Sequence[str] = ()
) -> Path:
    """Write a ConfigMixin model as config.json + safetensors.

    Parameters
    ----------
    dtype : floating-point tensors are stored in it (bf16 halves the file); kept as they are if None
    exact : keys that are kept as they are whatever `dtype` says
    """
    from safetensors.torch import save_file

    root = Path(folder)
    root.mkdir(parents=True, exist_ok=True)
    state = {}
    for key, tensor in model.state_dict().items():
        stored = tensor.detach().cpu()
        if dtype is not None and stored.is_floating_point() and key not in exact:
            stored = stored.to(dtype)
        state[key] = stored.contiguous().clone()
    with atomic_path(root / WEIGHTS_NAME) as temporary:
        save_file(state, temporary, metadata={"format": "pt"})
    write_json(root / CONFIG_NAME, json.loads(model.to_json_string()))
    return root


def read_manifest(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """What the model in a folder was trained on.

    Raises
    ------
    CheckpointError
        If the file is missing or damaged.
    """
    file = Path(folder) / MANIFEST_NAME
    try:
        return dict(read_json(file))
    except FileNotFoundError:
        raise CheckpointError(
            f"{file} is missing", allowed=f"a {MANIFEST_NAME} beside the weights", remedy="copy the whole folder"
        ) from None
    except (ValueError, TypeError) as error:
        raise CheckpointError(f"{file} is damaged ({error})", allowed="a JSON object", remedy="copy it again") from None


def checkpoint_sha256(folder: str | os.PathLike[str]) -> str:
    """One hash over all weights below a checkpoint folder."""
    return sha256_folder(folder, "*.safetensors")
