"""Rows of a ledger brought together into the lines of the cost table.

A line is one method on one problem for one estimand, on one device, in one dtype, with one number of threads, at the
largest budget it was given. Cost and error come from the time pass, peaks from the memory pass at the same budget.
"""

from __future__ import annotations

import dataclasses
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from hessbench.ledger.grouping import Answer, Key, memory_cells, run_key, timed_or_all
from hessbench.ledger.record import Record, Status
from hessbench.ledger.shown_errors import USELESS, shown_error, shown_name
from hessbench.reports.costs.engines import conditions_of, mixed_engines
from hessbench.reports.costs.growth import needs_at
from hessbench.reports.costs.peaks import peaks
from hessbench.reports.costs.predict import PREDICTED_DIM, Prediction, predict
from hessbench.reports.costs.prices import Ladder, ladders
from hessbench.reports.costs.shown_names import namer
from hessbench.reports.writing.sheets import Spread, spread

_WAY: Final = "given on the way to a larger budget: predicted there"
_UNPREDICTED: Final = Prediction(None, None, None, _WAY, _WAY)


@dataclass(frozen=True)
class CostLine:
    """One line of the cost table.

    Attributes:
        key: What its rows share.
        problem: Name to show, with a short hash where there are variants.
        method: Name to show, likewise, and the run it comes from where that answered another estimand.
        dim: Dimension of the operator.
        budget: Products allowed.
        answers: One per repeat, in the order of the repeats.
        statuses: How many cells ended how.
        matvecs: Products spent.
        calls: Block products made.
        gradient_equivalents: The common unit.
        wall_s: Seconds of the iteration.
        build_s: Seconds to build the operator.
        operator_s: Seconds inside products.
        operator_bytes: Memory that the built operator keeps.
        error: The error that is shown: the primary one, but of a trace that is not near zero relative to |trace|.
        error_name: Which error that is.
        scaled_error: The primary error of a trace where it is not the one shown.
        bound: Error bound of the reference, on the scale of the error.
        bound_source: Where the reference comes from.
        memory: The row of the memory pass at this budget.
        prediction: Cost at `PREDICTED_DIM`.
        reasons: Why a value is missing, or what a reader must know of it, by field name.
    """

    key: Key
    problem: str
    method: str
    dim: int
    budget: int
    answers: tuple[Answer, ...]
    statuses: Mapping[str, int]
    matvecs: Spread | None
    calls: Spread | None
    gradient_equivalents: Spread | None
    wall_s: Spread | None
    build_s: Spread | None
    operator_s: Spread | None
    operator_bytes: Spread | None
    error: Spread | None
    error_name: str
    scaled_error: Spread | None
    bound: float | None
    bound_source: str
    memory: Record | None
    prediction: Prediction
    reasons: Mapping[str, str]

    @property
    def host_peak_bytes(self) -> int | None:
        """Host memory above the built operator."""
        return self.memory.host_peak_bytes if self.memory else None

    @property
    def device_peak_bytes(self) -> int | None:
        """Device memory above the built operator."""
        return self.memory.device_peak_bytes if self.memory else None

    @property
    def is_at_bound(self) -> bool:
        """Whether the median error is at or below what the reference can tell."""
        return self.error is not None and self.bound is not None and self.error.median <= self.bound

    @property
    def is_useless(self) -> bool:
        """Whether the error is at a bound that is itself too large to say anything of use."""
        return self.is_at_bound and self.bound is not None and self.bound >= USELESS


def lines(records: Sequence[Record], prices: Iterable[Mapping[str, Any]] = ()) -> tuple[CostLine, ...]:
    """The lines of the cost table, by problem, estimand and method.

    Args:
        records: Rows of a ledger.
        prices: Price rows of a ledger.

    Returns:
        One line per key that has a cell which was not skipped, at the largest budget.
    """
    return at_largest(lines_by_budget(records, prices))


