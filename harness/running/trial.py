"""One try of a function on a tiny problem, before anything that costs: a typo is said at once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import numpy as np
import torch

from hessbench.catalog import Catalog
from hessbench.cells.cell import Cell
from hessbench.cells.execute import execute
from hessbench.estimand import Estimand
from hessbench.ledger.record import Status
from hessbench.method import Method
from hessbench.problem import PSD, Problem
from hessbench.registry import Registry
from hessbench.running.rows import verdict
from hessbench.workers.messages import CellJob, Ended, Outcome
from hessbench.workers.pool import Pool, WorkerConfig

DIM: Final = 128
_TIMEOUT_S: Final = 10.0


def try_once(method: Method, estimand: Estimand, num_matvecs: Sequence[int | str], *, fork: bool) -> None:
    """Run a method once at its smallest budget on a diagonal matrix of dimension 128, and refuse it where it raises.

    What it says in a `ValueError` may be about the matrix, so that its rows say it; so they do where it hangs or dies.
    A method that does not take such a matrix is not tried.

    Args:
        method: The method.
        estimand: What it estimates.
        num_matvecs: Budgets; "n" stands for the dimension.
        fork: Whether the try is a fork of this process, or made in it.

    Raises:
        ValueError: If the method raises anything else than a `ValueError`, saying what and where.
    """
    problem = Problem.of("tiny", np.diag(np.arange(1.0, DIM + 1.0)), traits=(PSD,))
    bound = method.bind(method.name, estimand)
    try:
        estimand.check(DIM)
    except ValueError:
        return
    if bound.skip_reason(problem):
        return
    budgets = [DIM if budget == "n" else int(budget) for budget in num_matvecs]
    budget = max(min(budgets), bound.min_matvecs(DIM))
    cell = Cell(problem.name, str(bound.spec), estimand.spec, (budget,), timeout_s=_TIMEOUT_S)
    outcome = Outcome(CellJob(cell), ended=Ended(code=0))
    if fork:
        catalog = Catalog(Registry("problem"), Registry("method"))
        catalog.add(problems=[problem], methods=[method], source="the try")
        with Pool(WorkerConfig(catalog=catalog)) as pool:
            outcome = pool.perform(CellJob(cell))
    else:
        threads = torch.get_num_threads()
        try:
            execute(cell, problem, bound, outcome.messages.append)
        finally:
            torch.set_num_threads(threads)
    status, reason = verdict(outcome)
    if status is Status.ERROR and not re.match(r"ValueError\b", reason):
        raise ValueError(f"{method.name} fails on a matrix of dimension {DIM} with {budget} products: {reason}")
