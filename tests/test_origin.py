"""The commit of a checkout, and nothing where the package is not part of one."""

from __future__ import annotations

import subprocess
from pathlib import Path

from eeg2music.origin import code_origin, described


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_commit_and_whether_the_code_differs_from_it(tmp_path: Path) -> None:
    package = tmp_path.resolve() / "eeg2music"
    package.mkdir()
    assert code_origin(package) is None  # no checkout
    git(tmp_path, "init", "-q")
    assert code_origin(package) is None  # no commit
    (package / "a.py").write_text("1")
    (tmp_path / "notes.md").write_text("1")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "one")
    commit = git(tmp_path, "rev-parse", "--short=12", "HEAD")
    assert code_origin(package) == {"commit": commit, "dirty": False}
    (tmp_path / "notes.md").write_text("2")
    assert described(code_origin(package)) == commit
    (package / "b.py").write_text("1")  # the registries would find it
    assert code_origin(package) == {"commit": commit, "dirty": True}
    assert described(code_origin(package)) == f"{commit}, with uncommitted changes"


def test_a_wheel_in_a_checkouts_virtual_environment_is_not_of_that_checkout(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    git(tmp_path, "commit", "-qm", "one", "--allow-empty")
    package = tmp_path.resolve() / ".venv" / "site-packages" / "eeg2music"
    package.mkdir(parents=True)
    assert code_origin(package) is None
    assert described(None) == "unknown"
