"""What a run asks of an operator that is built: how many products, within what memory.

A problem's `build` takes a device and a dtype, and every plugin's does; what the run knows beside stands here while it
is called, for a problem that chooses how it multiplies.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Demand:
    """What is asked of an operator.

    Attributes:
        num_products: The largest budget that will be spent on it under its conditions; None where nobody knows.
        cap_bytes: Memory that it and all else may take on its device; None where nobody says.
    """

    num_products: int | None = None
    cap_bytes: int | None = None

    def __post_init__(self) -> None:
        for name in ("num_products", "cap_bytes"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")


_NONE: Final = Demand()
_demand: Final[ContextVar[Demand]] = ContextVar("demand", default=_NONE)


def demanded() -> Demand:
    """What is asked of the operator that is being built; nothing by default."""
    return _demand.get()


@contextmanager
def demanding(demand: Demand) -> Generator[None]:
    """Ask it of every operator that is built within."""
    before = _demand.set(demand)
    try:
        yield
    finally:
        _demand.reset(before)
