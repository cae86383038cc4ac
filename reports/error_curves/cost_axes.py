"""The axis of each cost: what it is called, and the labels of its ticks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from hessbench.ledger.answering import Ranking
from hessbench.reports.error_curves.log_axis import bytes_tick, products_tick, seconds_tick


@dataclass(frozen=True)
class CostAxis:
    """The name of an axis with its unit, and the label of a value on it."""

    name: str
    tick: Callable[[float], str]


COST_AXES: Final[Mapping[Ranking, CostAxis]] = {
    "products": CostAxis("products with the operator", products_tick),
    "gradients": CostAxis("gradient-equivalents", products_tick),
    "seconds": CostAxis("build and own time", seconds_tick),
    "memory": CostAxis("bytes above the operator", bytes_tick),
    "passes": CostAxis("passes over the data", products_tick),
}
