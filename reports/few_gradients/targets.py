"""What the estimators that use a network are to reach, as data, and whether they did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from hessbench.estimand.base import Array
from hessbench.reports.few_gradients.results import (
    COUNTED,
    METHOD,
    WITH_BUILD,
    FewGradientsResults,
    MethodRuns,
    QuestionRuns,
    best,
    median_cost,
)

TRACE_OF_HESSIAN: Final = "trace of the Hessian"
TRACE_WITH_INTERVAL: Final = "trace of the Hessian, known by its 99 % interval"
TRACE_OF_GGN: Final = "trace of the GGN"
DIAGONAL_OF_GGN: Final = "diagonal of the GGN"
DIAGONAL_OF_HESSIAN: Final = "diagonal of the Hessian"
TOP_OF_GGN: Final = "top 20 of the GGN"
TOP_OF_HESSIAN: Final = "top 20 of the Hessian"
TOP_WITH_INTERVAL: Final = "top 20 of the Hessian, known by a 99.9 % interval"
DENSITY_OF_GGN: Final = "density of the GGN"
BULK_OF_GGN: Final = "density of the GGN, bulk only"

RESNET: Final = "ResNet20, 64 images"
"""The trained network of the targets in gradients."""

STEPS: Final = "step of the training"
IMAGES: Final = "number of images"
RESNET_IMAGES: Final = "number of images of ResNet20"

EXACT: Final = 1e-4
"""Error up to which an answer of float32 is exact."""

NEAR: Final = 1.1
"""Times the cost of the best method of whole products that those which use the network may take anywhere."""

_ONE_PERCENT: Final = 0.01


@dataclass(frozen=True)
class CostTarget:
    """A number of gradients within which a question is to be answered.

    Attributes:
        task: In words.
        question: Name of the question.
        network: Name of the network.
        level: Largest error.
        gradients: The number.
        cost: Which cost it is of, `METHOD` or `WITH_BUILD`.
    """

    task: str
    question: str
    network: str
    level: float
    gradients: float
    cost: str = METHOD


COST_TARGETS: Final = (
    CostTarget("trace of the Hessian within 1 %, with a 99 % interval that says so", TRACE_WITH_INTERVAL, RESNET,
               0.01, 6),
    CostTarget("the same within 0.1 %", TRACE_WITH_INTERVAL, RESNET, 0.001, 14),
    CostTarget("exact diagonal of the GGN", DIAGONAL_OF_GGN, RESNET, EXACT, 14),
    CostTarget("exact diagonal of the Hessian", DIAGONAL_OF_HESSIAN, RESNET, EXACT, 14),
    CostTarget("top 20 of the GGN within 1 %", TOP_OF_GGN, RESNET, 0.01, 6),
    CostTarget("density of the GGN within 1 % of its spread", DENSITY_OF_GGN, RESNET, 0.01, 8),
    CostTarget("density of the GGN within 1 % of its spread, bulk only", BULK_OF_GGN, RESNET, 0.01, 8),
    CostTarget("top 20 of the Hessian within 1 %, build included", TOP_OF_HESSIAN, RESNET, 0.01, 45, WITH_BUILD),
    CostTarget("the same with a 99.9 % interval that says so", TOP_WITH_INTERVAL, RESNET, 0.01, 60, WITH_BUILD),
)  # fmt: skip

NEAR_TASKS: Final = (
    TRACE_OF_HESSIAN, DIAGONAL_OF_GGN, DIAGONAL_OF_HESSIAN, TOP_OF_GGN, DENSITY_OF_GGN, TOP_OF_HESSIAN,
)  # fmt: skip
"""Questions in which methods that use the network are to be near the best others, whatever the network."""

GROWTH_TASKS: Final = (TRACE_OF_GGN, TOP_OF_GGN)
"""Questions whose cost in seconds is to grow more slowly than the number of images."""


@dataclass(frozen=True)
class TargetRow:
    """A target, and what was reached.

    Attributes:
        task: In words.
        network: Name of the network, or of the series.
        target: In words.
        with_build: Gradients of the best method that uses the network, its build included; an exponent of growth.
        alone: Gradients of the method alone; an exponent likewise.
        counted: Gradient-equivalents; an exponent likewise.
        method: Its spec.
        beside: Gradients with the build of the best method of whole products; infinite where none gets there.
        beside_method: Its spec.
        met: Whether the target is; None where no method of either kind gets there.
    """

    task: str
    network: str
    target: str
    with_build: float
    alone: float
    counted: float
    method: str
    beside: float
    beside_method: str
    met: bool | None


def target_rows(results: FewGradientsResults) -> list[TargetRow]:
    """A row for each target whose question was asked."""
    rows: list[TargetRow] = []
    for target in COST_TARGETS:
        found = _asked(results, target.question, target.network)
        if found is not None:
            rows.append(_cost_row(target, found))
    for found in results.questions:
        question = found.question
        if question.name in NEAR_TASKS and question.network != RESNET and question.series in ("", STEPS):
            rows.append(_near_row(found))
    for series in (RESNET_IMAGES, IMAGES):
        for name in GROWTH_TASKS:
            asked = [each for each in results.questions if (each.question.series, each.question.name) == (series, name)]
            if len(asked) > 1:
                rows.append(_growth_row(series, name, asked))
    return rows


def seconds_of(found: QuestionRuns, cost: str, gradients: float) -> float:
    """A cost by the clock in seconds, and a counted one in gradients of a single sample: what grows with N."""
    return gradients * (found.samples if cost == COUNTED else found.gradient_s)


def exponent(places: Array, costs: Array) -> float:
    """Slope of the least-squares line on two logarithmic axes."""
    return float(np.polyfit(np.log(places), np.log(costs), 1)[0])


def _asked(results: FewGradientsResults, name: str, network: str) -> QuestionRuns | None:
    for found in results.questions:
        if (found.question.name, found.question.network) == (name, network):
            return found
    return None


def _cost_row(target: CostTarget, found: QuestionRuns) -> TargetRow:
    name, value = best(found, target.level, target.cost, structured=True)
    kind = "the method alone" if target.cost == METHOD else "build included"
    says = f"{target.gradients:g} gradients, {kind}"
    met = bool(value <= target.gradients)
    return _row(target.task, target.network, says, found, target.level, name, met=met)


def _near_row(found: QuestionRuns) -> TargetRow:
    """Both with their builds, as every comparison between methods is."""
    question = found.question
    name, value = best(found, _ONE_PERCENT, WITH_BUILD, structured=True)
    _, whole = best(found, _ONE_PERCENT, WITH_BUILD, structured=False)
    met = None if np.isinf(value) and np.isinf(whole) else bool(value <= NEAR * whole) and bool(np.isfinite(value))
    says = f"at most {NEAR:g} times the best of whole products"
    return _row(f"{question.name} within 1 %", question.network, says, found, _ONE_PERCENT, name, met=met)


def _row(
    task: str, network: str, target: str, found: QuestionRuns, level: float, name: str, *, met: bool | None
) -> TargetRow:
    (runs,) = [each for each in found.methods if each.method == name] or [None]
    beside_method, beside = best(found, level, WITH_BUILD, structured=False)
    with_build, alone, counted = (
        np.inf if runs is None else median_cost(runs, level, cost) for cost in (WITH_BUILD, METHOD, COUNTED)
    )
    return TargetRow(task, network, target, with_build, alone, counted, name, beside, beside_method, met)


def _growth_row(series: str, name: str, asked: Sequence[QuestionRuns]) -> TargetRow:
    """Exponents of the method that uses the network, always gets there, and grows most slowly by the clock."""
    slopes = {method: _slopes(asked, method) for method in _methods(asked, structured=True)}
    fits = {method: slope for method, slope in slopes.items() if np.isfinite(slope[0])}
    method = min(fits, key=lambda each: fits[each][0], default="")
    others = {each: _slopes(asked, each)[0] for each in _methods(asked, structured=False)}
    reached = {each: slope for each, slope in others.items() if np.isfinite(slope)}
    beside = min(reached, key=lambda each: reached[each], default="")
    found = fits.get(method, (np.inf, np.inf, np.inf))
    places = ", ".join(f"{each.samples}" for each in asked)
    return TargetRow(
        f"{name} within 1 %: exponent of the cost in N", f"{series}: {places}", "an exponent below 1", *found, method,
        reached.get(beside, np.inf), beside, bool(found[0] < 1) if method else None,
    )  # fmt: skip


def _methods(asked: Sequence[QuestionRuns], *, structured: bool) -> list[str]:
    return [runs.method for runs in asked[0].methods if runs.structured == structured]


def _slopes(asked: Sequence[QuestionRuns], method: str) -> tuple[float, float, float]:
    """Exponents of the three costs of a method; infinite where it misses 1 % anywhere."""
    samples = np.asarray([float(found.samples) for found in asked])

    def slope(cost: str) -> float:
        costs = np.asarray([seconds_of(found, cost, _cost_of(found, method, cost)) for found in asked])
        return exponent(samples, costs) if bool(np.isfinite(costs).all()) and bool((costs > 0).all()) else np.inf

    return slope(WITH_BUILD), slope(METHOD), slope(COUNTED)


def _cost_of(found: QuestionRuns, method: str, cost: str) -> float:
    runs: list[MethodRuns] = [each for each in found.methods if each.method == method]
    return median_cost(runs[0], _ONE_PERCENT, cost) if runs else np.inf
