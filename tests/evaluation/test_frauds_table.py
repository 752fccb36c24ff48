"""The table of planted frauds in docs/frauds.md is true: each test it names is there, and the frauds are enough."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
TABLE = (Path(__file__).parents[2] / "docs" / "frauds.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| ([^|]+) \| ([^|]+) \| `([\w.]+)::(\w+)` \|$", TABLE, re.MULTILINE)
NAMED = (
    "leaked song", "leaked trial", "scaler fitted on all", "stale cache", "wrong sample rate", "silent files",
    "duplicated clips", "NaN embeddings", "circular encoder", "truncated gallery", "permuted labels",
)  # fmt: skip


def functions_of(name: str) -> set[str]:
    tree = ast.parse((FOLDER / name).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_the_frauds_that_have_to_be_there_are() -> None:
    assert set(NAMED) <= {fraud for fraud, *_ in ROWS}
    assert len({test for *_, test in ROWS}) == len(ROWS) >= 20
    assert len(ROWS) == sum("::" in line for line in TABLE.splitlines())


@pytest.mark.parametrize(("file", "test"), [row[2:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_each_has_its_test(file: str, test: str) -> None:
    assert test in functions_of(file)
