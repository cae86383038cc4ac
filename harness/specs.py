"""The spec grammar: `student-t[n=1000,zero_fraction=0.9]`, one canonical text for one meaning.

A spec is a registered name and parameters. Its canonical text, with parameters sorted, defaults left out and
numbers written by `repr`, is what seeds, cell ids and hashes are made from; it never depends on a path.
"""

from __future__ import annotations

import difflib
import inspect
import itertools
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, cast, get_args, get_origin, get_type_hints

Value: TypeAlias = bool | int | float | str

_NAME = re.compile(r"[a-z][a-z0-9+]*(?:-[a-z0-9+]+)*")
_KEY = re.compile(r"[a-z][a-z0-9_]*")
_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:+-]*")
_INT = re.compile(r"[+-]?[0-9]+")
_FLOAT = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


_MOST_DIGITS: Final = 18
MOST_SPECS: Final = 10_000
"""Combinations that one sweep may have."""
_KINDS: Final[dict[type, str]] = {bool: "true or false", int: "an integer", float: "a number", str: "a word"}


class Required:
    """Marks a parameter without a default."""

    def __repr__(self) -> str:
        return "required"


REQUIRED: Final = Required()


@dataclass(frozen=True)
class Spec:
    """A name and its parameters, sorted by key; no value is a list."""

    name: str
    params: tuple[tuple[str, Value], ...] = ()

    def __str__(self) -> str:
        if not self.params:
            return self.name
        return f"{self.name}[{','.join(f'{key}={format_value(value)}' for key, value in self.params)}]"

    @property
    def as_dict(self) -> dict[str, Value]:
        """The parameters as keyword arguments."""
        return dict(self.params)


def format_value(value: Value) -> str:
    """Write one parameter value as the grammar reads it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else repr(value)


def check_name(name: str, what: str) -> None:
    """Refuse a name the grammar cannot read back.

    Raises:
        ValueError: If `name` is not lower-case words joined by hyphens.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"{what} name {name!r} is not accepted: use lower-case letters, digits, '+' and single hyphens, "
            "starting with a letter"
        )


def parse(text: str) -> list[Spec]:
    """Read a spec; a list value such as `step=[0,10,100]` is a sweep and gives one spec per combination.

    Args:
        text: What a user wrote.

    Returns:
        The specs in the order of the lists, parameters sorted but not yet held against a signature.

    Raises:
        ValueError: If the text does not follow `name[key=value,...]`.
    """
    text = text.strip()
    head, bracket, rest = text.partition("[")
    if not _NAME.fullmatch(head):
        raise ValueError(_malformed(text, f"{head!r} is not a name"))
    if not bracket:
        return [Spec(head)]
    if not rest.endswith("]"):
        raise ValueError(_malformed(text, "the closing ']' is missing"))
    sweeps: dict[str, list[Value]] = {}
    for item in _split(rest[:-1], text):
        key, equals, raw = (part.strip() for part in item.partition("="))
        if not equals or not _KEY.fullmatch(key):
            raise ValueError(_malformed(text, f"{item.strip()!r} is not key=value"))
        if key in sweeps:
            raise ValueError(_malformed(text, f"{key!r} is given twice"))
        if raw.startswith("["):
            if not raw.endswith("]"):
                raise ValueError(_malformed(text, f"the list of {key!r} is not closed"))
            sweeps[key] = [parse_value(part.strip(), text) for part in _split(raw[1:-1], text)]
        else:
            sweeps[key] = [parse_value(raw, text)]
    keys = sorted(sweeps)
    if math.prod(map(len, sweeps.values())) > MOST_SPECS:
        raise ValueError(_malformed(text, f"the lists have more than {MOST_SPECS} combinations"))
    products = itertools.product(*(sweeps[key] for key in keys))
    return [Spec(head, tuple(zip(keys, values, strict=True))) for values in products]


def parse_one(text: str) -> Spec:
    """Read a spec that must not be a sweep.

    Raises:
        ValueError: If the text is malformed or names more than one spec.
    """
    found = parse(text)
    if len(found) != 1:
        raise ValueError(_malformed(text, "a list of values is not accepted here"))
    return found[0]


def spec_of(asked: Spec | str) -> Spec:
    """What is parsed already, or the one spec that a text names.

    Raises:
        ValueError: If a text is malformed or names more than one spec.
    """
    return asked if isinstance(asked, Spec) else parse_one(asked)


