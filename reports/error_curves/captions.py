"""How to read a figure, with only the sentences that hold for it."""

from __future__ import annotations

from hessbench.reports.error_curves.curves import BAND_FROM, Chart
from hessbench.reports.error_curves.figures import Cost, Detail, Drawing
from hessbench.reports.writing import units


def caption(chart: Chart, cost: Cost, drawing: Drawing) -> str:
    """Say how to read a figure of `chart` against `cost`, and what `drawing` had to leave out or move."""
    axis = (
        "Products spent, counted at the operator, setup and checks included"
        if cost == "matvecs"
        else "Seconds to each answer, the build of the operator included"
    )
    sentences = [f"{axis}, against the error {chart.primary}; both axes are logarithmic, lower left is better."]
    if drawing.detail is Detail.ALL:
        sentences.append("Each thin line is one repeat, its markers the budgets of the grid.")
    else:
        sentences.append(f"To keep the file small it shows {drawing.detail.value}; all points are in the CSV.")
    repeats = max(len(series.repeats) for series in chart.series)
    if any(len(series.bands) > 1 for series in chart.series):
        sentences.append(
            f"From {BAND_FROM} repeats on the markers sit on the median over the repeats at each budget, and the "
            "shaded interval covers the median with at least 95 % (order statistics)."
        )
    elif repeats > 1:
        sentences.append(f"With fewer than {BAND_FROM} repeats no interval is drawn.")
    if chart.floors:
        lowest, highest = (units.error(pick(chart.floors)) for pick in (min, max))
        bounds = lowest if lowest == highest else f"{lowest} to {highest}"
        sentences.append(
            f"Reference bound (grey dashes where it is in view): {bounds}; no accuracy is claimed below it."
        )
    if drawing.at_floor:
        sentences.append(f"{_points(drawing.at_floor)} at or below the bound: drawn on it, with an open marker.")
    if drawing.zeros:
        sentences.append(f"{_points(drawing.zeros)} of error exactly 0: drawn at the lower edge, with an open marker.")
    if drawing.left_out:
        sentences.append(f"{_points(drawing.left_out)} without a measured cost above 0 not drawn.")
    if chart.unscored:
        number = chart.unscored
        sentences.append(
            f"{number} answer{'s' * (number != 1)} without an error not drawn: see the failures and the CSV."
        )
    return " ".join(sentences)


def _points(number: int) -> str:
    return f"{number} point{'s' * (number != 1)}"
