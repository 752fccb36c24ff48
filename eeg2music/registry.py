"""Finds the classes and functions of a folder by scanning it.

A new data set, encoder or metric is one new file: it is found because it lies in the
folder and decorates itself with `registry.add("name")`, not because somebody listed it.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from eeg2music.errors import ConfigError, did_you_mean

T = TypeVar("T")


class Registry(Generic[T]):
    """Named entries of one package, filled by importing every module in it on first use.

    Parameters
    ----------
    kind : what the entries are, in the singular, for messages ("brain encoder")
    package : dotted name of the folder that is scanned
    """

    def __init__(self, kind: str, package: str) -> None:
        self.kind = kind
        self.package = package
        self._entries: dict[str, T] = {}
        self._scanned = False

    def add(self, name: str) -> Callable[[T], T]:
        """Decorator that enters a class or function under `name`."""

        def enter(entry: T) -> T:
            known = self._entries.get(name)
            if known is not None and known is not entry:
                raise ConfigError(f"Two entries named {name!r} for {self.kind}", remedy="rename one of them")
            self._entries[name] = entry
            return entry

        return enter

    def _scan(self) -> None:
        if self._scanned:
            return
        package = importlib.import_module(self.package)
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{self.package}.{module.name}")
        # Only now: after a module that fails to import, the next question fails too.
        self._scanned = True

    def names(self) -> tuple[str, ...]:
        self._scan()
        return tuple(sorted(self._entries))

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __getitem__(self, name: str) -> T:
        self._scan()
        if name not in self._entries:
            raise ConfigError(
                f"No {self.kind} named {name!r}",
                allowed=", ".join(self.names()),
                remedy=did_you_mean(name, self._entries) or "name one of these",
            )
        return self._entries[name]
