"""What the figures of scale show: seconds against size, what was predicted and what was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pandas as pd

from hessbench.ledger.grouping import Key
from hessbench.reports.costs.lines import CostLine, is_complete
from hessbench.reports.costs.prices import Ladder, price_at
from hessbench.reports.costs.shown_names import where
from hessbench.reports.scale.checks import FAR, Check
from hessbench.reports.writing import units
from hessbench.reports.writing.palette import GREY, Look
from hessbench.reports.writing.sheets import Spread, spread

PANELS: Final = 10
"""Most panels of a figure; what is beyond is in the table."""

_STEPS: Final = 24


@dataclass(frozen=True)
class SizePoint:
    """Seconds measured at a size; `is_seen` where the prediction could know them."""

    dim: int
    seconds: Spread
    is_seen: bool


@dataclass(frozen=True)
class Panel:
    """Points of one run, or of one product, with the curve that was predicted.

    Attributes:
        title: Two lines.
        look: Colour and marker.
        points: Measured, sizes ascending.
        curve: Sizes and the seconds predicted there; empty where nothing can be said.
        remark: What is written into the panel.
    """

    title: tuple[str, str]
    look: Look
    points: tuple[SizePoint, ...]
    curve: tuple[tuple[int, float], ...]
    remark: str = ""


@dataclass(frozen=True)
class ScaleChart:
    """All that the figure of one family shows, on one device, in one dtype, with one number of threads."""

    title: str
    conditions: str
    panels: tuple[Panel, ...]
    left_out: int


def scale_charts(
    checks: Sequence[Check], ladders: Sequence[Ladder], known: Mapping[str, Look]
) -> tuple[ScaleChart, ...]:
    """One chart per family and conditions: the price of a product first, then every run at its largest budget.

    Args:
        checks: What was predicted and measured.
        ladders: Prices, those at the largest sizes included.
        known: Looks by method.
    """
    groups: dict[tuple[str, str], list[Check]] = {}
    for check in checks:
        # An answer beside another costs what that cost: it would be the same panel.
        if check.line.key.source == check.line.key.estimand:
            groups.setdefault((check.family.name, where(check.line.key)), []).append(check)
    made: list[ScaleChart] = []
    for (title, conditions), group in sorted(groups.items()):
        largest: dict[Key, int] = {}
        for check in group:
            largest[check.line.key] = max(check.line.budget, largest.get(check.line.key, 0))
        runs = [check for check in group if check.line.budget == largest[check.line.key]]
        panels = [*_price_panels(runs[0], ladders), *(_run_panel(check, known) for check in runs)]
        panels = [panel for panel in panels if panel.points]
        if panels:
            left_out = len(group) - len(runs) + max(len(panels) - PANELS, 0)
            made.append(ScaleChart(title, conditions, tuple(panels[:PANELS]), left_out))
    return tuple(made)


def scale_chart_frame(chart: ScaleChart) -> pd.DataFrame:
    """The numbers behind the figure: one row per point, with what the prediction says there."""
    rows = [
        {
            "family": chart.title,
            "conditions": chart.conditions,
            "panel": ", ".join(filter(None, panel.title)),
            "dim": point.dim,
            "measured_s": point.seconds.median,
            "measured_s_min": point.seconds.low,
            "measured_s_max": point.seconds.high,
            "predicted_s": dict(panel.curve).get(point.dim),
            "held_out": not point.is_seen,
        }
        for panel in chart.panels
        for point in panel.points
    ]
    return pd.DataFrame(rows)


def _price_panels(check: Check, ladders: Sequence[Ladder]) -> list[Panel]:
    key = check.line.key
    made: list[Panel] = []
    for ladder in ladders:
        is_same = (ladder.device, ladder.dtype, ladder.threads) == (key.device, key.dtype, key.threads)
        if not is_same or not check.family.holds(ladder.problem) or ladder.method:
            continue
        seen = [rung for rung in ladder.rungs if rung.dim * FAR <= check.line.dim]
        points = tuple(
            SizePoint(rung.dim, Spread(rung.seconds, rung.seconds, rung.seconds, 1), rung in seen)
            for rung in ladder.rungs
        )
        ends = [rung.dim for rung in ladder.rungs]
        curve = tuple((x, price_at(seen, x)) for x in _grid(ends)) if len(seen) > 1 else ()
        title = ("one product", "one column" if ladder.kind == "product" else f"one column, {ladder.kind}")
        made.append(Panel(title, Look(GREY, "o"), points, curve))
    return made


def _run_panel(check: Check, known: Mapping[str, Look]) -> Panel:
    line = check.line
    points: list[SizePoint] = []
    for run in (*check.smaller, line):
        seconds = _seconds(run)
        if seconds is not None and seconds.low > 0:
            points.append(SizePoint(run.dim, seconds, run.dim * FAR <= line.dim))
    dims = [*(run.dim for run in check.smaller), line.dim]
    curve = tuple((x, seconds) for x in _grid(dims) if (seconds := check.predicted_at(x)))
    ratio = check.time_ratio
    remark = "not predicted" if not curve else "" if ratio is None else f"measured / predicted: {units.ratio(ratio)}"
    title = (line.method, f"{line.key.estimand}, budget {line.budget:,}")
    return Panel(title, known[line.key.method], tuple(points), curve, remark)


def _seconds(run: CostLine) -> Spread | None:
    return spread(answer.wall_s for answer in run.answers if is_complete(answer) and answer.terminal.pass_ == "time")


def _grid(dims: Sequence[int]) -> list[int]:
    """Sizes from the least to the most, evenly in the logarithm, and the given ones."""
    low, high = min(dims), max(dims)
    between = (low * (high / low) ** (step / _STEPS) for step in range(1, _STEPS))
    return sorted({round(size) for size in between} | set(dims))
