"""Advice in a terminal: tables for the price and the pilot, sentences for the rest."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from hessbench.advising.candidates import AdviceCandidate, Knowledge
from hessbench.advising.choosing import Advice, Forecast, WhyNot
from hessbench.advising.observed import PilotPoint, PilotResults
from hessbench.advising.priced import PricedCandidate, ProductPrice
from hessbench.advising.question import CONFIDENCE, AdviceQuestion
from hessbench.ledger.answering.words import percent
from hessbench.reports.writing import units

Table = tuple[tuple[str, ...], list[tuple[str, ...]]]
"""Heads and rows."""

_BY_ROWS: Final = ("-rows", "split-")
"""Parts of the names of methods whose budget is counted in rows."""


def asked(question: AdviceQuestion) -> str:
    """The question in one line."""
    return (
        f"{question.problem}, {question.estimand.spec} within {percent(question.within)}: n = {question.dim:,}, "
        f"budget {units.seconds(question.budget_s)}, memory {units.size(question.memory_bytes)}"
    )


def price_lines(question: AdviceQuestion, product: ProductPrice) -> list[str]:
    """What a product costs, and what the budget buys."""
    counted = f"{product.gradient_equivalents:.3g}"
    beside = "" if product.working_bytes is None else f" and {units.size(product.working_bytes)}"
    kept = "" if product.operator_bytes is None else f"; the operator keeps {units.size(product.operator_bytes)}"
    block = ""
    if product.block_width > 1:
        block = f", {units.seconds(product.block_s)} a column in a block of {product.block_width}"
    return [
        f"One product takes {units.seconds(product.seconds)}{beside}{block}{kept}; it counts as {counted} "
        f"gradient{'s' * (product.gradient_equivalents != 1)}.",
        f"Process, build and warm-up take {units.seconds(product.fixed_s)}; the budget then buys about "
        f"{product.bought(question.budget_s):,} products one at a time.",
        product.told,
    ]


def price_table(question: AdviceQuestion, priced: Sequence[PricedCandidate]) -> Table:
    """What each method's first pilot takes, and who cannot answer here."""
    heads = ("method", "products", "a run", "memory", "knows its error by", "")
    rows = [
        (
            it.candidate.spec,
            units.DASH if it.cannot else f"{it.budget:,}",
            units.DASH if it.seconds is None else units.seconds(it.seconds),
            units.DASH if it.held_bytes is None else units.size(it.held_bytes),
            _knowledge(it.candidate),
            it.cannot or _too_large(question, it),
        )
        for it in priced
    ]
    return heads, rows


def pilot_lines(question: AdviceQuestion, pilot: PilotResults) -> list[str]:
    """What the pilot was allowed, and what it took."""
    allowed = f"{percent(question.pilot_share)} of the budget, {units.seconds(question.pilot_s)}"
    if pilot.cells:
        return [f"{pilot.cells} runs in {units.seconds(pilot.seconds)} of {allowed}."]
    if pilot.least_s is not None:
        return [f"No run fits into {allowed}: the shortest takes {units.seconds(pilot.least_s)}."]
    return [f"Nothing was to be tried within {allowed}."]


def pilot_table(pilot: PilotResults, forecasts: Sequence[Forecast]) -> Table:
    """What each method said at each budget, and what is predicted from that."""
    needs = {it.needed.candidate: it for it in forecasts}
    groups: dict[tuple[AdviceCandidate, int], list[PilotPoint]] = {}
    for point in sorted(pilot.points, key=lambda it: it.budget):
        groups.setdefault((point.candidate, point.budget), []).append(point)
    heads = ("method", "products", "starts", "seconds", "gradients", "what it said of its error", "needs")
    rows: list[tuple[str, ...]] = []
    for candidate in dict.fromkeys(candidate for candidate, _ in groups):
        own = [(budget, at) for (of, budget), at in groups.items() if of == candidate]
        for budget, at in own:
            is_last = budget == own[-1][0]
            rows.append(
                (
                    candidate.spec,
                    f"{budget:,}",
                    str(len(at)),
                    units.seconds(float(np.mean([point.seconds for point in at]))),
                    f"{float(np.mean([point.gradient_equivalents for point in at])):.3g}",
                    _said(at, needs[candidate] if is_last else None),
                    _needs(needs[candidate]) if is_last else "",
                )
            )
    return heads, rows


def recommendation(advice: Advice) -> list[str]:
    """What to run, what it costs, and who comes next."""
    question, best = advice.question, advice.best
    if best is None:
        return [_nothing(advice), *(_other(it, question) for it in advice.others if it.why_not is WhyNot.TIME)]
    said = [f"{_run(best)}: {_costs(best)}.", _why(advice, best)]
    if advice.runner_up is not None:
        said.append(_other(advice.runner_up, question))
    return said


def promise(advice: Advice) -> str:
    """What is promised of the answer, and by what; or that nothing is."""
    question, best = advice.question, advice.best
    near = percent(question.within)
    if best is None:
        return "Nothing is promised, since nothing is recommended."
    if not question.may_be_promised:
        exact = best.needed.candidate.knows is Knowledge.EXACT
        ending = " (this one is exact to rounding by the way it is made)" if exact else ""
        return f"No method can know its own error of a {question.estimand.key}: nothing is promised{ending}."
    if not advice.promised:
        return (
            f"Nothing is promised: what {best.needed.candidate.spec} says of its own error was not found to hold in "
            "every study, or misses eigenvalues that it has not seen."
        )
    knows = best.needed.candidate.knows
    if knows is Knowledge.EXACT:
        return f"The answer will be within {near}: it is exact to the rounding of its products."
    by = "intervals that hold with 99.9 %" if knows is Knowledge.CERTIFIED else "its own interval"
    return (
        f"The answer will be within {near} with {percent(CONFIDENCE)} confidence by {by}, or it will say that it is "
        "not."
    )


