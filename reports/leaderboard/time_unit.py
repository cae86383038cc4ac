"""Seconds of a ledger as multiples of a gradient that was timed in the same run: the only way two runs compare in time.

A run times the gradient of each network by itself, as its user takes it; of a matrix without data a product with one
column takes its place, as it does among gradient-equivalents.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, TypeAlias

from hessbench.ledger.environment import machine_hash
from hessbench.ledger.reading import Ledger
from hessbench.ledger.record import Record

NO_UNIT: Final = "no gradient was timed in its run"

_Where: TypeAlias = tuple[str, str, str, int, str]
"""Problem, device, dtype, threads and machine: an environment without its commit."""


def in_gradients(ledger: Ledger) -> tuple[Record, ...]:
    """The rows of one run, every number of seconds that ranks divided by the gradient of the row's problem.

    Seconds of a row whose problem has no gradient, timed under the same device, dtype, threads and environment, its
    commit apart, are left out: they compare with no other run's.
    """
    machines = {name: machine_hash(facts) for name, facts in ledger.environments.items()}
    units = _units(ledger, machines)
    return tuple(_scaled(row, units.get(_where_of(row, machines))) for row in ledger.records)


def _units(ledger: Ledger, machines: Mapping[str, str]) -> dict[_Where, float]:
    """Median seconds of a gradient by problem and conditions."""
    timed: dict[_Where, list[float]] = defaultdict(list)
    alone = next(iter(ledger.environments)) if len(ledger.environments) == 1 else None
    for price in ledger.prices:
        seconds = price.get("gradient_seconds")
        # A price from before it named its environment is of the only one there is.
        environment = price.get("environment", alone)
        if seconds is not None and seconds > 0 and environment is not None:
            machine = machines.get(str(environment), str(environment))
            timed[_place(price, machine)].append(float(seconds))
    return {place: statistics.median(seconds) for place, seconds in timed.items()}


def _place(price: Mapping[str, Any], machine: str) -> _Where:
    return str(price["problem"]), str(price["device"]), str(price["dtype"]), int(price["threads"]), machine


def _where_of(row: Record, machines: Mapping[str, str]) -> _Where:
    return row.problem, row.device, row.dtype, row.threads, machines.get(row.environment, row.environment)


def _scaled(row: Record, unit: float | None) -> Record:
    def scaled(seconds: float | None) -> float | None:
        return None if seconds is None or unit is None else seconds / unit

    return replace(row, wall_s=scaled(row.wall_s), build_s=scaled(row.build_s))
