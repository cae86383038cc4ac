"""The units of a study split into calls that are short enough for a borrowed machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hessbench.studies.unit import Unit

CALL_SECONDS: Final = 480.0
"""Longest call, by prediction."""


def split_calls(units: Sequence[Unit], longest: float = CALL_SECONDS) -> tuple[tuple[Unit, ...], ...]:
    """Split units, in their order, into calls of at most `longest` predicted seconds.

    A unit that is longer by itself is a call of its own. The split is that of all units, kept or not, so that the
    number of a call means the same on every machine.
    """
    calls: list[list[Unit]] = []
    room = 0.0
    for unit in units:
        if not calls or unit.seconds > room:
            calls.append([])
            room = longest
        calls[-1].append(unit)
        room -= unit.seconds
    return tuple(tuple(call) for call in calls)


def units_of_call(units: Sequence[Unit], asked: str) -> tuple[Unit, ...]:
    """The units of call `K/M`.

    Args:
        units: All of the study.
        asked: `K/M`, the K-th of the M calls of the plan.

    Raises:
        ValueError: If it is not of this form, or the plan has another number of calls.
    """
    calls = split_calls(units)
    first, slash, last = asked.partition("/")
    if not slash or not first.isdecimal() or last != str(len(calls)) or not 1 <= int(first) <= len(calls):
        raise ValueError(f"call must be 1/{len(calls)} to {len(calls)}/{len(calls)}, as in the plan, got {asked!r}")
    return calls[int(first) - 1]
