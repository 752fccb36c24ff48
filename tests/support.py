"""What tests of several folders share: loading a file that lies beside a test."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType


def load_file(path: Path) -> ModuleType:
    """Run a Python file as a module of its own name, without putting its folder on the path."""
    spec = importlib.util.spec_from_file_location(f"eeg2music_test_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
