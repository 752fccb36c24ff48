"""What a checkpoint or a recording is, in plain words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from eeg2music.errors import InputError
from eeg2music.files import read_json


def describe(thing: Path, *, channels: Sequence[str] | None = None, montage: str | None = None) -> list[str]:
    """Lines that describe a folder of models or a recording.

    Raises
    ------
    InputError
        If nothing is there, or it is neither.
    """
    if not thing.exists():
        raise InputError(f"Nothing at {thing}", allowed="a recording or a folder of models", remedy="check the path")
    if thing.is_dir() and _models_in(thing):
        return list(_describe_checkpoint(thing))
    from eeg2music.inspection import describe_recording

    return describe_recording(thing, channels=channels, montage=montage).lines


def _models_in(folder: Path) -> list[Path]:
    here = [folder] if (folder / "config.json").is_file() else []
    return here + sorted(path.parent for path in folder.glob("*/config.json"))


def _describe_checkpoint(folder: Path) -> Iterator[str]:
    from safetensors import safe_open

    for model in _models_in(folder):
        config = read_json(model / "config.json")
        name = config.get("_class_name") or config.get("model_type") or "model"
        weights = sorted(model.glob("*.safetensors"))
        size = sum(path.stat().st_size for path in weights) / 1e6
        parameters = 0
        for path in weights:
            with safe_open(path, framework="pt") as handle:
                for key in handle.keys():  # noqa: SIM118 (not a dict)
                    count = 1
                    for length in handle.get_slice(key).get_shape():
                        count *= length
                    parameters += count
        yield f"{model.name}: {name}, {parameters / 1e6:.1f} M numbers, {size:.1f} MB"
        manifest = model / "training_manifest.json"
        if manifest.is_file():
            facts = read_json(manifest)
            trained = [f"{len(facts[key])} {key}" for key in ("songs", "subjects") if facts.get(key)]
            yield "  trained on " + (", ".join(trained) or "data named in its card")
        card = model / "README.md"
        if card.is_file():
            yield f"  card: {card}"
