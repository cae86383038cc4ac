"""What a worker process can be asked to do: run a cell, build references, measure prices, check a method."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import torch

from hessbench.catalog import Catalog
from hessbench.cells.execute import classify, execute
from hessbench.cells.messages import Emit as EmitCell
from hessbench.cells.messages import End
from hessbench.clock import Stopwatch
from hessbench.estimand import parse_estimand
from hessbench.laws.checks import check_method
from hessbench.ledger.record import Status
from hessbench.method import BoundMethod, known_low
from hessbench.problem import Problem
from hessbench.redact import redact
from hessbench.sealing.door import Door
from hessbench.sealing.introduction import Introduction
from hessbench.workers.messages import (
    CellJob,
    ConformanceJob,
    Job,
    Law,
    Message,
    PriceJob,
    ReferenceJob,
    RunPriceJob,
    UnitJob,
)
from hessbench.workers.prices import prices, unit_prices
from hessbench.workers.references import said_of_references
from hessbench.workers.run_prices import run_prices

Emit = Callable[[Message], None]


def perform(
    job: Job,
    catalog: Catalog,
    emit: Emit,
    on_charge: Callable[[int], None],
    on_built: Callable[[], None] | None = None,
    door: Door | None = None,
) -> None:
    """Do one job, emitting what it has to say; the last message is an `End`.

    Args:
        job: What to do.
        catalog: Where names are looked up.
        emit: Receives every message.
        on_charge: Told the products that a cell has spent so far.
        on_built: Called before anything of a method runs, when what may be named by a relative path has been read.
        door: The way to the method of a sealed cell.
    """
    if isinstance(job, CellJob):
        _cell(job, catalog, emit, on_charge, on_built, door)
        return
    busy = Stopwatch()
    busy.start()
    try:
        for message in _said(job, catalog, emit, on_built):
            emit(message)
    except Exception as failure:  # noqa: BLE001 -- a problem's own code may raise anything; its cells say what
        emit(End(*classify(failure)))
        return
    emit(End(Status.OK, busy_s=busy.seconds))


def _cell(
    job: CellJob,
    catalog: Catalog,
    emit: EmitCell,
    on_charge: Callable[[int], None],
    on_built: Callable[[], None] | None,
    door: Door | None,
) -> None:
    """Run a cell; arguments as those of `execute`."""
    # The answer is not for whoever looks around in this process.
    cell = job.cell
    problem = replace(catalog.problem(cell.problem), references={})
    if door is None:
        bound = catalog.method(cell.method, parse_estimand(cell.estimand))
        execute(cell, problem, bound, emit, on_charge, on_built, num_products=job.num_products)
        return
    try:
        bound = _introduced(job, problem, door, catalog)
    except Exception as failure:  # noqa: BLE001 -- a plugin may raise anything as it is imported
        emit(End(*classify(failure)))
        return
    execute(cell, problem, bound, emit, on_charge, on_built, num_products=job.num_products, door=door)


def _introduced(job: CellJob, problem: Problem, door: Door, catalog: Catalog) -> BoundMethod:
    """Tell the method's process what it is to run: of the problem its size and traits; what stands for the method."""
    cell = job.cell
    estimand = parse_estimand(cell.estimand)
    told = Introduction(
        method=cell.method,
        estimand=cell.estimand,
        dim=problem.dim,
        dtype=cell.dtype,
        device=cell.device,
        threads=cell.threads,
        traits=problem.traits,
        known_low=known_low(estimand, problem),
        budget=cell.budget,
        plugin=job.plugin,
    )
    method = door.introduce(told)
    return catalog.method(cell.method, estimand) if method is None else method.bind(cell.method, estimand)


def _said(
    job: ReferenceJob | PriceJob | UnitJob | RunPriceJob | ConformanceJob,
    catalog: Catalog,
    emit: Emit,
    on_built: Callable[[], None] | None,
) -> Iterator[Message]:
    if isinstance(job, ConformanceJob):
        return _conformance(job, catalog, on_built)
    problem = catalog.problem(job.problem)
    if isinstance(job, ReferenceJob):
        return said_of_references(job, problem, emit)
    if isinstance(job, RunPriceJob):
        asked = zip(job.methods, job.estimands, job.budgets, strict=True)
        runs = [(catalog.method(method, parse_estimand(estimand)), budget) for method, estimand, budget in asked]
        return run_prices(job, problem, runs)
    return prices(job, problem) if isinstance(job, PriceJob) else unit_prices(job, problem)


def _conformance(job: ConformanceJob, catalog: Catalog, on_built: Callable[[], None] | None) -> Iterator[Law]:
    torch.set_num_threads(1)
    method = catalog.methods.entry_of(job.method)
    if on_built is not None:
        on_built()
    for verdict in check_method(method, job.method):
        yield Law(verdict.law, verdict.passed, redact(verdict.detail))
