"""Strict YAML and dotted overrides to frozen objects.

A key that does not exist is an error that names the nearest one; nothing is ignored.
YAML never names code to call.
"""

from __future__ import annotations

import difflib
import os
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

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
        Naming the file, the key, what is allowed and the nearest key.
    """
    values: dict[str, Any] = {} if path is None else read_yaml(path)
    for override in overrides:
        _apply(values, override)
    return build_config(kind, values, source=str(path) if path is not None else "the defaults")


def build_config(kind: type[C], values: Mapping[str, Any], *, source: str = "config") -> C:
    """Validate a mapping into a config object, with errors in plain words."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise _explain(kind, error, source) from None


def read_yaml(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a YAML mapping."""
    file = find_config(path)
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} is not valid YAML ({_one_line(error)})", remedy="correct that line") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(f"{file} holds a {type(values).__name__}", allowed="a mapping of keys to values")
    return values


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


def _apply(values: dict[str, Any], override: str) -> None:
    key, sign, text = override.partition("=")
    parts = key.lstrip("-").split(".")
    if not sign or not all(parts):
        raise ConfigError(f"The override {override!r} cannot be read", allowed="key.subkey=value")
    node = values
    for part in parts[:-1]:
        if node.get(part) is None:
            node[part] = {}
        node = node[part]
        if not isinstance(node, dict):
            raise ConfigError(f"The override {override!r} goes below {part!r}, which is a value")
    try:
        node[parts[-1]] = yaml.safe_load(text) if text else None
    except yaml.YAMLError as error:
        raise ConfigError(
            f"The override {override!r} is not valid YAML ({_one_line(error)})",
            allowed="key.subkey=value",
            remedy="put the value in quotes if it is a text",
        ) from None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _explain(kind: type[Config], error: ValidationError, source: str) -> ConfigError:
    # A key that nobody knows explains the one that is missing, not the other way round.
    first = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
    location = [str(part) for part in first["loc"]]
    key = ".".join(location)
    if first["type"] == "extra_forbidden":
        fields = list(_fields_at(kind, location[:-1]))
        close = difflib.get_close_matches(location[-1], fields, n=1)
        return ConfigError(
            f"Unknown key {key!r} in {source}",
            allowed=", ".join(fields),
            remedy=f"did you mean {close[0]!r}?" if close else "correct or remove it",
        )
    if first["type"] == "missing":
        return ConfigError(f"The key {key!r} is missing in {source}", remedy=f"add {key}: …")
    return ConfigError(f"{key} = {first['input']!r} in {source} does not fit", allowed=first["msg"])


def _fields_at(kind: type[Config], location: Iterable[str]) -> tuple[str, ...]:
    current: Any = kind
    for part in location:
        fields = getattr(current, "model_fields", {})
        if part not in fields:
            continue  # index of a list, or the tag of a union
        current = _config_in(fields[part].annotation)
    return tuple(getattr(current, "model_fields", {}))


def _config_in(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if typing.get_origin(annotation) in (typing.Union, types.UnionType, list, tuple, dict):
        for part in typing.get_args(annotation):
            found = _config_in(part)
            if found is not None:
                return found
    return None
