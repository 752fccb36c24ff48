"""Turns the export of a run into a model that ships: smaller weights, no paths of this machine, a card.

A card says how the weights were made: command, commit, data, seed, time, hardware, scores and sha256.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from eeg2music.errors import CheckpointError
from eeg2music.files import atomic_folder, atomic_path, read_json, sha256_file, write_json, write_text
from eeg2music.origin import code_origin, described
from eeg2music.training.card_words import figure_words
from eeg2music.training.first_stage import earlier_stages, stage_of
from eeg2music.weights import MANIFEST_NAME

CARD = "README.md"
ARITHMETIC = {"no": "fp32"}


def ship(export: Path, out: Path, *, command: str, data: str, bf16: bool = True, after: Sequence[Path] = ()) -> Path:
    """Write `out` from the `export` folder of a finished run.

    Parameters
    ----------
    command : how the run can be repeated, as a person would type it in a checkout
    data : what it was trained on, in words, with the command that makes it
    bf16 : store floating-point weights in bfloat16; statistics (tensors of one dimension in a file of their own) and
        weights of an export that holds bfloat16 already keep their precision: what is not, it keeps for a reason
    after : exports of the stages before, first to last, for a run whose manifest does not list them

    Raises
    ------
    CheckpointError
        If one of the folders is no export of the training loop.
    """
    manifest = _manifest(export)
    if after:
        manifest["stages"] = [stage_of(_manifest(folder)) for folder in after]
    elif "stages" in manifest or earlier_stages(manifest):
        manifest["stages"] = earlier_stages(manifest)
    with atomic_folder(out) as folder:
        for path in sorted(export.iterdir()):
            if path.suffix == ".safetensors":
                _store(path, folder / path.name, bf16=bf16 and "statistics" not in path.name)
            elif path.name not in (MANIFEST_NAME, CARD) and path.is_file():
                shutil.copyfile(path, folder / path.name)
        write_json(folder / MANIFEST_NAME, {**manifest, "config": _without_paths(manifest["config"])})
        write_text(folder / CARD, card(out.name, manifest, folder, command=command, data=data, bf16=bf16))
    return out


def _manifest(export: Path) -> dict[str, Any]:
    if not (export / MANIFEST_NAME).is_file():
        raise CheckpointError(f"{export} is not the export of a training run", allowed=f"a folder with {MANIFEST_NAME}")
    return dict(read_json(export / MANIFEST_NAME))


def _store(source: Path, target: Path, *, bf16: bool) -> None:
    state = load_file(source)
    if bf16 and all(value.dtype != torch.bfloat16 for value in state.values()):
        state = {key: value.to(torch.bfloat16) if value.is_floating_point() else value for key, value in state.items()}
    with atomic_path(target) as temporary:
        save_file(state, temporary, metadata={"format": "pt"})


def _without_paths(config: Mapping[str, Any]) -> dict[str, Any]:
    """The config with absolute paths cut down to their last part."""

    def clean(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: clean(item) for key, item in value.items()}
        if isinstance(value, list):
            return [clean(item) for item in value]
        if isinstance(value, str) and value.startswith("/"):
            return Path(value).name
        return value

    return {key: clean(value) for key, value in config.items()}


def card(name: str, manifest: Mapping[str, Any], folder: Path, *, command: str, data: str, bf16: bool) -> str:
    """The text of a card."""
    return "\n".join(_lines(name, manifest, folder, command, data, bf16)) + "\n"


def _lines(name: str, manifest: Mapping[str, Any], folder: Path, command: str, data: str, bf16: bool) -> Iterator[str]:
    train = manifest["config"]["train"]
    stages = [*earlier_stages(manifest), stage_of(manifest)]
    yield from (f"# {name}", "", f"Trained by `eeg2music.training.{manifest['trained']}`.", "")
    yield from ("```", command, "```", "", "| | |", "|---|---|")
    facts = {
        **_commits(manifest),
        "data": data,
        "songs": len(manifest.get("songs", ())) or None,
        "listeners": len(manifest.get("subjects", ())) or None,
        "parameters trained": f"{manifest['parameters']:,}",
        "steps": _steps(stages),
        "arithmetic": ARITHMETIC.get(train["precision"], train["precision"]),
        "seed": train["seed"],
        "time": _time(stages),
        "hardware": " then ".join(dict.fromkeys(_machine(stage) for stage in stages if stage)),
        "stored in": _stored_in(folder),
    }
    yield from (f"| {key} | {value} |" for key, value in facts.items() if value is not None)
    for path in sorted(folder.glob("*.safetensors")):
        yield f"| sha256 of {path.name} | `{sha256_file(path)}` |"
    if manifest.get("figures"):
        yield from (
            "",
            "Scores on held-out songs, averaged weights:",
            "",
            "| figure | value | what it is |",
            "|---|---|---|",
        )
        for key, value in manifest["figures"].items():
            yield f"| {key} | {value:.4g} | {figure_words(manifest['trained'], key)} |"


def _stored_in(folder: Path) -> str:
    """What its weights are stored in, the most of them first."""
    sizes: dict[str, int] = {}
    for path in folder.glob("*.safetensors"):
        if "statistics" not in path.name:
            for value in load_file(path).values():
                if value.is_floating_point():
                    name = str(value.dtype).removeprefix("torch.")
                    sizes[name] = sizes.get(name, 0) + value.numel()
    return " and ".join(sorted(sizes, key=lambda name: -sizes[name]))


def _steps(stages: Sequence[Mapping[str, Any]]) -> str:
    """In all, and of each stage; an earlier stage may be unknown."""
    parts = [f"{stage['steps']} of batch {stage['batch_size']}" if stage else "unknown" for stage in stages]
    if len(parts) == 1:
        return parts[0]
    total = f"{sum(stage['steps'] for stage in stages)} " if all(stages) else ""
    return f"{total}in {len(parts)} stages: {', then '.join(parts)}"


def _time(stages: Sequence[Mapping[str, Any]]) -> str:
    minutes = [f"{stage['seconds'] / 60:.0f}" if stage else "unknown" for stage in stages]
    if len(minutes) == 1:
        return f"{minutes[0]} minutes"
    total = f"{sum(stage['seconds'] for stage in stages) / 60:.0f} minutes " if all(stages) else "minutes "
    return f"{total}in {len(minutes)} stages: {', then '.join(minutes)}"


def _machine(stage: Mapping[str, Any]) -> str:
    return stage["hardware"] + (f", {stage['processes']} processes" if stage["processes"] > 1 else "")


def _commits(manifest: Mapping[str, Any]) -> dict[str, str]:
    """The code that the run was made with; a run that does not say is shipped from the present checkout."""
    code = [entry for entry in manifest.get("code", ()) if entry["origin"] is not None]
    if not code:
        return {"commit": f"of the training: not recorded; shipped from {described(code_origin())}"}
    words = [described(entry["origin"]) for entry in code]
    since = [f"from step {entry['step']}: " if entry["step"] else "" for entry in code]
    return {"commit": "; ".join(map("".join, zip(since, words, strict=True)))}