def _knowledge(candidate: AdviceCandidate) -> str:
    return {
        Knowledge.EXACT: "exact" if candidate.whole else "exact once all is made",
        Knowledge.INTERVAL: "standard error",
        Knowledge.CERTIFIED: "certified intervals",
        Knowledge.RESIDUAL: "residuals",
        Knowledge.NONE: "nothing",
    }[candidate.knows]


def _said(points: Sequence[PilotPoint], last: Forecast | None) -> str:
    """In a few words, the widest of the starts."""
    candidate = points[0].candidate
    if candidate.knows is Knowledge.NONE:
        figure = None if last is None else last.needed.figure
        return "" if figure is None else f"{percent(figure)} off the other answers"
    if candidate.knows is Knowledge.INTERVAL:
        known = [point.stderr for point in points if point.stderr is not None]
        return f"standard error {_most(known)}" if known else "no standard error yet"
    if candidate.knows is Knowledge.EXACT:
        return "exact" if all(point.converged is not False for point in points) else "not all is made"
    widths = [point.width for point in points if point.width is not None]
    if candidate.knows is Knowledge.CERTIFIED and widths:
        ended = f", ended after {max(point.spent for point in points):,}"
        return f"intervals of {_most(widths)}{ended if all(point.converged for point in points) else ''}"
    residuals = [point.residual for point in points if point.residual is not None]
    return f"residuals up to {_most(residuals)} of the last value" if residuals else ""


def _most(values: Sequence[float]) -> str:
    return percent(max(values)) if math.isfinite(max(values)) else "more than the answer"


def _needs(it: Forecast) -> str:
    if it.needed.budget is None:
        return "not told"
    cost = "" if it.seconds is None else f", {units.seconds(it.seconds)}"
    return f"{it.needed.budget:,}{cost}"


def _run(it: Forecast) -> str:
    unit = "rows" if any(part in it.needed.candidate.name for part in _BY_ROWS) else "products"
    return f"{it.needed.candidate.spec} with {it.needed.budget or 0:,} {unit}"


def _costs(it: Forecast) -> str:
    parts = [] if it.seconds is None else [f"about {units.seconds(it.seconds)}"]
    if it.gradient_equivalents is not None:
        parts.append(f"{units.significant(it.gradient_equivalents)} gradient-equivalents")
    if it.held_bytes is not None:
        parts.append(f"at most {units.size(it.held_bytes)}")
    return ", ".join(parts)


def _why(advice: Advice, best: Forecast) -> str:
    candidate, figure = best.needed.candidate, best.needed.figure
    if candidate.whole:
        return "It takes as many products as there are columns and estimates nothing."
    if figure is None:
        return "Its pilot came to an answer."
    starts = f"{best.needed.starts} start{'s' * (best.needed.starts != 1)}"
    at = f"at {best.needed.pilot_budget:,} in {starts}"
    if candidate.knows is Knowledge.EXACT:
        return f"Its pilot was exact {at}."
    if candidate.knows is Knowledge.NONE:
        return f"Its pilot was {percent(figure)} off the other answers {at}; what all have in common is not seen."
    what = {
        Knowledge.INTERVAL: "was known to {} by its own interval",
        Knowledge.CERTIFIED: "had intervals of {}" if advice.promised else "had residuals of {}",
        Knowledge.RESIDUAL: "had residuals of {}",
    }[candidate.knows]
    reach = f", {units.significant(best.needed.stretch)} times its pilot" if best.needed.stretch > 1 else ""
    return f"Its pilot {what.format(_most([figure]))} {at}{reach}."


def _other(it: Forecast, question: AdviceQuestion) -> str:
    why = {
        WhyNot.DEARER: "it takes longer",
        WhyNot.NO_PROMISE: "what it says of its own error cannot be relied on",
        WhyNot.TIME: f"it takes longer than the budget of {units.seconds(question.budget_s)}",
    }.get(it.why_not, it.why_not.value)
    return f"Next: {_run(it)}, {_costs(it)}: {why}."


def _nothing(advice: Advice) -> str:
    question = advice.question
    tried = [it for it in advice.others if it.needed.figure is not None]
    nearest = min(tried, key=lambda it: it.needed.figure or 0.0, default=None)
    near = ""
    if nearest is not None and nearest.needed.figure is not None:
        near = (
            f" Nearest in the pilot was {nearest.needed.candidate.spec} with {_most([nearest.needed.figure])} at "
            f"{nearest.needed.pilot_budget:,}."
        )
    return f"Nothing is predicted to be within {percent(question.within)} in this time and memory.{near}"


def _too_large(question: AdviceQuestion, it: PricedCandidate) -> str:
    is_so = it.held_bytes is not None and it.held_bytes > question.memory_bytes
    return f"does not fit into {units.size(question.memory_bytes)}" if is_so else ""


def left_out(advice: Advice) -> list[str]:
    """Methods that were not tried or came to nothing, each with the reason."""
    said: list[str] = []
    for it in advice.others:
        why = {
            WhyNot.NO_ROOM: "its shortest pilot does not fit into the pilot's share",
            WhyNot.FAILED: it.detail.partition(": ")[2].rpartition(" (")[0] or it.detail,
            WhyNot.UNTOLD: "its pilot does not tell what it needs, or it would need many times the dimension",
            WhyNot.UNPRICED: "its price is not known",
        }.get(it.why_not)
        if why:
            said.append(f"{it.needed.candidate.spec}: {why}")
    return said
