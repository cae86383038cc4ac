"""Parameters of the families: one sentence for a value out of range, and the canonical name of a problem."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from hessbench.problem import Problem
from hessbench.problems.curvature.engines.table import AUTO
from hessbench.specs import Spec, Value, canonical, keyword_defaults, parse_one, suggest


def in_range(family: str, name: str, value: float, low: float, high: float) -> None:
    """Refuse a number outside [low, high].

    Raises:
        ValueError: Naming the family, the parameter and the range.
    """
    if not low <= value <= high:
        raise ValueError(f"{family}: {name} must be between {low} and {high}, got {value}")


def at_least(family: str, name: str, value: float, low: float) -> None:
    """Refuse a number below `low`, or one that is not a number.

    Raises:
        ValueError: Naming the family, the parameter and the range.
    """
    if not value >= low:
        raise ValueError(f"{family}: {name} must be at least {low}, got {value}")


def one_of(family: str, name: str, value: Value, accepted: Iterable[Value]) -> None:
    """Refuse a value that is not in a list.

    Raises:
        ValueError: Naming the family, the parameter and the list.
    """
    known = list(accepted)
    if value not in known:
        near = suggest(value, [str(item) for item in known]) if isinstance(value, str) else ""
        listed = ", ".join(str(item) for item in known)
        raise ValueError(f"{family}: {name} must be one of {listed}, got {value!r}{near}")


def spec_text(family: str, make: Callable[..., Problem], **params: Value) -> str:
    """Canonical spec of the problem that `make(**params)` returns, for its name, its ladder and its seeds."""
    return str(canonical(Spec(family, tuple(sorted(params.items()))), keyword_defaults(make)))


def with_engine(problem: Problem, engine: str) -> Problem:
    """A problem whose products are made by an engine that was asked for: under a name of its own, with its references.

    Args:
        problem: The problem under its canonical name, which says nothing of an engine; its `build` uses this one.
        engine: Name of the engine; `auto` changes nothing.
    """
    if engine == AUTO:
        return problem
    spec = parse_one(problem.name)
    return replace(problem, name=str(Spec(spec.name, tuple(sorted((*spec.params, ("engine", engine)))))))


def nearest(value: int, low: int, high: int) -> int:
    """The number of [low, high] nearest to `value`."""
    return min(max(value, low), high)
