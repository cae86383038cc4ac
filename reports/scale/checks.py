"""The cost at the largest size, predicted from smaller sizes only, compared with what was measured there.

The prediction is the one of `costs.predict`. It sees nothing of a size above half the largest: prices of
products come from the rungs below, and the numbers of products, passes and vectors from the largest run below and
what its method declares of the size.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from hessbench.ledger.grouping import Answer, Key
from hessbench.ledger.record import Record
from hessbench.reports.costs.lines import CostLine, counts_of, is_complete, lines_by_budget, prediction_of
from hessbench.reports.costs.predict import Prediction
from hessbench.reports.costs.prices import Ladder, Rung, find, ladders
from hessbench.reports.scale.families import SizeFamily, families
from hessbench.reports.writing.sheets import Spread, spread

FAR: Final = 2
"""Factor by which a size must be below another to predict it: a step that is shorter would check nothing."""


@dataclass(frozen=True)
class Check:
    """One run at several sizes: what was predicted for the largest, and what was measured.

    Attributes:
        family: The problems.
        line: The run at the largest size.
        smaller: The runs at the sizes below, ascending.
        basis: The one whose products, passes and vectors are used; None where none came to an end.
        known: Prices the prediction may use.
        own_prices: The same with the seconds of a product in these runs before them; empty where fewer than two tell.
        prediction: Cost at the largest size.
        price_dims: Sizes between which the price was carried on.
        has_run_prices: Whether the price is that of the runs themselves, for want of others.
        measured_s: Seconds of the run.
        measured_products_s: Seconds of its products.
        measured_bytes: Memory above the built operator, on the device of the run.
        scaled_bytes: What was measured at the largest smaller size, times the ratio of the sizes.
        scaled_from: That size.
        reasons: Why a value is missing, or what a reader must know of it, by field name.
    """

    family: SizeFamily
    line: CostLine
    smaller: tuple[CostLine, ...]
    basis: CostLine | None
    known: tuple[Ladder, ...]
    own_prices: tuple[Ladder, ...]
    prediction: Prediction
    price_dims: tuple[int, ...]
    has_run_prices: bool
    measured_s: Spread | None
    measured_products_s: Spread | None
    measured_bytes: int | None
    scaled_bytes: float | None
    scaled_from: int | None
    reasons: Mapping[str, str]

    @property
    def time_ratio(self) -> float | None:
        """Seconds measured over predicted."""
        return _ratio(self.measured_s.median if self.measured_s else None, self.prediction.seconds)

    @property
    def memory_ratio(self) -> float | None:
        """Bytes measured over predicted."""
        return _ratio(self.measured_bytes, self.prediction.memory_bytes)

    @property
    def measured_own_s(self) -> float | None:
        """Seconds of the run outside its products."""
        if self.measured_s is None or self.measured_products_s is None:
            return None
        return max(self.measured_s.median - self.measured_products_s.median, 0.0)

    @property
    def by_runs_s(self) -> float | None:
        """Seconds predicted with the price that products had in the smaller runs themselves, block widths and all."""
        return self._at(self.own_prices, self.line.dim).seconds if self.own_prices else None

    def predicted_at(self, dim: int) -> float | None:
        """Seconds the same prediction gives at another size."""
        return self._at(self.own_prices if self.has_run_prices else self.known, dim).seconds

    def _at(self, known: Sequence[Ladder], dim: int) -> Prediction:
        if self.basis is None:
            return Prediction(None, None, None)
        return prediction_of(self.line.key, self.basis.answers, known, dim)


def checks(records: Sequence[Record], prices: Iterable[Mapping[str, Any]] = ()) -> tuple[Check, ...]:
    """A check for every problem family, method, estimand and budget that was run at several sizes.

    Runs on another device, in another dtype or with another number of threads, of another version of a method, are
    checks of their own. A size at which a problem is there in two versions is left out.

    Args:
        records: Rows of a ledger.
        prices: Price rows of a ledger.
    """
    known = ladders(prices)
    lines = lines_by_budget(records)
    dims: dict[str, set[int]] = defaultdict(set)
    for line in lines:
        dims[line.key.problem].add(line.dim)
    made: list[Check] = []
    for family in families({problem: min(sizes) for problem, sizes in dims.items() if len(sizes) == 1}):
        members = {problem for problem, _ in family.members}
        runs: dict[tuple[Key, int], dict[int, list[CostLine]]] = defaultdict(lambda: defaultdict(list))
        for line in lines:
            if line.key.problem in members:
                run = dataclasses.replace(line.key, problem="", problem_hash="")
                runs[run, line.budget][line.dim].append(line)
        for _, sizes in sorted(runs.items()):
            alone = [sizes[dim][0] for dim in sorted(sizes) if len(sizes[dim]) == 1]
            if len(alone) > 1:
                made.append(_check(family, alone, known))
    return tuple(
        sorted(made, key=lambda it: (it.family.name, it.line.key.estimand, it.line.method, it.line.key, it.line.budget))
    )


def _check(family: SizeFamily, sizes: Sequence[CostLine], known: Sequence[Ladder]) -> Check:
    *smaller, line = sizes
    far = [run for run in smaller if run.dim * FAR <= line.dim]
    ended = [run for run in far if any(map(is_complete, run.answers))]
    complete = [answer for answer in line.answers if is_complete(answer) and answer.terminal.pass_ == "time"]
    peaks = [(run.dim, peak) for run in far if (peak := _peak(run)) is not None]
    below = tuple(_below(ladder, family, line) for ladder in known)
    measured = Check(
        family=family,
        line=line,
        smaller=tuple(smaller),
        basis=ended[-1] if ended else None,
        known=below,
        own_prices=_with_runs(ended, line.key, below),
        prediction=Prediction(None, None, None),
        price_dims=(),
        has_run_prices=False,
        measured_s=spread(answer.wall_s for answer in complete),
        measured_products_s=spread(answer.terminal.operator_s for answer in complete),
        measured_bytes=_peak(line),
        scaled_bytes=peaks[-1][1] * line.dim / peaks[-1][0] if peaks else None,
        scaled_from=peaks[-1][0] if peaks else None,
        reasons={},
    )
    predicted = _predicted(measured)
    return dataclasses.replace(predicted, reasons=_reasons(predicted))


def _predicted(check: Check) -> Check:
    """Predict with the measured prices, else with those of the runs themselves."""
    if check.basis is None:
        reason = f"no run at a size of at most {check.line.dim // FAR:,} came to an end"
        return dataclasses.replace(check, prediction=Prediction(None, None, None, reason, reason))
    key = check.line.key
    kinds = _kinds(check.basis.answers)
    by_prices = prediction_of(key, check.basis.answers, check.known, check.line.dim)
    has_run_prices = by_prices.products_s is None and bool(check.own_prices)
    known = check.own_prices if has_run_prices else check.known
    used = [find(known, key.problem, kind, key.method, key.device, key.dtype, key.threads) for kind in kinds]
    dims = sorted({rung.dim for ladder in used if ladder is not None for rung in ladder.rungs[-2:]})
    prediction = prediction_of(key, check.basis.answers, known, check.line.dim)
    if prediction.products_s is None:
        limit = check.line.dim // FAR
        missing = (
            f"neither two prices of a {' and a '.join(kinds)} at sizes of at most {limit:,} nor two of these runs "
            "timed there"
        )
        prediction, dims = dataclasses.replace(prediction, time_reason=missing), []
    return dataclasses.replace(check, prediction=prediction, price_dims=tuple(dims), has_run_prices=has_run_prices)


def _below(ladder: Ladder, family: SizeFamily, line: CostLine) -> Ladder:
    """The rungs that may predict the line; the ladder of the line's family bears the name of its problem."""
    rungs = tuple(rung for rung in ladder.rungs if rung.dim * FAR <= line.dim)
    problem = line.key.problem if family.holds(ladder.problem) else ladder.problem
    return dataclasses.replace(ladder, problem=problem, rungs=rungs)


