"""Running what is recommended, and whether what was promised of it has held."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from hessbench.advising.answered import AnswerLook, CarriedOut
from hessbench.advising.candidates import Knowledge
from hessbench.advising.choosing import Advice, Forecast
from hessbench.advising.forecast import claimed_share, larger_budget, level_of
from hessbench.advising.observed import FailedPilot
from hessbench.advising.question import CONFIDENCE
from hessbench.advising.trials.prices import AdvicePrices, memory_at, seconds_at
from hessbench.advising.trials.setting import AdviceRun, AdviceSetting
from hessbench.ledger.reading import Ledger
from hessbench.ledger.record import Kind
from hessbench.ledger.shown_errors import ShownError, shown_error

FIRST_REPEAT: Final = 100
"""Number of the start of the answer: none that the pilot has chosen by."""

_MOST_LOOKS: Final = 6
_ROUNDING: Final = 1e-6
"""Share of a tolerance by which a claim may pass it that was computed to meet it."""


def carry_out(
    setting: AdviceSetting, prices: AdvicePrices, advice: Advice, left_s: float, *, references: bool
) -> CarriedOut:
    """Run the recommendation from a start of its own, and with larger budgets while its own claim is too wide.

    Each look has its own share of the probability of failure, half of what the ones before have left, so that what is
    promised holds whenever the run ends.

    Args:
        setting: Where.
        prices: What things cost.
        advice: What is recommended.
        left_s: Seconds left of the budget.
        references: Whether the truth is looked for.

    Raises:
        ValueError: If nothing is recommended.
    """
    best = advice.best
    if best is None or best.needed.budget is None:
        raise ValueError(f"within {setting.question.within:g}: nothing is recommended that could be run")
    looks: list[AnswerLook] = []
    budget, more_s = best.needed.budget, None
    begin = time.perf_counter()
    while True:
        left = left_s - (time.perf_counter() - begin)
        looks.append(_look(setting, best, budget, len(looks), left, references=references))
        point = looks[-1].point
        if point is None or looks[-1].is_within is not False or len(looks) == _MOST_LOOKS:
            break
        larger = larger_budget(point, setting.question.within, level_of(len(looks), CONFIDENCE))
        if larger is None:
            break
        takes = seconds_at(setting, [point], larger)
        memory = memory_at(setting, best.needed.candidate, larger, prices.known)
        too_large = memory is not None and memory > setting.question.memory_bytes
        if too_large or takes > left_s - (time.perf_counter() - begin):
            more_s = takes
            break
        budget = larger
    return CarriedOut(tuple(looks), more_s)


def _look(
    setting: AdviceSetting, best: Forecast, budget: int, number: int, left_s: float, *, references: bool
) -> AnswerLook:
    candidate, question = best.needed.candidate, setting.question
    run = AdviceRun(candidate, (budget,), 1, FIRST_REPEAT + number)
    points, failed = setting.perform([run], left_s, references=references)
    confidence = level_of(number, CONFIDENCE)
    if not points:
        return AnswerLook(budget, None, confidence=confidence, failure=_why(failed))
    (cell,) = [entry.cell.id for entry in setting.planned([run])]
    error, source = _truth(setting.folder, cell, setting.estimand.spec)
    claimed = points[-1].half_width(confidence)
    is_within = None
    if question.may_be_promised and candidate.knows is not Knowledge.NONE:
        allowed = claimed_share(question.within) if candidate.knows is Knowledge.INTERVAL else question.within
        is_within = claimed is not None and claimed <= allowed * (1 + _ROUNDING)
    return AnswerLook(budget, points[-1], claimed, confidence, is_within, error, source)


def _truth(folder: Path, cell: str, estimand: str) -> tuple[ShownError | None, str]:
    """The true error of a cell's answer, where a reference was there."""
    for row in Ledger.read(folder).records:
        if row.cell == cell and row.kind is Kind.CHECKPOINT and row.estimand == estimand and row.reference_source:
            return shown_error(row), row.reference_source
    return None, ""


def _why(failed: list[FailedPilot]) -> str:
    return failed[0].why if failed else "it came to no answer"
