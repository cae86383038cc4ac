"""Prices of one product, measured at growing sizes, and the line that carries them to other sizes."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hessbench.ledger.spreads import median


@dataclass(frozen=True)
class Rung:
    """The measured price of one product at one size; `predicted_s` was predicted before, from the smaller rungs."""

    dim: int
    seconds: float
    predicted_s: float | None = None


@dataclass(frozen=True)
class Ladder:
    """Prices of one kind of product of one problem family on one device, sizes ascending.

    Attributes:
        problem: Family the prices are of.
        kind: Kind of product.
        method: Method the prices hold for; any when empty.
        device: Device type.
        dtype: Name of the dtype.
        threads: Threads in use.
        rungs: One per size.
        bandwidth: Bytes per second that arithmetic on long vectors reads and writes, at the largest size measured.
    """

    problem: str
    kind: str
    method: str
    device: str
    dtype: str
    threads: int
    rungs: tuple[Rung, ...]
    bandwidth: float | None = None

    def can_price(self, dim: int) -> bool:
        """Whether `price_at` can say the price at this size."""
        return len(self.rungs) > 1 or any(rung.dim == dim for rung in self.rungs)


@dataclass(frozen=True)
class Miss:
    """A prediction compared with the measurement made after it."""

    dim: int
    measured_s: float
    predicted_s: float

    @property
    def factor(self) -> float:
        """Measured over predicted: above 1 the prediction was too low."""
        return self.measured_s / self.predicted_s


def exponent(rungs: Sequence[Rung], dim: int) -> float:
    """Slope of log price against log size, between the two rungs `price_at` would use.

    Raises:
        ValueError: If fewer than two sizes were measured.
    """
    lower, upper = _neighbours(rungs, dim)
    return math.log(upper.seconds / lower.seconds) / math.log(upper.dim / lower.dim)


def price_at(rungs: Sequence[Rung], dim: int) -> float:
    """Seconds of one product at size `dim`.

    The measured price where that size was measured. Else a straight line in log price against log size: through the
    rungs on either side, and beyond the ladder through the two nearest its end.

    Raises:
        ValueError: If `dim` was not measured and fewer than two sizes were.
    """
    for rung in rungs:
        if rung.dim == dim:
            return rung.seconds
    lower, upper = _neighbours(rungs, dim)
    slope = math.log(upper.seconds / lower.seconds) / math.log(upper.dim / lower.dim)
    return upper.seconds * math.exp(slope * math.log(dim / upper.dim))


def last_miss(ladder: Ladder) -> Miss | None:
    """How far off the prediction for the largest rung was.

    The prediction is the recorded one, else the line through the two rungs below; None where there is neither.
    """
    if not ladder.rungs:
        return None
    *below, last = ladder.rungs
    if last.predicted_s is not None:
        return Miss(last.dim, last.seconds, last.predicted_s)
    return Miss(last.dim, last.seconds, price_at(below, last.dim)) if len(below) > 1 else None


def ladders(prices: Iterable[Mapping[str, Any]]) -> tuple[Ladder, ...]:
    """Group price rows into ladders; a size measured more than once gets the median.

    Rows without a positive size and price are left out.
    """
    groups: dict[tuple[str, str, str, str, str, int], list[Mapping[str, Any]]] = {}
    for row in prices:
        if _positive(row.get("dim")) is None or _positive(row.get("seconds")) is None:
            continue
        key = (
            str(row.get("problem") or ""),
            # The kind of a ledger's row is "price", so the kind of the product has a name of its own there.
            str(row.get("kind_of_product") or row.get("kind") or ""),
            str(row.get("method") or ""),
            str(row.get("device") or ""),
            str(row.get("dtype") or ""),
            int(row.get("threads") or 0),
        )
        groups.setdefault(key, []).append(row)
    return tuple(_ladder(key, rows) for key, rows in sorted(groups.items()))


def find(
    known: Sequence[Ladder], problem: str, kind: str, method: str, device: str, dtype: str, threads: int
) -> Ladder | None:
    """The ladder that prices a product of `kind` of `problem`.

    It must be of the same problem family, device, dtype and threads. One made for this method goes first, then one
    whose text is the problem's own.

    Args:
        known: Measured ladders.
        problem: Spec of the problem.
        kind: Kind of product.
        method: Spec of the method.
        device: Device type.
        dtype: Name of the dtype.
        threads: Threads in use.

    Returns:
        The ladder, with at least one rung; None where there is none.
    """
    family = problem.partition("[")[0]
    fitting = [
        ladder
        for ladder in known
        if (ladder.kind, ladder.device, ladder.dtype, ladder.threads) == (kind, device, dtype, threads)
        and ladder.problem.partition("[")[0] == family
        and ladder.method in ("", method)
        and ladder.rungs
    ]
    ranked = sorted(fitting, key=lambda ladder: (ladder.method != method, ladder.problem != problem, ladder.problem))
    return ranked[0] if ranked else None


def bandwidth(known: Sequence[Ladder], device: str, dtype: str, threads: int) -> float | None:
    """Bandwidth measured at the largest size.

    Args:
        known: Measured ladders.
        device: Device type.
        dtype: Name of the dtype.
        threads: Threads in use.

    Returns:
        Bytes per second; None where it was not measured.
    """
    fitting = [
        (ladder.rungs[-1].dim if ladder.rungs else 0, ladder.bandwidth)
        for ladder in known
        if (ladder.device, ladder.dtype, ladder.threads) == (device, dtype, threads) and ladder.bandwidth is not None
    ]
    return max(fitting)[1] if fitting else None


def _ladder(key: tuple[str, str, str, str, str, int], rows: Sequence[Mapping[str, Any]]) -> Ladder:
    sizes: dict[int, list[Mapping[str, Any]]] = {}
    for row in rows:
        sizes.setdefault(int(row["dim"]), []).append(row)
    rungs = tuple(
        Rung(
            dim,
            statistics.median(float(row["seconds"]) for row in sizes[dim]),
            median(_positive(row.get("predicted_seconds")) for row in sizes[dim]),
        )
        for dim in sorted(sizes)
    )
    speeds = (median(_positive(row.get("bandwidth")) for row in sizes[dim]) for dim in sorted(sizes, reverse=True))
    problem, kind, method, device, dtype, threads = key
    found = next((speed for speed in speeds if speed is not None), None)
    return Ladder(problem, kind, method, device, dtype, threads, rungs, found)


def _neighbours(rungs: Sequence[Rung], dim: int) -> tuple[Rung, Rung]:
    if len(rungs) < 2:
        raise ValueError(f"rungs must hold at least two sizes to price another one, got {len(rungs)}")
    upper = next((place for place, rung in enumerate(rungs) if rung.dim >= dim), len(rungs) - 1)
    upper = max(upper, 1)
    return rungs[upper - 1], rungs[upper]


def _positive(value: Any) -> float | None:
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value > 0:
        return float(value)
    return None
