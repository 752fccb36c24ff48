"""Enters the toy tasks, for tests that train in this process."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

# Run as scripts, or loaded by the fixtures below: not to be imported a second time by the search for doctests.
collect_ignore = ["toys.py", "distributed.py", "music.py"]


@pytest.fixture(scope="session", autouse=True)
def toy_tasks() -> None:
    spec = importlib.util.spec_from_file_location("eeg2music_test_toys", Path(__file__).with_name("toys.py"))
    assert spec is not None and spec.loader is not None
    spec.loader.exec_module(importlib.util.module_from_spec(spec))


@pytest.fixture(scope="session")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stimuli folder of six short songs."""
    spec = importlib.util.spec_from_file_location("eeg2music_test_music", Path(__file__).with_name("music.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    root: Path = module.write_music(tmp_path_factory.mktemp("music"), [f"song-{index}" for index in range(6)])
    return root
