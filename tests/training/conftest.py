"""Enters the toy tasks, for tests that train in this process."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest


@pytest.fixture(scope="session", autouse=True)
def toy_tasks() -> None:
    spec = importlib.util.spec_from_file_location("eeg2music_test_toys", Path(__file__).with_name("toys.py"))
    assert spec is not None and spec.loader is not None
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
