"""The runner: a plan, a folder and a pool of workers; cells run, are scored and written, and nothing runs twice."""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, final

import torch

from hessbench.catalog import Catalog, load_catalog
from hessbench.cells.cell import MEMORY, Cell
from hessbench.estimand import parse_estimand
from hessbench.ledger.environment import capture, environment_hash, is_loaded, library_version
from hessbench.ledger.reading import LedgerTail, LedgerWriter, best_attempt
from hessbench.ledger.record import Record, Status
from hessbench.ledger.scoring import append_attempt, scored_since
from hessbench.ledger.stored_references import Truth
from hessbench.ledger.typed_fields import plain
from hessbench.method import BoundMethod
from hessbench.problem import Problem
from hessbench.redact import redact
from hessbench.running.cell_locks import Claim, try_claim
from hessbench.running.plan import Conditions, PlannedCell, plan, prepare, shard
from hessbench.running.progress import Reporter, Silent, by_status
from hessbench.running.rows import Context, outcome_rows, skipped_row
from hessbench.running.suite import Suite
from hessbench.running.truth import Limits, find_truth
from hessbench.workers.messages import CellJob, Outcome, Price, PriceJob, UnitJob, UnitPrice
from hessbench.workers.pool import Pool, WorkerConfig
from hessbench.workers.prices import RUNGS
from hessbench.workers.processes import kill_orphans

FAILED: Final = frozenset(Status) - {Status.OK, Status.SKIPPED, Status.OVER_BUDGET}
_PRICE_TIMEOUT_S: Final = 120.0


@dataclass(frozen=True)
class Options:
    """How a suite is run.

    Attributes:
        plugins: Plugin files.
        conditions: Overrides of device, dtype, threads, timeout and memory cap.
        jobs: Cells at once; more than one makes every time contended.
        retry: Statuses to run again.
        shard: Number of this shard, from 1, and of shards.
        prices: Whether the prices of products at other dimensions are measured.
    """

    plugins: tuple[str, ...] = ()
    conditions: Conditions = field(default_factory=Conditions)
    jobs: int = 1
    retry: frozenset[Status] = frozenset()
    shard: tuple[int, int] = (1, 1)
    prices: bool = True


@dataclass
class Summary:
    """What a run did.

    Attributes:
        planned: Cells of the plan.
        ran: Cells run now.
        skipped: Cells that cannot run.
        kept: Cells that were there already.
        stale: Cells run again because a problem, method or library had changed.
        failed: Cells run now that did not end well.
        reasons: Why cells are skipped, each reason with its number of cells.
        missing: Why there is no reference, by estimand and problem; rows are without an error there.
        statuses: How the cells run now ended, each status with its number of cells.
    """

    planned: int = 0
    ran: int = 0
    skipped: int = 0
    kept: int = 0
    stale: int = 0
    failed: int = 0
    reasons: dict[str, int] = field(default_factory=dict[str, int])
    missing: dict[str, str] = field(default_factory=dict[str, str])
    statuses: Counter[str] = field(default_factory=Counter[str])

    @property
    def text(self) -> str:
        """One line: every cell, by what became of it."""
        return (
            f"{self.planned} cells planned: {self.ran} run ({by_status(self.statuses)}), "
            f"{self.kept} kept, {self.stale} stale, {self.skipped} skipped"
        )


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
    known = catalog or load_catalog(chosen.plugins)
    teller = reporter or Silent()
    prepare(loaded, known, teller.phase)
    planned = shard(plan(loaded, known, chosen.conditions), *chosen.shard)
    if any(entry.cell.device.startswith("cuda") for entry in planned) and not torch.cuda.is_available():
        raise ValueError("device cuda asked for, but no CUDA device is usable here; cpu is accepted")
    if catalog and any(entry.cell.threads > 1 for entry in planned):
        raise ValueError("threads must be 1 where cells are forked from the caller; register the functions in a plugin")
    return _Run(loaded, known, planned, Path(out), chosen, teller, forked=catalog is not None).go()


