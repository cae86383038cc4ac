"""From a job's outcome to ledger rows."""

from __future__ import annotations

import signal
from dataclasses import dataclass, replace

from hessbench.cells.cell import MEMORY, Cell
from hessbench.cells.messages import Checkpoint
from hessbench.estimand import parse_estimand
from hessbench.ledger.costs import columns_of
from hessbench.ledger.environment import library_version
from hessbench.ledger.record import Kind, Record, Status
from hessbench.ledger.scoring import scored, with_errors_of
from hessbench.ledger.stored_references import Truth
from hessbench.ledger.writing import LedgerWriter, now
from hessbench.method import BoundMethod, Footprint
from hessbench.problem import Problem
from hessbench.redact import redact
from hessbench.running.plan import PlannedCell
from hessbench.workers.messages import Cause, CellJob, Outcome
from hessbench.workers.prices import RUNGS


@dataclass(frozen=True)
class Context:
    """What rows of one cell have in common; `spans` where its budget is the dimension, whatever that is."""

    cell: Cell
    suite: str
    environment: str
    problem: Problem
    bound: BoundMethod
    contended: bool = False
    spans: bool = False
    sealed: bool = False

    def base(self, kind: Kind, status: Status, problem_hash: str = "") -> Record:
        """A row with what was asked and nothing of what came."""
        cell = self.cell
        footprint = _footprint(self.bound, self.problem.dim, cell.budget)
        return Record(
            kind=kind,
            cell=cell.id,
            problem=cell.problem,
            method=cell.method,
            estimand=cell.estimand,
            status=status,
            suite=self.suite,
            problem_hash=problem_hash,
            dim=self.problem.dim,
            traits=self.problem.traits,
            method_hash=self.bound.method.hash,
            library_version=library_version(self.bound.method.library),
            repeat=cell.repeat,
            seed=cell.seed,
            pass_=cell.pass_,
            device=cell.device,
            dtype=cell.dtype,
            threads=cell.threads,
            memory_cap_bytes=cell.memory_cap_bytes,
            timeout_s=cell.timeout_s,
            contended=self.contended,
            budget=cell.budget,
            budgets=cell.budgets,
            own_vectors=footprint.vectors if footprint else None,
            own_passes=footprint.passes if footprint else None,
            environment=self.environment,
            time=now(),
            sealed=self.sealed,
        )


def skipped_row(planned: PlannedCell, context: Context) -> Record:
    """The terminal row of a cell that cannot run."""
    return replace(context.base(Kind.TERMINAL, Status.SKIPPED), reason=redact(planned.skip_reason))


def outcome_rows(context: Context, outcome: Outcome, truth: Truth, writer: LedgerWriter) -> list[Record]:
    """The checkpoint rows of an outcome, then its terminal row, scored.

    Args:
        context: What the rows have in common.
        outcome: What became of the cell.
        truth: What is known of its problem.
        writer: Keeps the arrays of the estimates.

    Raises:
        OSError: If the arrays cannot be kept.
    """
    rows = [
        _checkpoint(context, number, said, truth, writer) for number, said in enumerate(outcome.of_type(Checkpoint))
    ]
    return [*rows, _terminal(context, outcome, truth, rows)]


def _checkpoint(context: Context, number: int, said: Checkpoint, truth: Truth, writer: LedgerWriter) -> Record:
    row = replace(
        context.base(Kind.CHECKPOINT, Status.OK if said.finite else Status.DIVERGED, truth.problem_hash),
        estimand=said.estimand,
        budget=said.budget,
        checkpoint=number,
        said_stderr=said.said_stderr,
        said_converged=said.said_converged,
        said_matvecs=said.said_matvecs,
        diagnostics=said.diagnostics,
        **columns_of(said.costs),
    )
    if row.estimand not in truth.references and context.problem.finder(type(parse_estimand(row.estimand))):
        row = replace(row, notes={"error": truth.missing.get(row.estimand) or _unasked(row)})
    if said.finite:
        try:
            row = scored(row, said.arrays, truth.references.get(row.estimand))
        except Exception as failure:  # noqa: BLE001 -- a problem's own reference may hold anything
            row = replace(row, notes={"error": redact(f"not scored: {type(failure).__name__}: {failure}")})
        kind = parse_estimand(row.estimand).key
        kept = writer.save_arrays(f"{context.cell.id}/{number}-{kind}", said.arrays)
        row = replace(row, arrays=kept)
    return row


