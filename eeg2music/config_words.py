"""What does not fit a config, in plain words: the key, where it was given, what is allowed, and the remedy.

Reads the types and bounds of the config's fields, so that nothing has to be written twice. Validates nothing itself.
"""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from eeg2music.errors import ConfigError, did_you_mean

Keys = tuple[Any, ...]
_SIMPLE = {int: "a whole number", float: "a number", bool: "true or false", str: "a text", Path: "a path"}
_MANY = {int: "whole numbers", float: "numbers", str: "names", Path: "paths"}
_LONGEST = 80


class Unfit(ValueError):
    """Raised by the validators of configs: why a value does not fit (optional), what would, and the remedy."""

    def __init__(self, why: str = "", *, allowed: str, remedy: str | None = None) -> None:
        self.why, self.allowed, self.remedy = why, allowed, remedy
        super().__init__(why or allowed)


def known_names(names: Sequence[str], known: Iterable[str]) -> None:
    """For validators: refuse a list that holds a name which is none of `known`.

    Raises
    ------
    Unfit
        With the nearest name.
    """
    choices = list(known)
    for name in names:
        if name not in choices:
            allowed = ", ".join(choices)
            raise Unfit(f"there is no {name!r}", allowed=allowed, remedy=did_you_mean(name, choices))


class _Field(NamedTuple):
    """A place in a config: its type, its bounds, its default where that is simple, and its own words for all of it."""

    annotation: Any
    metadata: Sequence[Any] = ()
    default: str | None = None
    own_words: str | None = None


class _Misfit(NamedTuple):
    """An error of pydantic's, with the keys that lead to the value and nothing else."""

    keys: Keys
    kind: str
    value: Any
    message: str
    raised: Any


def explain(
    kind: type[BaseModel], error: ValidationError, values: Mapping[str, Any], where: Callable[[Keys], str]
) -> ConfigError:
    """The error to raise in place of pydantic's.

    Parameters
    ----------
    values : what was validated
    where : says of a value, by the keys that lead to it, where it was given, such as "in a.yaml"
    """
    one = _as_a_misfit(_most_telling(kind, error, values), values)
    key, place = ".".join(map(str, one.keys)), where(one.keys)
    if one.kind == "extra_forbidden":
        return _unknown_key(kind, one, key, place)
    field = _field_at(kind, one.keys)
    allowed = None if field is None else field.own_words or described(field.annotation, field.metadata)
    if one.kind == "missing":
        named = all(isinstance(part, str) for part in one.keys)
        remedy = f"add {one.keys[-1]}: …" + (f", or {key}=… on the command line" if named else "")
        return ConfigError(f"The key {key!r} is missing {place}".rstrip(), allowed=allowed, remedy=remedy)
    if one.kind == "invalid_key":
        known = ", ".join(kind.model_fields)
        return ConfigError(f"The key {key} {place} is no text", allowed=known, remedy="correct or remove it")
    why, allowed, remedy = _reasons(one, allowed, _remedy(one.value, field))
    return ConfigError(
        f"{key or 'The config'} = {_short(one.value)} {place} does not fit" + (f": {why}" if why else ""),
        allowed=allowed,
        remedy=remedy,
    )


def _reasons(one: _Misfit, allowed: str | None, remedy: str) -> tuple[str, str, str]:
    """Why a value does not fit where that says more than what is allowed, what is allowed, and the remedy."""
    if isinstance(one.raised, Unfit):
        return one.raised.why, one.raised.allowed, one.raised.remedy or remedy
    if one.kind == "value_error":
        return str(one.raised), allowed or "another value", remedy
    if one.kind == "finite_number":
        return "", "a finite number", remedy
    return "", allowed or one.message.removeprefix("Input should be "), remedy


