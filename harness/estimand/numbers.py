"""Parameters of estimands that are numbers: one sentence for a value that is not accepted."""

from __future__ import annotations

import math


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