def _unasked(row: Record) -> str:
    return (
        f"no reference was made, for nobody asked for {row.estimand}: `hessbench references '{row.problem}' "
        f"--estimand '{row.estimand}' --run DIR` makes one, and `hessbench rescore DIR` then scores the row"
    )


def _terminal(context: Context, outcome: Outcome, truth: Truth, checkpoints: list[Record]) -> Record:
    end = outcome.end
    status, reason = verdict(outcome)
    row = context.base(Kind.TERMINAL, status, truth.problem_hash)
    notes: dict[str, str] = {}
    if end is None:
        notes = dict.fromkeys(("wall_s", "operator_s", "calls"), "the process ended before it could say")
        row = replace(row, matvecs=outcome.matvecs)
    else:
        notes = dict(end.notes)
        row = replace(row, **columns_of(end.costs), engine=end.engine, drew_random=end.drew_random)
        row = replace(row, cost_at=_cost_at(context, row))
    row = with_errors_of(row, checkpoints)
    notes |= {name: says for kept in checkpoints if kept.estimand == row.estimand for name, says in kept.notes.items()}
    if context.cell.estimand not in truth.references:
        notes["error"] = truth.missing.get(context.cell.estimand, "the problem has no reference for this estimand")
    left = outcome.ended.left_behind
    if left:
        says = f"left {left} process{'es' if left > 1 else ''} behind, killed"
        notes["processes"] = says
        reason = f"{reason}; {says}" if reason else says
    if context.cell.pass_ == MEMORY:
        notes["wall_s"] = "taken under the allocator settings of the memory pass: not for comparing times"
    return replace(row, reason=redact(reason), notes=notes)


def verdict(outcome: Outcome) -> tuple[Status, str]:
    """Status and reason: what the result says, or what ended the process before it could."""
    cause, code = outcome.ended.cause, outcome.ended.code
    end = outcome.end
    job = outcome.job
    if outcome.damaged:
        return Status.CRASH, "something else than its result came through the pipe to the harness"
    if end is not None and cause is not Cause.MEMORY:
        if end.status is Status.OK and isinstance(job, CellJob) and not outcome.of_type(Checkpoint):
            return Status.CRASH, "the worker said that all was well and handed in no estimate"
        return end.status, end.reason
    if cause is Cause.TIMEOUT:
        return Status.TIMEOUT, f"stopped after the time limit of {job.timeout_s:g} s"
    if cause is Cause.MEMORY:
        cap = job.memory_cap_bytes
        held = f"{outcome.ended.peak_bytes / 2**20:.0f} MiB"
        limit = f"the memory cap of {cap / 2**20:.0f} MiB" if cap else "the memory of the machine"
        return Status.OOM_HOST, f"killed above {limit}, holding {held}"
    if cause is Cause.SERVER:
        return Status.CRASH, "the worker's server was killed"
    tail = outcome.ended.tail.strip().splitlines()
    said = f"; its last line: {tail[-1]}" if tail else ""
    if code is not None and code < 0:
        return Status.CRASH, f"killed by {_signal_name(-code)}{said}"
    if code is None:
        return Status.CRASH, f"ended before handing in its result{said}"
    return Status.CRASH, f"ended with exit code {code} before handing in its result{said}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _cost_at(context: Context, row: Record) -> dict[str, tuple[float | None, ...]]:
    """Products, own vectors and own passes at other dimensions, as far as they follow from what is declared.

    The products are those that were spent. Where a run took all that its budget or its dimension holds, they grow as
    that does; and they are never below what the method needs.
    """
    bound, budget = context.bound, context.cell.budget
    room = max(min(budget, row.dim), row.matvecs)
    found: dict[str, tuple[float | None, ...]] = {}
    try:
        is_used_up = row.matvecs > room - max(bound.block_widths(budget), default=1)
        for dim in RUNGS:
            least = bound.min_matvecs(dim)
            allowed = dim if context.spans and is_used_up else budget
            footprint = _footprint(bound, dim, max(allowed, least))
            declared = (footprint.vectors, footprint.passes) if footprint else (None, None)
            products = row.matvecs * (allowed / room if is_used_up else 1.0)
            found[str(dim)] = (max(float(least), products), *declared)
    except Exception:  # noqa: BLE001 -- as below
        return {}
    return found


def _footprint(bound: BoundMethod, dim: int, budget: int) -> Footprint | None:
    try:
        return bound.footprint(dim, budget)
    except Exception:  # noqa: BLE001 -- what a method declares of itself must not cost the row of what it did
        return None
