"""Passes over the data that a run made, as far as a row tells.

A pass reads every sample once. A block product over the whole data is one pass whatever the width of the block, so that
probes which advance in lock-step share it; a forward pass is one as well. Of an operator without data the matrix takes
the place of the data. How often an engine that splits a wide block reads the data is its own business and not counted.

A row holds the block products (`calls`), the products by kind and the gradient-equivalents, in which a product over a
part of the data has the price of that part. Where these are at full price every call read all of the data, and the
passes are the calls, exactly. Where they are not, as with single rows of a matrix or subsets, the row does not say
which call read how much: then the passes are unknown.
"""

from __future__ import annotations

from typing import Final

from hessbench.ledger.record import Record
from hessbench.operators import ProductKind
from hessbench.spending import PRICES

_PRICES: Final = {kind.value: price for kind, price in PRICES.items()}
_ROUNDING: Final = 1e-6


def passes_of(row: Record) -> float | None:
    """Passes over the data up to a row; None where the row does not tell."""
    share = data_share(row)
    if share is None or abs(share - 1.0) > _ROUNDING:
        return None
    return float(row.calls + row.counts.get(ProductKind.FORWARD.value, 0))


def data_share(row: Record) -> float | None:
    """Share of the data that products touched, the mean weighted by price; None where none is counted by kind."""
    full = sum(_PRICES.get(kind, 0.0) * number for kind, number in row.counts.items())
    return row.gradient_equivalents / full if full > 0 and row.calls > 0 else None
