"""Refusals shared by every method: one sentence naming the argument and the accepted range."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Literal, TypeAlias

from hessbench.estimand.base import Which as Which

Reorth: TypeAlias = Literal["full", "periodic", "selective", "window", "none"]
Probe: TypeAlias = Literal["signs", "normal", "sphere"]
Bounds: TypeAlias = Literal["safe", "tight"]


def check_at_least(name: str, value: int, least: int) -> None:
    """Refuse what is no integer, or one below its range.

    Raises:
        ValueError: If `value` is no integer or below `least`.
    """
    if not _is_integer(value):
        raise ValueError(f"{name} must be an integer of at least {least}, got {value!r}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")


def check_inside(name: str, value: float, low: float, high: float) -> None:
    """Refuse a number that does not lie inside of its range.

    Args:
        name: Of the argument.
        value: What was handed in.
        low: Below the accepted range.
        high: Above it.

    Raises:
        ValueError: If `value` is no number, or not above `low` and below `high`.
    """
    if not (_is_number(value) and low < value < high):
        raise ValueError(f"{name} must be above {low:g} and below {high:g}, got {value!r}")


def check_share(name: str, value: float) -> None:
    """Refuse what is not a share of something that leaves a rest of it.

    Raises:
        ValueError: If `value` is no number, below 0, or not below 1.
    """
    if not (_is_number(value) and 0 <= value < 1):
        raise ValueError(f"{name} must be at least 0 and below 1, got {value!r}")


def check_choice(name: str, value: str, accepted: tuple[str, ...]) -> None:
    """Refuse a word that is not offered.

    Raises:
        ValueError: If `value` is not one of `accepted`.
    """
    if value not in accepted:
        raise ValueError(f"{name} must be {' or '.join(accepted)}, got {value!r}")


def count_of(k: int | None, dim: int, num_matvecs: int) -> int:
    """Number of eigenvalues asked for: `k` itself, or 10, as far as the dimension and the budget hold them.

    Raises:
        ValueError: If `k` is below 1 or above the dimension, or `num_matvecs` below `least_of(k, dim)`.
    """
    if k is not None and not (_is_integer(k) and 1 <= k <= dim):
        raise ValueError(f"k must be between 1 and the dimension {dim}, got {k!r}")
    check_at_least("num_matvecs", num_matvecs, least_of(k, dim))
    return min(10, dim, num_matvecs) if k is None else k


def least_of(k: int | None, dim: int) -> int:
    """Least budget for `k` eigenvalues: one product each."""
    return 1 if k is None else min(k, dim)


def _is_integer(value: object) -> bool:
    return not isinstance(value, bool) and isinstance(value, Integral)


def _is_number(value: object) -> bool:
    return not isinstance(value, bool) and isinstance(value, Real)
