"""One method's answer in words: its numbers, and what must be known of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from hessbench.ledger.answering import Answered, MethodAnswer, Ranking, State
from hessbench.ledger.answering.words import listed, percent, plural
from hessbench.ledger.spreads import Spread
from hessbench.reports.writing import units
from hessbench.reports.writing.escaping import clean
from hessbench.reports.writing.sheets import range_text

LESS_OR_EQUAL: Final = "\N{LESS-THAN OR EQUAL TO}"

BY: Final[dict[Ranking, str]] = {
    "seconds": "build + own time",
    "products": "products",
    "gradients": "gradient-equivalents",
    "memory": "peak memory",
    "passes": "passes over the data",
}
"""What ranks, in words."""


def sentence(answered: Answered) -> str:
    """Who answers a question within a tolerance at what cost, in one sentence."""
    question, best = answered.question, answered.best
    asked = f"{question.label}: "
    if answered.trivial is not None and answered.trivial.is_within:
        return clean(f"{asked}{answered.trivial.what}, which takes no product, is within ({trivial_error(answered)})")
    if best is None:
        return clean(asked + _nobody(answered))
    said = [best.method, plural(int(best.products.median), "product") if best.products else ""]
    if best.seconds is not None and best.build_s is not None:
        said.append(f"{units.seconds(best.seconds.median)} ({units.seconds(best.build_s.median)} of it build)")
    said += [f"error {error_text(best)}", _sure(best)]
    others = answered.reached[1:]
    if others and others[0].ratio is not None:
        said.append(f"next {others[0].method} at {units.ratio(others[0].ratio.spread.median)}")
    return clean(asked + ", ".join(filter(None, said)))


def error_text(entry: MethodAnswer) -> str:
    """The largest error of the repeats in percent; the bound of the reference where all are below it."""
    if entry.error is None:
        return units.DASH
    if entry.bound and entry.error.high <= entry.bound:
        return f"{LESS_OR_EQUAL}{percent(entry.bound)}"
    return percent(entry.error.median)


def trivial_error(answered: Answered) -> str:
    """The error of the answer that takes no product."""
    return f"error {percent(answered.trivial.error)}" if answered.trivial else ""


def details(entry: MethodAnswer) -> list[str]:
    """What to know of a method that reached the tolerance, beside its medians."""
    said: list[str] = []
    if entry.error is not None and error_text(entry)[0] != LESS_OR_EQUAL:
        said.append(_range("error", entry.error, percent))
    if entry.scaled_error is not None and entry.bound is not None and _is_told(entry):
        said.append(f"scaled error {percent(entry.scaled_error.median)}")
    if entry.seconds is not None:
        said.append(_range("total", entry.seconds, units.seconds))
    if entry.ratio is not None:
        said.append(_ratio(entry))
    if entry.peak_budget is not None and entry.budget is not None and entry.peak_budget != entry.budget:
        said.append(f"peak at budget {entry.peak_budget:,}")
    said += [entry.reason, entry.seconds_note, *(claim.text for claim in entry.claims)]
    said.append("no randomness" if entry.is_random is False and entry.repeats == 1 else "")
    return [clean(text) for text in said if text]


def shortfall(entry: MethodAnswer) -> str:
    """How far a method came that did not reach the tolerance, was not judged or failed."""
    said: list[str] = []
    if entry.error is not None and entry.budget is not None:
        extent = _range("", entry.error, percent)
        products = plural(int(entry.products.median), "product") if entry.products else f"budget {entry.budget:,}"
        said.append(f"{error_text(entry)}{f' ({extent})' if extent else ''} at {products}")
    if entry.state is not State.FAILED:
        said.append(entry.values)
    said += [entry.reason, *(claim.text for claim in entry.claims if claim.what == "converged")]
    return clean(f"{entry.method}: {'; '.join(filter(None, said))}")


def _sure(entry: MethodAnswer) -> str:
    if entry.is_random is False:
        return "no randomness"
    return f"{entry.repeats} of {entry.repeats} repeats"


def _nobody(answered: Answered) -> str:
    states = {entry.state for entry in answered.entries}
    near = [entry for entry in answered.entries if entry.state is State.NOT_REACHED]
    if answered.unsure:
        return f"not judged; {shortfall(answered.unsure[0])}"
    if near:
        return f"no method reached it; nearest {shortfall(near[0])}"
    if State.NOT_JUDGED in states:
        first = next(entry for entry in answered.entries if entry.state is State.NOT_JUDGED)
        return f"not judged; {first.method}: {first.reason}"
    return f"every method failed: {listed([entry.method for entry in answered.entries])}"


def _ratio(entry: MethodAnswer) -> str:
    if entry.ratio is None or entry.ratio.spread.low == entry.ratio.spread.high == 1:
        return ""
    extent = _range("", entry.ratio.spread, units.ratio)
    if entry.ratio.interval is not None:
        low, high = entry.ratio.interval
        extent = f"95 % of {units.significant(low)} to {units.ratio(high)}"
    return f"{units.ratio(entry.ratio.spread.median)} the best{f' ({extent})' if extent else ''}"


def _range(what: str, value: Spread, write: Callable[[float], str]) -> str:
    """Least to most, where they differ in print."""
    low, _, high = range_text(value, write).partition(" to ")
    if not high:
        return ""
    number, _, unit = low.partition(" ")
    return f"{what} {number if high.endswith(f' {unit}') else low} to {high}".strip()


def _is_told(entry: MethodAnswer) -> bool:
    return error_text(entry)[0] != LESS_OR_EQUAL
