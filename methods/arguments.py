"""Refusals shared by every method: one sentence naming the argument and the accepted range."""

from __future__ import annotations

from typing import Literal, TypeAlias

Reorth: TypeAlias = Literal["full", "none"]
Probe: TypeAlias = Literal["signs", "normal"]
Bounds: TypeAlias = Literal["safe", "tight"]

Which: TypeAlias = Literal["magnitude", "algebraic", "smallest"]
"""Orders of `TopEigenvalues`."""


def check_at_least(name: str, value: int, least: int) -> None:
    """Refuse an integer below its range.

    Raises:
        ValueError: If `value` is below `least`.
    """
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")


def check_choice(name: str, value: str, accepted: tuple[str, ...]) -> None:
    """Refuse a word that is not offered.

    Raises:
        ValueError: If `value` is not one of `accepted`.
    """
    if value not in accepted:
        raise ValueError(f"{name} must be {' or '.join(accepted)}, got {value!r}")
