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
    return last_yielded(method, CountingOperator(operator, budget), budget, generator).resolve(lambda _: False)


def last_answer(method: BoundMethod, counted: CountingOperator, budget: int, generator: torch.Generator) -> Estimate:
    """The last answer to the estimand of a method, on an operator that tells afterwards what was spent.

    Args:
        method: Bound to what it estimates.
        counted: Symmetric operator of dimension n.
        budget: Most products.
        generator: Source of its starts.

    Raises:
        BudgetExceeded: If the budget ran out before the first answer.
        ValueError: If the method yields nothing, or nothing of its estimand.
    """
    latest = last_yielded(method, counted, budget, generator).resolve(lambda kind: kind is type(method.run_for))
    found = method.answer(latest, counted.dim, str(counted.dtype).removeprefix("torch."))
    if found is None:
        raise ValueError(f"{method.spec} gave no answer to {method.estimand.spec}")
    return found


def last_yielded(method: BoundMethod, counted: CountingOperator, budget: int, generator: torch.Generator) -> Estimate:
    """The last estimate of a run as the method hands it back, for whoever resolves it.

    Args:
        method: Bound to what it estimates.
        counted: Symmetric operator of dimension n.
        budget: Most products.
        generator: Source of its starts.

    Raises:
        BudgetExceeded: If the budget ran out before the first answer.
        ValueError: If the method yields nothing.
    """
    result: Any = method.run(counted, budget, generator)
    if isinstance(result, Estimate):
        return result
    kept: deque[Estimate] = deque(maxlen=1)
    try:
        kept.extend(cast("Iterator[Estimate]", result))
    except BudgetExceeded:
        if not kept:
            raise
    if not kept:
        raise ValueError("the method yielded no estimate")
    return kept[0]
