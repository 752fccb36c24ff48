"""What a result was made with, so that it can be made again: the settings as resolved, the machine, the versions.

Takes nothing from a recording: no name, no path. What the user typed may be in the configuration.
"""

from __future__ import annotations

import json
import platform
import shlex
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from eeg2music import __version__
from eeg2music.config import Config

# Whose numbers reach the sound.
PACKAGES = ("torch", "transformers", "diffusers", "numpy", "scipy", "soxr", "mne")


def made_with(command: str, config: Config, *, device: str, precision: str) -> dict[str, Any]:
    """The settings of a run.

    Parameters
    ----------
    command : "demo", or "generate INPUT": the result folder and the overrides are added to it
    config : as resolved
    device, precision : that the music was generated on and in

    Returns
    -------
    JSON-ready: `command`, `config`, `device`, `precision`, `threads`, `versions`. The same bytes need the same of all.
    """
    import torch

    return {
        "command": shlex.join(["eeg2music", *command.split(), "--out", "OUT", *overrides(config)]),
        "config": config.model_dump(mode="json"),
        "device": device,
        "precision": precision,
        "threads": torch.get_num_threads(),
        "versions": versions(),
    }


def overrides(config: Config) -> list[str]:
    """Dotted overrides that turn the defaults into `config`."""
    return [
        f"{key}={json.dumps(value, ensure_ascii=False)}"
        for key, value in _leaves(config.model_dump(mode="json", exclude_defaults=True))
    ]


def _leaves(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def versions() -> dict[str, str | None]:
    """Of this package, Python and PACKAGES; None where one is not installed."""
    return {
        "eeg2music": __version__,
        "python": platform.python_version(),
        **{name: _version(name) for name in PACKAGES},
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
