"""Rows of a ledger with costs and errors that are planted: nothing is run."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Sequence
from typing import Any

from hessbench.ledger.record import Kind, Record, Status

ErrorAt = Callable[[int, int], float | None]
"""Error by budget and repeat."""


def cell(
    method: str = "lanczos",
    *,
    error: ErrorAt = lambda budget, repeat: 1 / budget,
    budgets: Sequence[int] = (10, 20, 40),
    repeat: int = 0,
    status: Status = Status.OK,
    came_to: int | None = None,
    wall: float = 0.001,
    build: float = 0.05,
    errors: Callable[[float], dict[str, float]] = lambda value: {},
    **fields: Any,
) -> list[Record]:
    """Rows of one cell: a checkpoint for each budget it came to, then its terminal row.

    Args:
        method: Spec of the method.
        error: Primary error.
        budgets: Its grid.
        repeat: Number of the repeat.
        status: How it ended.
        came_to: Last budget with a checkpoint; all of them where it ended well, else none.
        wall: Seconds of one product.
        build: Seconds of the build.
        errors: Errors beside the primary one, from its value.
        fields: Any other columns.
    """
    fields = {"problem": "digits-mlp", "estimand": "density", "pass_": "time", "engine": "rules"} | fields
    name = "|".join(str(it) for it in (method, budgets, repeat, sorted(fields.items())))
    base = Record(
        kind=Kind.TERMINAL,
        cell=hashlib.sha256(name.encode("utf-8", "backslashreplace")).hexdigest()[:16],
        method=method,
        status=status,
        repeat=repeat,
        budget=budgets[-1],
        budgets=tuple(budgets),
        **{"problem_hash": "p" * 16, "method_hash": f"hash of {method}", "library_version": "hessbench 0.1.0"}
        | {"dim": 1930, "traits": ("network",)}
        | fields,
    )
    last = came_to if came_to is not None else budgets[-1] if status is Status.OK else 0
    rows: list[Record] = []
    for number, budget in enumerate(it for it in budgets if it <= last):
        value = error(budget, repeat)
        rows.append(
            dataclasses.replace(
                base,
                kind=Kind.CHECKPOINT,
                status=Status.OK,
                engine="",
                budget=budget,
                checkpoint=number,
                matvecs=budget,
                gradient_equivalents=2.0 * budget,
                wall_s=wall * budget,
                error=value,
                errors={} if value is None else errors(value),
                reference_source="DENSE",
                reference_bound=fields.get("reference_bound", 1e-6),
                drew_random=None,
            )
        )
    if rows:
        shared = ("matvecs", "gradient_equivalents", "wall_s", "error", "errors", "reference_source", "reference_bound")
        base = dataclasses.replace(base, **{name: getattr(rows[-1], name) for name in shared})
    return [*rows, dataclasses.replace(base, build_s=build)]


def repeats(method: str = "lanczos", number: int = 3, **fields: Any) -> list[Record]:
    """As `cell`, for repeats numbered from 0."""
    return [row for repeat in range(number) for row in cell(method, repeat=repeat, **fields)]


def shots(method: str, budgets: Sequence[int] = (10, 20, 40), number: int = 3, **fields: Any) -> list[Record]:
    """As `repeats`, with a cell of its own for each budget."""
    return [row for budget in budgets for row in repeats(method, number, budgets=(budget,), **fields)]
