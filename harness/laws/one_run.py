"""One run of a method on a small operator: what it spent, and everything it handed over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from hessbench.counting import CountingOperator
from hessbench.estimand import Arrays, Estimate
from hessbench.estimand.settled import settled
from hessbench.laws.small_operator import small_operator
from hessbench.method import BoundMethod
from hessbench.operators import LinearOperator
from hessbench.seeding import make_generator


@dataclass(frozen=True)
class Run:
    """What one run spent and yielded."""

    spent: int
    yields: tuple[tuple[int, Arrays], ...]


class Broken(Exception):  # noqa: N818
    """A law does not hold."""


def run_once(
    bound: BoundMethod, num_matvecs: int, seed: int = 1, op: LinearOperator | None = None, *, late: bool = False
) -> Run:
    """Run a method on a small operator and evaluate everything it yields.

    Args:
        bound: The method.
        num_matvecs: Its budget.
        seed: Of its generator.
        op: Another operator than the small one that the method accepts.
        late: Whether values are evaluated after the run, in place of at once.
    """
    counting = CountingOperator(op or small_operator(bound.method), num_matvecs)
    yielded: list[tuple[int, Estimate]] = []
    for estimate in estimates(bound, counting, num_matvecs, seed):
        yielded.append((counting.matvecs, settled(estimate) if late else settled(estimate.resolve())))
    yields = tuple((spent, own_answer(bound, estimate.resolve(), counting)) for spent, estimate in yielded)
    return Run(counting.matvecs, yields)


def estimates(bound: BoundMethod, counting: CountingOperator, num_matvecs: int, seed: int = 1) -> Iterator[Estimate]:
    """What a method hands over, until the budget is spent.

    Args:
        bound: The method.
        counting: The operator it is handed.
        num_matvecs: Its budget.
        seed: Of its generator.

    Raises:
        Broken: If it is no estimate.
    """
    result: Any = bound.run(counting, num_matvecs, make_generator(seed))
    for estimate in result if bound.method.is_anytime else [result]:
        if not isinstance(estimate, Estimate):
            raise Broken(f"a method returns or yields Estimate, got {type(estimate).__name__}")
        yield estimate
        if counting.matvecs >= num_matvecs:
            break


def own_answer(bound: BoundMethod, estimate: Estimate, op: LinearOperator) -> Arrays:
    """The arrays of the answer to the estimand asked for.

    Args:
        bound: The method.
        estimate: Evaluated.
        op: What it was run on.

    Raises:
        Broken: If there is none.
    """
    found = bound.answer(estimate, op.dim, str(op.dtype).removeprefix("torch."))
    if found is None:
        raise Broken(f"no answer to {bound.run_for.key}: it must be the value of the first estimand, or in `also`")
    return bound.estimand.to_arrays(found.value, op.dim)
