"""Makes the synthetic band importable for the tests of this folder, wherever pytest is started from."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

_spec = importlib.util.spec_from_file_location("mixing_band", Path(__file__).with_name("band.py"))
if _spec is None or _spec.loader is None:
    raise ImportError("tests/mixing/band.py is missing")
_module = importlib.util.module_from_spec(_spec)
sys.modules["mixing_band"] = _module
_spec.loader.exec_module(_module)
