"""What a method will need for a tolerance, from what its pilot said and the law that its error follows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from hessbench.advising.belief import least_believed
from hessbench.advising.candidates import AdviceCandidate, Knowledge
from hessbench.advising.observed import PilotPoint
from hessbench.estimand.interval import half_width

FIRST_LOOK: Final = 0.5
"""Share of the probability of failure for the first answer; half of what is left for each further one."""

MARGIN: Final = 1.25
"""Factor by which what a method claims is taken to be wider at its next start."""

BLIND_MARGIN: Final = 1.5
"""The same for an error that is told by agreement alone."""

SLOWEST: Final = 0.5
"""Exponent with which the error of a mean falls; those that fall faster are taken to do so by half of what is more."""

_STEEPEST: Final = 2.0
_LEAST_SLOPE: Final = 0.1
"""Exponent below which an error is taken not to fall."""

_MORE: Final = 1.25
"""Factor of products by which another start may need more, of a run that ends by itself."""


@dataclass(frozen=True)
class Needed:
    """What a method is predicted to need.

    Attributes:
        candidate: The method.
        budget: Products, or rows; None where the pilot does not tell.
        pilot_budget: The largest budget of its pilot; 0 where there was none.
        figure: What its error was there, relative: half of an interval, a residual, or by agreement; None where
            nothing was said.
        starts: Starts behind that.
    """

    candidate: AdviceCandidate
    budget: int | None
    pilot_budget: int = 0
    figure: float | None = None
    starts: int = 0

    @property
    def stretch(self) -> float:
        """How far the prediction reaches beyond the pilot."""
        if self.budget is None:
            return math.inf
        return self.budget / self.pilot_budget if self.pilot_budget else 1.0


def level_of(look: int, confidence: float) -> float:
    """Confidence of a look, from 0, such that all of them hold together with a confidence."""
    return 1 - (1 - confidence) * FIRST_LOOK ** (look + 1)


def claimed_share(within: float) -> float:
    """Half width, relative to the answer, that implies an error within a tolerance relative to the truth."""
    return within / (1 + within)


def needed_by_claims(points: Sequence[PilotPoint], within: float, confidence: float) -> Needed:
    """What a method needs that says something of its own error.

    Args:
        points: Its answers, of one or more budgets.
        within: Largest relative error accepted.
        confidence: Of the first look at the answer.
    """
    candidate = points[0].candidate
    by_budget = _by_budget(points)
    widths = {
        budget: max(found)
        for budget, at in by_budget.items()
        if len(found := [it for point in at if (it := point.half_width(confidence)) is not None]) == len(at)
    }
    most = max(by_budget)
    if not widths:
        return _of_residuals(candidate, by_budget, within, most)
    last = max(widths)
    figure, starts = widths[last], len(by_budget[last])
    allowed = claimed_share(within) if candidate.knows is Knowledge.INTERVAL else within
    margin = 1.0 if candidate.knows in (Knowledge.EXACT, Knowledge.CERTIFIED) else MARGIN
    enough = [budget for budget in sorted(widths) if all(widths[b] * margin <= allowed for b in widths if b >= budget)]
    if enough:
        spent = max(point.spent for point in by_budget[enough[0]])
        budget = _ending(candidate, spent, enough[0])
        return Needed(candidate, max(budget, least_believed(candidate)), most, figure, starts)
    if candidate.knows in (Knowledge.RESIDUAL, Knowledge.CERTIFIED):
        return _of_residuals(candidate, by_budget, within, most)
    slope = _slope({budget: _stderr(by_budget[budget]) for budget in widths})
    budget = _by_quantile(by_budget[last], last, slope, allowed / margin, confidence)
    return Needed(candidate, None if budget is None else max(budget, least_believed(candidate)), most, figure, starts)


def needed_by_agreement(
    candidate: AdviceCandidate, errors: dict[int, float], within: float, *, may_flatten: bool, starts: int
) -> Needed:
    """What a method needs that says nothing of its error.

    Args:
        candidate: The method.
        errors: By agreement, at each budget.
        within: Largest relative error accepted.
        may_flatten: Whether a part of the error may not fall with the budget, such as that of a smoothed density.
        starts: Starts behind each.
    """
    if not errors:
        return Needed(candidate, None)
    last = max(errors)
    figure = errors[last]
    allowed = within / BLIND_MARGIN
    enough = [budget for budget in sorted(errors) if all(errors[b] <= allowed for b in errors if b >= budget)]
    if enough:
        return Needed(candidate, enough[0], last, figure, starts)
    slope = min(_slope(errors, least=0.0 if may_flatten else SLOWEST), SLOWEST if may_flatten else _STEEPEST)
    if slope < _LEAST_SLOPE or not math.isfinite(figure):
        return Needed(candidate, None, last, figure, starts)
    return Needed(candidate, math.ceil(last * (figure / allowed) ** (1 / slope)), last, figure, starts)


def larger_budget(point: PilotPoint, within: float, confidence: float) -> int | None:
    """The budget with which an answer that is not near enough is tried again; None where it says nothing.

    Args:
        point: The answer.
        within: Largest relative error accepted.
        confidence: Of the next look.
    """
    least = math.ceil(1.5 * point.budget)
    if point.candidate.knows is not Knowledge.INTERVAL:
        return 2 * point.budget
    budget = _by_quantile([point], point.budget, SLOWEST, claimed_share(within) / MARGIN, confidence)
    return None if budget is None else max(budget, least)


def _ending(candidate: AdviceCandidate, spent: int, budget: int) -> int:
    """Of a run that ends by itself, what it spent and something more; of any other, what it was given."""
    if candidate.knows in (Knowledge.CERTIFIED, Knowledge.EXACT):
        return max(candidate.first, math.ceil(spent * _MORE))
    return budget


def _of_residuals(
    candidate: AdviceCandidate, by_budget: dict[int, list[PilotPoint]], within: float, most: int
) -> Needed:
    """Where residuals reach the tolerance, on the line that their logarithms fall on."""
    found = {
        budget: max(residuals)
        for budget, at in by_budget.items()
        if (residuals := [point.residual for point in at if point.residual is not None])
    }
    if not found or candidate.knows not in (Knowledge.RESIDUAL, Knowledge.CERTIFIED):
        return Needed(candidate, None, most, None, len(by_budget[most]))
    last = max(found)
    figure, starts = found[last], len(by_budget[last])
    before = [budget for budget in found if budget < last]
    if not before or not 0 < figure < found[max(before)]:
        return Needed(candidate, None, most, figure, starts)
    # The error of a value is about the square of its residual: an interval is there before the residual is.
    allowed = within if candidate.knows is Knowledge.RESIDUAL else math.sqrt(within) / 2
    rate = math.log(found[max(before)] / figure) / (last - max(before))
    steps = max(last, last + math.log(figure / allowed) / rate)
    # As many again for the bound of what no residual sees.
    share = 2.0 if candidate.knows is Knowledge.CERTIFIED else _MORE
    return Needed(candidate, math.ceil(share * steps), most, figure, starts)


def _by_quantile(
    points: Sequence[PilotPoint], last: int, slope: float, allowed: float, confidence: float
) -> int | None:
    """The budget at which a standard error that falls by a power is narrow enough, by Student's quantile there."""
    stderr = _stderr(points)
    if not math.isfinite(stderr):
        return None
    dof = max((point.dof for point in points if point.dof is not None), default=None)
    factor = 1.0
    while factor < 1e12:
        grown = None if dof is None else dof * factor
        half = half_width(stderr * factor**-slope, grown, confidence)
        if half is not None and half <= allowed:
            return math.ceil(last * factor)
        factor *= 1.05
    return None


def _stderr(points: Sequence[PilotPoint]) -> float:
    return max((point.stderr for point in points if point.stderr is not None), default=math.inf)


def _slope(sizes: dict[int, float], least: float = SLOWEST) -> float:
    """Exponent with which sizes fall from the first budget to the last: half of what is above that of a mean."""
    known = sorted(budget for budget, size in sizes.items() if 0 < size < math.inf)
    if len(known) < 2:
        return SLOWEST
    first, last = known[0], known[-1]
    seen = math.log(sizes[first] / sizes[last]) / math.log(last / first)
    if seen <= SLOWEST:
        return max(seen, least)
    return min(SLOWEST + (seen - SLOWEST) / 2, _STEEPEST)


def _by_budget(points: Sequence[PilotPoint]) -> dict[int, list[PilotPoint]]:
    found: dict[int, list[PilotPoint]] = {}
    for point in points:
        found.setdefault(point.budget, []).append(point)
    return found