def at_largest(every: Sequence[CostLine]) -> tuple[CostLine, ...]:
    """The lines at the largest budget of their key."""
    largest: dict[Key, int] = {}
    for line in every:
        largest[line.key] = max(line.budget, largest.get(line.key, 0))
    return tuple(line for line in every if line.budget == largest[line.key])


def lines_by_budget(
    records: Sequence[Record], prices: Iterable[Mapping[str, Any]] = (), *, on_the_way: bool = False
) -> tuple[CostLine, ...]:
    """As `lines`, with a line for every budget that a cell was given.

    Args:
        records: Rows of a ledger.
        prices: Price rows of a ledger.
        on_the_way: Whether what an anytime cell had at a smaller budget on its way is a line of its own, with what was
            spent by then, and no prediction.
    """
    known = ladders(prices)
    memory = memory_cells(records)
    engines = mixed_engines(records)
    groups = timed_or_all(records)
    name = namer(groups)
    made: list[CostLine] = []
    for key, group in groups.items():
        budgets: dict[int, list[Answer]] = defaultdict(list)
        for answer in group:
            budgets[answer.row.budget].append(answer)
        for budget, there in sorted(budgets.items()):
            # In a ledger cut by hand a cell may have no row of its own at the budget it ended with.
            own = [answer for answer in there if answer.terminal.budget == budget]
            predicted = prediction_of(key, own, known, PREDICTED_DIM) if own else _UNPREDICTED
            if on_the_way and not own:
                own = [_by_then(answer) for answer in there]
            if not own:
                continue
            line = _line(key, budget, own, name(key), memory.get(run_key(key)), predicted)
            made.append(_with_reason(line, "wall_s", engines.get(conditions_of(key), "")))
    return tuple(sorted(made, key=lambda line: (line.problem, line.key.estimand, line.method, line.key, line.budget)))


def _by_then(answer: Answer) -> Answer:
    """The answer with what its cell had spent when it gave it."""
    row = answer.row
    spent = {name: getattr(row, name) for name in ("matvecs", "calls", "counts", "gradient_equivalents", "operator_s")}
    known: dict[str, Any] = {"budget": row.budget, "status": row.status, "wall_s": row.wall_s}
    ended = dataclasses.replace(answer.terminal, **known, **spent)
    return dataclasses.replace(answer, terminal=ended)


def _with_reason(line: CostLine, name: str, says: str) -> CostLine:
    """The line with one more thing to know of a value, where it has that value."""
    if not says or getattr(line, name) is None:
        return line
    known = line.reasons.get(name)
    return dataclasses.replace(line, reasons={**line.reasons, name: f"{known}; {says}" if known else says})


def prediction_of(key: Key, group: Sequence[Answer], known: Sequence[Ladder], dim: int) -> Prediction:
    """What the runs that came to an end would cost at size `dim`; one cut short says nothing of it.

    Args:
        key: What the runs share.
        group: Answers of the runs at one budget, at least one.
        known: Measured ladders.
        dim: The size P.
    """
    complete = [answer for answer in group if is_complete(answer)]
    if not complete:
        reason = f"nothing to predict from: ended with {group[0].terminal.status.value}"
        return Prediction(None, None, None, reason, reason)
    spent = [(answer.terminal.matvecs, needs_at(answer.terminal, dim)) for answer in complete]
    needs = [need for _, need in spent if need is not None]
    if len(needs) < len(spent):
        reason = "it took as many products as the dimension, and the ledger does not say what it needs at another"
        return Prediction(None, None, None, reason, reason)
    grown = statistics.median(need.products / max(matvecs, 1) for matvecs, need in spent if need is not None)
    return predict(
        known,
        problem=key.problem,
        method=key.method,
        device=key.device,
        dtype=key.dtype,
        threads=key.threads,
        counts={kind: count * grown for kind, count in counts_of(complete).items()},
        own_vectors=max((need.vectors for need in needs if need.vectors is not None), default=None),
        own_passes=max((need.passes for need in needs if need.passes is not None), default=None),
        dim=dim,
    )


