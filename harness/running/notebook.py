"""Evaluate a function from a notebook: no file, no registration, the same ledger row; forked, or in this process."""

from __future__ import annotations

import dataclasses
import math
import re
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch

from hessbench.catalog import Catalog, load_catalog
from hessbench.cells.cell import MEMORY
from hessbench.cells.execute import classify, execute
from hessbench.estimand import ESTIMANDS, Estimand, parse_estimand
from hessbench.ledger.answer_rows import answer_rows
from hessbench.ledger.environment import capture, environment_hash
from hessbench.ledger.frame import to_frame
from hessbench.ledger.reading import Ledger
from hessbench.ledger.stored_references import Truth
from hessbench.ledger.writing import LedgerWriter
from hessbench.method import Method
from hessbench.problem import Problem
from hessbench.running.notebook_progress import reporter_here
from hessbench.running.plan import Conditions, plan
from hessbench.running.rows import Context, outcome_rows, skipped_row
from hessbench.running.runner import Options, run
from hessbench.running.suite import Cross, Suite
from hessbench.running.trial import try_once
from hessbench.workers.messages import CellJob, Ended, Outcome

if TYPE_CHECKING:
    import pandas as pd

PROBLEMS: Final[dict[str, tuple[str, ...]]] = {
    "top-eigenvalues": ("student-t[n=1000,zero_fraction=0.9]", "digits-mlp[step=500]"),
    "top-eigenspace": ("student-t[n=1000,zero_fraction=0.9]", "digits-mlp[step=500]"),
    "trace": ("student-t[n=1000,zero_fraction=0.9]", "digits-mlp[step=500]"),
    "density": ("student-t[n=1000,zero_fraction=0.9]", "digits-mlp[step=500]"),
    "diagonal": ("diagonal[n=1000]", "digits-mlp[operator=ggn,step=500]"),
}
"""Small problems with exact references, by estimand: a synthetic one and a really trained network."""

ROWS: Final = ("answers", "all")
"""What the rows of a frame are."""

NOTE: Final = "ran in the caller's process, which could not be forked: no peak is true here and no limit was enforced"


def evaluate(
    f: Callable[..., Any] | Method,
    estimand: Estimand | type[Estimand] | str,
    *,
    problems: Sequence[str | Problem] | None = None,
    against: Sequence[str] = (),
    num_matvecs: Sequence[int | str] = (20, 40, 80),
    repeats: int = 3,
    timeout_s: float | None = 60.0,
    out: str | Path | None = None,
    rows: str = "answers",
) -> pd.DataFrame:
    """Run a function as a method and return one row for each answer.

    It is tried once on a tiny matrix before anything is computed for it, so that a typo costs nothing. Cells then run
    in processes forked from this one, on one thread, where the platform can; elsewhere in this process, with peaks
    null, no time limit, and a note in every row. How far it is shows in a notebook and on a terminal.

    Args:
        f: `f(op, /, *, num_matvecs, generator)`, or a `Method`.
        estimand: What it estimates, such as `Trace`, `TopEigenvalues(k=10)` or "density".
        problems: Problem specs, or `Problem` objects; two small ones by default.
        against: Registered methods to run beside it.
        num_matvecs: Budgets; "n" stands for the dimension.
        repeats: Number of repeats.
        timeout_s: Limit of a cell in seconds, or None.
        out: Folder of the run, kept and resumed like that of any run; none is kept by default.
        rows: `answers`, one for each problem, method, repeat and budget, with the peaks of the memory pass; or `all`
            rows of the ledger, checkpoints and both passes.

    Returns:
        The rows, with the columns of the ledger.

    Raises:
        ValueError: If the function, a name, a budget, a number of repeats or a limit is not accepted, or the function
            fails on the tiny matrix.
        OSError: If `out` cannot be written.
    """
    if isinstance(num_matvecs, str) or not isinstance(num_matvecs, Sequence):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ValueError(f"num_matvecs takes a list of budgets, such as [20, 40], got {num_matvecs!r}")
    if rows not in ROWS:
        raise ValueError(f"rows takes one of {', '.join(ROWS)}, got {rows!r}")
    _check_timeout(timeout_s)
    asked = _estimand(estimand)
    if not isinstance(f, Method) and not callable(f):
        raise ValueError(f"a function f(op, /, *, num_matvecs, generator) or a Method is accepted, got {f!r}")
    method = f if isinstance(f, Method) else Method(name=_name(f), run=f, estimands=(type(asked),))
    catalog = load_catalog()
    chosen = PROBLEMS[asked.key] if problems is None else problems
    own = [problem for problem in chosen if isinstance(problem, Problem)]
    catalog.add(methods=[method], problems=own, source="evaluate")
    names = tuple(problem.name if isinstance(problem, Problem) else problem for problem in chosen)
    cross = Cross(asked.spec, names, (method.name, *against), tuple(num_matvecs), repeats)
    suite = Suite("evaluate", 1, (cross,))
    conditions = Conditions(timeout_s=timeout_s)
    cells = {planned.cell.id for planned in plan(suite, catalog, conditions)}
    try_once(method, asked, num_matvecs, fork=can_fork())
    with tempfile.TemporaryDirectory() as scratch:
        folder = scratch if out is None else out
        if can_fork():
            options = Options(conditions=conditions, prices=False)
            run(suite, folder, options, catalog=catalog, reporter=reporter_here())
        else:
            run_inline(suite, catalog, folder, conditions)
        ledger = Ledger.read(folder)
    kept = [record for record in ledger.records if record.cell in cells]
    return to_frame(answer_rows(kept) if rows == "answers" else kept)


def run_inline(suite: Suite, catalog: Catalog, folder: str | Path, conditions: Conditions) -> None:
    """Run a suite cell by cell in this process, without the memory pass.

    Args:
        suite: What to cross.
        catalog: Where the names are looked up.
        folder: Folder of the run.
        conditions: Overrides of device, dtype and threads.

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


def can_fork() -> bool:
    """Whether cells can be forked from this process."""
    if sys.platform != "linux":
        return False
    return not (torch.cuda.is_available() and torch.cuda.is_initialized())


def _estimand(estimand: Estimand | type[Estimand] | str) -> Estimand:
    if isinstance(estimand, Estimand):
        return estimand
    if isinstance(estimand, str):
        return parse_estimand(estimand)
    if estimand not in ESTIMANDS.values():
        raise ValueError(f"estimand takes one of {', '.join(ESTIMANDS)}, got {estimand!r}")
    return estimand.of_size(10)


def _check_timeout(timeout_s: object) -> None:
    if timeout_s is None:
        return
    if isinstance(timeout_s, bool) or not isinstance(timeout_s, int | float) or not 0 < timeout_s < math.inf:
        raise ValueError(f"timeout_s must be a positive number of seconds or None, got {timeout_s!r}")


def _name(f: Callable[..., Any]) -> str:
    words = re.findall(r"[a-z0-9]+", getattr(f, "__name__", "function").lower())
    name = "-".join(words) or "function"
    return name if name[0].isalpha() else f"f-{name}"


def _truth(problem: Problem, estimand: Estimand) -> Truth:
    build, spec = problem.finder(type(estimand)), estimand.spec
    try:
        return Truth(problem.hash, {spec: build(estimand)} if build else {})
    except Exception as failure:  # noqa: BLE001 -- a reference that fails must not cost the rows
        return Truth(problem.hash, missing={spec: classify(failure)[1]})
