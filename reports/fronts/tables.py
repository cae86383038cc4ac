"""The fronts as tables: those on them to read, and every point as numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd

from hessbench.ledger.answering import Ranking
from hessbench.reports.costs.ranked import RANKED
from hessbench.reports.costs.shown_names import asked
from hessbench.reports.fronts.points import Front, FrontPoint
from hessbench.reports.writing import units
from hessbench.reports.writing.sheets import Column, Sheet, Shown, lay_out, range_text, spread_cell


@dataclass(frozen=True)
class FrontRow:
    """A point on the front against one cost."""

    front: Front
    by: Ranking
    point: FrontPoint


def front_rows(fronts: Sequence[Front]) -> tuple[FrontRow, ...]:
    """Every point on a front, by question and cost, the cheapest first."""
    return tuple(FrontRow(front, by, point) for front in fronts for by in RANKED for point in front.on(by))


def front_sheet(rows: Sequence[FrontRow]) -> Sheet:
    """The fronts to read."""
    return lay_out(_COLUMNS, rows, _nothing)


def front_frame(fronts: Sequence[Front]) -> pd.DataFrame:
    """Every point as numbers, with whether it is on the front against a cost."""
    rows: list[dict[str, Any]] = []
    for front in fronts:
        for point in front.points:
            row: dict[str, Any] = {
                "problem": point.key.problem,
                "problem_hash": point.key.problem_hash,
                **asked(point.key),
                "budget": point.budget,
                "repeats": point.repeats,
                "error_name": front.question.error_name,
                "error": point.error.median,
                "error_min": point.error.low,
                "error_max": point.error.high if math.isfinite(point.error.high) else None,
                "at_bound": point.is_at_bound,
            }
            for by in RANKED:
                cost = point.costs.get(by)
                row |= {
                    by: None if cost is None else cost.median,
                    f"{by}_min": None if cost is None else cost.low,
                    f"{by}_max": None if cost is None else cost.high,
                    f"on_front_{by}": by in point.fronts,
                }
            rows.append(row)
    return pd.DataFrame(rows)


def _nothing(_row: object) -> Mapping[str, str]:
    return {}


def _cost(row: FrontRow) -> Shown:
    return spread_cell(row.point.costs[row.by], RANKED[row.by].write)


def _error(row: FrontRow) -> Shown:
    error = row.point.error
    extent = range_text(error, units.share) if math.isfinite(error.high) else f"{units.share(error.low)} and up"
    return Shown(units.share(error.median), extent, "at the bound" if row.point.is_at_bound else "", error.median)


_COLUMNS: Final[tuple[Column[FrontRow], ...]] = (
    Column("question", "Question", "", lambda row: Shown(row.front.question.label), is_number=False),
    Column("by", "Against", "", lambda row: Shown(RANKED[row.by].head), is_number=False),
    Column("who", "Method", "", lambda row: Shown(row.point.method), is_number=False),
    Column(
        "budget", "Budget", "products", lambda row: Shown(units.count(row.point.budget), sort=float(row.point.budget))
    ),
    Column("cost", "Cost", "median, range", _cost),
    Column("error", "Error", "median, range", _error),
)
