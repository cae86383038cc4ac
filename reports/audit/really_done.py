"""Asked, reported, really done: the products a library was asked for, those it reports, and those that were counted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd

from hessbench.ledger.answering.questions import posed_questions
from hessbench.ledger.grouping import Key
from hessbench.ledger.record import Record
from hessbench.ledger.spreads import Spread, spread
from hessbench.reports.costs.shown_names import asked as asked_columns
from hessbench.reports.writing import units
from hessbench.reports.writing.sheets import Column, Sheet, Shown, lay_out, range_text, spread_cell


@dataclass(frozen=True)
class DoneLine:
    """One method on one question at one budget.

    Attributes:
        key: What its rows share.
        problem: Name to show.
        method: Name to show.
        budget: Products it may spend.
        repeats: How many came to an answer.
        call: What the library was asked for, as the adapter wrote it: that of the first repeat.
        said: What the library reports, likewise.
        asked: Products asked for: what the adapter says the keywords mean, else the budget.
        reported: Products the method says it made; None where it gives no number.
        done: Products counted at the operator.
        calls: Block products counted there.
        kinds: Products by kind, in words.
    """

    key: Key
    problem: str
    method: str
    budget: int
    repeats: int
    call: str
    said: str
    asked: Spread | None
    reported: Spread | None
    done: Spread
    calls: Spread | None
    kinds: str

    @property
    def over_asked(self) -> float | None:
        """Products done for each that was asked for."""
        return _ratio(self.done, self.asked)

    @property
    def over_reported(self) -> float | None:
        """Products done for each that is reported."""
        return _ratio(self.done, self.reported)


def done_lines(records: Sequence[Record]) -> tuple[DoneLine, ...]:
    """Every method that tells what it was asked for or says a number of products, at every budget."""
    made: list[DoneLine] = []
    for asked in posed_questions(records):
        for name, method in asked.methods:
            for budget, at in method.budgets.items():
                rows = [it.answer.row for it in at.values() if it.is_answered and it.answer.terminal.pass_ == "time"]
                if any("asked" in row.diagnostics or row.said_matvecs is not None for row in rows):
                    made.append(_line(method.key, asked.question.problem, name, budget, rows))
    return tuple(made)


def at_largest(lines: Sequence[DoneLine]) -> tuple[DoneLine, ...]:
    """The lines at the largest budget of their key, what is the same on several problems once."""
    largest: dict[Key, DoneLine] = {}
    for line in lines:
        if line.key not in largest or line.budget > largest[line.key].budget:
            largest[line.key] = line
    groups: dict[tuple[Any, ...], list[DoneLine]] = defaultdict(list)
    for line in largest.values():
        # What a library reports in words holds numbers of its answer.
        apart = (line.key.estimand, line.method, line.key.library_version, line.key.device, line.key.dtype)
        groups[*apart, line.budget, line.asked, line.reported, line.done, line.kinds].append(line)
    return tuple(_together(group) for group in groups.values())


def done_sheet(lines: Sequence[DoneLine]) -> Sheet:
    """The table to read."""
    return lay_out(_COLUMNS, lines, lambda _: {})


def done_frame(lines: Sequence[DoneLine]) -> pd.DataFrame:
    """The table as numbers: medians, with the range in `_min` and `_max`."""
    rows: list[dict[str, Any]] = []
    for line in lines:
        row: dict[str, Any] = {
            "problem": line.key.problem,
            "problem_hash": line.key.problem_hash,
            **asked_columns(line.key),
            "budget": line.budget,
            "repeats": line.repeats,
            "asked": line.call,
            "reported": line.said,
        }
        for name in ("asked", "reported", "done", "calls"):
            value: Spread | None = getattr(line, name)
            row |= {
                f"{name}_products" if name != "calls" else "done_calls": None if value is None else value.median,
                f"{name}_min": None if value is None else value.low,
                f"{name}_max": None if value is None else value.high,
            }
        rows.append(row | {"kinds": line.kinds, "done_over_asked": line.over_asked,
                           "done_over_reported": line.over_reported})  # fmt: skip
    return pd.DataFrame(rows)


def _line(key: Key, problem: str, method: str, budget: int, rows: Sequence[Record]) -> DoneLine:
    first = rows[0]
    done = spread(row.matvecs for row in rows)
    return DoneLine(
        key=key,
        problem=problem,
        method=method,
        budget=budget,
        repeats=len(rows),
        call=str(first.diagnostics.get("asked", "")),
        said=str(first.diagnostics.get("reported", "")),
        asked=spread(_number(row.diagnostics.get("asked_matvecs"), row.budget) for row in rows),
        reported=spread(row.said_matvecs for row in rows),
        done=done or Spread(0.0, 0.0, 0.0, 0),
        calls=spread(row.calls for row in rows),
        kinds=_kinds(rows),
    )


def _kinds(rows: Sequence[Record]) -> str:
    """Products by kind; without numbers where these differ between repeats."""
    counts = rows[0].counts
    if any(row.counts != counts for row in rows):
        return ", ".join(sorted({kind for row in rows for kind in row.counts}))
    return ", ".join(f"{number:,} {kind}" for kind, number in sorted(counts.items()))


def _number(value: Any, budget: int) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else float(budget)


def _together(group: Sequence[DoneLine]) -> DoneLine:
    first = group[0]
    problems = [line.problem for line in group]
    shown = problems[0] if len(problems) == 1 else f"{len(problems)} problems: {', '.join(problems)}"
    said = first.said if len({line.said for line in group}) == 1 else f"such as {first.said}"
    return DoneLine(
        first.key, shown, first.method, first.budget, first.repeats, first.call, said, first.asked, first.reported,
        first.done, first.calls, first.kinds,
    )  # fmt: skip


def _ratio(above: Spread, below: Spread | None) -> float | None:
    return None if below is None or below.median <= 0 else above.median / below.median


def _reported(line: DoneLine) -> Shown:
    said = line.said or "no count"
    if line.reported is None:
        return Shown(units.DASH, said)
    detail = "; ".join(filter(None, (range_text(line.reported, units.count), line.said)))
    return Shown(units.count(line.reported.median), detail, sort=line.reported.median)


def _asked(line: DoneLine) -> Shown:
    cell = spread_cell(line.asked, units.count)
    return Shown(cell.text, "; ".join(filter(None, (cell.detail, line.call))), sort=cell.sort)


def _done(line: DoneLine) -> Shown:
    cell = spread_cell(line.done, units.count)
    return Shown(cell.text, "; ".join(filter(None, (cell.detail, line.kinds))), sort=cell.sort)


def _times(value: float | None) -> Shown:
    return Shown(units.DASH) if value is None else Shown(units.ratio(value), sort=value)


_COLUMNS: Final[tuple[Column[DoneLine], ...]] = (
    Column("method", "Method", "", lambda it: Shown(it.method, it.key.library_version), is_number=False),
    Column("estimand", "Estimand", "", lambda it: Shown(it.key.estimand, it.problem), is_number=False),
    Column("budget", "Budget", "products", lambda it: Shown(units.count(it.budget), sort=float(it.budget))),
    Column("asked", "Asked", "products", _asked),
    Column("reported", "Reported", "its own count", _reported),
    Column("done", "Really done", "counted at the operator", _done),
    Column("calls", "Calls", "blocks", lambda it: spread_cell(it.calls, units.count)),
    Column("over_asked", "Done / asked", "", lambda it: _times(it.over_asked)),
    Column("over_reported", "Done / reported", "", lambda it: _times(it.over_reported)),
)
