"""What products and methods cost here, before anything expensive runs, and what a run of any length will take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from hessbench.advising.candidates import AdviceCandidate, candidates
from hessbench.advising.observed import PilotPoint
from hessbench.advising.priced import PricedCandidate, ProductPrice
from hessbench.advising.trials.setting import AdviceRun, AdviceSetting
from hessbench.running.block_prices import seconds_of, working_bytes_of
from hessbench.running.cell_prices import CellPrice, price_of
from hessbench.running.price_pass import LIMIT_S, price_plan
from hessbench.running.price_store import Place, PlacePrices, PriceStore
from hessbench.spending import PRICES

_SHARE: Final = 0.1
"""Of the budget that measuring prices may take, at most `LIMIT_S` and at least `_LEAST_S`."""

_LEAST_S: Final = 3.0

MEMORY_MARGIN: Final = 1.2
"""Share of the predicted memory that a run takes at its most, by `tests/campaigns/prices.py`."""


@dataclass(frozen=True)
class AdvicePrices:
    """What is known of costs before the pilot."""

    product: ProductPrice
    priced: tuple[PricedCandidate, ...]
    known: PlacePrices


def price_question(setting: AdviceSetting, store: PriceStore | None = None) -> AdvicePrices:
    """Measure what a product costs and what each method's first pilot will.

    Raises:
        ValueError: If no method can answer, the problem cannot be built here, or its price cannot be had in the time.
    """
    question, problem = setting.question, setting.problem
    listed = candidates(setting.estimand, question.within)
    runs = {it: AdviceRun(it, (first_budget(it, setting),)) for it in listed}
    reasons = {it: problem.refusal or setting.bound(it).skip_reason(problem) for it in listed}
    able = [it for it in listed if not reasons[it]]
    if not able:
        raise ValueError(f"{problem.name}: {reasons[listed[0]]}")
    planned = {it: setting.planned([runs[it]])[0] for it in able}
    limit_s = min(LIMIT_S, max(_LEAST_S, _SHARE * question.budget_s))
    kept = store or PriceStore()
    catalog = setting.catalog if setting.own_catalog else None
    prices, summary = price_plan(
        list(planned.values()), kept, limit_s, setting.tell, plugins=setting.plugins, catalog=catalog
    )
    known = kept.of(Place.of(planned[able[0]].cell))
    if known.built is None or not known.blocks:
        why = summary.missing.get(problem.name, "its build and one product were not measured")
        raise ValueError(f"no price of {problem.name}: {why}; a larger budget gives it more time")
    priced = tuple(
        _priced(it, runs[it].budgets[0], prices.cell_price(planned[it]) if it in planned else None, reasons[it])
        for it in listed
    )
    return AdvicePrices(_product(known, summary.text), priced, known)


def first_budget(candidate: AdviceCandidate, setting: AdviceSetting) -> int:
    """Products of a method's first pilot, or all that it takes."""
    dim = setting.problem.dim
    if candidate.whole:
        return dim
    least = setting.bound(candidate).min_matvecs(dim)
    by_rows = setting.bound(candidate).method.works_by == "rows" or candidate.growth > 2
    return max(least, candidate.first if by_rows else min(candidate.first, dim))


def memory_at(setting: AdviceSetting, candidate: AdviceCandidate, budget: int, known: PlacePrices) -> int | None:
    """Memory that a run of a method will take, with a margin; None where nothing is known.

    Args:
        setting: Where.
        candidate: The method.
        budget: Products, or rows.
        known: What was measured.
    """
    price = price_of(setting.planned([AdviceRun(candidate, (budget,))])[0], known)
    return _with_margin(price)


def seconds_at(setting: AdviceSetting, points: Sequence[PilotPoint], budget: int) -> float:
    """Seconds of a run by its pilot: products in proportion, a method's own arithmetic by the vectors it passes.

    Args:
        setting: Where.
        points: Answers of the method's pilot.
        budget: Products, or rows.
    """
    last = max(points, key=lambda point: (point.budget, point.seconds))
    bound, dim = setting.bound(last.candidate), setting.problem.dim
    factor = budget / max(last.spent, 1)
    here, there = bound.footprint(dim, budget), bound.footprint(dim, last.spent)
    own = here.passes / there.passes if here is not None and there is not None and there.passes > 0 else factor
    return last.fixed_s + last.products_s * factor + last.own_s * max(own, factor)


def gradients_at(points: Sequence[PilotPoint], budget: int) -> float:
    """Gradient-equivalents of a run by its pilot, in proportion."""
    last = max(points, key=lambda point: point.budget)
    return last.gradient_equivalents * budget / max(last.spent, 1)


def _priced(candidate: AdviceCandidate, budget: int, price: CellPrice | None, cannot: str) -> PricedCandidate:
    if price is None:
        return PricedCandidate(candidate, budget, cannot=cannot)
    parts = (price.start_s, price.build_s, price.warmup_s, price.products_s)
    known = [part for part in parts if part is not None]
    seconds = sum(known) + (price.own_s or 0.0) if len(known) == len(parts) else None
    return PricedCandidate(candidate, budget, seconds, _with_margin(price))


def _with_margin(price: CellPrice) -> int | None:
    return None if price.held_bytes is None else int(price.held_bytes * MEMORY_MARGIN)


def _product(known: PlacePrices, told: str) -> ProductPrice:
    built = known.built
    assert built is not None, "who calls has looked"
    kind = built.kind_of_product
    blocks = known.blocks[kind]
    widest = max(blocks)
    single = seconds_of(known, {(kind, 1): 1}) or blocks[min(blocks)].seconds / min(blocks)
    counted = next((price for of, price in PRICES.items() if of.value == kind), 1.0)
    return ProductPrice(
        seconds=single,
        block_s=blocks[widest].seconds / widest,
        block_width=widest,
        working_bytes=working_bytes_of(known, {(kind, 1): 1}),
        operator_bytes=built.operator_bytes,
        gradient_equivalents=counted,
        fixed_s=known.start_s + built.build_s + 5 * single,
        told=told,
    )
