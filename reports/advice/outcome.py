"""What came of a recommendation that was run, in words: the answer, its interval, and whether the promise held."""

from __future__ import annotations

import math

import numpy as np

from hessbench.advising.answered import AnswerLook, CarriedOut
from hessbench.advising.choosing import Advice
from hessbench.advising.observed import PilotPoint
from hessbench.advising.question import AdviceQuestion
from hessbench.ledger.answering.words import percent
from hessbench.reports.writing import units

_SHOWN = 10


def outcome(advice: Advice, carried: CarriedOut) -> list[str]:
    """The answers in the order they came, and what became of the promise."""
    said = [line for look in carried.looks for line in _look(advice.question, look)]
    return [*said, verdict(advice, carried), *_truth(carried.last)]


def verdict(advice: Advice, carried: CarriedOut) -> str:
    """Whether the promise held, in one sentence."""
    near, last = percent(advice.question.within), carried.last
    if last.point is None:
        return f"It came to no answer: {last.failure}."
    if not advice.promised:
        if last.is_within is None or not advice.question.may_be_promised:
            return "Nothing was promised of its error."
        return f"Nothing was promised; its own claim is {'' if last.is_within else 'not '}within {near}."
    if last.is_within:
        exact = last.claimed == 0
        return f"The promise held: {'the answer is exact to rounding' if exact else f'known to within {near}'}."
    by = "without an interval" if last.claimed is None else f"known to {_size(last.claimed)} only"
    more = ""
    if carried.more_s is not None:
        more = f"; the next larger budget takes {units.seconds(carried.more_s)}, more than is left"
    return f"The promise is missed, and said so: the answer is {by}, not to {near}{more}."


def _look(question: AdviceQuestion, look: AnswerLook) -> list[str]:
    if look.point is None:
        return [f"{look.budget:,}: no answer: {look.failure}."]
    known = ""
    if question.may_be_promised and look.claimed is not None:
        known = (
            ", exact to rounding" if look.claimed == 0 else f", known to {_size(look.claimed)} by what it says itself"
        )
    return [f"{look.budget:,}: {_value(look.point, look)}{known}, in {units.seconds(look.point.seconds)}."]


def _value(point: PilotPoint, look: AnswerLook) -> str:
    """The answer itself, where a line holds it."""
    arrays = point.arrays
    if "trace" in arrays:
        value = float(arrays["trace"][0])
        half = None if look.claimed is None else look.claimed * abs(value)
        about = "" if not half or not math.isfinite(half) else f" \N{PLUS-MINUS SIGN} {half:.2g}"
        return f"trace {value:.7g}{about}"
    if "eigenvalues" in arrays:
        values = arrays["eigenvalues"]
        shown = ", ".join(f"{value:.5g}" for value in values[:_SHOWN])
        return f"eigenvalues {shown}{', ...' if values.size > _SHOWN else ''}"
    if "diagonal" in arrays:
        return f"diagonal of 2-norm {float(np.linalg.norm(arrays['diagonal'])):.5g}, kept in the folder"
    if "nodes" in arrays:
        return f"density of {arrays['nodes'].size:,} nodes, kept in the folder"
    return "answer above the 1 MB that are kept"


def _truth(look: AnswerLook) -> list[str]:
    if look.error is None or look.error.value is None:
        return []
    bound = look.error.bound or 0.0
    least = "below" if look.error.value <= bound else "off by"
    return [f"True error: {least} {percent(max(look.error.value, bound))} ({look.source} reference)."]


def _size(share: float) -> str:
    return percent(share) if math.isfinite(share) else "nothing"
