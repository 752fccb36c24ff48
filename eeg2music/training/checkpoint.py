"""The states of a run on disk: model, average, optimizer, counters. safetensors and JSON only, no pickle.

A checkpoint is a folder `step-XXXXXXXX` that appears whole or not at all. The newest complete one is
where a run goes on.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from eeg2music.errors import CheckpointError
from eeg2music.files import atomic_folder, read_json, write_json

logger = logging.getLogger(__name__)

STATE_FILE = "state.json"
_TENSOR_FILES = ("model.safetensors", "ema.safetensors", "optimizer.safetensors")


@dataclass(frozen=True)
class Checkpoint:
    """A complete checkpoint on disk."""

    folder: Path
    state: dict[str, Any]

    @property
    def step(self) -> int:
        return int(self.state["step"])


def save(
    root: Path,
    step: int,
    *,
    model: nn.Module,
    ema: nn.Module,
    optimizer: torch.optim.Optimizer,
    state: Mapping[str, Any],
    keep: int,
) -> Path:
    """Write the checkpoint of `step` and remove all but the newest `keep`."""
    target = root / f"step-{step:08d}"
    tensors, plain = _flatten(optimizer)
    with atomic_folder(target) as folder:
        for name, values in zip(_TENSOR_FILES, (model.state_dict(), ema.state_dict(), tensors), strict=True):
            save_file(_copied(values), folder / name)
        sizes = {name: (folder / name).stat().st_size for name in _TENSOR_FILES}
        write_json(folder / STATE_FILE, {**state, "step": step, "optimizer": plain, "files": sizes})
    for old in complete(root)[:-keep]:
        _remove(old.folder)
    return target


def complete(root: Path) -> list[Checkpoint]:
    """All complete checkpoints below `root`, oldest first."""
    found = []
    for folder in sorted(root.glob("step-*")):
        if not (folder / STATE_FILE).is_file():
            continue
        state = read_json(folder / STATE_FILE)
        sizes = {name: (folder / name).stat().st_size if (folder / name).is_file() else -1 for name in _TENSOR_FILES}
        if sizes == state.get("files"):
            found.append(Checkpoint(folder, state))
        else:
            logger.warning("%s is incomplete and is left out", folder.name)
    return sorted(found, key=lambda checkpoint: checkpoint.step)


def clean(root: Path, export: Path) -> None:
    """Remove what a killed process left behind: half-written and half-removed checkpoints and exports."""
    whole = {checkpoint.folder for checkpoint in complete(root)}
    for folder in [*root.glob(".step-*"), *root.glob("step-*"), *export.parent.glob(f".{export.name}-*")]:
        if folder not in whole:
            _remove(folder)


def load(
    checkpoint: Checkpoint, *, model: nn.Module, ema: nn.Module, optimizer: torch.optim.Optimizer
) -> dict[str, Any]:
    """Put a checkpoint's tensors in place; returns its state.

    Raises
    ------
    CheckpointError
        If a file is damaged or its shapes do not fit.
    """
    folder = checkpoint.folder
    try:
        model.load_state_dict(load_file(folder / _TENSOR_FILES[0]))
        ema.load_state_dict(load_file(folder / _TENSOR_FILES[1]))
        _restore(optimizer, load_file(folder / _TENSOR_FILES[2]), checkpoint.state["optimizer"])
    except (SafetensorError, RuntimeError, KeyError, ValueError) as error:
        reason = " ".join(str(error).split())[:300]
        raise CheckpointError(
            f"The checkpoint {folder} does not fit this run ({reason})",
            remedy="give another train.out, or remove that folder to start anew",
        ) from error
    return checkpoint.state


def _copied(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    # Copies, because safetensors refuses tensors that share memory (tied weights).
    return {name: value.detach().cpu().contiguous().clone() for name, value in values.items()}


def _flatten(optimizer: torch.optim.Optimizer) -> tuple[dict[str, Tensor], dict[str, dict[str, Any]]]:
    tensors: dict[str, Tensor] = {}
    plain: dict[str, dict[str, Any]] = {}
    for index, entries in optimizer.state_dict()["state"].items():
        plain[str(index)] = {}
        for key, value in entries.items():
            if isinstance(value, Tensor):
                tensors[f"{index}.{key}"] = value
            else:
                plain[str(index)][key] = value
    return tensors, plain


def _restore(
    optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor], plain: Mapping[str, Mapping[str, Any]]
) -> None:
    state: dict[int, dict[str, Any]] = {int(index): dict(entries) for index, entries in plain.items()}
    for name, value in tensors.items():
        index, _, key = name.partition(".")
        state[int(index)][key] = value
    known = {id(p) for group in optimizer.param_groups for p in group["params"]}
    if state and max(state) >= len(known):
        raise ValueError("the optimizer state has more parameters than the model")
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _remove(folder: Path) -> None:
    # The state file first: what is left of a folder after a kill must not look complete.
    (folder / STATE_FILE).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
