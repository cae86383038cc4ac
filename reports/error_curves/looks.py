"""Looks of the methods on a page: one each, and no colour twice in a figure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from hessbench.reports.error_curves.curves import Chart
from hessbench.reports.writing.palette import Look, look


def chart_looks(charts: Sequence[Chart], methods: Iterable[str] = ()) -> dict[str, Look]:
    """A look for every series of the charts, and for the methods that have none.

    Methods that never meet in a figure may share a look, so that those which meet get the colours that differ most.

    Args:
        charts: All of the page.
        methods: Specs that need a look beside those of the charts.

    Returns:
        Looks by the name of the series, which is the method's spec for its first.
    """
    beside: dict[str, set[str]] = {method: set() for method in methods}
    for chart in charts:
        names = {series.name for series in chart.series if not series.is_reference}
        for series in chart.series:
            beside.setdefault(series.name, set()).update(names)
    places: dict[str, int] = {}
    meets: dict[str, set[str]] = defaultdict(set, beside)
    for name in sorted(meets):
        taken = {places[other] for other in meets[name] if other in places and other != name}
        places[name] = next(place for place in range(len(taken) + 1) if place not in taken)
    return {name: look(place) for name, place in places.items()}
