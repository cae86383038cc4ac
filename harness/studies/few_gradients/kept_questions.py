"""The runs of a question as the rows and arrays of a unit, and back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from hessbench.estimand.base import Array
from hessbench.reports.claims.measured import Measured
from hessbench.reports.few_gradients.results import CostPoint, MethodRuns, NetworkQuestion, QuestionRuns
from hessbench.studies.unit import UnitRecord

_NUMBERS: Final = ("dim", "samples", "gradient_s")
_FAILED: Final = "failed: "
_KINDS: Final = {False: "whole products", True: "structured"}


def take_down(record: UnitRecord, found: Sequence[QuestionRuns]) -> None:
    """Take down the runs of a question, once for each error that its answers are judged by.

    Args:
        record: Of the unit.
        found: The runs, of the same network.
    """
    for measure in _NUMBERS:
        record.add(measure, float(getattr(found[0], measure)))
    for asked in found:
        error = asked.question.error
        for runs in asked.methods:
            record.add(_KINDS[runs.structured], float(len(runs.repeats)), problem=error, method=runs.method)
            if runs.failure:
                record.add(_FAILED + runs.failure, math.nan, problem=error, method=runs.method)
            points = [
                (repeat, point.matvecs, point.gradient_equivalents, point.gradients, point.error, point.half_width,
                 math.nan if point.held is None else float(point.held))
                for repeat, each in enumerate(runs.repeats)
                for point in each
            ]  # fmt: skip
            record.keep(f"{error}/{runs.method}/build", runs.build)
            record.keep(f"{error}/{runs.method}/points", np.asarray(points, dtype=np.float64).reshape(-1, 7))


def read_back(measured: Measured, unit: str, questions: Sequence[NetworkQuestion]) -> list[QuestionRuns]:
    """The runs of a question as they were taken down.

    Args:
        measured: What is kept.
        unit: Name of the unit.
        questions: The question by each of its errors.
    """
    dim, samples, gradient_s = (float(measured.values(name, unit=unit)[0]) for name in _NUMBERS)
    return [
        QuestionRuns(question, int(dim), int(samples), gradient_s, tuple(_methods(measured, unit, question.error)))
        for question in questions
    ]


def _methods(measured: Measured, unit: str, error: str) -> list[MethodRuns]:
    rows = measured.select(unit=unit, problem=error)
    found: dict[str, MethodRuns] = {}
    for measure, method, count in zip(rows["measure"], rows["method"], rows["value"], strict=True):
        if measure in _KINDS.values():
            at = f"{unit}/{error}/{method}"
            repeats = _repeats(measured.arrays[f"{at}/points"], int(count))
            found[method] = MethodRuns(method, measure == _KINDS[True], measured.arrays[f"{at}/build"], repeats)
        else:
            found[method] = replace(found[method], failure=str(measure).removeprefix(_FAILED))
    return list(found.values())


def _repeats(points: Array, count: int) -> tuple[tuple[CostPoint, ...], ...]:
    return tuple(
        tuple(
            CostPoint(int(matvecs), counted, seconds, error, half_width, None if math.isnan(held) else bool(held))
            for number, matvecs, counted, seconds, error, half_width, held in points.tolist()
            if number == repeat
        )
        for repeat in range(count)
    )
