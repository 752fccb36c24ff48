"""Where a run's code came from, the commit of the checkout at its start and whether files differed from it, and what
figures were made with.

Best effort: an installed wheel knows neither. Changes nothing.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from eeg2music import __version__
from eeg2music.weights import checkpoint_sha256

_PACKAGE = Path(__file__).resolve().parent
# What decides a run; notes and reports may change meanwhile.
_CODE = ("eeg2music", "configs", "train")


def code_origin(package: Path = _PACKAGE) -> dict[str, Any] | None:
    """{"commit": 12 digits, "dirty": whether code or configs differ from it}, None outside of a checkout.

    A package that is merely installed below somebody's checkout (in its virtual environment) is not part of it.
    """
    root = package.parent
    top = _git(root, "rev-parse", "--show-toplevel")
    if top is None or Path(top).resolve() != root:
        return None
    commit = _git(root, "rev-parse", "--short=12", "HEAD")
    changes = _git(root, "status", "--porcelain", "--", *_CODE)
    return None if commit is None or changes is None else {"commit": commit, "dirty": bool(changes)}


def described(origin: dict[str, Any] | None) -> str:
    """An origin in words."""
    if origin is None:
        return "unknown"
    return f"{origin['commit']}, with uncommitted changes" if origin["dirty"] else str(origin["commit"])


def made_with(models: Path | None = None) -> dict[str, Any]:
    """What stands beside figures: version, code, and the weights below the folder `models`, where there are any."""
    found: dict[str, Any] = {"version": __version__, "code": code_origin()}
    return found if models is None else {**found, "checkpoint_sha256": checkpoint_sha256(models)}


def _git(folder: Path, *arguments: str) -> str | None:
    # No locks: somebody may be committing.
    command = ["git", "--no-optional-locks", *arguments]
    try:
        found = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip()