@final
class _Run:
    """State of one run."""

    def __init__(
        self,
        suite: Suite,
        catalog: Catalog,
        planned: list[PlannedCell],
        out: Path,
        options: Options,
        reporter: Reporter,
        *,
        forked: bool,
    ) -> None:
        self._suite = suite
        self._catalog = catalog
        self._planned = planned
        self._out = out
        self._options = options
        self._reporter = reporter
        self._problems: dict[str, Problem] = {}
        self._tail = LedgerTail(out)
        self._truths: dict[str, Truth] = {}
        self._claims: dict[str, Claim] = {}
        self._engines: dict[str, str] = {}
        self._summary = Summary(planned=len(planned))
        device = planned[0].cell.device if planned else "cpu"
        facts = capture(device)
        self._environment = environment_hash(facts)
        self._facts = facts
        todo = [planned_cell.cell for planned_cell in planned if not planned_cell.skip_reason]
        modules = {module for cell in todo for module in self._problem(cell.problem).modules}
        self._spanning = {planned_cell.cell.id for planned_cell in planned if planned_cell.spans}
        self._config = WorkerConfig(
            plugins=options.plugins,
            modules=tuple(sorted(modules)),
            spawn=not device.startswith("cpu"),
            catalog=catalog if forked else None,
        )

    def go(self) -> Summary:
        """Do everything that is left to do."""
        self._out.mkdir(parents=True, exist_ok=True)
        writer = LedgerWriter(self._out)
        try:
            self._tail = LedgerTail(self._out)
            self._tail.refresh()
            if orphans := kill_orphans():
                self._reporter.phase(f"killed {orphans} processes that a killed run had left behind")
            for damaged in self._tail.ledger().damaged:
                self._reporter.phase(f"a line is no row and costs only itself: {damaged}")
            writer.append_environment(self._environment, self._facts)
            self._write_skips(writer)
            with Pool(self._config, self._options.jobs) as pool:
                waiting = self._left_to_run(pool, writer)
                self._reporter.begin(len(waiting))
                self._run_cells(waiting, pool, writer)
                if self._options.prices:
                    self._measure_prices(pool, writer)
        finally:
            for claim in self._claims.values():
                claim.release()
            writer.close()
            self._reporter.close()
        return self._summary

    def _problem(self, spec: str) -> Problem:
        if spec not in self._problems:
            self._problems[spec] = self._catalog.problem(spec)
        return self._problems[spec]

    def _bound(self, cell: Cell) -> BoundMethod:
        return self._catalog.method(cell.method, parse_estimand(cell.estimand))

    def _context(self, cell: Cell) -> Context:
        contended = self._options.jobs > 1 or is_loaded(cell.threads)
        problem, bound, spans = self._problem(cell.problem), self._bound(cell), cell.id in self._spanning
        return Context(cell, self._suite.label, self._environment, problem, bound, contended, spans)

    def _write_skips(self, writer: LedgerWriter) -> None:
        for planned in self._planned:
            if planned.skip_reason:
                self._summary.skipped += 1
                row = skipped_row(planned, self._context(planned.cell))
                self._summary.reasons[row.reason] = self._summary.reasons.get(row.reason, 0) + 1
                known = {attempt.terminal.reason for attempt in self._tail.attempts(planned.cell.id)}
                if row.reason not in known:
                    writer.append(row)

    def _left_to_run(self, pool: Pool, writer: LedgerWriter) -> deque[Cell]:
        """Cells without a row that stands; builds the references they need on the way."""
        cells = [planned.cell for planned in self._planned if not planned.skip_reason]
        estimands: dict[str, set[str]] = {}
        for cell in cells:
            estimands.setdefault(cell.problem, set()).update(spec for spec in self._answered(cell))
        for spec in sorted(estimands):
            self._reporter.phase(f"reference of {spec}")
            # A fork of a process that has computed in threads must not use them again.
            threads = 1 if self._config.catalog else os.cpu_count() or 1
            limits = Limits(self._options.conditions.timeout_s, self._options.conditions.memory_cap_bytes)
            truth = find_truth(pool, self._out, spec, sorted(estimands[spec]), threads, self._reporter.phase, limits)
            self._truths[spec] = truth
            self._summary.missing |= {f"{estimand} of {spec}": why for estimand, why in truth.missing.items()}
        waiting: deque[Cell] = deque()
        again = 0
        for cell in cells:
            standing = self._standing(cell)
            if standing == "kept":
                self._summary.kept += 1
                again += self._stand_again(cell, writer)
            else:
                self._summary.stale += standing == "stale"
                waiting.append(cell)
        if again:
            self._reporter.phase(f"{again} kept cells are written again: a change was taken back, or a reference came")
        if self._summary.stale:
            self._reporter.phase(f"{self._summary.stale} cells are stale: what they ran has changed; they run again")
        return waiting

    def _stand_again(self, cell: Cell, writer: LedgerWriter) -> bool:
        """Write a kept cell's rows again where another attempt would be shown, or a reference has come since."""
        attempts = self._tail.attempts(cell.id)
        kept = best_attempt([attempt for attempt in attempts if self._is_current(attempt.terminal, cell)])
        scored = scored_since(kept, self._out, self._truths[cell.problem].references)
        if scored == kept and best_attempt(attempts) is kept:
            return False
        append_attempt(writer, scored, self._tail.next_attempt(cell.id))
        return True

    def _answered(self, cell: Cell) -> list[str]:
        """The cell's estimand, and those its method answers beside it that need no parameters."""
        found = [cell.estimand]
        for kind in self._bound(cell).method.estimands:
            if kind.key != parse_estimand(cell.estimand).key:
                beside = kind.default()
                found += [] if beside is None else [beside.spec]
        return found

    def _standing(self, cell: Cell) -> str:
        """Whether a cell's row stands: `kept`, `stale`, or `absent`."""
        attempts = [a.terminal for a in self._tail.attempts(cell.id) if a.terminal.status is not Status.SKIPPED]
        if not attempts:
            return "absent"
        current = [row for row in attempts if self._is_current(row, cell)]
        if not current:
            return "stale"
        statuses = {row.status for row in current}
        if Status.OK in statuses or max(current, key=lambda row: row.time).status not in self._options.retry:
            return "kept"
        return "absent"

    def _is_current(self, row: Record, cell: Cell) -> bool:
        method = self._bound(cell).method
        return (
            row.problem_hash == self._truths[cell.problem].problem_hash
            and row.method_hash == method.hash
            and row.library_version == library_version(method.library)
        )

    def _run_cells(self, waiting: deque[Cell], pool: Pool, writer: LedgerWriter) -> None:
        deferred: deque[Cell] = deque()
        told = 0
        while waiting or deferred or pool.running:
            while waiting and pool.idle() is not None:
                self._start(waiting.popleft(), pool, deferred)
            outcomes = pool.wait(0.2) if pool.running else []
            for slot in pool.running:
                if slot.outcome and isinstance(slot.outcome.job, CellJob):
                    cell = slot.outcome.job.cell
                    self._reporter.running(f"{cell.problem} {cell.method}", slot.matvecs, cell.budget)
            for outcome in outcomes:
                if isinstance(outcome.job, CellJob):
                    self._finish(outcome.job, outcome, writer)
            if deferred and not waiting and not pool.running:
                # Another process runs these; when it is done or dead, they are written or free.
                if len(deferred) != told:
                    told = len(deferred)
                    self._reporter.phase(f"waiting for {told} cells that another process has claimed")
                time.sleep(0.2)
                waiting, deferred = deferred, deque()

    def _start(self, cell: Cell, pool: Pool, deferred: deque[Cell]) -> None:
        claim = try_claim(self._out, cell.id)
        if claim is None:
            deferred.append(cell)
            return
        self._tail.refresh()
        if self._standing(cell) == "kept":
            claim.release()
            self._summary.kept += 1
            self._reporter.finished(cell.method, "done by another process", failed=False)
            return
        self._claims[cell.id] = claim
        pool.hand_out(CellJob(cell, self._context(cell).contended), memory=cell.pass_ == MEMORY)

    def _finish(self, job: CellJob, outcome: Outcome, writer: LedgerWriter) -> None:
        begin = time.perf_counter()
        cell = job.cell
        rows = outcome_rows(self._context(cell), outcome, self._truths[cell.problem], writer)
        terminal = rows[-1]
        inside = outcome.end.busy_s if outcome.end else None
        overhead = None if inside is None else outcome.elapsed_s - inside + time.perf_counter() - begin
        number = self._tail.next_attempt(cell.id)
        terminal = self._with_engine_noted(cell, terminal)
        terminal = _with_overhead(terminal, overhead, job.contended)
        for row in [*rows[:-1], terminal]:
            writer.append(replace(row, attempt=number))
        self._claims.pop(cell.id).release()
        self._summary.ran += 1
        failed = terminal.status in FAILED
        self._summary.failed += failed
        self._summary.statuses[terminal.status.value] += 1
        self._reporter.finished(f"{cell.problem} {cell.method}", f"{terminal.status}: {terminal.reason}", failed)

    def _with_engine_noted(self, cell: Cell, terminal: Record) -> Record:
        """A note where a cell's engine is another than that of the cells before it: their times do not compare."""
        name = re.split(r"[ ;,:]", terminal.engine, maxsplit=1)[0]
        if not name:
            return terminal
        first = self._engines.setdefault(json.dumps(_conditions(cell)), name)
        if first == name:
            return terminal
        says = f"{name} was chosen here and {first} before: times and last digits do not compare within this run"
        return replace(terminal, notes={**terminal.notes, "engine": says})

    def _measure_prices(self, pool: Pool, writer: LedgerWriter) -> None:
        """Price the products of each family and kind, and those of each network beside its gradient.

        Once per folder and set of conditions.
        """
        asked: set[tuple[str, str]] = set()
        unpriced: set[str] = set()
        for planned in self._planned:
            cell = planned.cell
            if planned.skip_reason:
                continue
            wanted: list[tuple[str, str]] = []
            if self._problem(cell.problem).network is not None:
                wanted.append(("unit", cell.problem))
            ladder = self._problem(cell.problem).ladder
            if ladder is not None and cell.problem not in unpriced:
                try:
                    # Problems that share their first rung share the ladder.
                    wanted.append(("price", ladder(RUNGS[0]).name))
                except Exception as failure:  # noqa: BLE001 -- a problem's own code may raise anything: it has no price
                    said = redact(f"{type(failure).__name__}: {failure}")
                    self._reporter.phase(f"no price of a product of {cell.problem}: its ladder raised {said}")
                    unpriced.add(cell.problem)
            for job, measured in wanted:
                key = job, _price_key(measured, _conditions(cell))
                if key not in asked:
                    asked.add(key)
                    self._measure_price(cell, key, pool, writer)

    def _measure_price(self, cell: Cell, key: tuple[str, str], pool: Pool, writer: LedgerWriter) -> None:
        """Measure one price, unless the folder holds it or another process measures it now."""
        job, of = key
        claim = try_claim(self._out, f"{job}-{hashlib.sha256(of.encode()).hexdigest()[:32]}")
        if claim is None:
            return
        try:
            self._tail.refresh()
            if key in map(_key_of_price, self._tail.ledger().prices):
                return
            beside = "beside a gradient" if job == "unit" else "at other dimensions"
            self._reporter.phase(f"price of a product of {cell.problem} {beside}")
            asked = (UnitJob if job == "unit" else PriceJob)(**_conditions(cell), timeout_s=_PRICE_TIMEOUT_S)
            outcome = pool.perform(asked)
            for price in [*outcome.of_type(Price), *outcome.of_type(UnitPrice)]:
                writer.append_price(plain(price))
        finally:
            claim.release()


def _key_of_price(row: Mapping[str, Any]) -> tuple[str, str]:
    job = "unit" if "in_gradients" in row else "price"
    return job, _price_key(row["problem" if job == "unit" else "measured_problem"], row)


def _conditions(cell: Cell) -> dict[str, Any]:
    return {"problem": cell.problem, "device": cell.device, "dtype": cell.dtype, "threads": cell.threads}


def _price_key(rung: str, conditions: Mapping[str, Any]) -> str:
    return json.dumps([rung, *(conditions[name] for name in ("device", "dtype", "threads"))])


def _with_overhead(terminal: Record, overhead: float | None, contended: bool) -> Record:
    return replace(terminal, overhead_s=overhead, contended=contended)


def retry_statuses(texts: Sequence[str]) -> frozenset[Status]:
    """Read the statuses of `--retry`.

    Raises:
        ValueError: If one is not a status of a cell that ran.
    """
    accepted = [status.value for status in Status if status not in (Status.OK, Status.SKIPPED)]
    for text in texts:
        if text not in accepted:
            raise ValueError(f"retry takes statuses among {', '.join(accepted)}, got {text!r}")
    return frozenset(Status(text) for text in texts)
