"""Whether values read from JSON have the types that a class declares for its fields."""

from __future__ import annotations

import math
import types
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from functools import cache
from typing import Any, Final, Union, cast, get_args, get_origin, get_type_hints

Check = Callable[[Any], bool]

INT64: Final = 2**63


@cache
def field_checks(declaring: type) -> Mapping[str, Check]:
    """A check for each annotated field of a class, by name.

    Integers are those of 64 bits, numbers are finite, and no truth value is taken for either. Lists stand for tuples,
    and the text of a member for an enumeration.

    Raises:
        TypeError: If a field has a type that no check knows.
    """
    return {name: _check_of(hint) for name, hint in get_type_hints(declaring).items()}


def _check_of(hint: Any) -> Check:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _any_of(tuple(_check_of(argument) for argument in arguments))
    if origin is tuple:
        return _list_of(_check_of(arguments[0]))
    if origin is Sequence:
        return _list_of(_check_of(arguments[0]))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _mapping_of(_check_of(arguments[1]))
    if isinstance(hint, type) and issubclass(hint, Enum):
        members = frozenset(member.value for member in hint)
        return lambda value: isinstance(value, str) and value in members
    if hint in _PLAIN:
        return _PLAIN[hint]
    raise TypeError(f"no check for a field of type {hint}")


def _any_of(checks: tuple[Check, ...]) -> Check:
    return lambda value: any(check(value) for check in checks)


def _list_of(check: Check) -> Check:
    return lambda value: isinstance(value, list | tuple) and all(map(check, cast("list[Any]", value)))


def _mapping_of(check: Check) -> Check:
    def fits(value: Any) -> bool:
        if not isinstance(value, Mapping):
            return False
        mapping = cast("Mapping[Any, Any]", value)
        return all(isinstance(key, str) for key in mapping) and all(map(check, mapping.values()))

    return fits


def _is_int(value: Any) -> bool:
    return type(value) is int and -INT64 <= value < INT64


_PLAIN: Final[dict[Any, Check]] = {
    Any: lambda _: True,
    types.NoneType: lambda value: value is None,
    bool: lambda value: type(value) is bool,
    int: _is_int,
    float: lambda value: (type(value) is float and math.isfinite(value)) or _is_int(value),
    str: lambda value: isinstance(value, str),
}
