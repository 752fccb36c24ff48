"""Strict YAML and dotted overrides to frozen objects.

A key that does not exist is an error that names the nearest one; nothing is ignored.
YAML never names code to call.
"""

from __future__ import annotations

import os
from collections.abc import Hashable, Mapping, Sequence
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from eeg2music.config_words import Keys, explain
from eeg2music.errors import ConfigError


class Config(BaseModel):
    """Base of all configuration objects: frozen, and refusing unknown keys and numbers that are not finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=(), allow_inf_nan=False)


C = TypeVar("C", bound=Config)


def load_config(kind: type[C], path: str | os.PathLike[str] | None = None, overrides: Sequence[str] = ()) -> C:
    """Read a YAML file (or only the defaults), apply `a.b=value` overrides, validate.

    Raises
    ------
    ConfigError
        Naming the file or the command line, the key, what is allowed and the nearest key.
    """
    read: dict[str, Any] = {} if path is None else read_yaml(path)
    values = deepcopy(read)
    given = [_apply(values, override) for override in overrides]
    source = "" if path is None else f"in {path}"
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise explain(kind, error, values, partial(_where, read, given, source)) from None


def build_config(kind: type[C], values: Mapping[str, Any], *, source: str = "config") -> C:
    """Validate a mapping into a config object, with errors in plain words."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise explain(kind, error, values, lambda _: f"in {source}") from None


def read_yaml(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a YAML mapping that sets something.

    Raises
    ------
    ConfigError
        If it is no YAML, no mapping, sets nothing, or sets a key twice.
    """
    file = find_config(path)
    allowed = "a mapping of keys to values, such as seed: 1"
    try:
        values = yaml.load(file.read_text(encoding="utf-8"), _EachKeyOnce)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{file} is not valid YAML ({_one_line(error)})", allowed=allowed, remedy="correct that line"
        ) from None
    if values is None or values == {}:
        raise ConfigError(
            f"{file} sets nothing",
            allowed=allowed,
            remedy="write what differs from the defaults into it, or begin with a copy of a file in configs/",
        )
    if not isinstance(values, dict):
        raise ConfigError(f"{file} holds a {type(values).__name__}", allowed=allowed, remedy="write key: value")
    return values


class _EachKeyOnce(yaml.SafeLoader):
    """Refuses a mapping that names a key twice, of which YAML's own loader takes the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                told = f"the key {key.value!r} stands twice"
                raise yaml.constructor.ConstructorError(None, None, told, key.start_mark)
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


def _where(read: Mapping[str, Any], given: Sequence[tuple[str, ...]], source: str, keys: Keys) -> str:
    """Where a value was given: in the file, on the command line, or some of it here and some there."""
    below = [path for path in given if path[: len(keys)] == keys]
    if below:
        there: Any = read
        for key in keys:
            there = there.get(key) if isinstance(there, Mapping) else None
        return f"{source} and on the command line".lstrip() if there and below != [keys] else "on the command line"
    return "on the command line" if any(keys[: len(path)] == path for path in given) else source


def find_config(path: str | os.PathLike[str]) -> Path:
    """The file at `path`, or the one of that name among the configs that ship with the package."""
    file = Path(path)
    if file.is_file():
        return file
    shipped = shipped_folder("configs")
    relative = Path(*file.parts[1:]) if file.parts[:1] == ("configs",) else file
    for candidate in (shipped / relative, shipped / f"{relative}.yaml"):
        if candidate.is_file():
            return candidate
    known = sorted(str(p.relative_to(shipped.parent)) for p in shipped.rglob("*.yaml"))
    raise ConfigError(
        f"No config file at {file}",
        allowed="a file of your own, or " + ", ".join(known),
        remedy="check the path",
    )


def shipped_folder(name: str) -> Path:
    """Where `configs` or `checkpoints` lie: inside an installed package, or beside it in a checkout."""
    package = Path(__file__).parent
    inside = package / name
    return inside if inside.is_dir() else package.parent / name


def _apply(values: dict[str, Any], override: str) -> tuple[str, ...]:
    """Set what an override says; returns the keys that lead there."""
    key, sign, text = override.partition("=")
    parts = key.lstrip("-").split(".")
    allowed = "key=value or key.subkey=value"
    if not sign or not all(parts):
        raise ConfigError(
            f"The override {override!r} cannot be read",
            allowed=allowed,
            remedy="write it so, without spaces; a second file or folder is not taken here",
        )
    node = values
    for part in parts[:-1]:
        if node.get(part) is None:
            node[part] = {}
        node = node[part]
        if not isinstance(node, dict):
            raise ConfigError(
                f"The override {override!r} goes below {part!r}, which is a value",
                allowed=allowed,
                remedy=f"set {part} itself",
            )
    try:
        node[parts[-1]] = yaml.load(text, _EachKeyOnce) if text else None
    except yaml.YAMLError as error:
        raise ConfigError(
            f"The override {override!r} is not valid YAML ({_one_line(error)})",
            allowed=allowed,
            remedy="put the value in quotes if it is a text",
        ) from None
    return tuple(parts)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()).replace('in "<unicode string>", ', "in ")
