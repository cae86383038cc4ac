"""The id of a cell: a hash of what runs, and of nothing that only bounds it.

A timeout and a memory cap are limits. In ledgers from before they were part of the id; such an id is told from the row,
which has every field, and the row then counts under the id its cell has now.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hessbench.ledger.record import Record


def cell_id(
    *,
    problem: str,
    method: str,
    estimand: str,
    budgets: Sequence[int],
    repeat: int,
    pass_: str,
    device: str,
    dtype: str,
    threads: int,
    memory_cap_bytes: int | None = None,
    timeout_s: float | None = None,
) -> str:
    """First 16 hex digits of the SHA-256 of a cell's canonical description.

    Args:
        problem: Canonical problem spec.
        method: Canonical method spec.
        estimand: Canonical estimand spec.
        budgets: Grid of total products, ascending.
        repeat: Number of the repeat.
        pass_: `time` or `memory`.
        device: Device text.
        dtype: `float32` or `float64`.
        threads: Threads of the tensor library.
        memory_cap_bytes: Cap on host memory, given only for an id from before.
        timeout_s: Limit of time, given only for an id from before.
    """
    described = {
        "problem": problem,
        "method": method,
        "estimand": estimand,
        "budgets": list(budgets),
        "repeat": repeat,
        "pass_": pass_,
        "device": device,
        "dtype": dtype,
        "threads": threads,
        # Kept, without a value: the id of a cell that ran without limits is what it always was.
        "memory_cap_bytes": memory_cap_bytes,
        "timeout_s": None if timeout_s is None else float(timeout_s),
    }
    text = json.dumps(described, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def id_now(terminal: Record) -> str:
    """The id that the cell of a terminal row has now; the row's own where it is no id of before."""
    if terminal.memory_cap_bytes is None and terminal.timeout_s is None:
        return terminal.cell
    if _id(terminal, terminal.memory_cap_bytes, terminal.timeout_s) != terminal.cell:
        return terminal.cell
    return _id(terminal)


def _id(terminal: Record, memory_cap_bytes: int | None = None, timeout_s: float | None = None) -> str:
    return cell_id(
        problem=terminal.problem,
        method=terminal.method,
        estimand=terminal.estimand,
        budgets=terminal.budgets,
        repeat=terminal.repeat,
        pass_=terminal.pass_,
        device=terminal.device,
        dtype=terminal.dtype,
        threads=terminal.threads,
        memory_cap_bytes=memory_cap_bytes,
        timeout_s=timeout_s,
    )


def renamed(rows: Sequence[Record], cell: str) -> tuple[Record, ...]:
    """The rows under the id of their cell."""
    return tuple(row if row.cell == cell else dataclasses.replace(row, cell=cell) for row in rows)
