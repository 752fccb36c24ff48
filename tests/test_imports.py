"""Imports run downward only, and nothing heavy is imported before it is needed.

Read off the source, so that a lazy import inside a function counts as much as one at the top.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "eeg2music"

# Each may import those before it.
FOUNDATION = (
    "types",
    "errors",
    "compat",
    "config_words",
    "config",
    "registry",
    "seeding",
    "files",
    "audio",
    "weights",
    "origin",
    "memory",
)
# Each may import the foundation, none of them each other: they meet in what comes after.
STAGES = (
    "recordings",
    "preprocess",
    "regions",
    "encoders",
    "targets",
    "codec",
    "diffusion",
    "synthesis",
    "mapping",
    "mixing",
    "metrics",
    "scoring",
)
# Each may import the foundation, the stages and those before it.
ABOVE = (
    "simulation",
    "preparation",
    "inspection",
    "report",
    "compatibility",
    "pipeline",
    "training",
    "generation",
    "generation_batch",
    "evaluation",
    "demo",
    "live",
    "studio",
    "console",
    "options",
    "cli",
)

# Slow to import, and not needed for training: only inside functions.
LAZY = ("mne", "mne_bids", "librosa", "nilearn", "matplotlib", "diffusers.pipelines", "braindecode", "pandas")


def allowed(unit: str) -> set[str]:
    """What a file or folder of the package may import from the package."""
    if unit in FOUNDATION:
        return set(FOUNDATION[: FOUNDATION.index(unit)])
    if unit in STAGES:
        return set(FOUNDATION)
    return {*FOUNDATION, *STAGES, *ABOVE[: ABOVE.index(unit)]} if unit in ABOVE else {*FOUNDATION, *STAGES, *ABOVE}


def files() -> list[Path]:
    return sorted(ROOT.rglob("*.py"))


def unit_of(file: Path) -> str:
    return file.relative_to(ROOT).parts[0].removesuffix(".py")


def imported(node: ast.AST) -> Iterator[str]:
    """Dotted names that one statement imports; `from a import b` gives a.b."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    if isinstance(node, ast.ImportFrom) and node.module:
        yield from (f"{node.module}.{alias.name}" for alias in node.names)


def at_the_top(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements that run on import: not those in functions, nor those for type checkers alone."""
    for statement in body:
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        if isinstance(statement, ast.If) and "TYPE_CHECKING" in ast.unparse(statement.test):
            yield from at_the_top(statement.orelse)
            continue
        yield statement
        for part in ("body", "orelse", "finalbody", "handlers"):
            inner = getattr(statement, part, [])
            for child in inner:
                yield from at_the_top(child.body if isinstance(child, ast.ExceptHandler) else [child])


def test_every_file_has_its_place_in_the_order() -> None:
    known = {*FOUNDATION, *STAGES, *ABOVE, "__init__", "__main__"}
    strangers = {unit_of(file) for file in files()} - known
    assert not strangers, f"enter {sorted(strangers)} in the order of tests/test_imports.py"


@pytest.mark.parametrize("file", files(), ids=lambda file: str(file.relative_to(ROOT)))
def test_imports_run_downward(file: Path) -> None:
    unit = unit_of(file)
    tree = ast.parse(file.read_text(encoding="utf-8"))
    names = [name.split(".") for node in ast.walk(tree) for name in imported(node)]
    used = {parts[1] for parts in names if parts[0] == "eeg2music" and len(parts) > 1}
    wrong = used - allowed(unit) - {unit, "__version__"}
    assert not wrong, f"{unit} must not import {sorted(wrong)}"
    relative = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level > 0]
    assert not relative, "imports name the whole path"


@pytest.mark.parametrize("file", files(), ids=lambda file: str(file.relative_to(ROOT)))
def test_heavy_packages_are_imported_inside_functions(file: Path) -> None:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    names = [name for statement in at_the_top(tree.body) for name in imported(statement)]
    heavy = [name for name in names for lazy in LAZY if name == lazy or name.startswith(f"{lazy}.")]
    assert not heavy, f"import {heavy} inside the functions that need them"


def test_the_scan_sees_what_it_should() -> None:
    """Planted offences of every kind."""
    source = (
        "try:\n    import mne\nexcept ImportError:\n    from librosa import load\nclass A:\n    import nilearn.image\n"
    )
    found = [name for s in at_the_top(ast.parse(source).body) for name in imported(s)]
    assert found == ["mne", "librosa.load", "nilearn.image"]
    harmless = "if TYPE_CHECKING:\n    import mne\ndef f():\n    import mne\n"
    assert not [name for s in at_the_top(ast.parse(harmless).body) for name in imported(s)]
    assert "mixing" not in allowed("metrics")
    assert "evaluation" not in allowed("training")
    assert "config" not in allowed("errors")


def test_every_package_imports_lightly() -> None:
    """Importing the package and the root of each folder, in a fresh interpreter, loads none of the heavy ones."""
    folders = sorted(p.parent.name for p in ROOT.glob("*/__init__.py"))
    code = (
        "import importlib, json, sys\n"
        "import eeg2music\n"
        "first = sorted(sys.modules)\n"
        f"for name in {folders!r}: importlib.import_module('eeg2music.' + name)\n"
        "print(json.dumps([first, sorted(sys.modules)]))\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT.parent)
    assert run.returncode == 0, run.stderr
    first, every = (set(names) for names in json.loads(run.stdout))
    assert not first & {"torch", "numpy", "transformers", "diffusers", "mne"}
    assert not every & {"torch", "transformers", "diffusers", *LAZY}


# Distributions whose modules have another name.
MODULE_OF = {"pyyaml": "yaml", "scikit-learn": "sklearn"}
# For torch.utils.tensorboard; a command of its own (bids-validator-deno).
NOT_IMPORTED = {"tensorboard", "bids-validator-deno"}
# A part of pydantic.
BROUGHT_ALONG = {"pydantic_core"}


def declared(requirements: list[str]) -> set[str]:
    names = {re.split(r"[<>=\[ ]", line)[0].lower() for line in requirements} - {"eeg2music"}
    return {MODULE_OF.get(name, name.replace("-", "_")) for name in names - NOT_IMPORTED}


def test_what_is_imported_is_declared_and_what_is_declared_is_imported() -> None:
    project = tomllib.loads((ROOT.parent / "pyproject.toml").read_text())["project"]
    optional = [line for name, lines in project["optional-dependencies"].items() if name != "dev" for line in lines]
    found = {
        name.partition(".")[0]
        for path in ROOT.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in imported(node)
    }
    outside = {name for name in found if name not in sys.stdlib_module_names} - {"eeg2music"}
    assert outside - BROUGHT_ALONG == declared(project["dependencies"]) | declared(optional)
