"""Who wins under each cost, and where the winner changes with the cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd

from hessbench.ledger.answering import Answered, MethodAnswer, Question, Ranking
from hessbench.ledger.answering.judging import CONTENDED, comparable_peak
from hessbench.ledger.spreads import Spread
from hessbench.reports.costs.ranked import RANKED
from hessbench.reports.writing import units
from hessbench.reports.writing.sheets import Column, Sheet, Shown, lay_out


@dataclass(frozen=True)
class Winner:
    """Who reaches a tolerance at the least median cost.

    Attributes:
        methods: Names to show, several where their medians are equal.
        entries: What they answered.
        cost: Median over the repeats, and its range, of the first of them.
        level: Who else is not told apart from the first by the ratios of the repeats.
        compared: How many methods that reached the tolerance have this cost.
        left_out: Those that reached it and have none that compares: not measured, timed while other work ran, or with a
            peak of a smaller budget.
    """

    methods: tuple[str, ...]
    entries: tuple[MethodAnswer, ...]
    cost: Spread
    level: tuple[str, ...]
    compared: int
    left_out: tuple[str, ...]


@dataclass(frozen=True)
class Winners:
    """One question at one tolerance: the winner by each cost that is known.

    Attributes:
        question: What was asked.
        tolerance: Largest error accepted.
        reached: How many methods reached it.
        by_cost: The winners; a cost that no method has is not there.
    """

    question: Question
    tolerance: float
    reached: int
    by_cost: Mapping[Ranking, Winner]

    @property
    def changes(self) -> bool:
        """Whether no method wins under every cost, ties counting for all that share them."""
        sets = [set(winner.methods) for winner in self.by_cost.values()]
        return bool(sets) and not set.intersection(*sets)

    @property
    def base(self) -> Ranking | None:
        """The first cost that is known, in the order of a table: who wins under another is compared with it."""
        return next((by for by in RANKED if by in self.by_cost), None)

    def differs(self, by: Ranking) -> bool:
        """Whether who wins under a cost is none of those who win under the first one."""
        if self.base is None or by not in self.by_cost:
            return False
        return not set(self.by_cost[by].methods) & set(self.by_cost[self.base].methods)


def winners(answered: Mapping[Ranking, Sequence[Answered]]) -> tuple[Winners, ...]:
    """The winners of every question at every tolerance that some method reached.

    Args:
        answered: The same answers ranked by each cost, as of `answers_by`.
    """
    made: list[Winners] = []
    for ranked in zip(*answered.values(), strict=True):
        known = {one.by: one for one in ranked}
        first = ranked[0]
        if not first.reached:
            continue
        found: dict[Ranking, Winner] = {}
        for by in RANKED:
            if by in known and (winner := _winner(known[by])) is not None:
                found[by] = winner
        made.append(Winners(first.question, first.tolerance, len(first.reached), found))
    return tuple(made)


def winners_sheet(rows: Sequence[Winners]) -> Sheet:
    """The table to read."""
    return lay_out(_COLUMNS, rows, _nothing)


def winners_frame(rows: Sequence[Winners]) -> pd.DataFrame:
    """The table as numbers: one row per question, tolerance, cost and winner."""
    found: list[dict[str, Any]] = []
    for row in rows:
        asked = row.question
        for by, winner in row.by_cost.items():
            found += [
                {
                    "problem": asked.problem_spec,
                    "problem_hash": asked.problem_hash,
                    "estimand": asked.estimand,
                    "device": asked.device,
                    "dtype": asked.dtype,
                    "threads": asked.threads,
                    "tolerance": row.tolerance,
                    "by": by,
                    "method": entry.key.method,
                    "method_hash": entry.key.method_hash,
                    "library_version": entry.key.library_version,
                    "run_estimand": entry.key.source,
                    "budget": entry.budget,
                    "cost": winner.cost.median,
                    "cost_min": winner.cost.low,
                    "cost_max": winner.cost.high,
                    "peak_budget": entry.peak_budget if by == "memory" else None,
                    "level": "; ".join(winner.level),
                    "methods_compared": winner.compared,
                    "methods_left_out": "; ".join(winner.left_out),
                    "differs": row.differs(by),
                    "winner_changes": row.changes,
                }
                for entry in winner.entries
            ]
    return pd.DataFrame(found)


def _winner(answered: Answered) -> Winner | None:
    known = [(entry, cost) for entry in answered.reached if (cost := _cost(entry, answered.by)) is not None]
    if not known:
        return None
    least = min(cost.median for _, cost in known)
    first = [(entry, cost) for entry, cost in known if cost.median == least]
    names = tuple(entry.method for entry, _ in first)
    # Ratios are to the first of all that reached it, which may have been left out here.
    is_first = answered.reached[0].method == names[0]
    level = [it.method for it, _ in known if is_first and it.ratio and it.ratio.is_level and it.method not in names]
    left_out = [entry.method for entry in answered.reached if all(entry is not it for it, _ in known)]
    return Winner(names, tuple(it for it, _ in first), first[0][1], tuple(level), len(known), tuple(left_out))


def _cost(entry: MethodAnswer, by: Ranking) -> Spread | None:
    """A cost that compares: no seconds taken while other work ran, no peak of a smaller budget, no noise."""
    if by == "seconds" and CONTENDED in entry.seconds_note:
        return None
    if by == "memory" and (entry.peak_budget or 0) < (entry.budget or 0):
        return None
    cost = entry.cost(by)
    if by != "memory" or cost is None:
        return cost
    low, middle, high = (comparable_peak(size, entry.key.device) for size in (cost.low, cost.median, cost.high))
    return Spread(middle, low, high, cost.number)


def _cell(row: Winners, by: Ranking) -> Shown:
    winner = row.by_cost.get(by)
    if winner is None:
        return Shown(units.DASH)
    told = [RANKED[by].write(winner.cost.median)]
    told += [f"level with {', '.join(winner.level)}"] if winner.level else []
    if winner.left_out:
        told.append(f"of {winner.compared}, without {', '.join(winner.left_out)}")
    peak = winner.entries[0]
    if by == "memory" and peak.peak_budget is not None and peak.peak_budget != peak.budget:
        told.append(f"at budget {peak.peak_budget:,}")
    return Shown(", ".join(winner.methods), "; ".join(told), "changes" if row.differs(by) else "")


def _column(by: Ranking) -> Column[Winners]:
    return Column(by, RANKED[by].head, RANKED[by].unit, lambda row: _cell(row, by), is_number=False)


def _nothing(_row: object) -> Mapping[str, str]:
    return {}


_COLUMNS: Final[tuple[Column[Winners], ...]] = (
    Column("question", "Question", "", lambda row: Shown(row.question.label), is_number=False),
    Column("within", "Within", "of the truth", lambda row: Shown(units.share(row.tolerance), sort=row.tolerance)),
    *(_column(by) for by in RANKED),
    Column(
        "changes", "Winner", "by cost", lambda row: Shown("changes" if row.changes else "the same"), is_number=False
    ),
)
