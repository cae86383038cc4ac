"""Run one cell: load, build, warm up, run the method on the counted operator, emit what it yields.

This is the only code that catches what a method raises. It never sees the truth.
"""

from __future__ import annotations

import dataclasses
import traceback
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Final

import torch

from hessbench.cells.answers import Answers
from hessbench.cells.build import build, check_built, load, warm_up
from hessbench.cells.cell import MEMORY, Cell
from hessbench.cells.counted_run import CountedRun
from hessbench.cells.measure import measure
from hessbench.cells.memory import dry_run
from hessbench.cells.messages import Emit, End
from hessbench.cells.meter import KeptMeter, PeakMeter
from hessbench.clock import Stopwatch, wait_for
from hessbench.estimand.base import Estimate
from hessbench.exceptions import first_line, is_out_of_memory, named_line
from hessbench.ledger.costs import MEMORY_PASS, Costs, columns_of_steps
from hessbench.ledger.record import OWN_PRODUCTS, Status
from hessbench.method import BoundMethod
from hessbench.operators import info_of
from hessbench.problem import Problem
from hessbench.redact import redact
from hessbench.sealing.door import Door
from hessbench.sealing.endings import BrokenProtocol, MethodRaised

_OWN: Final = f"{OWN_PRODUCTS}: products of a library on a copy of the network"
_ALTERED: Final = "the operator's products changed during the run: the method altered its input"

_FROM_BEFORE: Final = "no product was charged in the run whose peaks are taken, and some were in the one before it"


def execute(
    cell: Cell,
    problem: Problem,
    bound: BoundMethod,
    emit: Emit,
    on_charge: Callable[[int], None] | None = None,
    on_built: Callable[[], None] | None = None,
    *,
    num_products: int | None = None,
    door: Door | None = None,
) -> None:
    """Run a cell and emit its checkpoints, then how it ended.

    Args:
        cell: What to run.
        problem: The cell's problem.
        bound: The cell's method, bound to its estimand.
        emit: Receives each checkpoint, and then the end.
        on_charge: Told the products spent so far.
        on_built: Called when the problem is built, before anything of the method runs.
        num_products: The largest budget that is spent on the problem under the cell's conditions; that of the cell by
            default.
        door: The way to the method, where that runs in another process than this.

    Raises:
        BaseException: Only what is not an `Exception`, such as `SystemExit`: the process then ends without a result.
    """
    device = torch.device(cell.device)
    bound = bound.on(problem)
    # What the problem and the method take; the rest of a cell's time is the harness's own.
    busy = Stopwatch()
    peaks = PeakMeter(device, None if door is None else door.pid)
    answers = Answers(bound, problem.dim, cell.dtype, emit)
    # What is known when it ends, however far it came.
    seconds: dict[str, float] = {}
    measured: dict[str, int | None] = {}
    engine, run = "", None

    @contextmanager
    def step(name: str) -> Generator[None]:
        watch = Stopwatch()
        watch.start()
        yield
        wait_for(device)
        seconds[name] = watch.seconds

    def tell(budget: int, estimate: Estimate, costs: Costs) -> None:
        busy.pause()
        answers.take(budget, estimate, costs)
        if cell.pass_ != MEMORY:
            answers.flush()
        busy.start()

    try:
        torch.set_num_threads(cell.threads)
        keeps = KeptMeter(device)
        busy.start()
        with step("load"):
            load(problem)
        with step("build"):
            inner = build(cell, problem, num_products, by_rows=bound.method.needs_no_engine)
        # Not after the warm-up: what a library of matrix products keeps to work in is not the operator's.
        busy.pause()
        measured["operator_bytes"] = keeps.kept_bytes()
        busy.start()
        check_built(inner, cell, problem)
        handed = bound.handed(inner, problem.network)
        answers.observe(inner, handed)
        engine = info_of(inner).engine
        if on_built is not None:
            on_built()
        with step("warm-up"):
            witness = warm_up(inner, cell, bound)
        if cell.pass_ == MEMORY:
            with step("memory"):
                run = dry = CountedRun(inner, cell, bound, on_charge, handed, door, count_flops=True)
                measured["flops"] = dry_run(run) + run.finish()
                run = CountedRun(inner, cell, bound, on_charge, handed, door)
                if door is not None:
                    door.settle()
                peaks.start()
                status, reason = measure(run, tell)
                if door is not None and run.op.matvecs < min(dry.op.matvecs, 1):
                    status, reason = Status.ERROR, _FROM_BEFORE
                # Read before anything is turned into messages, which would count as the method's memory.
                measured["host_peak_bytes"] = peaks.host_peak()
                measured["device_peak_bytes"] = peaks.device_peak()
            busy.pause()
            answers.flush()
        else:
            run = CountedRun(inner, cell, bound, on_charge, handed, door)
            status, reason = measure(run, tell)
            busy.pause()
        if status is Status.OK and answers.diverged:
            status, reason = Status.DIVERGED, answers.diverged
        engine = _OWN if bound.method.works_by == "copy" else info_of(inner).engine
        if witness.refutes(inner):
            status, reason = Status.ERROR, _ALTERED
    except Exception as failure:  # noqa: BLE001 -- a method may raise anything; its row says what
        status, reason = classify(failure)
    if run is not None:
        run.finish()
    may_be_the_operator = status in (Status.OK, Status.ERROR, Status.DIVERGED)
    if run is not None and may_be_the_operator and not run.op.spending.is_finite:
        status, reason = Status.ERROR, "the operator returned values that are not finite"
    busy.pause()
    costs = Costs() if run is None else _costs_of(run, answers.last)
    costs = dataclasses.replace(costs, **measured, **columns_of_steps(seconds))
    notes = dict(peaks.notes)
    if measured.get("operator_bytes", 0) is None:
        notes["operator_bytes"] = "this platform does not say how much memory is in use"
    if cell.pass_ != MEMORY:
        notes |= dict.fromkeys(MEMORY_PASS, "measured in the memory pass")
    if status is Status.OK and run is not None and (doubt := run.doubt(problem.dim)):
        notes["matvecs"] = doubt
    drew_random = None if run is None else run.drew_random
    emit(End(status, reason, notes, costs, busy.seconds, engine, drew_random))


def classify(failure: Exception) -> tuple[Status, str]:
    """Status and reason of an exception: memory apart from everything else."""
    if isinstance(failure, MethodRaised):
        return Status(failure.status), redact(failure.reason)
    if isinstance(failure, BrokenProtocol):
        return Status.CRASH, redact(f"{failure}: the method's process may ask for products, and for nothing else")
    if isinstance(failure, torch.OutOfMemoryError):
        return Status.OOM_DEVICE, redact(first_line(failure))
    if is_out_of_memory(failure):
        return Status.OOM_HOST, redact(named_line(failure))
    frames = traceback.extract_tb(failure.__traceback__)
    where = f" ({frames[-1].filename}:{frames[-1].lineno} in {frames[-1].name})" if frames else ""
    return Status.ERROR, redact(f"{type(failure).__name__}: {failure}{where}")


def _costs_of(run: CountedRun, last: Costs | None) -> Costs:
    """What a run has cost; the time of the wall is that of its last estimate, where there was one."""
    run.clock.pause()
    return run.costs if last is None else dataclasses.replace(run.costs, wall_s=last.wall_s)
