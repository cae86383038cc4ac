"""The document's cost ledger, filled: what each computation costs, and what it takes at ten million parameters."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import pandas as pd

from hessbench.reports.capstone.measures import (
    GRANTED,
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
from hessbench.reports.writing.units import DASH

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
            caption="The four rows of the document. Products are counted; wall clock at P = 1930: median over nets and "
            "steps, one thread or as many as torch had. At P = 10^7 the same estimators were run with a few products "
            "each and float32: products are as many as at P = 1930, seconds of all of them follow from those of the "
            "few, each of which takes as long, and own work goes with the passes over vectors that a method declares. "
            "Vectors: what a method declares to hold, beside the weights (0.04 GB) and the operator. Predicted: the "
            "straight line on logarithmic axes through the same measured at P = 10^5 and 10^6. Two hidden layers of "
            "equal width there, 500 training images (200 test images for the kernel), random weights.",
        )
    ]


def _row(results: Measured, method: str) -> dict[str, object]:
    title, error = _ROWS[method]
    own = results.select(error, method=method)
    measured = {name: results.values(name, problem=TEN_MILLION, method=method)
                for name in ("product_seconds", "own_seconds", "basis_bytes", "products_measured")}  # fmt: skip
    known = all(values.size for values in measured.values())
    seconds = float(measured["product_seconds"][0] + measured["own_seconds"][0]) if known else math.nan
    said = predicted_seconds(results, method)
    shown = [f"products {measured['product_seconds'][0]:.3g} s, own work {measured['own_seconds'][0]:.2g} s, vectors "
             f"{measured['basis_bytes'][0] / 1e9:.2g} GB"] if known else [DASH]  # fmt: skip
    return {
        "computation": title,
        "products said": SAID[method],
        "products counted": GRANTED[method] if own.empty else short(float(np.median(own["num_matvecs"]))),
        "gradients": short(float(np.median(own["gradient_equivalents"]))),
        "wall clock, P = 1930 (s)": short(float(np.median(own["seconds"]))),
        "P = 10^7, measured (s)": short(seconds),
        "predicted (s)": short(said),
        "of products made there": short(float(measured["products_measured"][0])) if known else math.nan,
        "where it goes": shown[0],
    }


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
