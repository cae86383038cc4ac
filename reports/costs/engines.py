"""Which engines multiplied in the cells of one problem: where they differ, neither times nor last digits compare."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

from hessbench.ledger.grouping import Key
from hessbench.ledger.record import Kind, Record

ProblemConditions = tuple[str, str, str, str, int]
"""Problem, its hash, device, dtype and threads."""

_SAYS: Final = "times and last digits do not compare between them"


def mixed_engines(records: Sequence[Record]) -> Mapping[ProblemConditions, str]:
    """One sentence for each problem whose cells, under the same conditions, ran with different engines."""
    numbers: dict[ProblemConditions, Counter[str]] = defaultdict(Counter)
    for row in records:
        if row.kind is Kind.TERMINAL and row.has_engine:
            numbers[row.problem, row.problem_hash, row.device, row.dtype, row.threads][row.engine_name] += 1
    return {
        conditions: f"cells of {conditions[0]} ran with different engines ({_listed(engines)}): {_SAYS}"
        for conditions, engines in sorted(numbers.items())
        if len(engines) > 1
    }


def conditions_of(key: Key) -> ProblemConditions:
    """Under which conditions a line's cells ran."""
    return key.problem, key.problem_hash, key.device, key.dtype, key.threads


def _listed(engines: Counter[str]) -> str:
    return ", ".join(f"{name} in {number}" for name, number in sorted(engines.items(), key=lambda it: (-it[1], it[0])))
