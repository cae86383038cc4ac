"""Classes as JSON values and back: whether what is read has the types that a class declares for its fields."""

from __future__ import annotations

import dataclasses
import math
import types
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from functools import cache
from typing import Any, Final, TypeVar, Union, cast, get_args, get_origin, get_type_hints

FieldCheck = Callable[[Any], bool]

T = TypeVar("T")

INT64: Final = 2**63

APART: Final = {"apart": True}
"""Metadata of a field that does not travel as JSON, such as arrays."""


@cache
def field_checks(declaring: type) -> Mapping[str, FieldCheck]:
    """A check for each annotated field of a class, by name.

    Integers are those of 64 bits, numbers are finite, and no truth value is taken for either. Lists stand for tuples,
    and the text of a member for an enumeration.

    Raises:
        TypeError: If a field has a type that no check knows.
    """
    return {name: _check_of(hint) for name, hint in _hints(declaring).items()}


def plain(value: Any) -> Any:
    """A dataclass as JSON values, field by field; what its fields hold likewise."""
    if dataclasses.is_dataclass(value):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value) if "apart" not in f.metadata}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, list | tuple):
        return list(map(plain, cast("list[Any]", value)))
    return value


def built(declaring: type[T], values: Mapping[str, Any], **apart: Any) -> T:
    """Build a dataclass from what `plain` wrote, every field of it and nothing else.

    Args:
        declaring: The class.
        values: Its fields as JSON values.
        apart: Its fields that do not travel as JSON.

    Raises:
        ValueError: Saying which field is missing, not known, or holds another type than is declared.
    """
    checks = field_checks(declaring)
    lacking = sorted(checks.keys() - values.keys())
    if lacking:
        raise ValueError(f"lacks {lacking[0]}")
    for name, value in values.items():
        if name not in checks or not checks[name](value):
            raise ValueError(f"has a {name} that does not fit")
    return declaring(**{name: _made(hint, values[name]) for name, hint in _hints(declaring).items()}, **apart)


@cache
def _hints(declaring: type) -> dict[str, Any]:
    """Types of the fields that travel as JSON, by name; of a class that is no dataclass, of all it annotates."""
    hints = get_type_hints(declaring)
    if not dataclasses.is_dataclass(declaring):
        return hints
    return {f.name: hints[f.name] for f in dataclasses.fields(declaring) if "apart" not in f.metadata}


def _made(hint: Any, value: Any) -> Any:
    """A value that fits as what is declared: tuples, members and dataclasses again."""
    arguments = get_args(hint)
    if value is None:
        return None
    if get_origin(hint) in (Union, types.UnionType):
        return _made(next(argument for argument in arguments if argument is not types.NoneType), value)
    if get_origin(hint) is tuple:
        return tuple(_made(arguments[0], inner) for inner in value)
    if dataclasses.is_dataclass(hint):
        return built(cast("type[Any]", hint), value)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint(value)
    return value


def _check_of(hint: Any) -> FieldCheck:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _any_of(tuple(_check_of(argument) for argument in arguments))
    if origin is tuple:
        return _list_of(_check_of(arguments[0]))
    if origin is Sequence:
        return _list_of(_check_of(arguments[0]))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _mapping_of(_check_of(arguments[1]))
    if dataclasses.is_dataclass(hint):
        return lambda value: isinstance(value, Mapping)
    if isinstance(hint, type) and issubclass(hint, Enum):
        members = frozenset(member.value for member in hint)
        return lambda value: isinstance(value, str) and value in members
    if hint in _PLAIN:
        return _PLAIN[hint]
    raise TypeError(f"no check for a field of type {hint}")


def _any_of(checks: tuple[FieldCheck, ...]) -> FieldCheck:
    return lambda value: any(check(value) for check in checks)


def _list_of(check: FieldCheck) -> FieldCheck:
    return lambda value: isinstance(value, list | tuple) and all(map(check, cast("list[Any]", value)))


def _mapping_of(check: FieldCheck) -> FieldCheck:
    def fits(value: Any) -> bool:
        if not isinstance(value, Mapping):
            return False
        mapping = cast("Mapping[Any, Any]", value)
        return all(isinstance(key, str) for key in mapping) and all(map(check, mapping.values()))

    return fits


def _is_int(value: Any) -> bool:
    return type(value) is int and -INT64 <= value < INT64


_PLAIN: Final[dict[Any, FieldCheck]] = {
    Any: lambda _: True,
    types.NoneType: lambda value: value is None,
    bool: lambda value: type(value) is bool,
    int: _is_int,
    float: lambda value: (type(value) is float and math.isfinite(value)) or _is_int(value),
    str: lambda value: isinstance(value, str),
}
