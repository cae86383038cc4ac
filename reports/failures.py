"""Cells that did not end with ok, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from hessbench.ledger.record import Kind, Record, Status


@dataclass(frozen=True)
class Failure:
    """Terminal rows that ended the same way for the same reason."""

    status: str
    problem: str
    estimand: str
    method: str
    budget: int
    pass_: str
    repeats: str
    reason: str
    cells: tuple[str, ...]


def failures(records: Sequence[Record]) -> tuple[Failure, ...]:
    """Terminal rows that did not end with ok; rows that differ in the repeat only are put together."""
    groups: dict[tuple[str, str, str, str, int, str, str], list[Record]] = {}
    for row in _failed(records):
        key = (row.status.value, row.problem, row.estimand, row.method, row.budget, row.pass_, row.reason)
        groups.setdefault(key, []).append(row)
    return tuple(
        Failure(*key[:6], ", ".join(str(row.repeat) for row in rows), key[6], tuple(row.cell for row in rows))
        for key, rows in groups.items()
    )


def _failed(records: Sequence[Record]) -> list[Record]:
    rows = (row for row in records if row.kind is Kind.TERMINAL and row.status is not Status.OK)
    return sorted(
        rows,
        key=lambda it: (it.status, it.problem, it.estimand, it.method, it.budget, it.pass_, it.repeat, it.cell),
    )


def failures_frame(records: Sequence[Record]) -> pd.DataFrame:
    """The same rows one by one, as a frame."""
    names = ("status", "problem", "estimand", "method", "budget", "pass_", "repeat", "reason", "cell")
    rows = [[getattr(row, name) for name in names] for row in _failed(records)]
    return pd.DataFrame(rows, columns=[name.rstrip("_") for name in names])
