"""What a run would take at another size: as its ledger declares it there, or as it was where that cannot differ."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from hessbench.ledger.record import Record


@dataclass(frozen=True)
class Needs:
    """Products of one run at one size, and the vectors and passes that its method declares; None where it does not."""

    products: float
    vectors: float | None
    passes: float | None


def needs_at(row: Record, dim: int) -> Needs | None:
    """What the run of a terminal row would take at size `dim`.

    At a size the ledger names, what it says; between and beyond, on the straight line in logarithms through the two
    sizes nearest. A ledger that names none says nothing of a run that took as many products as its dimension, since a
    budget of n, or a matrix made whole, grows with it: None. Any other run takes there what it took here.
    """
    here = Needs(row.matvecs, row.own_vectors, row.own_passes)
    if row.dim == dim:
        return here
    known = {int(size): Needs(products or 0.0, *own) for size, (products, *own) in row.cost_at.items()}
    if not known:
        return None if row.matvecs >= row.dim else here
    known = {row.dim: here, **known}
    return Needs(
        _at({size: needs.products for size, needs in known.items()}, dim) or 0.0,
        _at({size: needs.vectors for size, needs in known.items() if needs.vectors is not None}, dim),
        _at({size: needs.passes for size, needs in known.items() if needs.passes is not None}, dim),
    )


def _at(points: Mapping[int, float], dim: int) -> float | None:
    if dim in points or not points:
        return points.get(dim)
    sizes = sorted(points)
    upper = next((place for place, size in enumerate(sizes) if size > dim), len(sizes) - 1)
    low, high = sizes[max(upper, 1) - 1], sizes[max(upper, 1) % len(sizes)]
    start, end = points[low], points[high]
    if low == high or min(start, end) <= 0:
        return end
    slope = math.log(end / start) / math.log(high / low)
    return end * math.exp(slope * math.log(dim / high))
