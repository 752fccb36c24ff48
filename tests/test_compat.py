"""A torchaudio that cannot load must not take transformers down with it; one that can is left alone."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

STATE = "from eeg2music.compat import mend_torchaudio; print(mend_torchaudio())"
USE = """
import torch
from eeg2music.codec.encodec import Codec
codec = Codec.from_config(hidden_size=4, num_filters=2, num_lstm_layers=1, codebook_size=16)
print(tuple(codec.encode(torch.zeros(1, 640)).shape))
"""


def plant(root: Path, **files: str) -> None:
    package = root / "torchaudio"
    package.mkdir()
    for name, text in files.items():
        (package / f"{name}.py").write_text(text)


def run(root: Path, code: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)


def test_libraries_that_cannot_load_are_stubbed(tmp_path: Path) -> None:
    plant(
        tmp_path,
        __init__="from . import _extension, functional\n__version__ = '9.9'\n",
        _extension="raise OSError('libcudart.so.13: cannot open shared object file')\n",
        functional=(
            "from ._extension import fail_if_no_align\nimport torchaudio._extension as e\n"
            "assert not e._IS_ALIGN_AVAILABLE\n@fail_if_no_align\ndef resample(x): return x\n"
        ),
    )
    broken = run(tmp_path, "import torchaudio")
    assert broken.returncode != 0 and "libcudart" in broken.stderr
    done = run(tmp_path, f"{STATE}\nimport torchaudio\nprint(torchaudio.functional.resample(3)){USE}")
    assert done.stdout.split("\n")[:3] == ["stubbed", "3", "(1, 4, 2)"], done.stderr[-2000:]
    assert done.returncode == 0, done.stderr[-2000:]


def test_one_that_cannot_be_imported_at_all_is_hidden(tmp_path: Path) -> None:
    plant(tmp_path, __init__="raise RuntimeError('built for another torch')\n")
    done = run(tmp_path, f"{STATE}{USE}")
    assert done.stdout.split("\n")[:2] == ["hidden", "(1, 4, 2)"], done.stderr[-2000:]


def test_one_that_works_is_left_alone(tmp_path: Path) -> None:
    plant(tmp_path, __init__="from . import _extension\n", _extension="loaded = True\n")
    done = run(tmp_path, f"{STATE}\nimport torchaudio\nprint(torchaudio._extension.loaded)")
    assert done.stdout.split() == ["works", "True"], done.stderr[-2000:]


PACKAGE = Path(__file__).parents[1] / "eeg2music"
IMPORTS = re.compile(r"^from (?:transformers|diffusers)[. ]", re.MULTILINE)
USERS = sorted(path for path in PACKAGE.rglob("*.py") if IMPORTS.search(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", USERS, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_modules_that_import_transformers_or_diffusers_mend_first(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    found = IMPORTS.search(text)
    assert found is not None
    assert 0 < text.find("\nmend_torchaudio()") < found.start()


def test_such_modules_are_found() -> None:
    assert {"encodec.py", "transformer.py", "clap.py"} <= {path.name for path in USERS}
