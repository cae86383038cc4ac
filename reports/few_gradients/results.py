"""What the study of few gradients measured, and the cost of an answer at a level of error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from hessbench.estimand.base import Array

LEVELS: Final = (0.1, 0.01, 0.001)
"""Errors at which costs are read: 10, 1 and 0.1 %."""

INTERVAL: Final = "interval"
"""The error of an answer that must be known to be right: the larger of its error and half of its interval's width."""

COUNTED: Final = "gradient_equivalents"
METHOD: Final = "gradients"
WITH_BUILD: Final = "gradients_with_build"
COSTS: Final = {
    METHOD: "gradients, the method alone",
    WITH_BUILD: "gradients, build included",
    COUNTED: "gradient-equivalents, counted",
}
"""The costs of an answer by their names: seconds over those of a gradient of the run, and what was charged."""


@dataclass(frozen=True)
class NetworkQuestion:
    """What is asked of which problem.

    Attributes:
        name: Of the question, such as `trace of the Hessian`.
        network: Name of the network as the page says it.
        problem: Canonical spec.
        estimand: Canonical spec.
        error: Name of the error that is shown, one of the estimand's or `INTERVAL`.
        series: What the network is one of, such as the steps of a training; empty where it stands alone.
        place: Its place in the series: a step, or a number of samples.
    """

    name: str
    network: str
    problem: str
    estimand: str
    error: str
    series: str = ""
    place: float = 0.0


@dataclass(frozen=True)
class CostPoint:
    """The state of one run at one budget.

    Attributes:
        matvecs: Columns charged.
        gradient_equivalents: What they are priced at; NaN where nobody counts.
        gradients: Seconds of the method over those of a gradient.
        error: The error.
        half_width: Of the interval that the method claims, over the size that the error is relative to; NaN where it
            claims none.
        held: Whether that interval held the truth; None where there is none.
    """

    matvecs: int
    gradient_equivalents: float
    gradients: float
    error: float
    half_width: float
    held: bool | None = None


@dataclass(frozen=True)
class MethodRuns:
    """The runs of one method on one question.

    Attributes:
        method: Spec.
        structured: Whether it uses rows, subsets, parts or squares of single samples.
        build: Seconds of the build over those of a gradient, one number a repeat.
        repeats: The points of each repeat, by ascending cost.
        failure: Why there is none, in one sentence; empty where there is.
    """

    method: str
    structured: bool
    build: Array
    repeats: tuple[tuple[CostPoint, ...], ...]
    failure: str = ""


@dataclass(frozen=True)
class QuestionRuns:
    """Everything of one question.

    Attributes:
        question: The question.
        dim: Number of parameters.
        samples: Number of samples.
        gradient_s: Median seconds of one gradient.
        methods: Runs of each method.
    """

    question: NetworkQuestion
    dim: int
    samples: int
    gradient_s: float
    methods: tuple[MethodRuns, ...]


@dataclass(frozen=True)
class UnaskedQuestion:
    """A question that was not asked, and why."""

    question: str
    network: str
    why: str


@dataclass(frozen=True)
class FewGradientsResults:
    """Everything that was measured.

    Attributes:
        threads: Of the tensor library.
        questions: In the order they are shown.
        left_out: What could not be asked here.
    """

    threads: int
    questions: tuple[QuestionRuns, ...]
    left_out: tuple[UnaskedQuestion, ...] = ()


def cost_of(point: CostPoint, build: float, cost: str) -> float:
    """One of `COSTS` of a point."""
    if cost == COUNTED:
        return point.gradient_equivalents
    return point.gradients + (build if cost == WITH_BUILD else 0.0)


def cost_at(runs: MethodRuns, level: float, cost: str) -> Array:
    """Least cost of each repeat from which on the error stays within a level; infinite where it never does."""
    return np.asarray(
        [
            _first_within(points, float(build), level, cost)
            for points, build in zip(runs.repeats, runs.build, strict=True)
        ]
    )


def median_cost(runs: MethodRuns, level: float, cost: str) -> float:
    """Median over the repeats of the cost at a level; infinite where half of them or more never reach it."""
    costs = np.sort(cost_at(runs, level, cost))
    if costs.size == 0:
        return np.inf
    middle = costs.size // 2
    # By hand: the mean of a number and infinity is infinite, but two infinities have no difference.
    return float(costs[middle]) if costs.size % 2 else float((costs[middle - 1] + costs[middle]) / 2)


def best(found: QuestionRuns, level: float, cost: str, *, structured: bool | None = None) -> tuple[str, float]:
    """The method of least median cost at a level, and that cost; no name and infinity where none reaches it.

    Args:
        found: The runs of a question.
        level: The error.
        cost: One of `COSTS`.
        structured: Whether methods by rows, subsets and parts are meant, or those of whole products; by default both.
    """
    costs = {
        runs.method: median_cost(runs, level, cost)
        for runs in found.methods
        if structured is None or runs.structured == structured
    }
    reached = {name: value for name, value in costs.items() if np.isfinite(value)}
    if not reached:
        return "", np.inf
    name = min(reached, key=lambda method: reached[method])
    return name, reached[name]


def _first_within(points: tuple[CostPoint, ...], build: float, level: float, cost: str) -> float:
    found = np.inf
    for point in reversed(points):
        if not point.error <= level:
            break
        found = cost_of(point, build, cost)
    return found
