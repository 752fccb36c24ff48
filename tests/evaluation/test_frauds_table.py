"""The table of planted frauds in docs/frauds.md is true: each test it names is run and demands what is quoted."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
DOCS = Path(__file__).parents[2]
TABLE = (DOCS / "docs" / "frauds.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| ([^|]+) \| ([^|]+) \| `([\w.]+)::(\w+)` \|$", TABLE, re.MULTILINE)
NAMED = (
    "leaked song", "leaked trial", "scaler fitted on all", "stale cache", "wrong sample rate", "silent files",
    "duplicated clips", "NaN embeddings", "circular encoder", "truncated gallery", "permuted labels",
)  # fmt: skip
# Calls that fail unless the error says what they are given: pytest's, and the helper of test_frauds_files.py.
DEMANDING = ("raises", "refused")
# Marks under which a test may be left out or fail unseen.
LEFT_OUT = ("skip", "skipif", "xfail", "slow")


def function_of(file: str, name: str) -> ast.FunctionDef:
    tree = ast.parse((FOLDER / file).read_text(encoding="utf-8"))
    (found,) = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name]
    return found


def demanded(test: ast.FunctionDef) -> Iterator[str]:
    """The texts in a test's assertions and in what it demands of errors, patterns without their backslashes."""
    for node in ast.walk(test):
        is_call = isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in DEMANDING
        if isinstance(node, ast.Assert) or is_call:
            texts = [
                one.value for one in ast.walk(node) if isinstance(one, ast.Constant) and isinstance(one.value, str)
            ]
            yield from (text.replace("\\", "") for text in texts)


def quoted(words: str) -> list[str]:
    """What stands in quotation marks, in the parts between dots.

    >>> quoted('the splitter: "share … songs", or "works"')
    ['share', 'songs', 'works']
    """
    return [part.strip() for quote in re.findall(r'"([^"]+)"', words) for part in quote.split("…") if part.strip()]


def test_the_frauds_that_have_to_be_there_are() -> None:
    assert set(NAMED) <= {fraud for fraud, *_ in ROWS}
    assert len({test for *_, test in ROWS}) == len(ROWS) >= 20
    assert len(ROWS) == sum("::" in line for line in TABLE.splitlines())


def test_the_readme_counts_them() -> None:
    readme = (DOCS / "README.md").read_text(encoding="utf-8")
    assert f"[{len(ROWS)} planted frauds](docs/frauds.md)" in readme


@pytest.mark.parametrize(("words", "file", "test"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_each_has_a_test_that_demands_what_is_quoted(words: str, file: str, test: str) -> None:
    found = function_of(file, test)
    marks = " ".join(map(ast.unparse, found.decorator_list))
    assert not any(f"mark.{mark}" in marks for mark in LEFT_OUT)
    texts = list(demanded(found))
    assert quoted(words), "the table quotes nothing that a test could demand"
    assert [part for part in quoted(words) if not any(part in text for text in texts)] == []


@pytest.mark.parametrize(
    ("body", "whole"),
    [
        ("refused(LeakError, 'share 6 of 6 songs', score)", True),
        ("with pytest.raises(LeakError, match='share 6 of 6 songs'):\n        score()", True),
        ("assert any('share 6' in text and 'songs' in text for text in score())", True),
        ("score()  # share 6 of 6 songs", False),
        ("said = 'share 6 of 6 songs'", False),
        ("with pytest.raises(LeakError):\n        score()", False),
    ],
)
def test_a_test_that_demands_nothing_is_seen(body: str, whole: bool) -> None:
    (test,) = ast.parse(f"def test():\n    {body}\n").body
    assert isinstance(test, ast.FunctionDef)
    texts = list(demanded(test))
    assert all(any(part in text for text in texts) for part in quoted('"share … songs"')) == whole
