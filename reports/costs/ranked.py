"""The costs by which methods are compared, as a reader of a table wants them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from hessbench.ledger.answering import Ranking
from hessbench.reports.writing import units


@dataclass(frozen=True)
class RankedCost:
    """How a cost is called, its unit, and how a value is written."""

    head: str
    unit: str
    write: Callable[[float], str]


RANKED: Final[Mapping[Ranking, RankedCost]] = {
    "products": RankedCost("Products", "columns", units.count),
    "gradients": RankedCost("Gradient-equivalents", "gradients", units.count),
    "seconds": RankedCost("Seconds", "build and own time", units.seconds),
    "memory": RankedCost("Peak memory", "bytes", units.size),
    "passes": RankedCost("Passes", "over the data", units.count),
}
"""Every cost that may rank, in the order of a table."""
