"""Enters the toy tasks, for tests that train in this process."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import load_file

# Run as scripts, or loaded by the fixtures below: not to be imported a second time by the search for doctests.
collect_ignore = ["toys.py", "distributed.py", "fakes.py", "music.py"]


@pytest.fixture(scope="session", autouse=True)
def toy_tasks() -> None:
    load_file(Path(__file__).with_name("toys.py"))


@pytest.fixture(scope="session")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stimuli folder of six short songs."""
    module = load_file(Path(__file__).with_name("music.py"))
    root: Path = module.write_music(tmp_path_factory.mktemp("music"), [f"song-{index}" for index in range(6)])
    return root


@pytest.fixture(scope="session")
def longer_music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight songs of six seconds, which windows of five fit into."""
    module = load_file(Path(__file__).with_name("music.py"))
    root: Path = module.write_music(tmp_path_factory.mktemp("music"), [f"song-{k}" for k in range(8)], seconds=6.0)
    return root
