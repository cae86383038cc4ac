"""Tables of the study's page: both answers by every pair of methods."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from hessbench.reports.claims.figure import StudyTable
from hessbench.reports.claims.measured import Measured
from hessbench.reports.sketch_resnet20 import named
from hessbench.reports.sketch_resnet20.pairs import AnsweredPair, pairs_of
from hessbench.reports.sketch_resnet20.readings import network


def pairs_tables(measured: Measured) -> Sequence[StudyTable]:
    """Products, seconds and both errors of every pair on the document's network."""
    net = network(measured, named.DOCUMENT)
    pairs = sorted(pairs_of(measured, net), key=lambda it: float(np.median(it.seconds))) if net else []
    if not pairs:
        return ()
    return (
        StudyTable(
            "pairs",
            "The first 20 and the trace by every pair of methods",
            pd.DataFrame([_row(it) for it in pairs]),
            "Medians of the repeats, quickest first. The error of the first 20 is the largest relative one, that of "
            "the trace is over the sum of all magnitudes.",
        ),
    )


def _row(pair: AnsweredPair) -> dict[str, str | float]:
    return {
        "pair": pair.name,
        "repeats": str(pair.products.size),
        "products": float(np.median(pair.products)),
        "seconds": float(np.median(pair.seconds)),
        "largest error of the first 20 [%]": 100 * float(np.median(pair.top_error)),
        "error of the trace [%]": 100 * float(np.median(pair.trace_error)),
    }
