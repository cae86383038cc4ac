"""How to read a figure, with only the sentences that hold for it."""

from __future__ import annotations

from hessbench.reports.error_curves.curves import REFERENCE_METHOD, Chart
from hessbench.reports.error_curves.figures import MOST_SERIES, Drawing
from hessbench.reports.error_curves.log_axis import percent
from hessbench.reports.error_curves.medians import BAND_FROM, QUARTILES_FROM
from hessbench.reports.error_curves.series_marks import FEW_SERIES
from hessbench.reports.error_curves.traces import MOST_REPEATS, Cost

_AXES = {
    "matvecs": "Error against products, counted at the operator, set-up and checks included",
    "seconds": "Error against the seconds of the method alone; what the build of the operator takes is marked apart",
}


def caption(chart: Chart, cost: Cost, drawing: Drawing) -> str:
    """Say how to read a figure of `chart` against `cost`, and what `drawing` had to leave out or move."""
    sentences = [f"{_AXES[cost]}; both axes are logarithmic, lower left is better."]
    sentences += _repeats(drawing)
    if any(series.is_reference for series in chart.series):
        sentences.append(f"The dashed upright line is what {REFERENCE_METHOD} takes, which has the whole matrix.")
    if chart.floors:
        lowest, highest = (percent(pick(chart.floors)) for pick in (min, max))
        bounds = lowest if lowest == highest else f"{lowest} to {highest}"
        sentences.append(
            f"Reference bound (grey dashes where it is in view): {bounds}; no accuracy is claimed below it."
        )
    if drawing.at_floor:
        sentences.append(f"{_counted(drawing.at_floor, 'marker')} at or below the bound: drawn on it, open.")
    if drawing.zeros:
        sentences.append(f"{_counted(drawing.zeros, 'marker')} of error exactly 0: drawn at the lower edge, open.")
    if drawing.left_out:
        sentences.append(f"{_counted(drawing.left_out, 'answer')} without a measured cost above 0 not drawn.")
    if chart.unscored:
        sentences.append(
            f"{_counted(chart.unscored, 'answer')} without a finite error not drawn, and in no median: see the "
            "failures and the CSV."
        )
    if drawing.hidden:
        sentences.append(
            f"{drawing.hidden} more methods not drawn: the {MOST_SERIES} that reached the least error are; all are in "
            "the CSV."
        )
    return " ".join(sentences)


def _repeats(drawing: Drawing) -> list[str]:
    """What lines and bands are of."""
    numbers = sorted({len(dot.cells) for one in drawing.traces if one.is_median for dot in one.dots})
    if not numbers:
        return ["Each line is one repeat, its markers the budgets of the grid."]
    sentences = [f"Markers: median over the repeats at each budget, {_span(numbers)} of them."]
    if any(not one.is_median for one in drawing.traces):
        sentences.append(f"Methods with fewer than {BAND_FROM} repeats: each line is one repeat.")
    few = any(number < QUARTILES_FROM for number in numbers)
    many = any(number >= QUARTILES_FROM for number in numbers)
    from_to, middle = "from the least to the largest repeat", "the middle half of the repeats (quartiles)"
    if few and many:
        sentences.append(f"Shaded: {from_to} below {QUARTILES_FROM} repeats, {middle} from there on.")
    else:
        sentences.append(f"Shaded: {middle if many else from_to}.")
    if drawing.has_repeats:
        sentences.append("Faint lines: single repeats.")
        if any(one.undrawn for one in drawing.traces):
            sentences.append(f"Of these the first {MOST_REPEATS} are drawn; medians and bands are of all.")
    elif any(one.repeats for one in drawing.traces):
        sentences.append(f"Single repeats are not drawn where there are more than {FEW_SERIES} methods: see the CSV.")
    return sentences


def _span(numbers: list[int]) -> str:
    return str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]}"


def _counted(number: int, name: str) -> str:
    return f"{number} {name}{'s' * (number != 1)}"
