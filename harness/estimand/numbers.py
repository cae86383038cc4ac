"""Parameters of estimands: one sentence for a value that is not accepted."""

from __future__ import annotations

import math

from hessbench.estimand.base import ORDERS, Which


def number_from(
    key: str, name: str, value: object, low: float = -math.inf, high: float = math.inf, *, accepted: str
) -> float:
    """A number of [low, high] as a float; plus and minus infinity only where the ends are.

    Args:
        key: Estimand, for the message.
        name: Parameter, for the message.
        value: What was given.
        low: Least that is accepted.
        high: Most that is accepted.
        accepted: The range in words, for the message.

    Raises:
        ValueError: If it is no number of the range, or NaN.
    """
    given = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    if not low <= given <= high:
        raise ValueError(f"{key}: {name} must be {accepted}, got {value!r}")
    return given


def check_leading(key: str, k: int, which: Which) -> None:
    """Refuse a number of eigenvalues or an order that no matrix has.

    Raises:
        ValueError: Naming what is accepted.
    """
    if k < 1:
        raise ValueError(f"{key}: k must be at least 1, got {k}")
    if which not in ORDERS:
        raise ValueError(f"{key}: which must be {', '.join(ORDERS[:-1])} or {ORDERS[-1]}, got {which!r}")


def check_fits(key: str, k: int, dim: int) -> None:
    """Refuse more eigenvalues than the dimension has.

    Raises:
        ValueError: Naming the accepted range.
    """
    if k > dim:
        raise ValueError(f"{key}: k must be between 1 and the dimension {dim}, got {k}")
