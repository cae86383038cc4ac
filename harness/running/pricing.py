"""Prices of products for a folder: at other dimensions, and beside the gradient of a network."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, TypeAlias

from hessbench.cells.cell import Cell
from hessbench.ledger.typed_fields import plain
from hessbench.problem import Problem
from hessbench.redact import redact
from hessbench.running.cell_locks import try_claim
from hessbench.running.plan import PlannedCell
from hessbench.running.run_folder import RunFolder
from hessbench.workers.messages import PriceJob, UnitJob
from hessbench.workers.pool import Pool
from hessbench.workers.price_messages import Price, UnitPrice
from hessbench.workers.prices import RUNGS

PricingJob: TypeAlias = type[PriceJob] | type[UnitJob]
Say: TypeAlias = Callable[[str], None]

_NAMES: Final[Mapping[PricingJob, str]] = {PriceJob: "price", UnitJob: "unit"}
_TIMEOUT_S: Final = 120.0


def measure_prices(
    planned: Iterable[PlannedCell],
    folder: RunFolder,
    pool: Pool,
    say: Say,
    environment: str,
    *,
    ladders: bool = True,
) -> None:
    """Price the products of each family and kind, and those of each problem beside its gradient.

    Once per folder and set of conditions, and beside a gradient once per environment too: it is the unit of the times
    that were taken there.

    Args:
        planned: Cells that run.
        folder: Where prices are kept; one it holds is not measured again.
        pool: Where the jobs run.
        say: Told what is measured, and what has no price.
        environment: Hash of what this is measured under, by which rows name it.
        ladders: Whether products are priced at other dimensions too.

    Raises:
        OSError: If the folder cannot be written.
    """
    asked: set[tuple[PricingJob, str]] = set()
    measured: dict[str, list[tuple[PricingJob, str]]] = {}
    for entry in planned:
        cell, problem = entry.cell, entry.problem
        if cell.problem not in measured:
            measured[cell.problem] = list(_wanted(problem, say, ladders))
        for job, of in measured[cell.problem]:
            key = job, _key(of, _conditions(cell))
            if key not in asked:
                asked.add(key)
                _measure(cell, key, folder, pool, say, environment)


def _wanted(problem: Problem, say: Say, ladders: bool) -> Iterator[tuple[PricingJob, str]]:
    """What is to be priced of a problem, and the problem it is measured on."""
    if problem.network is not None or problem.ladder is not None:
        yield UnitJob, problem.name
    if problem.ladder is not None and ladders:
        try:
            # Problems that share their first rung share the ladder.
            yield PriceJob, problem.ladder(RUNGS[0]).name
        except Exception as failure:  # noqa: BLE001 -- a problem's own code may raise anything: it has no price
            said = redact(f"{type(failure).__name__}: {failure}")
            say(f"no price of a product of {problem.name}: its ladder raised {said}")


def _measure(
    cell: Cell, key: tuple[PricingJob, str], folder: RunFolder, pool: Pool, say: Say, environment: str
) -> None:
    """Measure one price, unless the folder holds it or another process measures it now."""
    job, of = key
    claim = try_claim(folder.path, f"{_NAMES[job]}-{hashlib.sha256(of.encode()).hexdigest()[:32]}")
    if claim is None:
        return
    try:
        folder.tail.refresh()
        known = folder.tail.ledger().prices
        if any(key == _key_of_row(row) and (job is PriceJob or _is_of(row, environment)) for row in known):
            return
        beside = "beside a gradient" if job is UnitJob else "at other dimensions"
        say(f"price of a product of {cell.problem} {beside}")
        outcome = pool.perform(job(**_conditions(cell), timeout_s=_TIMEOUT_S))
        for price in [*outcome.of_type(Price), *outcome.of_type(UnitPrice)]:
            folder.writer.append_price({**plain(price), "environment": environment})
    finally:
        claim.release()


def _key_of_row(row: Mapping[str, Any]) -> tuple[PricingJob, str]:
    if "in_gradients" in row:
        return UnitJob, _key(row["problem"], row)
    return PriceJob, _key(row["measured_problem"], row)


def _is_of(row: Mapping[str, Any], environment: str) -> bool:
    """Whether a price was measured under an environment; one that does not say was, as in ledgers from before."""
    return row.get("environment", environment) == environment


def _conditions(cell: Cell) -> dict[str, Any]:
    return {"problem": cell.problem, "device": cell.device, "dtype": cell.dtype, "threads": cell.threads}


def _key(rung: str, conditions: Mapping[str, Any]) -> str:
    return json.dumps([rung, *(conditions[name] for name in ("device", "dtype", "threads"))])
