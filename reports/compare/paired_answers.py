"""The answers of two ledgers in pairs: equal to rounding, changed, lost; and whose runs have no randomness."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from hessbench.ledger.grouping import Answer, answers
from hessbench.ledger.record import Kind, Record
from hessbench.reports.compare.differences import CLAIMED, ERROR, Group
from hessbench.reports.compare.unlike import Environments, are_alike

_ROUNDINGS: Final = 100.0
"""Units of the dtype's rounding within which two errors are equal."""

_SMALL: Final = 0.01
"""Error below which these are units of its own size, and no more of one."""

_LEAST: Final = float(np.finfo(np.float64).eps)

Place = tuple[str, str, int]
"""Cell, estimand and budget of an answer."""


@dataclass(frozen=True)
class Pair:
    """One column of one answer in both ledgers.

    Attributes:
        group: What it is judged with.
        problem: Its problem.
        budget: Its budget.
        repeat: Its repeat.
        was: Error in the old one, at least the reference's bound.
        now: Error in the new one, likewise.
        bound: The larger bound of the two references.
        is_alike: Whether the seed must give the same bits in both.
        is_random: Whether the run drew random numbers; None where neither ledger knows.
    """

    group: Group
    problem: str
    budget: int
    repeat: int
    was: float
    now: float
    bound: float
    is_alike: bool
    is_random: bool | None

    @property
    def log_ratio(self) -> float:
        """Logarithm of new over old."""
        return math.log(self.now / self.was)

    @property
    def is_unchanged(self) -> bool:
        """Whether the errors are equal to rounding."""
        return are_equal(self.was, self.now, self)


def are_equal(one: float, other: float, of: Pair) -> bool:
    """Whether two errors of answers like this one differ by no more than rounding does."""
    rounding = _ROUNDINGS * _eps(of.group.dtype)
    part = max(one, other) / _SMALL
    if of.group.column == ERROR:
        # Of a small error a small part is rounding; of one near the bound, half of that.
        return math.isclose(one, other, abs_tol=max(rounding * min(1.0, part), min(of.bound / 2, rounding)))
    return math.isclose(one, other, abs_tol=rounding * part)


def paired(
    old: Sequence[Record], new: Sequence[Record], cells: Collection[str], before: Environments, after: Environments
) -> tuple[list[Pair], list[tuple[Answer, str]], int]:
    """Pair the answers of two ledgers.

    Args:
        old: Rows of the old ledger.
        new: Rows of the new one.
        cells: The cells that are compared.
        before: Facts of the old ledger's environments.
        after: Those of the new one's.

    Returns:
        The pairs with an error in both; the old answers whose error is lost, with their group in words; and how many
        answers had an error.
    """
    then, now = _answers(old, cells), _answers(new, cells)
    statuses = {row.cell: row.status for row in new if row.kind is Kind.TERMINAL}
    pairs: list[Pair] = []
    lost: list[tuple[Answer, str]] = []
    number = 0
    for place, was in then.items():
        if was.error is None:
            continue
        number += 1
        group = _group(was)
        found = now.get(place)
        if statuses.get(place[0]) is not was.terminal.status:
            continue  # a change of status is reported as one
        if found is None or found.error is None:
            lost.append((was, group.text))
            continue
        alike = are_alike(was.terminal, found.terminal, before, after)
        floor = max(was.row.reference_bound or 0.0, found.row.reference_bound or 0.0, _LEAST)
        pairs.append(_pair(group, was, (was.error, found.error), floor, found, alike))
        claimed = was.row.said_stderr, found.row.said_stderr
        if claimed[0] is not None and claimed[1] is not None:
            pairs.append(_pair(group._replace(column=CLAIMED), was, (claimed[0], claimed[1]), _LEAST, found, alike))
    return pairs, lost, number


def without_randomness(pairs: Iterable[Pair]) -> set[tuple[Group, str, int]]:
    """Group, problem and budget of every answer whose runs have no randomness.

    Sure where a run drew nothing and its repeats, if there are several, agree; where neither ledger knows what was
    drawn, several repeats that agree in both ledgers above the reference's bound say so as well.
    """
    places: dict[tuple[Group, str, int], list[Pair]] = defaultdict(list)
    for pair in pairs:
        places[pair.group, pair.problem, pair.budget].append(pair)
    return {place for place, found in places.items() if _are_repeatable(found)}


def _are_repeatable(found: Sequence[Pair]) -> bool:
    first = found[0]
    agree = all(are_equal(pair.was, first.was, pair) and are_equal(pair.now, first.now, pair) for pair in found)
    drew = {pair.is_random for pair in found}
    return agree and (drew == {False} or (True not in drew and len(found) > 1))


def _answers(records: Sequence[Record], cells: Collection[str]) -> Mapping[Place, Answer]:
    kept = [row for row in records if row.cell in cells]
    return {(it.row.cell, it.row.estimand, it.row.budget): it for it in answers(kept)}


def _group(answer: Answer) -> Group:
    key = answer.key
    return Group(key.method, key.estimand, key.source, key.device, key.dtype, key.threads, ERROR)


def _pair(group: Group, was: Answer, values: tuple[float, float], floor: float, found: Answer, alike: bool) -> Pair:
    drew, row = _either(was.terminal.drew_random, found.terminal.drew_random), was.row
    then, now = (max(abs(value), floor) for value in values)
    return Pair(group, row.problem, row.budget, row.repeat, then, now, floor, alike, drew)


def _either(one: bool | None, other: bool | None) -> bool | None:
    return other if one is None else one


def _eps(dtype: str) -> float:
    return float(np.finfo(np.float64 if dtype == "float64" else np.float32).eps)
