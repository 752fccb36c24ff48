"""The README keeps its promise: two commands, and CI runs the second as it stands."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from eeg2music.cli import app

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def first_block() -> list[str]:
    found = re.search(r"^```\w*\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    assert found is not None
    lines = [line.strip() for line in found[1].splitlines() if line.strip() and not line.startswith("#")]
    return [line for line in lines if not line.startswith(("git ", "cd "))]


def test_it_opens_with_two_commands() -> None:
    assert len(first_block()) == 2
    before = README[: README.index("```")]
    assert len(before.split()) < 40  # they come first


def test_the_first_runs_the_demo_and_the_second_the_tests() -> None:
    main, test = first_block()
    assert main.endswith("eeg2music demo")
    assert "[all]" in main
    assert test.endswith("pytest")
    assert "[all,dev]" in test


@pytest.mark.parametrize("number", [0, 1])
def test_both_set_up_an_environment_of_their_own(number: int) -> None:
    command = first_block()[number]
    assert "-m venv .venv" in command
    assert "constraints.txt" in command
    assert "sudo" not in command
    # Chained, so that a step that fails stops the rest.
    assert ";" not in command.replace("'", "")


def test_ci_runs_the_second_command() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    extract = re.search(r"command=\$\((.*)\)\n", script)
    assert extract is not None
    found = subprocess.run(["bash", "-c", extract[1]], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert found.strip() == first_block()[1]


def test_files_that_it_needs_are_there() -> None:
    for name in (
        "constraints.txt",
        "LICENSE",
        "CITATION.cff",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "Makefile",
        "setup.py",
    ):
        assert (ROOT / name).is_file(), name
    assert re.search(r"^torch==", (ROOT / "constraints.txt").read_text(), re.MULTILINE)


def test_every_command_it_shows_exists() -> None:
    import typer.main

    known = set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    blocks = "\n".join(re.findall(r"^```\w*\n(.*?)^```", README, re.MULTILINE | re.DOTALL))
    shown = set(re.findall(r"\beeg2music ([a-z]+)\b", blocks))
    assert shown
    assert shown <= known


def test_every_config_and_script_it_shows_exists() -> None:
    shown = set(re.findall(r"\b((?:configs|benchmarks|train|eval|checkpoints)/[\w./-]+\.(?:yaml|py|md))\b", README))
    missing = sorted(name for name in shown if not (ROOT / name).is_file())
    assert missing == []


def test_the_version_stands_in_one_place() -> None:
    from eeg2music import __version__

    assert re.search(rf"^version: {re.escape(__version__)}$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text()
