"""Runs cells that it is asked for, one a line, and says what each took: one side of two checkouts timed in turns.

It is run as a script under the package of either checkout, and so keeps to what both have: the catalog, cells and
`execute`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import sys
import time
from typing import Any, Final

ENOUGH_S: Final = 0.1
"""Seconds of one turn from which on a cell is not repeated within it."""

MOST: Final = 5
"""Times a short cell is repeated within a turn; the quickest counts."""


def main() -> None:
    """Answer until the input ends."""
    # What a problem or a method prints must not come between the answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    from hessbench.catalog import load_catalog

    catalog = load_catalog(tuple(sys.argv[1:]))
    print(json.dumps({"ready": True}), file=answers)
    for line in sys.stdin:
        try:
            said = _turn(catalog, json.loads(line))
        except Exception as failure:  # noqa: BLE001 -- what one checkout does not know costs only that cell
            said = {"status": "unknown", "reason": f"{type(failure).__name__}: {failure}"}
        print(json.dumps(said), file=answers)


def _turn(catalog: Any, asked: dict[str, Any]) -> dict[str, Any]:
    from hessbench.cells.cell import Cell
    from hessbench.cells.execute import execute
    from hessbench.estimand import parse_estimand

    known = {field.name for field in dataclasses.fields(Cell)}
    fields: dict[str, Any] = {name: value for name, value in asked.items() if name in known}
    fields["budgets"] = tuple(asked["budgets"])
    cell = Cell(**fields)
    spent_cpu = [0.0]
    problem = _metered(catalog.problem(cell.problem), spent_cpu)
    bound = catalog.method(cell.method, parse_estimand(cell.estimand))
    best: dict[str, Any] = {}
    spent = 0.0
    for _ in range(MOST):
        emitted: list[Any] = []
        spent_cpu[0] = 0.0
        execute(cell, problem, bound, emitted.append)
        end = emitted[-1]
        if end.status.value != "ok":
            return {"status": end.status.value, "reason": end.reason}
        seconds = (end.costs.build_s or 0.0) + (end.costs.wall_s or 0.0)
        spent += seconds
        took = {"seconds": seconds, "operator_s": end.costs.operator_s or 0.0, "cpu_s": spent_cpu[0]}
        # Each by itself: what disturbs the one may have spared the other.
        best = {name: min(value, best.get(name, value)) for name, value in took.items()}
        best |= {"status": "ok", "reason": "", "engine": end.engine}
        if spent >= ENOUGH_S:
            break
    return best


def _metered(problem: Any, spent_cpu: list[float]) -> Any:
    """The problem, with the seconds of processors that its products take added up."""

    def build(*where: Any) -> Any:
        op = problem.build(*where)
        multiply = op.matmat

        def matmat(block: Any) -> Any:
            begin = time.process_time()
            product = multiply(block)
            spent_cpu[0] += time.process_time() - begin
            return product

        # An operator that takes no attribute is timed by the clock alone.
        with contextlib.suppress(AttributeError):
            op.matmat = matmat
        return op

    return dataclasses.replace(problem, build=build)


if __name__ == "__main__":
    main()
