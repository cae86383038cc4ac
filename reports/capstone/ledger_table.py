"""The document's cost ledger, filled: what each computation costs, and what it takes at ten million parameters."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import pandas as pd

from hessbench.reports.capstone.measures import (
    HUTCHINSON,
    LANCZOS,
    METHODS,
    RANDOMIZED,
    SAID,
    SLQ,
    TEN_MILLION,
)
from hessbench.reports.claims.figure import StudyTable
from hessbench.reports.claims.measured import Measured
from hessbench.reports.claims.study_page import short

_ROWS: Final = {
    LANCZOS: ("Hessian top-10 via Lanczos (40 step)", "top_error"),
    HUTCHINSON: ("Trace via Hutchinson (200 probes)", "trace_error"),
    SLQ: ("DOS via SLQ (8 probes x 30 Lanczos)", "density_error"),
    RANDOMIZED: ("eNTK top-6 via rSVD (16+1·16)", "kernel_error"),
}
_SMALLER: Final = ("P = 10^5", "P = 10^6")


def ledger_table(results: Measured) -> list[StudyTable]:
    """The table, where any of it was measured."""
    rows = [_row(results, method) for method in METHODS if results.select(_ROWS[method][1], method=method).size]
    if not rows:
        return []
    return [
        StudyTable(
            name="ledger",
            title="The cost ledger",
            frame=pd.DataFrame(rows),
            caption="The four rows of the document. Products as it says and as they are counted, what they are in "
            "gradients of the loss, and seconds at P = 1930, the median over nets and steps. At P = 10^7 the same "
            "estimators were run in float32 with a few products each, as many as the last column says: products are as "
            "many as at P = 1930, each takes as long as those few, and own work goes with the passes over vectors that "
            "a method declares. Predicted: the straight line on logarithmic axes through what was measured likewise at "
            "P = 10^5 and 10^6. Then what the seconds at P = 10^7 are made of, and the vectors that a method declares "
            "to hold, beside the weights (0.04 GB) and what a product itself needs: of the kernel a block of 16 "
            "columns is 16 vectors of 10^7 (0.64 GB) on its way. Two hidden layers of one width there, random weights, "
            "500 training images, of the kernel 200 test images.",
        )
    ]


def _row(results: Measured, method: str) -> dict[str, object]:
    title, error = _ROWS[method]
    own = results.select(error, method=method)
    products, work, held, made = (
        _one(results, name, method) for name in ("product_seconds", "own_seconds", "basis_bytes", "products_measured")
    )
    return {
        "computation": title,
        "said": SAID[method],
        "counted": short(float(np.median(own["num_matvecs"]))),
        "gradients": short(float(np.median(own["gradient_equivalents"]))),
        "P = 1930 (s)": short(float(np.median(own["seconds"]))),
        "P = 10^7 (s)": short(products + work),
        "predicted (s)": short(predicted_seconds(results, method)),
        "products (s)": short(products),
        "own (s)": short(work),
        "vectors (GB)": short(held / 1e9),
        "made": made,
    }


def _one(results: Measured, measure: str, method: str) -> float:
    """The number at ten million parameters; NaN where it was not measured."""
    found = results.values(measure, problem=TEN_MILLION, method=method)
    return float(found[0]) if found.size else math.nan


def predicted_seconds(results: Measured, method: str) -> float:
    """Seconds at 10^7 parameters by the power law through two smaller sizes; NaN where they were not measured."""
    places: list[tuple[float, float]] = []
    for size in _SMALLER:
        parts = [results.values(name, problem=size, method=method)
                 for name in ("parameters", "product_seconds", "own_seconds")]  # fmt: skip
        if any(part.size == 0 for part in parts):
            return math.nan
        places.append((float(parts[0][0]), float(parts[1][0] + parts[2][0])))
    target = results.values("parameters", problem=TEN_MILLION, method=method)
    if not target.size:
        return math.nan
    (x, y), (far, high) = places
    slope = math.log(high / y) / math.log(far / x)
    return high * (float(target[0]) / far) ** slope
