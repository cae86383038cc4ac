"""Run one cell: build, warm up, run the method on the counted operator, emit what it yields.

This is the only code that catches what a method raises. It never sees the truth.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, cast, final

import numpy as np
import torch
from torch import Tensor

from hessbench.cells.cell import MEMORY, Cell
from hessbench.cells.meter import PeakMeter, Stopwatch, synchronize
from hessbench.counting import BudgetExceeded, CountingOperator
from hessbench.estimand import ESTIMANDS, Arrays, Estimand, Estimate
from hessbench.estimand.settled import settled
from hessbench.flops import counting_flops
from hessbench.ledger.record import Status, finite_or_null
from hessbench.ledger.typed_fields import INT64
from hessbench.method import BoundMethod
from hessbench.operators import Factored, LinearOperator, check_operator, check_product, info_of
from hessbench.problem import FACTOR, Problem
from hessbench.redact import redact
from hessbench.seeding import derive_seed, make_generator
from hessbench.tally import TalliedOperator

Emit = Callable[[dict[str, Any], Arrays], None]
_MOST_DIAGNOSTICS: Final = 100
_OUT_OF_MEMORY: Final = ("can't allocate memory", "not enough memory", "bad_alloc", "Cannot allocate memory")


@dataclass(frozen=True)
class Spent:
    """What had been spent when an estimate was yielded."""

    matvecs: int
    calls: int
    counts: Mapping[str, int]
    gradient_equivalents: float
    samples: int
    operator_s: float
    wall_s: float

    def plus(self, after: Spent, before: Spent) -> Spent:
        """What an estimate has cost that was yielded then, and for whose value more was spent between two moments."""
        counts = {kind: self.counts.get(kind, 0) + now - before.counts.get(kind, 0)
                  for kind, now in after.counts.items()}  # fmt: skip
        return Spent(
            matvecs=self.matvecs + after.matvecs - before.matvecs,
            calls=self.calls + after.calls - before.calls,
            counts={kind: count for kind, count in counts.items() if count},
            gradient_equivalents=self.gradient_equivalents + after.gradient_equivalents - before.gradient_equivalents,
            samples=self.samples + after.samples - before.samples,
            operator_s=self.operator_s + after.operator_s - before.operator_s,
            wall_s=self.wall_s,
        )


def execute(
    cell: Cell, problem: Problem, bound: BoundMethod, emit: Emit, on_charge: Callable[[int], None] | None = None
) -> None:
    """Run a cell and emit its checkpoints, then how it ended.

    Args:
        cell: What to run.
        problem: The cell's problem.
        bound: The cell's method, bound to its estimand.
        emit: Receives a header and arrays for each checkpoint, and a last header with `"type": "end"`.
        on_charge: Told the products spent so far.

    Raises:
        BaseException: Only what is no `Exception`, such as `SystemExit`: the process then ends without a result.
    """
    session = _Session(cell, problem, bound, emit, on_charge)
    status, reason = Status.OK, ""
    try:
        status, reason = session.run()
    except Exception as failure:  # noqa: BLE001 -- a method may raise anything; its row says what
        status, reason = classify(failure)
    if (
        session.op is not None
        and status in (Status.OK, Status.ERROR, Status.DIVERGED)
        and not session.op.spending.is_finite
    ):
        status, reason = Status.ERROR, "the operator returned values that are not finite"
    emit(session.summary(status, reason), {})


def classify(failure: Exception) -> tuple[Status, str]:
    """Status and reason of an exception: memory apart from everything else."""
    if isinstance(failure, torch.OutOfMemoryError):
        return Status.OOM_DEVICE, redact(str(failure).splitlines()[0])
    if isinstance(failure, MemoryError) or any(text in str(failure) for text in _OUT_OF_MEMORY):
        return Status.OOM_HOST, redact(f"{type(failure).__name__}: {failure}".splitlines()[0])
    frames = traceback.extract_tb(failure.__traceback__)
    where = f" ({frames[-1].filename}:{frames[-1].lineno} in {frames[-1].name})" if frames else ""
    return Status.ERROR, redact(f"{type(failure).__name__}: {failure}{where}")


@final
class _Session:
    """State of one run."""

    def __init__(
        self, cell: Cell, problem: Problem, bound: BoundMethod, emit: Emit, on_charge: Callable[[int], None] | None
    ) -> None:
        self.cell = cell
        self.problem = problem
        self.bound = bound
        self.device = torch.device(cell.device)
        self.dtype = cast("torch.dtype", getattr(torch, cell.dtype))
        self.op: CountingOperator | None = None
        self._tally: TalliedOperator | None = None
        self._emit = emit
        self._on_charge = on_charge
        self._clock = Stopwatch()
        # What the problem and the method take; the rest of a cell's time is the harness's own.
        self._busy = Stopwatch()
        self._peaks = PeakMeter(self.device)
        self._info: dict[str, Any] = {}
        self._waiting = list(cell.budgets)
        self._latest: tuple[Estimate, Spent, float | None] | None = None
        self._diverged = ""
        self._pending: list[tuple[int, Estimand, Estimate, dict[str, Any]]] = []

    def run(self) -> tuple[Status, str]:
        """Build, warm up, run; returns how it ended."""
        torch.set_num_threads(self.cell.threads)
        self._busy.start()
        inner = self._build()
        witness = self._warm_up(inner)
        if self.cell.pass_ == MEMORY:
            self._dry_run(inner)
            self._peaks.start()
        outcome = self._measured(inner)
        self._busy.pause()
        if self.cell.pass_ == MEMORY:
            # The peak is read before anything is turned into messages, which would count as the method's memory.
            self._info["host_peak_bytes"] = self._peaks.host_peak()
            self._info["device_peak_bytes"] = self._peaks.device_peak()
            self._flush()
        if outcome[0] is Status.OK and self._diverged:
            outcome = Status.DIVERGED, self._diverged
        return self._untouched(inner, witness) or outcome

    def summary(self, status: Status, reason: str) -> dict[str, Any]:
        """The last message: totals and how it ended."""
        self._clock.pause()
        spent = dataclasses.asdict(self._spent()) if self.op is not None else {}
        notes = dict(self._peaks.notes)
        if self.cell.pass_ != MEMORY:
            notes |= dict.fromkeys(("host_peak_bytes", "device_peak_bytes", "flops"), "measured in the memory pass")
        if status is Status.OK and (doubt := self._doubt()):
            notes["matvecs"] = doubt
        return {
            "type": "end",
            "status": status,
            "reason": reason,
            "notes": notes,
            "busy_s": self._busy.seconds,
            **spent,
            **self._info,
        }

    def _doubt(self) -> str:
        """Why the count of a run that ended well may be wrong; empty where both counts agree."""
        computed = 0 if self._tally is None else self._tally.columns
        charged = self._operator.matvecs - self._operator.spending.outside
        if computed != charged:
            return f"{computed} products were computed and {charged} charged: the method went round the count"
        if not self._operator.matvecs and self.bound.min_matvecs(self.problem.dim) >= 1:
            return "no product was charged, and the method declares that it needs one"
        return ""

    def _build(self) -> LinearOperator:
        watch = Stopwatch()
        watch.start()
        inner = self.problem.build(self.device, self.dtype)
        synchronize(self.device)
        self._info["build_s"] = watch.seconds
        if inner.dim != self.problem.dim:
            raise ValueError(f"the operator has dimension {inner.dim}, its problem declares {self.problem.dim}")
        if inner.dtype != self.dtype or inner.device.type != self.device.type:
            raise ValueError(f"the operator is {inner.dtype} on {inner.device}, the cell asks for {self.cell.dtype} "
                             f"on {self.cell.device}")  # fmt: skip
        self._info["engine"] = info_of(inner).engine
        return inner

    def _warm_up(self, inner: LinearOperator) -> tuple[Tensor, Tensor]:
        """One product per declared width and the operator's health check; returns a product to compare with later."""
        watch = Stopwatch()
        watch.start()
        generator = make_generator(derive_seed("warm-up", str(self.cell.seed)), self.device)
        check_operator(inner, generator)
        for width in self.bound.block_widths(self.cell.budget):
            inner.matmat(_normal(inner, min(width, inner.dim), generator))
        if FACTOR in self.bound.method.requires and isinstance(inner, Factored):
            factor = inner.factor
            factor.squared_sum(torch.ones(factor.num_columns, 1, dtype=inner.dtype, device=inner.device))
        witness = _normal(inner, 1, generator)
        image = inner.matmat(witness)
        check_product(inner, witness, image)
        kept = (witness.clone(), image.clone())
        synchronize(self.device)
        self._info["warmup_s"] = watch.seconds
        return kept

    def _dry_run(self, inner: LinearOperator) -> None:
        """The whole run once, thrown away: counts FLOPs, and loads every library page the measured run would load."""
        with counting_flops() as counter:
            self._start(inner)
            # What is over its budget is so in the measured run too, which says it.
            with contextlib.suppress(BudgetExceeded):
                for estimate in self._estimates():
                    estimate.resolve(self._is_wanted)
                    if self._operator.matvecs >= self.cell.budget:
                        break
        self._info["flops"] = int(counter.get_total_flops())
        synchronize(self.device)

    def _start(self, inner: LinearOperator) -> None:
        self._tally = TalliedOperator(inner)
        self.op = CountingOperator(self._tally, self.cell.budget, self._on_charge)

    @property
    def _operator(self) -> CountingOperator:
        if self.op is None:
            raise RuntimeError("the run has not started")
        return self.op

    def _estimates(self) -> Iterator[Estimate]:
        """What the method yields, or the one estimate it returns."""
        generator = make_generator(self.cell.seed, self.device)
        try:
            result = self.bound.run(self._operator, self.cell.budget, generator)
            if self.bound.method.is_anytime:
                yield from map(_checked, cast("Iterator[Any]", result))
            else:
                yield _checked(result)
        except BudgetExceeded as exceeded:
            self._info["exceeded"] = str(exceeded)

    def _measured(self, inner: LinearOperator) -> tuple[Status, str]:
        self._info.pop("exceeded", None)
        self._start(inner)
        synchronize(self.device)
        self._clock.start()
        for estimate in self._estimates():
            spent = self._operator.matvecs
            while self._waiting and spent > self._waiting[0]:
                self._checkpoint(self._waiting.pop(0))
            self._latest = (settled(estimate), self._spent(), None)
            if self._waiting and spent == self._waiting[0]:
                self._checkpoint(self._waiting.pop(0))
            if not self._waiting:
                break
        synchronize(self.device)
        self._clock.pause()
        yielded = self._latest is not None
        while self._waiting:
            self._checkpoint(self._waiting.pop(0))
        exceeded = cast("str", self._info.pop("exceeded", ""))
        if exceeded:
            return Status.OVER_BUDGET, exceeded
        if not yielded:
            return Status.ERROR, "the method ended without an estimate"
        return Status.OK, ""

    def _spent(self) -> Spent:
        op = self._operator
        spending = op.spending
        # Reading device events would wait for the device: on a device product time is read only at the end.
        running = self.device.type == "cuda" and self._clock.is_running
        return Spent(
            matvecs=op.matvecs,
            calls=op.calls,
            counts={kind.value: count for kind, count in spending.counts.items()},
            gradient_equivalents=spending.gradient_equivalents,
            samples=spending.samples,
            operator_s=spending.operator_ns * 1e-9 if running else spending.operator_s,
            wall_s=self._clock.seconds,
        )

    def _checkpoint(self, budget: int) -> None:
        """Evaluate and emit the latest estimate as the state at `budget`; only the evaluation is on its clock.

        Products asked for in the evaluation count in this row, and may not pass its budget.
        """
        if self._latest is None:
            return
        synchronize(self.device)
        self._clock.pause()
        estimate, spent, evaluation_s = self._latest
        if self.device.type == "cuda":
            spent = dataclasses.replace(spent, wall_s=self._clock.seconds)
        watch = Stopwatch()
        watch.start()
        before = self._spent()
        try:
            with self._operator.spending.at_most(budget):
                resolved = settled(estimate.resolve(self._is_wanted))
        except BudgetExceeded as exceeded:
            self._info["exceeded"] = f"{exceeded}, while the value of budget {budget} was evaluated"
            if self._waiting:
                self._clock.start()
            return
        if self._operator.matvecs > before.matvecs:
            spent = spent.plus(self._spent(), before)
        synchronize(self.device)
        # An estimate that fills several budgets is evaluated once, and each of them owes that evaluation.
        evaluation_s = watch.seconds if evaluation_s is None else evaluation_s
        self._latest = (resolved, spent, evaluation_s)
        costs = dataclasses.asdict(spent) | {"wall_s": spent.wall_s + evaluation_s}
        self._busy.pause()
        self._pending += [(budget, estimand, answer, costs) for estimand, answer in self._answers(resolved)]
        if self.cell.pass_ != MEMORY:
            self._flush()
        self._busy.start()
        self._info["final_wall_s"] = costs["wall_s"]
        if self._waiting:
            self._clock.start()

    def _is_wanted(self, kind: type[Estimand]) -> bool:
        """Whether an answer is scored; what nobody asked for, such as a basis of long vectors, is not computed."""
        return kind is type(self.bound.estimand) or not _needs_parameters(kind)

    def _answers(self, estimate: Estimate) -> list[tuple[Estimand, Estimate]]:
        """The cell's own estimand first, then the others the same run answered."""
        own = self.bound.estimand
        first = self.bound.method.estimands[0]
        known: dict[type[Estimand], Estimate] = {first: estimate, **estimate.also}
        if type(own) not in known:
            raise ValueError(f"the method gave no {own.key}; it must be in `also`")
        others = [kind for kind in known if kind is not type(own) and not _needs_parameters(kind)]
        return [(own, known[type(own)]), *((kind(), known[kind]) for kind in others)]

    def _flush(self) -> None:
        """Emit the evaluated checkpoints."""
        while self._pending:
            self._emit_one(*self._pending.pop(0))

    def _emit_one(self, budget: int, estimand: Estimand, answer: Estimate, costs: dict[str, Any]) -> None:
        arrays = estimand.to_arrays(answer.value, self.problem.dim)
        finite = all(bool(np.isfinite(array).all()) for array in arrays.values())
        if not finite and estimand is self.bound.estimand:
            said = str(answer.diagnostics.get("reason", ""))
            self._diverged = redact(said) or "the estimate is not finite"
        diagnostics = _plain(answer.diagnostics)
        header = {
            "type": "checkpoint",
            "budget": budget,
            "estimand": estimand.spec,
            "finite": finite,
            "said_stderr": _number(answer.stderr),
            "said_converged": None if answer.converged is None else bool(answer.converged),
            "said_matvecs": _count(diagnostics.get("matvecs")),
            "diagnostics": diagnostics,
            **costs,
        }
        self._emit(header, arrays)

    def _untouched(self, inner: LinearOperator, witness: tuple[Tensor, Tensor]) -> tuple[Status, str] | None:
        """Compare one product with the same product before the run."""
        x, before = witness
        after = inner.matmat(x)
        scale = float(before.norm())
        if not float((after - before).norm()) <= 1e4 * torch.finfo(self.dtype).eps * scale:
            return Status.ERROR, "the operator's products changed during the run: the method altered its input"
        return None


