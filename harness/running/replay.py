"""Replay: run one cell of a ledger again and hold the new row against the old one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hessbench.catalog import Catalog
from hessbench.cells.cell import MEMORY, Cell
from hessbench.estimand import parse_estimand
from hessbench.ledger.environment import capture, environment_hash
from hessbench.ledger.reading import Ledger
from hessbench.ledger.record import Kind, Record
from hessbench.ledger.stored_references import ReferenceStore, Truth
from hessbench.ledger.writing import LedgerWriter
from hessbench.running.progress import Reporter, Silent
from hessbench.running.rows import Context, outcome_rows
from hessbench.running.truth import find_truth
from hessbench.specs import suggest
from hessbench.workers.messages import CellJob
from hessbench.workers.pool import Pool, WorkerConfig

ERROR_SLACK = 1.5
"""Ratio by which an error may move between machines before it counts as different."""


@dataclass(frozen=True)
class Line:
    """One compared quantity."""

    what: str
    before: str
    after: str
    agrees: bool | None
    """None where it is shown and not judged."""


def cell_of(record: Record) -> Cell:
    """Rebuild the cell a row belongs to.

    Raises:
        ValueError: If the row does not describe it wholly.
    """
    own = record.kind is Kind.TERMINAL
    cell = Cell(
        problem=record.problem, method=record.method, estimand=record.estimand, budgets=record.budgets,
        repeat=record.repeat, pass_=record.pass_, device=record.device, dtype=record.dtype, threads=record.threads,
        memory_cap_bytes=record.memory_cap_bytes, timeout_s=record.timeout_s,
    )  # fmt: skip
    if not own or cell.id != record.cell:
        raise ValueError(f"the row of cell {record.cell} does not describe the cell it names")
    return cell


def find_cell(ledger: Ledger, prefix: str) -> Record:
    """The terminal row of the cell whose id, or whose id of before, begins with `prefix`.

    Raises:
        ValueError: If there is none, or more than one.
    """
    terminals = ledger.terminals
    named = {now for before, now in ledger.former.items() if before.startswith(prefix)}
    found = [record for cell, record in terminals.items() if cell.startswith(prefix) or cell in named]
    if not found:
        raise ValueError(f"no cell {prefix!r} in the ledger{suggest(prefix, terminals)}; "
                         "the report and `hessbench plan SUITE --cells` list the ids")  # fmt: skip
    if len(found) > 1:
        raise ValueError(f"{len(found)} cells begin with {prefix!r}; more digits are needed")
    return found[0]


def replay(
    folder: str | Path,
    cell: Cell,
    catalog: Catalog,
    plugins: tuple[str, ...],
    out: str | Path,
    *,
    also: Sequence[str] = (),
    reporter: Reporter | None = None,
) -> list[Record]:
    """Run a cell again in a worker and return its rows, scored against the run's stored references.

    Where the folder has none, as that of a published ledger, the reference is taken from the cache or made again.

    Args:
        folder: The run's folder, for references.
        cell: What to run.
        catalog: Where its names are looked up.
        plugins: Plugin files the worker needs.
        out: Folder for the rows and arrays of the replay, and for a reference that is made.
        also: Other estimands that its answers are scored by.
        reporter: Told how such a reference goes on.

    Raises:
        ValueError: If the problem or method is not registered.
    """
    problem = catalog.problem(cell.problem)
    estimand = parse_estimand(cell.estimand)
    context = Context(
        cell, "replay", environment_hash(capture(cell.device)), problem, catalog.method(cell.method, estimand)
    )
    config = WorkerConfig(plugins=plugins, modules=problem.modules, spawn=not cell.device.startswith("cpu"))
    writer = LedgerWriter(out)
    try:
        with Pool(config) as pool:
            outcome = pool.perform(CellJob(cell), memory=cell.pass_ == MEMORY)
            problem_hash = problem.hash
            asked = [cell.estimand, *also]
            truth = Truth(problem_hash, ReferenceStore(folder).load(problem_hash, asked))
            if not truth.references and not (Path(folder) / "references").exists():
                threads = os.cpu_count() or 1
                truth = find_truth(pool, Path(out), cell.problem, asked, threads, reporter or Silent())
        rows = outcome_rows(context, outcome, truth, writer)
        for row in rows:
            writer.append(row)
        return rows
    finally:
        writer.close()


def differences(before: Record, after: Record) -> list[Line]:
    """Counters bit for bit, the error within a factor; times and peaks are shown."""
    lines = [
        Line(name, str(getattr(before, name)), str(getattr(after, name)), getattr(before, name) == getattr(after, name))
        for name in ("problem_hash", "method_hash", "status", "matvecs", "calls", "counts", "gradient_equivalents",
                     "samples", "flops")
    ]  # fmt: skip
    lines.append(Line("error", _written(before.error), _written(after.error), _close(before, after)))
    lines.append(Line("wall_s", _written(before.wall_s), _written(after.wall_s), None))
    lines.append(Line("host_peak_bytes", str(before.host_peak_bytes), str(after.host_peak_bytes), None))
    return lines


def checkpoint_line(before: Sequence[Record], after: Sequence[Record]) -> Line:
    """How many errors at checkpoints, of every estimand the cell answers, are within the factor."""
    again = {(row.estimand, row.budget): row for row in after}
    pairs = [(row, again.get((row.estimand, row.budget))) for row in before if row.error is not None]
    close = sum(row is not None and _close(was, row) for was, row in pairs)
    return Line("errors on the way", str(len(pairs)), f"{close} close", close == len(pairs))


def _close(before: Record, after: Record) -> bool:
    if before.error is None or after.error is None:
        return before.error is after.error
    floor = max(before.reference_bound or 0.0, after.reference_bound or 0.0)
    one, two = (max(error, floor) for error in (before.error, after.error))
    return one == two or max(one, two) <= ERROR_SLACK * min(one, two)


def _written(value: float | None) -> str:
    return "null" if value is None else f"{value:.4g}"
