"""Seconds and memory of products with blocks of any width, from those that were measured."""

from __future__ import annotations

from collections.abc import Mapping

from hessbench.running.price_store import PlacePrices

Blocks = Mapping[tuple[str, int], float]
"""Numbers of products, by kind and width."""


def seconds_of(known: PlacePrices, blocks: Blocks) -> float | None:
    """Seconds of products."""
    total = 0.0
    for (kind, width), number in blocks.items():
        points = {at: price.seconds for at, price in known.blocks.get(kind, {}).items()}
        if not points:
            return None
        total += number * _at(points, width)
    return total


def counted_seconds_of(known: PlacePrices, blocks: Blocks) -> float | None:
    """Seconds of products in the memory pass, while FLOPs are counted."""
    total = 0.0
    for (kind, width), number in blocks.items():
        points = {at: price.counted_s for at, price in known.memory_pass.get(kind, {}).items()}
        plain = known.blocks.get(kind, {})
        if not points or not plain:
            return None
        # Counting takes its time for each operation, of which a looped block has more and a vectorised one has not.
        least = _at({at: price.seconds for at, price in plain.items()}, width)
        total += number * max(_at(points, width) if len(points) > 1 else points[min(points)], least)
    return total


def memory_pass_factor(known: PlacePrices, kind: str) -> float:
    """How many times as long a product takes under the settings of the memory pass; at least 1.

    Memory that is given back at once has to be cleared anew for every large tensor.
    """
    plain, settled = known.blocks.get(kind, {}), known.memory_pass.get(kind, {})
    both = [at for at in settled if at in plain and plain[at].seconds > 0]
    return max([1.0, *(settled[at].seconds / plain[at].seconds for at in both[:1])])


def working_bytes_of(known: PlacePrices, blocks: Blocks) -> int | None:
    """Memory of the product that takes most."""
    found: list[float] = []
    for kind, width in blocks:
        points = {
            at: float(price.working_bytes)
            for at, price in known.blocks.get(kind, {}).items()
            if price.working_bytes is not None
        }
        if not points:
            return None
        found.append(_at(points, width))
    return int(max(found))


def _at(points: Mapping[int, float], width: int) -> float:
    """The value at a width: on the line between its neighbours, and beyond them in proportion or on the last line."""
    if width in points:
        return points[width]
    widths = sorted(points)
    if len(widths) == 1:
        return points[widths[0]] * width / widths[0]
    upper = next((place for place, at in enumerate(widths) if at > width), len(widths) - 1)
    low, high = widths[max(upper, 1) - 1], widths[max(upper, 1)]
    slope = (points[high] - points[low]) / (high - low)
    if width > high:
        slope = max(slope, 0.0)
    return max(points[low] + slope * (width - low), 0.0)