def is_complete(answer: Answer) -> bool:
    """Whether the run spent what it meant to spend: its costs are those of the computation."""
    return answer.terminal.status in (Status.OK, Status.OVER_BUDGET)


def counts_of(group: Sequence[Answer]) -> dict[str, float]:
    """Median number of products by kind."""
    kinds = sorted({kind for answer in group for kind in answer.terminal.counts})
    if not kinds:
        return {"product": statistics.median(answer.terminal.matvecs for answer in group)}
    return {kind: statistics.median(answer.terminal.counts.get(kind, 0) for answer in group) for kind in kinds}


def _line(
    key: Key,
    budget: int,
    group: Sequence[Answer],
    names: tuple[str, str],
    memory: Sequence[Record] | None,
    prediction: Prediction,
) -> CostLine:
    peak, peak_reasons = peaks(memory, budget)
    timed = [answer for answer in group if answer.terminal.pass_ == "time"]
    shown = [shown_error(answer.row) for answer in group]
    bounds = [error.bound for error in shown if error.bound is not None]
    error_name = shown_name(answer.row for answer in group)
    primary = spread(answer.error for answer in group)
    sources = sorted({answer.row.reference_source for answer in group} - {""})
    problem, method = names
    line = CostLine(
        key=key,
        problem=problem,
        method=method,
        dim=max(answer.terminal.dim for answer in group),
        budget=budget,
        answers=tuple(group),
        statuses=dict(sorted(Counter(answer.terminal.status.value for answer in group).items())),
        matvecs=spread(answer.terminal.matvecs for answer in group),
        calls=spread(answer.terminal.calls for answer in group),
        gradient_equivalents=spread(answer.terminal.gradient_equivalents for answer in group),
        wall_s=spread(answer.wall_s for answer in timed),
        build_s=spread(answer.build_s for answer in timed),
        operator_s=spread(answer.terminal.operator_s for answer in timed),
        operator_bytes=spread(answer.terminal.operator_bytes for answer in group),
        error=spread(error.value for error in shown),
        error_name=error_name,
        scaled_error=primary if error_name == "relative" else None,
        bound=max(bounds, default=None),
        bound_source=", ".join(sources),
        memory=peak,
        prediction=prediction,
        reasons={},
    )
    return dataclasses.replace(line, reasons=_reasons(line, peak_reasons))


def _reasons(line: CostLine, peak_reasons: Mapping[str, str]) -> dict[str, str]:
    """Why a value is missing, and what a reader must know, by field."""
    reasons = dict(peak_reasons)
    notes: dict[str, str] = {}
    for answer in line.answers:
        notes = {**answer.terminal.notes, **answer.row.notes, **notes}
    failed = ", ".join(status for status in line.statuses if status != Status.OK.value)
    for name in ("wall_s", "build_s", "operator_s", "error"):
        if getattr(line, name) is None:
            reasons[name] = notes.get(name, f"ended with {failed}" if failed else "not measured")
    if line.error is None and not failed:
        reasons["error"] = notes.get("error", "not scored: no reference")
    elif line.error is not None and line.error.number < len(line.answers):
        reasons["error"] = f"median over the {line.error.number} of {len(line.answers)} repeats that have an error"
    if line.is_useless and line.bound is not None:
        useless = f"useless: the reference itself is known to an error of {line.bound:.2g} only"
        reasons["error"] = "; ".join(filter(None, [reasons.get("error", ""), useless]))
    if line.bound is None:
        reasons["bound"] = notes.get("reference_bound", "no reference")
    if any(answer.row.contended or answer.terminal.contended for answer in line.answers):
        reasons["wall_s"] = "timed while other work ran on the machine"
    if line.prediction.time_reason:
        reasons["predicted_s"] = line.prediction.time_reason
    if line.prediction.memory_bytes is None:
        reasons["predicted_bytes"] = line.prediction.memory_reason
    return reasons
