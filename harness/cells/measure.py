"""The measured step of a cell: the estimates of a run, evaluated as its spending reaches the budgets of the grid."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple, final

from hessbench.cells.answers import is_wanted
from hessbench.cells.counted_run import CountedRun
from hessbench.clock import Stopwatch, wait_for
from hessbench.counting import BudgetExceeded
from hessbench.estimand.base import Estimate
from hessbench.estimand.settled import settled
from hessbench.ledger.costs import Costs
from hessbench.ledger.record import Status

Tell = Callable[[int, Estimate, Costs], None]


def measure(run: CountedRun, tell: Tell) -> tuple[Status, str]:
    """Run a method against the clock.

    Args:
        run: The run, with nothing spent.
        tell: Told, for each budget of the grid, the evaluated estimate that stands there and what it cost.

    Returns:
        How it ended, and why where not well.
    """
    return _Measuring(run, tell).go()


class _Latest(NamedTuple):
    """The estimate that stands, what had been spent when it came, and the seconds of its evaluation, once made."""

    estimate: Estimate
    costs: Costs
    evaluation_s: float | None = None


@final
class _Measuring:
    def __init__(self, run: CountedRun, tell: Tell) -> None:
        self._run = run
        self._tell = tell
        self._waiting = deque(run.cell.budgets)
        self._latest: _Latest | None = None
        self._exceeded = ""

    def go(self) -> tuple[Status, str]:
        run, waiting = self._run, self._waiting
        wait_for(run.device)
        run.clock.start()
        for estimate in self._estimates():
            spent = run.op.matvecs
            while waiting and spent > waiting[0]:
                self._checkpoint(waiting.popleft())
            self._latest = _Latest(settled(estimate), run.costs)
            if waiting and spent == waiting[0]:
                self._checkpoint(waiting.popleft())
            if not waiting:
                break
        wait_for(run.device)
        run.clock.pause()
        while waiting:
            self._checkpoint(waiting.popleft())
        if self._exceeded:
            return Status.OVER_BUDGET, self._exceeded
        if self._latest is None:
            return Status.ERROR, "the method ended without an estimate"
        return Status.OK, ""

    def _estimates(self) -> Iterator[Estimate]:
        try:
            yield from self._run.estimates()
        except BudgetExceeded as exceeded:
            self._exceeded = str(exceeded)

    def _checkpoint(self, budget: int) -> None:
        """Evaluate and tell the latest estimate as the state at `budget`; only the evaluation is on its clock.

        Products asked for in the evaluation count in this row, and may not pass its budget.
        """
        run, latest = self._run, self._latest
        if latest is None:
            return
        wait_for(run.device)
        run.clock.pause()
        costs = latest.costs
        if run.device.type == "cuda":
            costs = dataclasses.replace(costs, wall_s=run.clock.seconds)
        watch = Stopwatch()
        watch.start()
        before, crossing = run.costs, run.door_ns
        try:
            with run.op.spending.at_most(budget):
                resolved = settled(latest.estimate.resolve(lambda kind: is_wanted(kind, run.bound)))
        except BudgetExceeded as exceeded:
            self._exceeded = f"{exceeded}, while the value of budget {budget} was evaluated"
            if self._waiting:
                run.clock.start()
            return
        if run.op.matvecs > before.matvecs:
            costs = costs.plus(run.costs, before)
        wait_for(run.device)
        watch.forgo(run.door_ns - crossing)
        # An estimate that fills several budgets is evaluated once, and each of them owes that evaluation.
        evaluation_s = watch.seconds if latest.evaluation_s is None else latest.evaluation_s
        self._latest = _Latest(resolved, costs, evaluation_s)
        self._tell(budget, resolved, dataclasses.replace(costs, wall_s=(costs.wall_s or 0.0) + evaluation_s))
        if self._waiting:
            run.clock.start()
