"""What a study measured, as one long table and the arrays that its figures need; every verdict is computed from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import numpy as np
import pandas as pd

from hessbench.estimand.base import Array

COLUMNS: Final = (
    "unit", "problem", "method", "measure", "value", "num_matvecs", "gradient_equivalents", "seconds",
)  # fmt: skip
"""Of the table: which unit measured what on which problem by which method, the number, and what it cost."""

_TEXTS: Final = ("unit", "problem", "method", "measure")


@dataclass(frozen=True)
class Measured:
    """Everything that a study measured.

    Attributes:
        rows: A row for each number, with the columns `COLUMNS`; a cost that nobody counted is NaN.
        arrays: What figures are drawn from, named `unit/what`.

    Raises:
        ValueError: If the table has other columns.
    """

    rows: pd.DataFrame
    arrays: Mapping[str, Array]

    def __post_init__(self) -> None:
        if tuple(self.rows.columns) != COLUMNS:
            raise ValueError(f"rows must have the columns {', '.join(COLUMNS)}, got {', '.join(self.rows.columns)}")

    @property
    def units(self) -> tuple[str, ...]:
        """Units that measured anything, in the order they were asked for."""
        return tuple(dict.fromkeys(cast("list[str]", self.rows["unit"].tolist())))

    def select(
        self, measure: str | None = None, problem: str | None = None, method: str | None = None, unit: str | None = None
    ) -> pd.DataFrame:
        """Rows of a measure, a problem, a method and a unit, where they are named.

        Args:
            measure: Name of what was measured; None for all, as for the others.
            problem: Spec or name of the problem.
            method: Spec or name of the method.
            unit: Name of the unit.
        """
        asked = {"measure": measure, "problem": problem, "method": method, "unit": unit}
        kept = np.ones(len(self.rows), dtype=bool)
        for column, wanted in asked.items():
            if wanted is not None:
                kept &= (self.rows[column] == wanted).to_numpy()
        return self.rows.loc[kept]

    def values(
        self, measure: str, problem: str | None = None, method: str | None = None, unit: str | None = None
    ) -> Array:
        """Numbers of a measure in the order they were measured, shape (rows,).

        Args:
            measure: Name of what was measured.
            problem: Spec or name of the problem; None for all, as for the others.
            method: Spec or name of the method.
            unit: Name of the unit.
        """
        return self.select(measure, problem, method, unit)["value"].to_numpy(dtype=np.float64)

    def by_unit(self, measure: str, problem: str | None = None, method: str | None = None) -> dict[str, float]:
        """The one number that each unit has of a measure; a unit that has none is left out.

        Args:
            measure: Name of what was measured.
            problem: Spec or name of the problem; None for all.
            method: Spec or name of the method; None for all.

        Raises:
            ValueError: If a unit has several, which a verdict must not choose from.
        """
        found = self.select(measure, problem, method)
        names = cast("list[str]", found["unit"].tolist())
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(
                f"measure {measure!r} must have one number a unit here, {twice!r} has {names.count(twice)}"
            )
        return dict(zip(names, found["value"].to_numpy(dtype=np.float64).tolist(), strict=True))

    def array(self, unit: str, what: str) -> Array:
        """An array that a unit kept.

        Raises:
            ValueError: If it kept none of this name.
        """
        name = f"{unit}/{what}"
        if name not in self.arrays:
            raise ValueError(f"no array {what!r} was kept by the unit {unit!r}")
        return self.arrays[name]


def measured_of(rows: Sequence[Mapping[str, Any]], arrays: Mapping[str, Array] | None = None) -> Measured:
    """What was measured, from rows that may lack texts and costs.

    Args:
        rows: Each with `unit`, `measure` and `value`, and any other of `COLUMNS`.
        arrays: Named `unit/what`.
    """
    columns = {
        name: [str(row.get(name, "")) for row in rows] if name in _TEXTS else
        np.asarray([float(row.get(name, np.nan)) for row in rows], dtype=np.float64)
        for name in COLUMNS
    }  # fmt: skip
    return Measured(pd.DataFrame(columns, columns=list(COLUMNS)), dict(arrays or {}))
