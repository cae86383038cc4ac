"""What each kind of product took in gradients: measured, beside the price by multiplications that budgets count."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd

from hessbench.ledger.record import Kind, Record, Status
from hessbench.reports.writing import units
from hessbench.reports.writing.sheets import Column, Sheet, Shown, Spread, lay_out, single_cell, spread

_PLAIN: Final = "product"
"""A product of an operator without data, which has no gradient to be compared with."""


@dataclass(frozen=True)
class PriceInGradients:
    """One kind of product of one problem in gradients, on one device, in one dtype, with one number of threads.

    Attributes:
        problem: The problem.
        kind: Kind of product.
        where: Device, dtype and threads.
        nominal: Gradients by multiplications.
        measured: One column, timed beside the gradient; None where that was not measured.
        in_runs: A column in the timed runs that made this kind alone, with their blocks, over the gradient.
        column_s: Seconds of the one column.
        gradient_s: Seconds of the gradient.
    """

    problem: str
    kind: str
    where: str
    nominal: float | None
    measured: Spread | None
    in_runs: Spread | None
    column_s: float | None
    gradient_s: float | None

    @property
    def reasons(self) -> dict[str, str]:
        """Why a value is missing, by column."""
        missing: dict[str, str] = {}
        if self.nominal is None:
            missing["nominal"] = "made together with other kinds only"
        if self.measured is None:
            missing["measured"] = "not measured: the ledger has no price of this kind beside a gradient"
        if self.in_runs is None:
            missing["in_runs"] = (
                "no gradient was measured" if self.gradient_s is None else "no timed run made this kind alone"
            )
        return missing


def unit_prices(records: Sequence[Record], prices: Iterable[Mapping[str, Any]]) -> tuple[PriceInGradients, ...]:
    """Every kind of product with data that a ledger measured or counted, by problem, conditions and kind.

    Args:
        records: Rows of a ledger.
        prices: Price rows of a ledger; those with `in_gradients` are looked at.
    """
    rows: dict[tuple[str, str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for row in prices:
        if row.get("in_gradients") is not None:
            where = units.conditions(str(row["device"]), str(row["dtype"]), int(row["threads"]))
            rows[str(row["problem"]), where, str(row["kind_of_product"])].append(row)
    runs: dict[tuple[str, str, str], list[Record]] = defaultdict(list)
    for record in records:
        if record.kind is Kind.TERMINAL and record.status is Status.OK and record.pass_ == "time" and record.matvecs:
            for kind, count in record.counts.items():
                place = (record.problem, units.conditions(record.device, record.dtype, record.threads), kind)
                runs[place].extend([record] if count == record.matvecs else [])
    known = {place for place in (*rows, *runs) if place[2] != _PLAIN}
    return tuple(_unit_price(place, rows, runs) for place in sorted(known))


def unit_sheet(found: Sequence[PriceInGradients]) -> Sheet:
    """Lay out the prices."""
    return lay_out(UNIT_COLUMNS, found, lambda price: price.reasons)


def unit_frame(found: Sequence[PriceInGradients]) -> pd.DataFrame:
    """The prices as numbers: gradients and seconds, nothing rounded."""
    return pd.DataFrame([
        {
            "problem": price.problem,
            "kind": price.kind,
            "where": price.where,
            "nominal": price.nominal,
            **_parts("measured", price.measured),
            **_parts("in_runs", price.in_runs),
            "column_s": price.column_s,
            "gradient_s": price.gradient_s,
        }
        for price in found
    ])  # fmt: skip


def _unit_price(
    place: tuple[str, str, str],
    rows: Mapping[tuple[str, str, str], Sequence[Mapping[str, Any]]],
    runs: Mapping[tuple[str, str, str], Sequence[Record]],
) -> PriceInGradients:
    problem, where, kind = place
    mine = rows.get(place, ())
    beside = [row for (one, there, _), found in rows.items() if (one, there) == (problem, where) for row in found]
    gradient_s = statistics.median(row["gradient_seconds"] for row in beside) if beside else None
    alone = runs.get(place, ())
    # By the count of a whole pass over the data, which a run on part of them is priced below.
    nominal = [row["nominal"] for row in mine] or [run.gradient_equivalents / run.matvecs for run in alone]
    measured = None
    if mine:
        low, high = min(row["in_gradients_min"] for row in mine), max(row["in_gradients_max"] for row in mine)
        measured = Spread(statistics.median(row["in_gradients"] for row in mine), low, high, len(mine))
    timed = [run.operator_s / run.matvecs / gradient_s for run in alone if gradient_s and run.operator_s]
    return PriceInGradients(
        problem=problem,
        kind=kind,
        where=where,
        nominal=max(nominal, default=None),
        measured=measured,
        in_runs=spread(timed),
        column_s=statistics.median(row["column_seconds"] for row in mine) if mine else None,
        gradient_s=gradient_s,
    )


def _parts(name: str, value: Spread | None) -> dict[str, float | None]:
    if value is None:
        return dict.fromkeys((name, f"{name}_min", f"{name}_max"))
    return {name: value.median, f"{name}_min": value.low, f"{name}_max": value.high}


def _spread(value: Spread | None) -> Shown:
    if value is None:
        return Shown(units.DASH)
    return Shown(f"{value.median:.2f}", f"{value.low:.2f} to {value.high:.2f}", sort=value.median)


UNIT_COLUMNS: Final[tuple[Column[PriceInGradients], ...]] = (
    Column("problem", "Problem", "", lambda price: Shown(price.problem, price.where), is_number=False),
    Column("kind", "Product", "kind", lambda price: Shown(price.kind), is_number=False),
    Column("nominal", "Nominal", "gradients", lambda price: single_cell(price.nominal, "{:.2f}".format)),
    Column("measured", "Measured", "gradients, one column", lambda price: _spread(price.measured)),
    Column("in_runs", "In the runs", "gradients, a column", lambda price: _spread(price.in_runs)),
    Column("column_s", "Time", "of one column", lambda price: single_cell(price.column_s, units.seconds)),
    Column("gradient_s", "Time", "of a gradient", lambda price: single_cell(price.gradient_s, units.seconds)),
)
"""The columns of the table, in order."""