def parse_value(raw: str, text: str) -> Value:
    """Read one value: true, false, an integer, a finite number or a word, such as `full`, `32-16` or `0:100`.

    The words `inf` and `-inf` are numbers to a parameter that is infinite by default.

    Raises:
        ValueError: If `raw` is none of these.
    """
    if raw in ("true", "false"):
        return raw == "true"
    if _INT.fullmatch(raw):
        if len(raw.lstrip("+-0")) > _MOST_DIGITS:
            raise ValueError(_malformed(text, f"{raw[:30]!r} has more than {_MOST_DIGITS} digits"))
        return int(raw)
    if _FLOAT.fullmatch(raw):
        if math.isfinite(float(raw)):
            return float(raw)
        raise ValueError(_malformed(text, f"{raw!r} is too large for a number"))
    if _WORD.fullmatch(raw) or raw == "-inf":
        return raw
    raise ValueError(_malformed(text, f"{raw!r} is not a number, true, false or a word"))


def canonical(spec: Spec, defaults: Mapping[str, Value | Required]) -> Spec:
    """Hold a spec against the parameters its owner accepts.

    Args:
        spec: What was asked for.
        defaults: Every accepted parameter with its default, or `REQUIRED`.

    Returns:
        The canonical spec: values in the type of their default, defaults left out, keys sorted.

    Raises:
        ValueError: If a parameter is unknown, missing or of another type.
    """
    kept: dict[str, Value] = {}
    for key, value in spec.params:
        if key not in defaults:
            accepted = ", ".join(sorted(defaults)) or "none"
            raise ValueError(f"{spec.name} has no parameter {key!r}{suggest(key, defaults)}; accepted: {accepted}")
        default = defaults[key]
        typed = value if isinstance(default, Required) else _coerce(spec.name, key, value, default)
        if isinstance(default, Required) or typed != default:
            kept[key] = typed
    for key, default in defaults.items():
        if isinstance(default, Required) and key not in kept:
            raise ValueError(f"{spec.name} needs the parameter {key!r}, as in {spec.name}[{key}=...]")
    return Spec(spec.name, tuple(sorted(kept.items())))


def keyword_defaults(function: Callable[..., Any]) -> dict[str, Value | Required]:
    """Keyword-only parameters of a function with their defaults."""
    return {
        name: REQUIRED if parameter.default is inspect.Parameter.empty else cast("Value", parameter.default)
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }


def keyword_choices(function: Callable[..., Any]) -> dict[str, tuple[str, ...]]:
    """Words that keyword parameters annotated with a Literal accept."""
    try:
        hints = get_type_hints(function)
    except (NameError, TypeError, AttributeError):  # annotations that cannot be read say nothing
        return {}
    return {name: tuple(map(str, get_args(hint))) for name, hint in hints.items() if get_origin(hint) is Literal}


def suggest(word: str, known: Iterable[str]) -> str:
    """Name the nearest known word, as a clause to put into a message; empty when nothing is near."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" (did you mean {near[0]!r}?)" if near else ""


def _coerce(name: str, key: str, value: Value, default: Value) -> Value:
    """Give a value the type of its default; only lossless changes are made.

    Raises:
        ValueError: If it has another type.
    """
    wanted = type(default)
    if type(value) is wanted or wanted not in _KINDS:
        return value  # a default such as None says nothing about the type
    numeric = isinstance(value, int | float) and not isinstance(value, bool)
    if wanted is float and numeric:
        return float(value)
    if isinstance(default, float) and math.isinf(default) and value in ("inf", "-inf"):
        return float(value)
    if wanted is int and isinstance(value, float) and value.is_integer():
        return int(value)
    if wanted is str and type(value) is int:
        return str(value)  # a word of digits, such as the one width of a list of widths
    raise ValueError(f"{name}: parameter {key!r} takes {_KINDS[wanted]}, got {format_value(value)}")


def _split(body: str, text: str) -> list[str]:
    """Split at commas outside of brackets.

    Raises:
        ValueError: If brackets do not match.
    """
    parts, depth, start = [], 0, 0
    for position, character in enumerate(body):
        depth += (character == "[") - (character == "]")
        if depth < 0 or depth > 1:
            raise ValueError(_malformed(text, "brackets do not match"))
        if character == "," and depth == 0:
            parts.append(body[start:position])
            start = position + 1
    if depth:
        raise ValueError(_malformed(text, "brackets do not match"))
    parts.append(body[start:])
    return parts


def _malformed(text: str, why: str) -> str:
    shown = text if len(text) <= 200 else f"{text[:200]}..."
    return f"malformed spec {shown!r}: {why}; accepted: name or name[key=value,...], lists as key=[a,b]"
