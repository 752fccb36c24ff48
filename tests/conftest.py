"""Shared fixtures. Nothing is downloaded: the hub is switched off before anything imports it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("MPLBACKEND", "Agg")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real recordings, `$EEG2MUSIC_REAL_DATA` or `../shared/data`."""
    root = Path(os.environ.get("EEG2MUSIC_REAL_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not root.is_dir():
        pytest.skip(f"no real recordings: set EEG2MUSIC_REAL_DATA ({root.name} is absent)")
    return root
