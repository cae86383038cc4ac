"""Cells in this very process, where it cannot be forked: no peaks, no time limit, and every row says so."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch

from hessbench.catalog import Catalog
from hessbench.cells.cell import MEMORY
from hessbench.cells.execute import classify, execute
from hessbench.estimand import Estimand
from hessbench.ledger.environment import capture, environment_hash
from hessbench.ledger.reading import LedgerWriter
from hessbench.ledger.stored_references import Truth
from hessbench.problem import Problem
from hessbench.running.plan import Conditions, plan
from hessbench.running.rows import Context, outcome_rows, skipped_row
from hessbench.running.suite import Suite
from hessbench.workers.messages import CellJob, Ended, Outcome

NOTE = "ran in the caller's process, which could not be forked: no peak is true here and no limit was enforced"


def run_inline(suite: Suite, catalog: Catalog, folder: str | Path, conditions: Conditions) -> None:
    """Run a suite cell by cell in this process, without the memory pass.

    Raises:
        ValueError: If the suite does not fit the catalog.
    """
    threads = torch.get_num_threads()
    facts = capture()
    environment = environment_hash(facts)
    writer = LedgerWriter(folder)
    truths: dict[tuple[str, str], Truth] = {}
    try:
        writer.append_environment(environment, facts)
        for planned in plan(suite, catalog, conditions):
            cell, problem, bound = planned.cell, planned.problem, planned.bound
            context = Context(cell, suite.label, environment, problem, bound, spans=planned.spans)
            if planned.skip_reason:
                writer.append(skipped_row(planned, context))
            elif cell.pass_ != MEMORY:
                key = (cell.problem, cell.estimand)
                if key not in truths:
                    truths[key] = _truth(problem, bound.estimand)
                outcome = Outcome(CellJob(cell), ended=Ended(code=0))
                execute(cell, problem, bound, outcome.messages.append)
                for row in outcome_rows(context, outcome, truths[key], writer):
                    notes = dict(row.notes) | {"host_peak_bytes": NOTE, "timeout_s": NOTE}
                    writer.append(dataclasses.replace(row, notes=notes))
    finally:
        torch.set_num_threads(threads)
        writer.close()


def _truth(problem: Problem, estimand: Estimand) -> Truth:
    build, spec = problem.references.get(type(estimand)), estimand.spec
    try:
        return Truth(problem.hash, {spec: build(estimand)} if build else {})
    except Exception as failure:  # noqa: BLE001 -- a reference that fails must not cost the rows
        return Truth(problem.hash, missing={spec: classify(failure)[1]})
