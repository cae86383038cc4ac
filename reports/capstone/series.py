"""What figures of the capstone take from what was measured: by step of the training, over the nets."""

from __future__ import annotations

from typing import Any, Final, cast

import numpy as np
import pandas as pd

from hessbench.estimand.base import Array
from hessbench.reports.capstone.measures import LATE, STEPS, step
from hessbench.reports.claims.measured import Measured
from hessbench.reports.claims.study_page import short
from hessbench.reports.writing.palette import look

EVERY_STEP: Final = (*STEPS, LATE)
STEP_COLOURS: Final = {number: look(place).colour for place, number in enumerate(EVERY_STEP)}
STEP_MARKERS: Final = {number: look(place).marker for place, number in enumerate(EVERY_STEP)}


def arrays_of(results: Measured, what: str) -> Array:
    """One array of each net that kept it, shape (nets, ...); (0,) where none did."""
    found = [array for name, array in results.arrays.items() if name.partition("/")[2] == what]
    return np.stack(found) if found else np.empty(0)


def first_array(results: Measured, what: str) -> Array | None:
    """The array of the first net that kept it."""
    return next((array for name, array in results.arrays.items() if name.partition("/")[2] == what), None)


def by_step(results: Measured, measure: str, method: str | None = None) -> pd.DataFrame:
    """Median, least and largest over the nets at each step that was measured: step, nets, median, least, largest."""
    rows: list[dict[str, float]] = []
    for number in EVERY_STEP:
        values = results.values(measure, problem=step(number), method=method)
        values = values[np.isfinite(values)]
        if values.size:
            rows.append({"step": number, **spread_of_nets(values)})
    return pd.DataFrame(rows, columns=["step", "nets", "median", "least", "largest"])


def spread_of_nets(values: Array) -> dict[str, float]:
    """How many nets there are, the median over them, the least and the largest."""
    return {"nets": values.size, "median": short(float(np.median(values))), "least": short(float(values.min())),
            "largest": short(float(values.max()))}  # fmt: skip


def column(frame: pd.DataFrame, name: str) -> Array:
    """Numbers of a column."""
    return frame[name].to_numpy(dtype=np.float64)


def methods_of(results: Measured, measure: str) -> list[str]:
    """Methods that have a measure, in the order they were asked."""
    names = cast("list[Any]", results.select(measure)["method"].tolist())
    return list(dict.fromkeys(str(name) for name in names))
