"""Parameters of the families: one sentence for a value out of range, and the canonical name of a problem."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from hessbench.problem import Problem
from hessbench.specs import Spec, Value, canonical, keyword_defaults, suggest


def in_range(family: str, name: str, value: float, low: float, high: float) -> None:
    """Refuse a number outside [low, high].

    Args:
        family: The problem family, for the message.
        name: The parameter, for the message.
        value: The number; NaN is refused.
        low: Least that is accepted.
        high: Most that is accepted.

    Raises:
        ValueError: Naming the family, the parameter and the range.
    """
    if not low <= value <= high:
        raise ValueError(f"{family}: {name} must be between {low} and {high}, got {value}")


def at_least(family: str, name: str, value: float, low: float) -> None:
    """Refuse a number below `low`, or one that is not a number.

    Args:
        family: The problem family, for the message.
        name: The parameter, for the message.
        value: The number.
        low: Least that is accepted.

    Raises:
        ValueError: Naming the family, the parameter and the range.
    """
    if not value >= low:
        raise ValueError(f"{family}: {name} must be at least {low}, got {value}")


def one_of(family: str, name: str, value: Value, accepted: Iterable[Value]) -> None:
    """Refuse a value that is not in a list.

    Args:
        family: The problem family, for the message.
        name: The parameter, for the message.
        value: The value; for a word, the message suggests the nearest that is accepted.
        accepted: What is accepted.

    Raises:
        ValueError: Naming the family, the parameter and the list.
    """
    known = list(accepted)
    if value not in known:
        near = suggest(value, [str(item) for item in known]) if isinstance(value, str) else ""
        listed = ", ".join(str(item) for item in known)
        raise ValueError(f"{family}: {name} must be one of {listed}, got {value!r}{near}")


def spec_of(family: str, make: Callable[..., Problem], **params: Value) -> Spec:
    """Canonical spec of the problem that `make(**params)` returns."""
    return canonical(Spec(family, tuple(sorted(params.items()))), keyword_defaults(make))


def spec_text(family: str, make: Callable[..., Problem], **params: Value) -> str:
    """The same as text, for its name, its ladder and its seeds."""
    return str(spec_of(family, make, **params))


def nearest(value: int, low: int, high: int) -> int:
    """The number of [low, high] nearest to `value`."""
    return min(max(value, low), high)
