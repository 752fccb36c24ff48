"""A new file in a folder is found; a broken one is not passed over."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from eeg2music.errors import ConfigError
from eeg2music.registry import Registry

ENTRY = "from {package} import registry\n@registry.add('{name}')\ndef entry():\n    return '{name}'\n"
Make = Callable[..., "Registry[Callable[[], str]]"]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Write a package of entries and give its registry: make("package", "entry", ...)."""
    monkeypatch.syspath_prepend(str(tmp_path))
    made: list[str] = []

    def build(package: str, *entries: str, **modules: str) -> Registry[Callable[[], str]]:
        folder = tmp_path / package
        folder.mkdir()
        made.append(package)
        (folder / "__init__.py").write_text(
            f"from eeg2music.registry import Registry\nregistry = Registry('thing', '{package}')\n"
        )
        for name in entries:
            (folder / f"file_{name}.py").write_text(ENTRY.format(package=package, name=name))
        for module, text in modules.items():
            (folder / f"{module}.py").write_text(text.format(package=package))
        return __import__(package).registry

    yield build
    for name in [name for name in sys.modules if name.split(".")[0] in made]:
        del sys.modules[name]


def test_a_new_file_is_found_because_it_lies_there(make: Make, tmp_path: Path) -> None:
    registry = make("things_one", "ridge", "conv")
    (tmp_path / "things_one" / "later.py").write_text(ENTRY.format(package="things_one", name="another"))
    assert registry.names() == ("another", "conv", "ridge")
    assert list(registry) == ["another", "conv", "ridge"]
    assert registry["another"]() == "another"


def test_nothing_is_imported_before_it_is_asked_for(make: Make) -> None:
    registry = make("things_two", "ridge")
    assert "things_two.file_ridge" not in sys.modules
    assert registry["ridge"]() == "ridge"
    assert "things_two.file_ridge" in sys.modules


def test_an_unknown_name_says_what_there_is_and_the_nearest(make: Make) -> None:
    registry = make("things_three", "ridge", "conv")
    with pytest.raises(
        ConfigError, match=r"No thing named 'rigde'\. Allowed: conv, ridge\. Remedy: did you mean 'ridge'\?$"
    ):
        registry["rigde"]


def test_two_entries_of_one_name_are_refused(make: Make) -> None:
    registry = make("things_four", "ridge", twin=ENTRY.replace("{name}", "ridge"))
    with pytest.raises(ConfigError, match="Two entries named 'ridge' for thing"):
        registry.names()


def test_a_file_that_fails_to_import_fails_every_time(make: Make) -> None:
    # A half-filled registry that answers the second time would hide what is missing.
    registry = make("things_five", "aaa", "zzz", middle="raise RuntimeError('broken')")
    for _ in range(2):
        with pytest.raises(RuntimeError, match="broken"):
            registry["zzz"]
