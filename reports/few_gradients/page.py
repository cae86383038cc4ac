"""The page of the study of few gradients: what answers cost, the curves, and where the advantage begins."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from hessbench.reports.claims.study_page import PageFigure, keep_figure, short, write_study_page
from hessbench.reports.few_gradients.figures import draw_curves, draw_series, of_series, reached_questions
from hessbench.reports.few_gradients.results import (
    COSTS,
    COUNTED,
    LEVELS,
    METHOD,
    WITH_BUILD,
    FewGradientsResults,
    MethodRuns,
    QuestionRuns,
    best,
    median_cost,
)
from hessbench.reports.few_gradients.targets import TargetRow, target_rows
from hessbench.reports.writing.units import DASH, significant

_ROWS: Final = 5
"""Of questions in a figure, which stays below 300 kB."""

NAME: Final = "few-gradients"
"""Of the study."""


@dataclass(frozen=True)
class LevelCell:
    """What the best method of either kind costs at a level, and how much the one saves."""

    whole: str
    whole_method: str
    structured: str
    structured_method: str
    advantage: str


@dataclass(frozen=True)
class AnswerRow:
    """A question, and a cell for each level."""

    question: str
    network: str
    cells: tuple[LevelCell, ...]


@dataclass(frozen=True)
class MethodRow:
    """A method of a question: what each level costs by each cost, and how its interval did."""

    question: str
    network: str
    method: str
    build: str
    costs: tuple[tuple[str, ...], ...]
    held: str
    note: str


def write_few_gradients_study(results: FewGradientsResults, out: Path | str, command: str) -> Path:
    """Write the page, its figures and the CSV behind them.

    Args:
        results: What was measured.
        out: Folder to write.
        command: Command line that made it, shown on the page.

    Returns:
        The page, `index.html` in `out`.

    Raises:
        ValueError: If `out` is a file, or a folder that holds something other than this study.
    """
    frames = {"points": points_frame(results), "costs": costs_frame(results), "targets": targets_frame(results)}
    return write_study_page(
        NAME,
        out,
        "few_gradients_study.html",
        command,
        frames,
        lambda folder: {
            "levels": [_percent(level) for level in LEVELS],
            "threads": results.threads,
            "answers": [answer_row(found) for found in results.questions],
            "costs": list(COSTS.values()),
            "rows": [row for found in results.questions for row in method_rows(found)],
            "targets": [shown_target(row) for row in target_rows(results)],
            "left_out": results.left_out,
            "figures": _figures(results, folder),
            "gradients": [
                (found.question.network, found.dim, found.samples, f"{1e3 * found.gradient_s:.3g}")
                for found in _networks(results)
            ],
        },
    )


def points_frame(results: FewGradientsResults) -> pd.DataFrame:
    """A row for each point of each run, in few digits: of thousands of rows; costs tell what is structured."""
    return pd.DataFrame([
        {
            "question": found.question.name, "network": found.question.network, "method": runs.method,
            "repeat": repeat, "matvecs": point.matvecs,
            "gradient_equivalents": short(point.gradient_equivalents, 4), "gradients": short(point.gradients, 4),
            "build_gradients": short(float(build), 3), "error": short(point.error, 3),
            "half_width_99": short(point.half_width, 3),
        }
        for found in results.questions for runs in found.methods
        for repeat, (points, build) in enumerate(zip(runs.repeats, runs.build, strict=True)) for point in points
    ])  # fmt: skip


def costs_frame(results: FewGradientsResults) -> pd.DataFrame:
    """A row for each method of a question and level: the median of each cost, empty where it is not reached."""
    return pd.DataFrame([
        {
            "question": found.question.name, "network": found.question.network, "problem": found.question.problem,
            "method": runs.method, "structured": runs.structured, "level": level, "repeats": len(runs.repeats),
            **{cost: _finite(median_cost(runs, level, cost)) for cost in COSTS},
        }
        for found in results.questions for runs in found.methods for level in LEVELS
    ])  # fmt: skip


def targets_frame(results: FewGradientsResults) -> pd.DataFrame:
    """A row for each target, and what was reached."""
    columns = [
        "task",
        "network",
        "target",
        "with_build",
        "alone",
        "counted",
        "method",
        "whole_products",
        "whole_method",
        "met",
    ]
    rows = [
        (
            row.task,
            row.network,
            row.target,
            _finite(row.with_build),
            _finite(row.alone),
            _finite(row.counted),
            row.method,
            _finite(row.beside),
            row.beside_method,
            _verdict(row),
        )
        for row in target_rows(results)
    ]
    return pd.DataFrame(rows, columns=columns)  # fmt: skip


def shown_target(row: TargetRow) -> tuple[str, ...]:
    """The cells of a target."""
    costs = (_cost(row.with_build), _cost(row.alone), _cost(row.counted))
    return (row.task, row.network, row.target, *costs, row.method, _cost(row.beside), row.beside_method, _verdict(row))


def answer_row(found: QuestionRuns) -> AnswerRow:
    """The best of either kind at each level, by gradients with the build."""
    cells: list[LevelCell] = []
    for level in LEVELS:
        whole_method, whole = best(found, level, WITH_BUILD, structured=False)
        method, cost = best(found, level, WITH_BUILD, structured=True)
        gain = whole / cost if np.isfinite(whole) and np.isfinite(cost) else np.nan
        cells.append(LevelCell(_cost(whole), whole_method, _cost(cost), method, _times(gain)))
    return AnswerRow(found.question.name, found.question.network, tuple(cells))


def method_rows(found: QuestionRuns) -> list[MethodRow]:
    """A row for each method of a question."""
    return [
        MethodRow(
            found.question.name,
            found.question.network,
            runs.method,
            significant(float(np.median(runs.build))) if runs.build.size else DASH,
            tuple(tuple(_cost(median_cost(runs, level, cost)) for cost in (METHOD, WITH_BUILD, COUNTED))
                  for level in LEVELS),
            _held(runs),
            runs.failure,
        )
        for runs in found.methods
    ]  # fmt: skip


def _verdict(row: TargetRow) -> str:
    return "neither kind gets there" if row.met is None else "met" if row.met else "not met"


def _held(runs: MethodRuns) -> str:
    """How many of the claimed intervals held the truth."""
    claimed = [point for points in runs.repeats for point in points if np.isfinite(point.half_width)]
    if not claimed:
        return DASH
    return f"{sum(point.held is True for point in claimed)} of {len(claimed)}"


def _figures(results: FewGradientsResults, folder: Path) -> list[PageFigure]:
    made: list[PageFigure] = []
    alone = of_series(results, "")
    whole = _of_fullest(alone)
    for first in range(0, len(whole), _ROWS):
        ending = "" if first == 0 else f"-{first // _ROWS + 1}"
        made.append(keep_figure(
            draw_curves(whole[first : first + _ROWS]), folder, f"figures/curves{ending}.svg",
            title="Error against cost" + (", further questions" if ending else ""),
            alt="Error against gradients and gradient-equivalents, a row for each question",
            caption="Medians over the repeats, both axes logarithmic. Dashed and open: methods of whole products; "
            "solid: methods by rows, subsets and parts. Dotted: 10, 1 and 0.1 %. Errors below 10⁻⁶ are drawn there.",
        ))  # fmt: skip
    for series in dict.fromkeys(found.question.series for found in results.questions):
        if not series or not reached_questions(of_series(results, series)):
            continue
        power_law = "number" in series
        ending = (
            "In seconds and in gradients of one image, so that networks of unlike numbers of images can be compared: "
            "a method whose number of gradients stays the same has the exponent 1. The exponents are those of lines "
            "through the points." if power_law else
            "Where a point is missing no method of the kind reached 1 % within the budgets of the study."
        )  # fmt: skip
        made.append(keep_figure(
            draw_series(series, of_series(results, series), power_law=power_law), folder,
            f"figures/by-{series.replace(' ', '-').lower()}.svg", title=f"By {series}",
            alt=f"Cost of an error of 1 % by {series}, a row for each question, and the advantage",
            caption="The cost from which on the error stays within 1 %, by the clock and by the count: the best method "
            "of whole products, or BackPACK, and the best by rows, subsets and parts, each column by its own cost; and "
            "how many times as much the former cost, above the dotted line where the latter are cheaper. An arrow: at "
            f"least so many times, no whole product getting there within the budgets of the study. Questions that none "
            f"answers are left out. {ending}",
        ))  # fmt: skip
    return made


def _of_fullest(alone: list[QuestionRuns]) -> list[QuestionRuns]:
    """The questions of the network that most are asked of; of the first of several."""
    names = [each.question.network for each in alone]
    return [each for each in alone if each.question.network == max(names, key=names.count)]


def _networks(results: FewGradientsResults) -> list[QuestionRuns]:
    return list({found.question.network: found for found in results.questions}.values())


def _percent(level: float) -> str:
    return f"{100 * level:g} %"


def _cost(value: float) -> str:
    if np.isnan(value):
        return DASH
    return significant(value) if np.isfinite(value) else "not reached"


def _times(value: float) -> str:
    return DASH if not np.isfinite(value) else significant(value)


def _finite(value: float) -> float:
    return short(value) if np.isfinite(value) else np.nan
