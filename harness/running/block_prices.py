"""Seconds and memory of products with blocks of any width, from those that were measured."""

from __future__ import annotations

from collections.abc import Mapping

from hessbench.running.price_store import PlacePrices


def seconds_of(known: PlacePrices, blocks: Mapping[tuple[str, int], float], *, counted: bool) -> float | None:
    """Seconds of products, whose numbers are given by kind and width, plain or while FLOPs are counted."""
    total = 0.0
    for (kind, width), number in blocks.items():
        points = known.blocks.get(kind, {})
        one = points.get(1)
        if one is None:
            return None
        seconds = _at({at: price.seconds for at, price in points.items()}, width)
        if counted:
            # Counting takes its time for each operation, whatever its width.
            seconds += max(0.0, (one.counted_s or one.seconds) - one.seconds)
        total += number * seconds
    return total


def working_bytes_of(known: PlacePrices, blocks: Mapping[tuple[str, int], float]) -> int | None:
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