def _with_runs(ended: Sequence[CostLine], key: Key, below: tuple[Ladder, ...]) -> tuple[Ladder, ...]:
    """The ladders, after one of the seconds of a product in the runs, where they made one kind of product."""
    kinds = sorted({kind for run in ended for kind in _kinds(run.answers)})
    rungs: list[Rung] = []
    for run in ended:
        seconds = spread(
            answer.terminal.operator_s / answer.terminal.matvecs
            for answer in run.answers
            if is_complete(answer) and answer.terminal.operator_s and answer.terminal.matvecs
        )
        if seconds is not None:
            rungs.append(Rung(run.dim, seconds.median))
    if len(kinds) != 1 or len(rungs) < 2:
        return ()
    own = Ladder(key.problem, kinds[0], key.method, key.device, key.dtype, key.threads, tuple(rungs))
    return (own, *below)


def _kinds(group: Sequence[Answer]) -> list[str]:
    """Kinds of product that the complete runs of a group made."""
    complete = [answer for answer in group if is_complete(answer)]
    return [kind for kind, count in counts_of(complete).items() if count > 0] if complete else []


def _peak(line: CostLine) -> int | None:
    return line.host_peak_bytes if line.key.device == "cpu" else line.device_peak_bytes


def _ratio(measured: float | None, predicted: float | None) -> float | None:
    return measured / predicted if measured is not None and predicted else None


def _reasons(check: Check) -> dict[str, str]:
    line = check.line
    reasons = {name: line.reasons[name] for name in ("error",) if name in line.reasons}
    if check.prediction.time_reason:
        reasons["predicted_s"] = check.prediction.time_reason
    elif check.has_run_prices:
        reasons["predicted_s"] = "no two prices of a product below: priced by the smaller runs themselves"
    if check.measured_s is None:
        failed = ", ".join(status for status in line.statuses if status != "ok")
        reasons["measured_s"] = f"ended with {failed}" if failed else line.reasons.get("wall_s", "not measured")
    elif any(answer.terminal.contended for run in (*check.smaller, line) for answer in run.answers):
        reasons["measured_s"] = "timed while other work ran on the machine, here or at a smaller size"
    if check.prediction.memory_reason:
        reasons["predicted_bytes"] = check.prediction.memory_reason
    if check.measured_bytes is None:
        peak = "host_peak_bytes" if line.key.device == "cpu" else "device_peak_bytes"
        reasons["measured_bytes"] = line.reasons.get(peak, "not measured")
    return reasons