def described(annotation: Any, metadata: Sequence[Any] = ()) -> str:
    """What a field takes.

    >>> described(int, ()), described(Literal["a", "b"] | None)
    ('a whole number', 'a, b or null')
    >>> described(tuple[float, ...]), described(tuple[int, int])
    ('a list of numbers in brackets', 'a list of 2: a whole number, a whole number')
    """
    if typing.get_origin(annotation) is Annotated:
        annotation, *more = typing.get_args(annotation)
        return described(annotation, (*metadata, *more))
    return _type_words(annotation) + _bounds(metadata, annotation)


def _type_words(annotation: Any) -> str:
    origin, parts = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Literal:
        return _either([str(part) for part in parts])
    if origin in (typing.Union, types.UnionType):
        return _either([words for part in _alternatives(annotation) for words in _each(part)])
    if annotation in _SIMPLE:
        return _SIMPLE[annotation]
    if annotation in (None, types.NoneType):
        return "null"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return f"a section with {', '.join(annotation.model_fields)}"
    if origin is tuple and parts and parts[-1] is not Ellipsis:
        return f"a list of {len(parts)}: " + ", ".join(described(part) for part in parts)
    if origin in (tuple, list) or origin is Sequence:
        many = _MANY.get(parts[0])
        return f"a list, each {described(parts[0])}" if many is None else f"a list of {many} in brackets"
    if origin is not None and issubclass(origin, Mapping):
        return "a mapping such as {name: value}"
    return "another value"


def _each(part: Any) -> list[str]:
    """One member of a union; the words of a Literal are members themselves."""
    return [str(one) for one in typing.get_args(part)] if typing.get_origin(part) is Literal else [described(part)]


def _alternatives(annotation: Any) -> Iterator[Any]:
    """The members of a union, also of unions within."""
    for part in typing.get_args(annotation):
        if typing.get_origin(part) in (typing.Union, types.UnionType):
            yield from _alternatives(part)
        else:
            yield part


def _either(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _bounds(metadata: Sequence[Any], annotation: Any) -> str:
    # Below the top, pydantic leaves bounds in their Field.
    flat = [inner for one in metadata for inner in (one.metadata if isinstance(one, FieldInfo) else [one])]
    found = {
        name: getattr(one, name)
        for one in flat
        for name in ("ge", "gt", "le", "lt", "min_length", "pattern")
        if getattr(one, name, None) is not None
    }
    low = f"{found['ge']:g} or more" if "ge" in found else f"above {found['gt']:g}" if "gt" in found else ""
    high = f"at most {found['le']:g}" if "le" in found else f"below {found['lt']:g}" if "lt" in found else ""
    if "ge" in found and "le" in found:
        low, high = f"from {found['ge']:g} to {found['le']:g}", ""
    limits = " and ".join(part for part in (low, high) if part)
    length = f", {found['min_length']} or more of them" if "min_length" in found else ""
    pattern = f" like {found['pattern']}" if "pattern" in found else ""
    return (f", {limits}" if limits else "") + length + pattern


def _most_telling(kind: type[BaseModel], error: ValidationError, values: Mapping[str, Any]) -> _Misfit:
    """An unknown key explains the one that is missing, not the other way round; of a union, the innermost misfit."""
    found = [_misfit(kind, one, values) for one in error.errors()]
    for one in found:
        if one.kind == "extra_forbidden":
            return one
    inside = [one for one in found if one.keys[: len(found[0].keys)] == found[0].keys]
    return max(inside, key=lambda one: len(one.keys))


def _misfit(kind: type[BaseModel], one: Any, values: Mapping[str, Any]) -> _Misfit:
    keys = _keys(kind, one["loc"], values)
    return _Misfit(keys, one["type"], one["input"], one["msg"], one.get("ctx", {}).get("error"))


def _keys(kind: type[BaseModel], location: Sequence[Any], values: Any) -> Keys:
    """The keys of a location that lead to a value or a field: pydantic puts the members of unions between them."""
    keys: list[Any] = []
    for part in location:
        if _holds(values, part):
            values = values[part]
        elif _field_at(kind, (*keys, part)) is not None:
            values = None  # a key that is missing, or an element of a list that is too short
        else:
            continue
        keys.append(part)
    return tuple(keys)


def _holds(values: Any, part: Any) -> bool:
    if isinstance(values, Mapping):
        return part in values
    return isinstance(values, list | tuple) and isinstance(part, int) and part < len(values)


def _as_a_misfit(one: _Misfit, values: Any) -> _Misfit:
    """A list that is too short lacks no key."""
    if one.kind != "missing" or isinstance(one.keys[-1], str):
        return one
    for key in one.keys[:-1]:
        values = values[key]
    return one._replace(keys=one.keys[:-1], kind="too_short", value=values)


def _unknown_key(kind: type[BaseModel], one: _Misfit, key: str, place: str) -> ConfigError:
    section = _field_at(kind, one.keys[:-1])
    inner = None if section is None else _config_in(section.annotation)
    fields = {} if inner is None else inner.model_fields
    name = str(one.keys[-1])
    below = [f"{path}.{name}" for path, fields_there in _sections(kind) if name in fields_there]
    remedy = f"did you mean {below[0]!r}?" if below and not one.keys[:-1] else did_you_mean(name, fields)
    return ConfigError(
        f"Unknown key {key!r} {place}", allowed=", ".join(fields), remedy=remedy or "correct or remove it"
    )


def _sections(kind: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, Mapping[str, FieldInfo]]]:
    for name, field in kind.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield prefix + name, inner.model_fields
            yield from _sections(inner, f"{prefix}{name}.")


