"""The memory step of a cell: FLOPs counted in a run that is thrown away, peaks taken in the one that is kept."""

from __future__ import annotations

import contextlib

from hessbench.cells.answers import is_wanted
from hessbench.cells.counted_run import CountedRun
from hessbench.clock import wait_for
from hessbench.counting import BudgetExceeded
from hessbench.flops import counting_flops


def dry_run(run: CountedRun) -> int:
    """The whole run once: counts FLOPs, and loads every library page the measured run would load."""
    # What is over its budget is so in the measured run too, which says it.
    with counting_flops() as counter, contextlib.suppress(BudgetExceeded):
        for estimate in run.estimates():
            estimate.resolve(lambda kind: is_wanted(kind, run.bound))
            if run.op.matvecs >= run.cell.budget:
                break
    wait_for(run.device)
    return int(counter.get_total_flops())
