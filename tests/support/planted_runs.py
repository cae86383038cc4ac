"""A finished run of a small suite with errors and costs that are planted, cell by cell of its plan: nothing is run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from hessbench.catalog import load_catalog
from hessbench.ledger.record import Kind, Record, Status
from hessbench.ledger.writing import LedgerWriter
from hessbench.running.plan import plan
from hessbench.running.rows import Context
from hessbench.running.suite import Suite

TOML = """
name = "tiny"
version = {version}

[[cross]]
estimand = "trace"
problems = ["student-t[n=40]", "spectrum[n=40,name=power-law]"]
methods = ["hutchinson", "hutchpp"]
num_matvecs = [6, 12]
repeats = 3
"""

ErrorOf = Callable[[str, int, int], float | None]
"""Error by method, budget and repeat."""


def tiny_text(version: int = 1) -> str:
    """The TOML of the small suite."""
    return TOML.format(version=version)


def tiny_suite(version: int = 1) -> Suite:
    """Two matrices, two methods, two budgets, three repeats."""
    return Suite.parse(tiny_text(version), "tiny.toml")


def halving(method: str, budget: int, repeat: int) -> float:
    """The first method within 1 % from 12 products on, the second from 6 on."""
    del repeat
    return {"hutchinson": 0.09, "hutchpp": 0.03}[method] / budget


def planted_run(
    folder: Path,
    suite: Suite | None = None,
    *,
    error: ErrorOf = halving,
    gradient_s: float | None = 0.001,
    unit_s: float = 0.01,
    **fields: Any,
) -> Path:
    """Write the rows of a run.

    Args:
        folder: Of the run.
        suite: The suite; the small one by default.
        error: What is planted.
        gradient_s: Seconds of the unit that its times are multiples of; none is written for None.
        unit_s: Seconds of a product in a cell.
        fields: Columns of every row.
    """
    suite = suite or tiny_suite()
    writer = LedgerWriter(folder)
    facts = {"python": "3.11.7", "versions": {"torch": "2.13.0"}, "command": "hessbench run tiny", "cpu": folder.name}
    writer.append_environment("e" * 12, facts)
    for entry in plan(suite, load_catalog()):
        cell = entry.cell
        context = Context(cell, suite.label, "e" * 12, entry.problem, entry.bound)
        base = replace(context.base(Kind.TERMINAL, Status.OK, entry.problem.hash), attempt=1, **fields)
        rows = [_at(base, number, budget, error, unit_s) for number, budget in enumerate(cell.budgets)]
        for row in rows:
            writer.append(row)
        last = rows[-1]
        costs = {name: getattr(last, name) for name in ("matvecs", "gradient_equivalents", "wall_s", "error", "errors",
                                                        "reference_source", "reference_bound")}  # fmt: skip
        writer.append(replace(base, build_s=0.0, drew_random=True, engine="direct", **costs))
        if gradient_s is not None:
            writer.append_price({
                "problem": cell.problem, "measured_problem": cell.problem, "kind_of_product": "product", "dim": 40,
                "device": cell.device, "dtype": cell.dtype, "threads": cell.threads, "nominal": 1.0,
                "in_gradients": 1.0, "in_gradients_min": 1.0, "in_gradients_max": 1.0, "column_seconds": gradient_s,
                "gradient_seconds": gradient_s, "environment": "e" * 12,
            })  # fmt: skip
    writer.close()
    return folder


def _at(base: Record, number: int, budget: int, error: ErrorOf, unit_s: float) -> Record:
    value = error(base.method, budget, base.repeat)
    errors = {} if value is None else {"relative": value, "trace_share": 1.0}
    return replace(
        base, kind=Kind.CHECKPOINT, budget=budget, checkpoint=number, matvecs=budget, error=value, errors=errors,
        gradient_equivalents=float(budget), wall_s=unit_s * budget, reference_source="ANALYTIC", reference_bound=1e-6,
    )  # fmt: skip
