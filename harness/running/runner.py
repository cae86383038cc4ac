"""The runner: a plan, a folder and a pool of workers; cells run, are scored and written, and nothing runs twice."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final, final

import torch

from hessbench.catalog import Catalog
from hessbench.cells.cell import MEMORY, Cell
from hessbench.ledger.environment import capture, environment_hash
from hessbench.ledger.reading import LedgerTail
from hessbench.ledger.record import Record
from hessbench.ledger.stored_references import Truth
from hessbench.ledger.writing import LedgerWriter
from hessbench.running.cell_locks import CellLock, try_claim, why_it_waits
from hessbench.running.cell_prices import remembered
from hessbench.running.described import catalog_for, trusted_files
from hessbench.running.options import Options as Options
from hessbench.running.other_work import OtherWork
from hessbench.running.plan import PlannedCell, conditions_of, largest_budgets, plan, prepare, shard
from hessbench.running.pricing import measure_prices
from hessbench.running.progress import Reporter, Silent
from hessbench.running.remaining import Remaining
from hessbench.running.rows import Context, outcome_rows, skipped_row
from hessbench.running.run_folder import RunFolder, Standing
from hessbench.running.sealed import sealed
from hessbench.running.suite import Suite
from hessbench.running.summary import Summary
from hessbench.running.truth import ReferenceLimits, find_truth
from hessbench.sealing.confinement import kept_from
from hessbench.workers.messages import CellJob, Outcome
from hessbench.workers.pool import Pool, WorkerConfig
from hessbench.workers.processes import kill_orphans

_TURN_S: Final = 0.2
"""Longest wait for a worker, or for another process, before one looks around again."""


def run(
    suite: Suite | str | Path,
    out: str | Path,
    options: Options | None = None,
    *,
    catalog: Catalog | None = None,
    reporter: Reporter | None = None,
) -> Summary:
    """Run a suite into a folder; cells that are there already are kept.

    Args:
        suite: A `Suite`, the name of one that ships with the package, or a TOML file.
        out: Folder of the run; the ledger is in `out/ledger`.
        options: How to run it.
        catalog: Problems and methods that live only in this process; workers are then forked from it.
        reporter: Told how the run goes on.

    Returns:
        What was done.

    Raises:
        ValueError: If the suite, a name, a parameter or a budget is not accepted.
        OSError: If the folder cannot be written.
    """
    chosen = options or Options()
    loaded = suite if isinstance(suite, Suite) else Suite.load(suite)
    with catalog_for(chosen, Path(out), catalog) as known:
        teller = reporter or Silent()
        prepare(loaded, known, teller.phase)
        planned = shard(plan(loaded, known, chosen.conditions), *chosen.shard)
        if chosen.sealed:
            planned = sealed(planned, known, forked=catalog is not None)
        if any(entry.cell.device.startswith("cuda") for entry in planned) and not torch.cuda.is_available():
            raise ValueError("device cuda asked for, but no CUDA device is usable here; cpu is accepted")
        if catalog and any(entry.cell.threads > 1 for entry in planned):
            raise ValueError("threads must be 1 where cells are forked from the caller; register them in a plugin")
        return _Run(loaded, planned, Path(out), chosen, teller, catalog=catalog).go()


@final
class _Run:
    """One run: what it does, in the order it is done, and what it says of that."""

    def __init__(
        self,
        suite: Suite,
        planned: list[PlannedCell],
        out: Path,
        options: Options,
        reporter: Reporter,
        *,
        catalog: Catalog | None,
    ) -> None:
        self._suite = suite
        self._planned = planned
        self._todo = [entry for entry in planned if not entry.skip_reason]
        self._out = out
        self._options = options
        self._reporter = reporter
        self._claims: dict[str, CellLock] = {}
        self._prices = remembered(planned)
        self._largest = largest_budgets(planned)
        self._engines: dict[tuple[str, str, str, int], str] = {}
        self._summary = Summary(planned=len(planned))
        self._others = OtherWork()
        self._weigh = options.weigh or self._prices.cell_seconds
        self._remaining = Remaining((), self._weigh)
        device = planned[0].cell.device if planned else "cpu"
        self._facts = capture(device) | ({"sealing": kept_from()} if options.sealed else {})
        self._environment = environment_hash(self._facts)
        self._config = WorkerConfig(
            plugins=trusted_files(options),
            modules=tuple(sorted({module for entry in self._todo for module in entry.problem.modules})),
            spawn=not device.startswith("cpu"),
            catalog=catalog,
            private=out.resolve(),
            sealed=options.sealed,
        )

    def go(self) -> Summary:
        """Do everything that is left to do."""
        out = self._out
        out.mkdir(parents=True, exist_ok=True)
        # The writer makes the folder of the ledger, which the tail looks for.
        writer = LedgerWriter(out)
        folder = RunFolder(out, LedgerTail(out), writer, self._options.retry)
        try:
            folder.tail.refresh()
            if orphans := kill_orphans():
                self._reporter.phase(f"killed {orphans} processes that a killed run had left behind")
            for damaged in folder.tail.ledger().damaged:
                self._reporter.phase(f"a line is no row and costs only itself: {damaged}")
            folder.writer.append_environment(self._environment, self._facts)
            self._write_skips(folder)
            with Pool(self._config, self._options.jobs) as pool:
                truths = self._truths(pool, out)
                waiting = self._left_to_run(folder, truths)
                self._reporter.begin(len(waiting))
                self._remaining = Remaining(waiting, self._weigh, self._options.jobs)
                self._run_cells(waiting, pool, folder, truths)
                if self._options.prices:
                    tell, ladders = self._reporter.phase, self._options.ladders
                    measure_prices(self._todo, folder, pool, tell, self._environment, ladders=ladders)
        finally:
            for claim in self._claims.values():
                claim.release()
            folder.writer.close()
            self._reporter.close()
        return self._summary

    def _is_contended(self, cell: Cell, seconds: float) -> bool:
        self._others.look()
        return self._options.jobs > 1 or self._others.leaves_too_little(cell.threads, seconds)

    def _context(self, planned: PlannedCell, contended: bool) -> Context:
        found = planned.problem, planned.bound, contended, planned.spans, planned.sealed
        return Context(planned.cell, self._suite.label, self._environment, *found)

    def _write_skips(self, folder: RunFolder) -> None:
        for planned in self._planned:
            if planned.skip_reason:
                self._summary.skipped += 1
                row = skipped_row(planned, self._context(planned, self._is_contended(planned.cell, 0.0)))
                self._summary.reasons[row.reason] = self._summary.reasons.get(row.reason, 0) + 1
                if not folder.skips(row):
                    folder.writer.append(row)

    def _truths(self, pool: Pool, out: Path) -> dict[str, Truth]:
        """What is known of every problem: by its spec, its hash and the references it has."""
        asked: dict[str, set[str]] = {}
        beside: dict[str, set[str]] = {}
        for planned in self._todo:
            asked.setdefault(planned.cell.problem, set()).add(planned.cell.estimand)
            beside.setdefault(planned.cell.problem, set()).update(planned.beside)
        truths: dict[str, Truth] = {}
        for spec in sorted(asked):
            estimands = sorted(asked[spec])
            self._reporter.phase(f"references of {spec}: {', '.join(estimands)}")
            # A fork of a process that has computed in threads must not use them again.
            threads = 1 if self._config.catalog else os.cpu_count() or 1
            limits = ReferenceLimits(self._options.conditions.timeout_s, self._options.conditions.memory_cap_bytes)
            others = sorted(beside[spec] - asked[spec])
            kept_only = not self._options.references
            truth = find_truth(pool, out, spec, estimands, threads, self._reporter, limits, others, kept_only=kept_only)
            truths[spec] = truth
            self._summary.missing |= {f"{estimand} of {spec}": why for estimand, why in truth.missing.items()}
        return truths

    def _left_to_run(self, folder: RunFolder, truths: Mapping[str, Truth]) -> deque[PlannedCell]:
        """Cells without a row that stands; the rows of the others are written again where that shows more."""
        waiting: deque[PlannedCell] = deque()
        again = 0
        for planned in self._todo:
            truth = truths[planned.cell.problem]
            standing = folder.standing(planned, truth)
            if standing is Standing.KEPT:
                self._summary.keep(folder.kept_row(planned, truth))
                again += folder.stand_again(planned, truth)
            else:
                self._summary.stale += standing is Standing.STALE
                waiting.append(planned)
        if again:
            self._reporter.phase(f"{again} kept cells are written again: a change was taken back, or a reference came")
        if self._summary.stale:
            self._reporter.phase(f"{self._summary.stale} cells are stale: what they ran has changed; they run again")
        return waiting

    def _run_cells(
        self, waiting: deque[PlannedCell], pool: Pool, folder: RunFolder, truths: Mapping[str, Truth]
    ) -> None:
        started: dict[str, PlannedCell] = {}
        deferred: deque[PlannedCell] = deque()
        told = ""
        while waiting or deferred or pool.running:
            while waiting and pool.idle() is not None:
                planned = waiting.popleft()
                claim = try_claim(folder.path, planned.cell.id)
                if claim is None:
                    deferred.append(planned)
                    continue
                folder.tail.refresh()
                if folder.standing(planned, truths[planned.cell.problem]) is Standing.KEPT:
                    claim.release()
                    self._done_elsewhere(planned.cell)
                    continue
                self._claims[planned.cell.id] = claim
                started[planned.cell.id] = planned
                most = self._largest[conditions_of(planned.cell)]
                self._others.look()
                job = CellJob(planned.cell, most, planned.sealed, planned.plugin)
                pool.hand_out(job, memory=planned.cell.pass_ == MEMORY)
            outcomes = pool.wait(_TURN_S) if pool.running else []
            self._tell_progress(pool)
            for outcome in outcomes:
                if isinstance(outcome.job, CellJob):
                    planned = started.pop(outcome.job.cell.id)
                    self._finish(planned, outcome, folder, truths[planned.cell.problem])
            if deferred and not waiting and not pool.running:
                # Another process runs these; when it is done or dead, they are written or free.
                waits = why_it_waits(folder.path, [planned.cell.id for planned in deferred])
                if waits != told:
                    told = waits
                    self._reporter.phase(told)
                time.sleep(_TURN_S)
                waiting, deferred = deferred, deque()

    def _tell_progress(self, pool: Pool) -> None:
        for slot in pool.running:
            if slot.outcome and isinstance(slot.outcome.job, CellJob):
                cell = slot.outcome.job.cell
                self._remaining.at(cell, slot.matvecs)
                self._reporter.left(self._remaining.seconds)
                self._reporter.running(f"{cell.problem} {cell.method}", slot.matvecs, cell.budget)

    def _done_elsewhere(self, cell: Cell) -> None:
        self._summary.kept += 1
        self._remaining.dropped(cell)
        self._reporter.finished(cell.method, "done by another process", failed=False)

    def _finish(self, planned: PlannedCell, outcome: Outcome, folder: RunFolder, truth: Truth) -> None:
        """Score and write the rows of a cell that ended, all of them contended where other work ran meanwhile."""
        begin = time.perf_counter()
        cell = planned.cell
        context = self._context(planned, self._is_contended(cell, outcome.elapsed_s))
        *checkpoints, terminal = outcome_rows(context, outcome, truth, folder.writer)
        inside = outcome.end.busy_s if outcome.end else None
        overhead = None if inside is None else outcome.elapsed_s - inside + time.perf_counter() - begin
        number = folder.tail.next_attempt(cell.id)
        terminal = replace(self._with_engine_noted(cell, terminal), overhead_s=overhead)
        for row in [*checkpoints, terminal]:
            folder.writer.append(replace(row, attempt=number))
        self._prices.remember(planned, terminal)
        self._claims.pop(cell.id).release()
        self._remaining.ended(cell, outcome.elapsed_s)
        self._reporter.left(self._remaining.seconds)
        failed = self._summary.add(terminal)
        self._reporter.finished(f"{cell.problem} {cell.method}", f"{terminal.status}: {terminal.reason}", failed)

    def _with_engine_noted(self, cell: Cell, terminal: Record) -> Record:
        """A note where a cell's engine is another than that of the cells before it: their times do not compare."""
        name = terminal.engine_name
        if not terminal.has_engine:
            return terminal
        first = self._engines.setdefault(conditions_of(cell), name)
        if first == name:
            return terminal
        says = f"{name} was chosen here and {first} before: times and last digits do not compare within this run"
        return replace(terminal, notes={**terminal.notes, "engine": says})