def _checked(estimate: Any) -> Estimate:
    if not isinstance(estimate, Estimate):
        raise TypeError(f"a method returns or yields Estimate, got {type(estimate).__name__}")
    return estimate


def _needs_parameters(kind: type[Estimand]) -> bool:
    return kind not in ESTIMANDS.values() or any(f.default is dataclasses.MISSING for f in dataclasses.fields(kind))


def _normal(op: LinearOperator, width: int, generator: torch.Generator) -> Tensor:
    return torch.randn(op.dim, width, generator=generator, dtype=op.dtype, device=op.device)


def _number(value: Any) -> float | None:
    """A number that a method says of itself; None for one that is not finite, which says nothing."""
    return None if value is None or not math.isfinite(value) else float(value)


def _count(value: Any) -> int | None:
    """A number of products that a method says of itself, where that is one."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < INT64 or value != int(value):
        return None
    return int(value)


def _plain(diagnostics: Mapping[str, Any]) -> dict[str, Any]:
    """The first hundred diagnostics as JSON values: tensors of one number are read, anything larger is dropped."""
    plain: dict[str, Any] = {}
    for name, value in islice(diagnostics.items(), _MOST_DIAGNOSTICS):
        key = str(name)[:200]
        if isinstance(value, Tensor):
            if value.numel() == 1:
                plain[key] = float(value)
        elif value is None or isinstance(value, bool | int | float):
            plain[key] = value
        else:
            plain[key] = redact(str(value)[:400])[:200]
    return cast("dict[str, Any]", finite_or_null(plain))
