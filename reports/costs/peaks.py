"""Peaks of memory: the row of the memory pass that belongs to a line of the cost table."""

from __future__ import annotations

from collections.abc import Sequence

from hessbench.ledger.record import Record, Status


def peaks(cells: Sequence[Record] | None, budget: int) -> tuple[Record | None, dict[str, str]]:
    """The memory-pass row at this budget, and why a peak is missing."""
    names = ("host_peak_bytes", "device_peak_bytes")
    if not cells:
        return None, dict.fromkeys(names, "no memory pass in this ledger")
    fitting = [row for row in cells if row.budget == budget]
    if not fitting:
        seen = ", ".join(str(size) for size in sorted({row.budget for row in cells}))
        return None, dict.fromkeys(names, f"the memory pass ran at budget {seen}, not {budget}")
    row = min(fitting, key=lambda it: (it.status is not Status.OK, it.repeat))
    fallback = "not measured" if row.status is Status.OK else f"the memory pass ended with {row.status.value}"
    reasons = {name: row.notes.get(name, fallback) for name in names if getattr(row, name) is None}
    return row, reasons
