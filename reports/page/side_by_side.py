"""Several errors of one estimand side by side: every method at its largest budget, and the answer that takes none."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hessbench.estimand import ESTIMANDS
from hessbench.reports.costs.lines import CostLine
from hessbench.reports.costs.shown_names import where
from hessbench.reports.writing import units
from hessbench.reports.writing.sheets import Shown, single_cell, spread, spread_cell


@dataclass(frozen=True)
class ErrorsRow:
    """One method: its place on the page, its name, and its cells with whether each is the least of its column."""

    method: int
    name: str
    detail: str
    cells: tuple[tuple[Shown, bool], ...]


@dataclass(frozen=True)
class ErrorsShown:
    """The table.

    Attributes:
        heads: What each error is called.
        sentences: What it is.
        rows: The methods, best by the first error first.
        trivial: What the answer is that takes no product.
        trivial_cells: Its errors.
    """

    heads: tuple[str, ...]
    sentences: tuple[str, ...]
    rows: tuple[ErrorsRow, ...]
    trivial: str
    trivial_cells: tuple[Shown, ...]


def errors_side_by_side(estimand: str, lines: Sequence[CostLine], places: Mapping[str, int]) -> ErrorsShown | None:
    """The errors that an estimand wants seen together, as far as the rows hold them.

    Args:
        estimand: Its spec.
        lines: The lines of a section at the largest budget of each method.
        places: Place of each method on the page, by its spec.

    Returns:
        The table; None where the estimand has one error only, or the rows hold no more.
    """
    kind = ESTIMANDS.get(estimand.partition("[")[0])
    rows = [answer.row.errors for line in lines for answer in line.answers]
    names = [] if kind is None else [name for name in kind.side_by_side if any(_has(row, name) for row in rows)]
    if kind is None or len(names) < 2:
        return None
    found = {
        id(line): [spread(answer.row.errors.get(name) for answer in line.answers) for name in names] for line in lines
    }
    known = [line for line in lines if any(value is not None for value in found[id(line)])]
    medians = {id(line): [math.inf if it is None else it.median for it in found[id(line)]] for line in known}
    least = [min(medians[id(line)][column] for line in known) for column in range(len(names))]
    apart = len({where(line.key) for line in known}) > 1
    trivial = [
        next((value for row in rows if (value := kind.trivial_error(name, row)) is not None), None) for name in names
    ]
    return ErrorsShown(
        heads=tuple(kind.definitions[name].label for name in names),
        sentences=tuple(kind.definitions[name].sentence for name in names),
        rows=tuple(
            ErrorsRow(
                method=places[line.key.method],
                name=line.method,
                detail=", ".join([f"{line.budget:,} products", *([where(line.key)] if apart else [])]),
                cells=tuple(
                    (spread_cell(value, units.share), value is not None and value.median == best)
                    for value, best in zip(found[id(line)], least, strict=True)
                ),
            )
            for line in sorted(known, key=lambda line: (*medians[id(line)], line.method, line.key))
        ),
        trivial=kind.trivial_answer,
        trivial_cells=tuple(single_cell(value, units.share) for value in trivial),
    )


def _has(errors: Mapping[str, float | None], name: str) -> bool:
    return errors.get(name) is not None
