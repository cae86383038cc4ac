"""A method of one's own over the problems of a published suite: the same budgets, repeats and seeds, nobody else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from hessbench.estimand import parse_estimand
from hessbench.method import Method
from hessbench.running.suite import Selection, Suite


def own_suite(suite: Suite, method: Method, spec: str, asks: Callable[[str], bool]) -> Suite:
    """The suite with one method in every cross of an estimand it answers, and no other.

    Crosses that ask for as many products as the matrix has rows are left out, as those of dense answers are; the memory
    pass too, which no place depends on.

    Args:
        suite: What was published.
        method: The method.
        spec: With its parameters.
        asks: Whether an estimand is asked for.

    Raises:
        ValueError: If the method answers no estimand of the suite that is asked for.
    """
    asked = dict.fromkeys(cross.estimand for cross in suite.crosses if asks(cross.estimand))
    kept = [
        replace(cross, memory=False)
        for cross in suite.crosses
        if asks(cross.estimand) and method.answers(type(parse_estimand(cross.estimand))) and cross.num_matvecs != ("n",)
    ]
    if not kept:
        answered = ", ".join(kind.key for kind in method.estimands)
        raise ValueError(f"{spec} answers {answered}; the suite {suite.label} asks for "
                         f"{', '.join(asked) or 'nothing of that name'}")  # fmt: skip
    return replace(suite, crosses=tuple(kept), selection=Selection(methods=(spec,), add=(spec,)))
