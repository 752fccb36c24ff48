"""Makes the synthetic band importable for the tests of this folder, wherever pytest is started from."""

from __future__ import annotations

import sys
from pathlib import Path

from support import load_file

sys.modules["mixing_band"] = load_file(Path(__file__).with_name("band.py"))
