"""The measured prices of products as rows of the page."""

from __future__ import annotations

from hessbench.reports.costs.predict import PREDICTED_DIM
from hessbench.reports.costs.prices import Ladder, exponent, last_miss, price_at
from hessbench.reports.writing import units


def price_row(ladder: Ladder) -> dict[str, str]:
    """One row of the table of prices."""
    miss = last_miss(ladder)
    return {
        "problem": ladder.problem + (f", {ladder.method}" if ladder.method else ""),
        "kind": ladder.kind,
        "where": units.conditions(ladder.device, ladder.dtype, ladder.threads),
        "rungs": "; ".join(f"{rung.dim:,}: {units.seconds(rung.seconds)}" for rung in ladder.rungs),
        "bandwidth": units.DASH if ladder.bandwidth is None else f"{units.significant(ladder.bandwidth / 1e9)} GB/s",
        "exponent": f"{exponent(ladder.rungs, PREDICTED_DIM):.2f}" if len(ladder.rungs) > 1 else units.DASH,
        "price": units.seconds(price_at(ladder.rungs, PREDICTED_DIM))
        if ladder.can_price(PREDICTED_DIM)
        else units.DASH,
        "miss": units.DASH
        if miss is None
        else f"{units.seconds(miss.predicted_s)} predicted, {units.seconds(miss.measured_s)} measured "
        f"at {miss.dim:,}: {units.ratio(miss.factor)}",
    }
