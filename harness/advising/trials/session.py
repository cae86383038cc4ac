"""A question from its price to what is recommended, in this order."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from hessbench.advising.choosing import Advice, choose
from hessbench.advising.observed import PilotResults
from hessbench.advising.trials.pilot import forecasts, run_pilot
from hessbench.advising.trials.prices import AdvicePrices, price_question
from hessbench.advising.trials.setting import AdviceSetting


@dataclass(frozen=True)
class AdviceSession:
    """All that was found.

    Attributes:
        prices: Before the pilot.
        pilot: What it said.
        advice: What is recommended.
        left_s: Seconds left of the budget.
    """

    prices: AdvicePrices
    pilot: PilotResults
    advice: Advice
    left_s: float


def advise(setting: AdviceSetting, on_priced: Callable[[AdvicePrices], None] = lambda _: None) -> AdviceSession:
    """Price, try, recommend.

    Args:
        setting: Where and what.
        on_priced: Told the prices before anything else runs.

    Raises:
        ValueError: If nothing can answer, the budget does not hold a product or a pilot, or the memory holds nothing.
    """
    question = setting.question
    begin = time.perf_counter()
    prices = price_question(setting)
    refuse_small(setting, prices)
    on_priced(prices)
    pilot = run_pilot(setting, prices)
    # What was measured and run before counts as it did then: the same command recommends the same.
    left_s = question.budget_s - max(pilot.seconds, time.perf_counter() - begin)
    found = forecasts(setting, prices, pilot)
    return AdviceSession(prices, pilot, choose(found, question, left_s), left_s)


def refuse_small(setting: AdviceSetting, prices: AdvicePrices) -> None:
    """Refuse a budget that does not hold a product, and a memory that holds no method.

    Raises:
        ValueError: Saying what the least is.
    """
    question, product = setting.question, prices.product
    least_s = product.fixed_s + product.seconds
    if question.budget_s < least_s:
        raise ValueError(
            f"budget must be at least {least_s:.2g}s: that long a process, a build and one product of "
            f"{question.problem} take, got {question.budget_s:g}s"
        )
    held = [it.held_bytes for it in prices.priced if not it.cannot and it.held_bytes is not None]
    if held and min(held) > question.memory_bytes:
        raise ValueError(
            f"memory must be at least {_mib(min(held))}MiB for {question.problem}: that much the leanest method "
            f"takes, got {_mib(question.memory_bytes)}MiB"
        )


def _mib(size: int) -> int:
    return -(-size // 2**20)