def _field_at(kind: type[BaseModel], keys: Keys) -> _Field | None:
    """The place that keys lead to."""
    place = _Field(kind)
    for key in keys:
        section = _config_in(place.annotation)
        if section is not None and key in section.model_fields:
            place = _of_section(section.model_fields[key])
            continue
        element = _element_of(place.annotation, key) if section is None or isinstance(key, int) else None
        if element is None:
            return None
        place = _Field(element)
    return place


def _of_section(field: FieldInfo) -> _Field:
    simple = isinstance(field.default, bool | int | float | str)
    default = json.dumps(field.default) if simple else "null" if field.default is None else None
    return _Field(field.annotation, field.metadata, None if field.is_required() else default, field.description)


def _element_of(annotation: Any, key: Any) -> Any:
    origin, parts = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType, Annotated):
        found = (_element_of(part, key) for part in parts)
        return next((one for one in found if one is not None), None)
    if isinstance(key, int) and (origin in (tuple, list) or origin is Sequence):
        fixed = origin is tuple and parts[-1] is not Ellipsis
        return parts[key] if fixed and key < len(parts) else parts[0]
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return parts[1]
    return None


def _config_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if typing.get_origin(annotation) in (typing.Union, types.UnionType, list, tuple, dict, Annotated):
        for part in typing.get_args(annotation):
            found = _config_in(part)
            if found is not None:
                return found
    return None


def _remedy(value: Any, field: _Field | None) -> str:
    if type(value) in (int, float) and field is not None and _takes_text(field.annotation):
        return f"put it in quotes; on the command line '\"{value}\"', or the shell takes them off"
    close = did_you_mean(value, _choices(field.annotation)) if isinstance(value, str) and field is not None else None
    default = None if field is None else field.default
    return close or "correct it" + ("" if default is None else f", or leave it out for the default, {default}")


def _takes_text(annotation: Any) -> bool:
    union = typing.get_origin(annotation) in (typing.Union, types.UnionType)
    return annotation is str or (union and str in _alternatives(annotation))


def _choices(annotation: Any) -> list[str]:
    if typing.get_origin(annotation) is Literal:
        return [part for part in typing.get_args(annotation) if isinstance(part, str)]
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return [choice for part in typing.get_args(annotation) for choice in _choices(part)]
    return []


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 2]} …"
