"""What a checkpoint or a recording is, in plain words."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from eeg2music.config import Config
from eeg2music.errors import CheckpointError, InputError
from eeg2music.files import read_json
from eeg2music.recordings.prepared import is_prepared
from eeg2music.recordings.read import FOLDER_SUFFIXES, check_recording
from eeg2music.weights import MANIFEST_NAME, PICKLE_SUFFIXES, read_manifest, refuse_pickle


class InfoConfig(Config):
    """How a recording is looked at; as in `read_recording`."""

    channels: tuple[str, ...] | None = None
    montage: str | None = None


def describe(thing: Path, *, channels: Sequence[str] | None = None, montage: str | None = None) -> list[str]:
    """Lines that describe a folder of models or a recording.

    Raises
    ------
    InputError
        If nothing is there, or it is neither.
    """
    check_describe(thing, montage=montage)
    if thing.is_dir() and not is_prepared(thing) and _models_in(thing):
        return list(_describe_checkpoint(thing))
    from eeg2music.inspection import describe_recording

    return describe_recording(thing, channels=channels, montage=montage)


def check_describe(thing: Path, *, montage: str | None = None) -> None:
    """Everything that can be refused before a file is opened.

    Raises
    ------
    InputError, CheckpointError
    """
    if not thing.exists() and not thing.is_symlink():
        raise InputError(f"Nothing at {thing}", allowed="a recording or a folder of models", remedy="check the path")
    refuse_pickle(thing)
    if not thing.is_dir() or thing.suffix.lower() in FOLDER_SUFFIXES:
        check_recording(thing, montage=montage)


def _models_in(folder: Path) -> list[Path]:
    # A run and an unfinished cache have a config too, but no weights beside it.
    weights = (".safetensors", *PICKLE_SUFFIXES)
    is_model = (folder / "config.json").is_file() and any(file.suffix in weights for file in folder.iterdir())
    return ([folder] if is_model else []) + sorted(path.parent for path in folder.glob("*/config.json"))


def _describe_checkpoint(folder: Path) -> Iterator[str]:
    for model in _models_in(folder):
        refuse_pickle(model)
        config = _read_config(model / "config.json")
        name = config.get("_class_name") or config.get("model_type") or "model"
        weights = sorted(model.glob("*.safetensors"))
        size = sum(path.stat().st_size for path in weights) / 1e6
        stored = sum(_count_numbers(path) for path in weights)
        facts = read_manifest(model) if (model / MANIFEST_NAME).is_file() else None
        # As its card has it: a codec's code books are stored and no parameters, a loss's temperature is the reverse.
        trainable = facts.get("parameters") if facts else None
        parameters = f"{trainable:,} parameters, " if isinstance(trainable, int) else ""
        yield f"{model.name}: {name}, {parameters}{stored:,} values stored, {size:.1f} MB"
        if facts is not None:
            trained = [f"{len(facts[key])} {key}" for key in ("songs", "subjects") if facts.get(key)]
            kind = "simulated material: " if facts.get("simulated") else ""
            yield "  trained on " + (kind + ", ".join(trained) if trained else "data named in its card")
        card = model / "README.md"
        if card.is_file():
            yield f"  card: {card}"


def _read_config(path: Path) -> dict[str, Any]:
    try:
        return dict(read_json(path))
    except (ValueError, TypeError) as error:
        raise CheckpointError(
            f"{path} is not a config ({error})", allowed="a JSON object", remedy="copy the checkpoint again"
        ) from None


def _count_numbers(path: Path) -> int:
    """How many numbers a safetensors file holds, from its header alone."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as handle:
            return sum(math.prod(handle.get_slice(key).get_shape()) for key in handle.keys())  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path} is damaged or not safetensors ({error})",
            allowed="a whole safetensors file",
            remedy="copy it again",
        ) from None
