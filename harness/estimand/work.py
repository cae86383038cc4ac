"""What making a reference takes: whether its work serves no other estimand, and how far it is."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final

from hessbench.estimand.base import Estimand, Reference

Find = Callable[[Any], Reference]
Hear = Callable[[float], None]

_HEARS: Final[ContextVar[Hear | None]] = ContextVar("hears", default=None)


@dataclass(frozen=True)
class OwnWork:
    """A way to find a reference whose work answers no other estimand: it is found only where somebody asks for it.

    Of any other it is taken that what answers one estimand, such as all eigenvalues, answers the rest for nothing.

    Attributes:
        find: Finds it.
        judge: Whether that is so for an estimand; it always is by default.
    """

    find: Find
    judge: Callable[[Estimand], bool] = lambda _: True

    def __call__(self, estimand: Any) -> Reference:
        """Find the reference."""
        return self.find(estimand)

    def has_own_work(self, estimand: Estimand) -> bool:
        """Whether the work answers no other estimand."""
        return self.judge(estimand)


def has_own_work(find: Find | None, estimand: Estimand) -> bool:
    """Whether finding a reference is work that answers no other estimand."""
    judge = getattr(find, "has_own_work", None)
    return bool(judge and judge(estimand))


def advance(done: float, total: float) -> None:
    """Say how far the reference that is being made is: `done` of `total`, in whatever unit, logarithms included."""
    hear = _HEARS.get()
    if hear is not None:
        hear(min(max(done / total, 0.0), 1.0) if total else 1.0)


@contextmanager
def heard(hear: Hear) -> Generator[None]:
    """Hand every part done, between 0 and 1, to a function."""
    token = _HEARS.set(hear)
    try:
        yield
    finally:
        _HEARS.reset(token)


@contextmanager
def part(begin: float, end: float) -> Generator[None]:
    """Count what is said inside as the part of the whole from `begin` to `end`."""
    outer = _HEARS.get()
    if outer is None:
        yield
        return
    with heard(lambda done: outer(begin + (end - begin) * done)):
        yield
    outer(end)
