"""The figures of a comparison over all problems: a profile for each tolerance, and the share of all targets reached."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from hessbench.ledger.answering import Ranking
from hessbench.reports.costs.ranked import RANKED
from hessbench.reports.error_curves.cost_axes import COST_AXES
from hessbench.reports.error_curves.log_axis import products_tick
from hessbench.reports.profiles.crossing import Costs, Crossing
from hessbench.reports.profiles.profile import pooled, ratios, share_within, steps
from hessbench.reports.profiles.step_panels import StepLine, StepPanel, draw_steps
from hessbench.reports.writing import units
from hessbench.reports.writing.drawing import Picture
from hessbench.reports.writing.palette import Look, looks_kept

MOST_LINES: Final = 24
"""Methods of a figure: those that reach most."""


def draw_profiles(crossing: Crossing, by: Ranking, known: Mapping[str, Look], stem: str) -> Picture | None:
    """Draw the performance profiles, a panel for each tolerance; None where nothing was reached, or no cost is known.

    Args:
        crossing: What was compared.
        by: The cost.
        known: Looks of the page by the spec of a method.
        stem: Start of the ids.
    """
    by_tolerance = {it: crossing.known(it, by) for it in crossing.tolerances if crossing.known(it, by).size}
    if not by_tolerance:
        return None
    shown = _shown([share_within(costs, np.inf) for costs in by_tolerance.values()])
    looks = crossing_looks(crossing, known)
    panels = [
        StepPanel(f"within {units.share(tolerance)}: {costs.shape[1]:,} instances",
                  _lines(crossing, ratios(costs), shown, looks, "of instances reached"))
        for tolerance, costs in by_tolerance.items()
    ]  # fmt: skip
    label = f"Performance profiles of {len(shown)} methods by {RANKED[by].head.lower()}: {crossing.title}"
    axis = f"{RANKED[by].head.lower()} over those of the best method"
    return draw_steps(panels, axis, _times, name=f"{stem}-profile-{by}", label=label, least=1.0)


def draw_reached(crossing: Crossing, by: Ranking, known: Mapping[str, Look], stem: str) -> Picture | None:
    """Draw the share of all targets that is reached within a cost; None where nothing was, or no cost is known.

    Args:
        crossing: What was compared.
        by: The cost.
        known: Looks of the page by the spec of a method.
        stem: Start of the ids.
    """
    costs = pooled(crossing, by)
    if not costs.size:
        return None
    shown = _shown([share_within(costs, np.inf)])
    lines = _lines(crossing, costs, shown, crossing_looks(crossing, known), "of targets reached")
    panel = StepPanel(f"share of {costs.shape[1]:,} pairs of tolerance and instance", lines)
    label = f"Share of targets that {len(shown)} methods reach within {RANKED[by].head.lower()}: {crossing.title}"
    axis = COST_AXES[by]
    return draw_steps([panel], axis.name, axis.tick, name=f"{stem}-reached-{by}", label=label)


def crossing_looks(crossing: Crossing, known: Mapping[str, Look]) -> tuple[Look, ...]:
    """A look for each method: that of the page where no two are alike there, else one of its own."""
    found = looks_kept([(name, key.method) for name, key in zip(crossing.methods, crossing.keys, strict=True)], known)
    return tuple(found[method] for method in crossing.methods)


def _shown(shares: list[Costs]) -> list[int]:
    """Methods by the share that they reach, most first; no more than can be told apart."""
    most = np.mean(shares, axis=0)
    return sorted(range(most.size), key=lambda place: (-most[place], place))[:MOST_LINES]


def _lines(
    crossing: Crossing, values: Costs, shown: list[int], looks: tuple[Look, ...], what: str
) -> tuple[StepLine, ...]:
    return tuple(
        StepLine(
            label=crossing.methods[place],
            method=crossing.keys[place].method,
            look=looks[place],
            steps=tuple(found),
            said=f"{100 * found[-1][1]:.0f} % {what}" if found else "",
        )
        for place in shown
        for found in (steps(values[place]),)
    )


def _times(ratio: float) -> str:
    return f"{products_tick(ratio)}\N{MULTIPLICATION SIGN}"
