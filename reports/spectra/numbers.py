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

MOST_NODES: Final = 10_000
"""Rows of all measures of a spectrum that are written; where there are more, fewer repeats of each method are."""

REFERENCE: Final = "reference"


def written_repeats(spectrum: KeptSpectrum) -> int:
    """Repeats of each method whose nodes are written: all of them, or as many as fit, at least one."""
    most = max((len(answer.measures) for answer in spectrum.densities), default=0)
    sizes = np.zeros(most, dtype=np.int64)
    for answer in spectrum.densities:
        for repeat, measure in enumerate(answer.measures):
            sizes[repeat] += min(measure.nodes.size, MOST_ROWS)
    return max(int((np.cumsum(sizes) <= MOST_NODES).sum()), min(most, 1))


def nodes_frame(spectrum: KeptSpectrum) -> pd.DataFrame:
    """Nodes and weights of every density, by method and repeat, as many as `written_repeats`, and of the reference."""
    written = written_repeats(spectrum)
    parts = [
        _rows(answer.spent.method, str(repeat), answer.spent.matvecs, measure)
        for answer in spectrum.densities
        for repeat, measure in enumerate(answer.measures[:written])
    ]
    if spectrum.truth is not None:
        parts.append(_rows(REFERENCE, "", 0, spectrum.truth))
    columns = ["method", "repeat", "matvecs", "eigenvalue", "weight", "together"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def values_frame(spectrum: KeptSpectrum) -> pd.DataFrame:
    """First eigenvalues of the first repeat by method, order and rank, with bounds and the truth where they are known.

    Beside each the least and the largest magnitude at its rank over the repeats.
    """
    rows: list[dict[str, str | int | float | None]] = []
    for answer in spectrum.values:
        bounds, truth = bounds_of(answer), known_ranks(spectrum, answer.which)
        least, most = answer.spread
        rows += [
            {
                "method": answer.spent.method,
                "which": answer.which,
                "matvecs": answer.spent.matvecs,
                "rank": place + 1,
                "eigenvalue": float(value),
                "bound": None if bounds is None else float(bounds[place]),
                "repeats": 1 + len(answer.others),
                "least_magnitude": float(least[place]),
                "largest_magnitude": float(most[place]),
                "reference": None if truth is None or place >= truth.size else float(truth[place]),
            }
            for place, value in enumerate(answer.values)
        ]
    spread = ["repeats", "least_magnitude", "largest_magnitude"]
    columns = ["method", "which", "matvecs", "rank", "eigenvalue", "bound", *spread, "reference"]
    return pd.DataFrame(rows, columns=columns)


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
