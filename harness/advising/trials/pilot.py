"""The pilot: the few best methods at small budgets, longer where the first answers do not tell enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from hessbench.advising.agreement import disagreements
from hessbench.advising.candidates import AdviceCandidate, Knowledge
from hessbench.advising.choosing import Forecast, WhyNot
from hessbench.advising.forecast import Needed, level_of, needed_by_agreement, needed_by_claims
from hessbench.advising.observed import PilotPoint, PilotResults
from hessbench.advising.priced import PricedCandidate
from hessbench.advising.question import CONFIDENCE
from hessbench.advising.trials.prices import AdvicePrices, gradients_at, memory_at, seconds_at
from hessbench.advising.trials.setting import AdviceRun, AdviceSetting
from hessbench.estimand import Density

_ROUNDS: Final = 8
_ENOUGH: Final = 3.0
"""How far a prediction may reach beyond its pilot before that is made longer, where there is time."""

_AT_ONCE: Final = 3
"""Methods that run longer in a round."""


def run_pilot(setting: AdviceSetting, prices: AdvicePrices) -> PilotResults:
    """Try methods within the pilot's share of the budget.

    First each method that fits runs at its first budget and the next; then those that may turn out cheapest run
    longer, one step a round, while what they need is not known or lies far beyond what was tried.

    Args:
        setting: Where.
        prices: What things cost.
    """
    results = PilotResults()
    chosen = _first_runs(setting, prices, results)
    at = {it.candidate: it.budgets[-1] for it in chosen}
    for _ in range(_ROUNDS):
        if not chosen:
            break
        _perform(setting, chosen, results)
        chosen = []
        found = forecasts(setting, prices, results)
        left = setting.question.pilot_s - results.seconds
        for run in _longer(setting, prices, results, found, at):
            points = results.of(run.candidate)
            takes = run.repeats * seconds_at(setting, points, run.budgets[-1])
            if takes <= left:
                left -= takes
                at[run.candidate] = run.budgets[-1]
                chosen.append(run)
    return results


def forecasts(setting: AdviceSetting, prices: AdvicePrices, results: PilotResults) -> list[Forecast]:
    """What each method needs and costs by what is known so far."""
    errors: dict[tuple[str, int], float] = {}
    if not setting.question.may_be_promised:
        errors = disagreements(results.points, setting.estimand, setting.dtype)
    return [_forecast(setting, prices, results, it, errors) for it in prices.priced]


def _forecast(
    setting: AdviceSetting,
    prices: AdvicePrices,
    results: PilotResults,
    priced: PricedCandidate,
    errors: dict[tuple[str, int], float],
) -> Forecast:
    candidate, question = priced.candidate, setting.question
    nothing = Needed(candidate, None)
    if priced.cannot:
        return Forecast(nothing, why_not=WhyNot.CANNOT, detail=priced.cannot)
    if _is_too_large(priced, setting):
        return Forecast(Needed(candidate, priced.budget), priced.seconds, None, priced.held_bytes, WhyNot.MEMORY)
    if candidate.whole:
        counted = prices.product.gradient_equivalents * priced.budget
        return Forecast(Needed(candidate, priced.budget), priced.seconds, counted, priced.held_bytes)
    points = results.of(candidate)
    if not points:
        failed = next((it for it in results.failed if it.candidate == candidate), None)
        if failed is not None:
            return Forecast(nothing, why_not=WhyNot.FAILED, detail=failed.why)
        return Forecast(nothing, priced.seconds, None, priced.held_bytes, WhyNot.NO_ROOM)
    if candidate.knows is Knowledge.NONE:
        own = {budget: error for (spec, budget), error in errors.items() if spec == candidate.spec}
        flat = isinstance(setting.estimand, Density)
        needed = needed_by_agreement(candidate, own, question.within, may_flatten=flat, starts=candidate.repeats)
    else:
        needed = needed_by_claims(points, question.within, level_of(0, CONFIDENCE))
    if needed.budget is None:
        return Forecast(needed)
    bound = setting.bound(candidate)
    budget = max(needed.budget, bound.min_matvecs(setting.problem.dim))
    if bound.method.works_by != "rows" and candidate.growth == 2 and budget > 10 * setting.problem.dim:
        # By then the whole matrix is known many times over.
        return Forecast(replace(needed, budget=None))
    return Forecast(
        needed=replace(needed, budget=budget),
        seconds=seconds_at(setting, points, budget),
        gradient_equivalents=gradients_at(points, budget),
        held_bytes=memory_at(setting, candidate, budget, prices.known),
    )


def _first_runs(setting: AdviceSetting, prices: AdvicePrices, results: PilotResults) -> list[AdviceRun]:
    """The methods that fit, in the order of the list, each at its first budget and the next."""
    left = setting.question.pilot_s
    chosen: list[AdviceRun] = []
    least: list[float] = []
    for it in prices.priced:
        candidate = it.candidate
        if it.cannot or candidate.whole or it.seconds is None or _is_too_large(it, setting):
            continue
        second = _next_budget(setting, candidate, it.budget)
        beside = prices.product.fixed_s
        takes = candidate.repeats * it.seconds
        longer = candidate.repeats * (beside + (it.seconds - beside) * (second or 0) / it.budget)
        is_one_run = setting.bound(candidate).method.is_anytime
        both = max(takes, longer) if is_one_run else takes + longer
        if second is not None and both <= left / 2:
            left -= both
            chosen.append(AdviceRun(candidate, (it.budget, second), candidate.repeats))
        elif takes <= left:
            left -= takes
            chosen.append(AdviceRun(candidate, (it.budget,), candidate.repeats))
        else:
            results.no_room.append(candidate)
            least.append(takes)
    if not chosen and least:
        results.least_s = min(least)
    return chosen


def _longer(
    setting: AdviceSetting,
    prices: AdvicePrices,
    results: PilotResults,
    found: Sequence[Forecast],
    at: dict[AdviceCandidate, int],
) -> list[AdviceRun]:
    """Who should run longer: whose need is not known, or lies far beyond its pilot, and who may still be cheapest."""
    best = min((it.seconds for it in found if it.seconds is not None and not it.why_not), default=float("inf"))
    order = sorted(found, key=lambda it: it.seconds if it.seconds is not None else float("inf"))
    runs: list[AdviceRun] = []
    for it in order:
        candidate = it.needed.candidate
        budget = at.get(candidate)
        points = results.of(candidate)
        if budget is None or not points or it.why_not or it.needed.stretch <= _ENOUGH:
            continue
        longer = _next_budget(setting, candidate, budget)
        if longer is None:
            continue
        memory = memory_at(setting, candidate, longer, prices.known)
        fits = memory is None or memory <= setting.question.memory_bytes
        # A longer pilot is to cost less than the best that is known so far.
        if fits and len(runs) < _AT_ONCE and candidate.repeats * seconds_at(setting, points, longer) <= best:
            runs.append(AdviceRun(candidate, (longer,), candidate.repeats))
    return runs


def _perform(setting: AdviceSetting, runs: Sequence[AdviceRun], results: PilotResults) -> None:
    points, failed = setting.perform(runs, setting.question.pilot_s)
    results.points += points
    results.failed += failed
    results.cells += sum(run.repeats for run in runs)
    # Budgets of one run share what comes before them, and the larger holds the smaller.
    cells: dict[tuple[AdviceCandidate, int, int], PilotPoint] = {}
    for point in points:
        is_one_run = setting.bound(point.candidate).method.is_anytime
        key = point.candidate, point.repeat, 0 if is_one_run else point.budget
        cells[key] = max(point, cells.get(key, point), key=lambda it: it.budget)
    results.seconds += sum(point.seconds for point in cells.values())


def _next_budget(setting: AdviceSetting, candidate: AdviceCandidate, budget: int) -> int | None:
    """The next larger budget of a pilot; None where as many products as the dimension have been spent."""
    larger = budget * candidate.growth
    if setting.bound(candidate).method.works_by == "rows" or candidate.growth > 2:
        return larger
    return larger if larger <= setting.problem.dim else None


def _is_too_large(priced: PricedCandidate, setting: AdviceSetting) -> bool:
    return priced.held_bytes is not None and priced.held_bytes > setting.question.memory_bytes
