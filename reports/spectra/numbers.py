"""The numbers behind the figures of a spectrum, as tables."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from hessbench.reports.spectra.kept import KeptSpectrum
from hessbench.reports.spectra.measure import Measure
from hessbench.reports.spectra.ranks import bounds_of, known_ranks

MOST_ROWS: Final = 2000
"""Nodes of one measure that are written; of more, evenly many together, at their mean."""

REFERENCE: Final = "reference"


def nodes_frame(spectrum: KeptSpectrum) -> pd.DataFrame:
    """Nodes and weights of every density, by method and repeat, and of the reference."""
    parts = [
        _rows(answer.spent.method, str(repeat), answer.spent.matvecs, measure)
        for answer in spectrum.densities
        for repeat, measure in enumerate(answer.measures)
    ]
    if spectrum.truth is not None:
        parts.append(_rows(REFERENCE, "", 0, spectrum.truth))
    columns = ["method", "repeat", "matvecs", "eigenvalue", "weight", "together"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def values_frame(spectrum: KeptSpectrum) -> pd.DataFrame:
    """First eigenvalues by method, order and rank, with bounds and the truth where they are known."""
    rows: list[dict[str, str | int | float | None]] = []
    for answer in spectrum.values:
        bounds, truth = bounds_of(answer), known_ranks(spectrum, answer.which)
        rows += [
            {
                "method": answer.spent.method,
                "which": answer.which,
                "matvecs": answer.spent.matvecs,
                "rank": place + 1,
                "eigenvalue": float(value),
                "bound": None if bounds is None else float(bounds[place]),
                "reference": None if truth is None or place >= truth.size else float(truth[place]),
            }
            for place, value in enumerate(answer.values)
        ]
    return pd.DataFrame(rows, columns=["method", "which", "matvecs", "rank", "eigenvalue", "bound", "reference"])


def _rows(method: str, repeat: str, matvecs: int, measure: Measure) -> pd.DataFrame:
    nodes, weights, together = measure.nodes, measure.weights, np.ones(measure.nodes.size, dtype=np.int64)
    if nodes.size > MOST_ROWS:
        starts = np.unique(np.linspace(0, nodes.size, MOST_ROWS, endpoint=False).astype(np.int64))
        together = np.diff(starts, append=nodes.size)
        nodes, weights = np.add.reduceat(nodes, starts) / together, np.add.reduceat(weights, starts)
    return pd.DataFrame(
        {"method": method, "repeat": repeat, "matvecs": matvecs, "eigenvalue": nodes, "weight": weights,
         "together": together}
    )  # fmt: skip
