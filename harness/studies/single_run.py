"""One run of a method on a counted operator, outside a ledger: its last answer within the budget."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any, cast

import torch

from hessbench.counting import BudgetExceeded, CountingOperator
from hessbench.estimand import Estimate
from hessbench.method import BoundMethod
from hessbench.operators import LinearOperator


def last_estimate(method: BoundMethod, operator: LinearOperator, budget: int, generator: torch.Generator) -> Estimate:
    """Run a method and keep its last answer.

    Args:
        method: Bound to what it estimates.
        operator: Symmetric operator of dimension n.
        budget: Most products.
        generator: Source of its starts.

    Raises:
        BudgetExceeded: If the budget ran out before the first answer.
        ValueError: If the method yields nothing.
    """
    return last_counted(method, CountingOperator(operator, budget), budget, generator)


def last_counted(method: BoundMethod, counted: CountingOperator, budget: int, generator: torch.Generator) -> Estimate:
    """The same on an operator that is counted already, which tells afterwards what was spent.

    Raises:
        BudgetExceeded: If the budget ran out before the first answer.
        ValueError: If the method yields nothing.
    """
    result: Any = method.run(counted, budget, generator)
    if isinstance(result, Estimate):
        return result.resolve(lambda _: False)
    kept: deque[Estimate] = deque(maxlen=1)
    try:
        kept.extend(cast("Iterator[Estimate]", result))
    except BudgetExceeded:
        if not kept:
            raise
    if not kept:
        raise ValueError("the method yielded no estimate")
    return kept[0].resolve(lambda _: False)
