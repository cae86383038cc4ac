"""The laws every method keeps, checked on small operators with known matrices."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch

from hessbench.counting import BudgetExceeded, CountingOperator
from hessbench.estimand import ESTIMANDS, Arrays, Estimand, Estimate
from hessbench.laws.global_settings import changes, settings
from hessbench.laws.one_run import Broken, Run, estimates, own_answer, run_once
from hessbench.laws.small_network import HIDDEN
from hessbench.laws.small_operator import DIM, small_operator
from hessbench.laws.small_structured import GROUPS, OUTPUTS
from hessbench.method import BoundMethod, Method
from hessbench.problem import FACTOR, NETWORK, PARTS
from hessbench.seeding import make_generator
from hessbench.specs import Spec, spec_of
from hessbench.tally import TalliedOperator

REFUSED: Final = "refused in a sentence"


@dataclass(frozen=True)
class LawVerdict:
    """Whether a law held, and what was seen."""

    law: str
    passed: bool
    detail: str = ""


def check_method(method: Method, spec: Spec | str) -> Iterator[LawVerdict]:
    """Hold a method against every law, for each estimand it answers.

    Args:
        method: The method.
        spec: Its spec, with parameters.

    Yields:
        One verdict per law and estimand, or one for an estimand that these settings refuse.
    """
    asked = spec_of(spec)
    for kind in method.estimands:
        estimand = small_estimand(kind)
        bound = method.bind(asked, estimand)
        if bound.refusal:
            yield LawVerdict(f"{REFUSED} ({estimand.spec})", passed=True, detail=bound.refusal)
            continue
        for law, check in LAWS.items():
            try:
                detail = check(bound)
            except Broken as broken:
                yield LawVerdict(f"{law} ({estimand.spec})", passed=False, detail=str(broken))
            except Exception as failure:  # noqa: BLE001 -- a method may raise anything; that is what is reported
                yield LawVerdict(
                    f"{law} ({estimand.spec})", passed=False, detail=f"{type(failure).__name__}: {failure}"
                )
            else:
                yield LawVerdict(f"{law} ({estimand.spec})", passed=True, detail=detail)


def small_estimand(kind: type[Estimand]) -> Estimand:
    """The estimand of a kind that is asked for: three eigenvalues or eigenvectors, all of anything else."""
    return kind.of_size(3)


def _budgets(bound: BoundMethod) -> list[int]:
    # What a method needs may depend on a factor's outputs or a structure's groups: the dimension does not tell.
    least = max(bound.min_matvecs(DIM), OUTPUTS if FACTOR in bound.method.requires else 1)
    least += OUTPUTS + HIDDEN if NETWORK in bound.method.requires else 0
    least += OUTPUTS + GROUPS if PARTS in bound.method.requires else 0
    return sorted({least, least + 1, least + 5, 2 * least + 3, DIM})


def _answers(bound: BoundMethod) -> str:
    run = run_once(bound, max(_budgets(bound)))
    if not run.yields:
        raise Broken("the method ended without an estimate")
    for name, array in run.yields[-1][1].items():
        if not np.isfinite(array).all():
            raise Broken(f"{name} is not finite")
    return f"{len(run.yields)} estimate{'s' if len(run.yields) > 1 else ''} in {run.spent} products"


def _is_read_from(bound: BoundMethod) -> str:
    """What is read from the answer: each is a number, or not defined on these nodes for a reason that is told.

    Raises:
        Broken: If one is neither.
    """
    kinds = [kind for kind in ESTIMANDS.values() if kind.read_from is type(bound.estimand)]
    budget = max(_budgets(bound))
    counting = CountingOperator(small_operator(bound.method), budget)
    last = deque(estimates(bound, counting, budget), maxlen=1) if kinds else deque[Estimate]()
    for kind in kinds if last else []:
        read = bound.method.bind(bound.spec, small_estimand(kind))
        found = read.answer(last[0].resolve(), counting.dim, "float64")
        if found is None or not (np.isfinite(found.value) or found.diagnostics.get("reason")):
            raise Broken(f"{read.estimand.spec} cannot be read from it, and nothing says why")
    return ", ".join(kind.key for kind in kinds) or "nothing is"


def _budget_is_kept(bound: BoundMethod) -> str:
    for budget in _budgets(bound):
        if budget < bound.min_matvecs(DIM):
            continue
        try:
            run = run_once(bound, budget)
        except BudgetExceeded as exceeded:
            raise Broken(f"with num_matvecs={budget}: {exceeded}") from None
        if not run.yields:
            raise Broken(f"with num_matvecs={budget} the method ended without an estimate; "
                          "raise min_matvecs if that is too few")  # fmt: skip
    return f"budgets {', '.join(map(str, _budgets(bound)))}"


def _prefix(bound: BoundMethod) -> str:
    if not bound.method.is_anytime:
        return "one-shot: a cell of its own per budget"
    short = max(DIM // 2, bound.min_matvecs(DIM))
    long = 2 * short
    first, second = run_once(bound, short), run_once(bound, long)
    early = [entry for entry in second.yields if entry[0] <= short]
    for (spent, one), (again, two) in zip(first.yields, early, strict=False):
        if spent != again or not _same(one, two):
            raise Broken(f"at {spent} products the run with budget {short} differs from the run with budget {long}")
    if not early or len(first.yields) != len(early):
        raise Broken(f"the run with budget {long} yields {len(early)} estimates within {short} products, "
                      f"the run with that budget {len(first.yields)}")  # fmt: skip
    return f"{len(early)} estimates within {short} products agree bit for bit"


def _same_seed(bound: BoundMethod) -> str:
    budget = max(_budgets(bound))
    one, two = run_once(bound, budget), run_once(bound, budget)
    if one.spent != two.spent or not _same_yields(one, two):
        raise Broken("two runs from the same generator state differ")
    return "same bits twice"


def _late(bound: BoundMethod) -> str:
    if not bound.method.is_anytime:
        return "one-shot: evaluated when it is returned"
    budget = max(_budgets(bound))
    if not _same_yields(run_once(bound, budget), run_once(bound, budget, late=True)):
        raise Broken("a value evaluated after the run went on differs: a function must hold all it needs")
    return "values evaluated after the run are the same"


def _no_late_products(bound: BoundMethod) -> str:
    if not bound.method.is_anytime:
        return "one-shot: what its value takes counts in its row"
    counting = CountingOperator(small_operator(bound.method), max(_budgets(bound)))
    for estimate in estimates(bound, counting, max(_budgets(bound))):
        spent = counting.matvecs
        estimate.resolve()
        if counting.matvecs != spent:
            raise Broken(f"evaluating what was yielded at {spent} products took {counting.matvecs - spent} more: "
                          "make them before the yield, so that they belong to its budget")  # fmt: skip
    return "values take no products when they are evaluated"


def _values_stay(bound: BoundMethod) -> str:
    if not bound.method.is_anytime:
        return "one-shot: nothing follows"
    counting = CountingOperator(small_operator(bound.method), max(_budgets(bound)))
    held: list[tuple[int, Estimate, Arrays]] = []
    for estimate in estimates(bound, counting, max(_budgets(bound))):
        if callable(estimate.value):
            continue  # the law of late values
        answer = own_answer(bound, estimate.resolve(), counting)
        held.append((counting.matvecs, estimate, {name: array.copy() for name, array in answer.items()}))
    for spent, estimate, before in held:
        if not _same(before, own_answer(bound, estimate.resolve(), counting)):
            raise Broken(f"the value yielded at {spent} products was changed afterwards: yield a copy of what goes on")
    return f"{len(held)} values stayed as they were yielded"


def _every_product(bound: BoundMethod) -> str:
    tally = TalliedOperator(small_operator(bound.method))
    counting = CountingOperator(tally, max(_budgets(bound)))
    for estimate in estimates(bound, counting, max(_budgets(bound))):
        estimate.resolve()
    charged = counting.matvecs - counting.spending.outside
    if tally.columns != charged:
        raise Broken(f"{tally.columns} products were computed and {charged} charged: the method went round the count")
    if not counting.matvecs and bound.min_matvecs(DIM) >= 1:
        raise Broken("no product was charged; a method that needs none declares min_matvecs=0")
    return f"{charged} products computed, as many charged"


def _inputs_untouched(bound: BoundMethod) -> str:
    op = small_operator(bound.method)
    witness = torch.randn(DIM, 2, generator=make_generator(3), dtype=op.dtype)
    before = op.matmat(witness)
    run_once(bound, max(_budgets(bound)), op=op)
    if not torch.equal(before, op.matmat(witness)):
        raise Broken("the operator's products changed during the run")
    return "products before and after are equal"


def _dtype(bound: BoundMethod) -> str:
    for dtype in (torch.float32, torch.float64):
        op = small_operator(bound.method, dtype)
        run = run_once(bound, max(_budgets(bound)), op=op)
        if not run.yields:
            raise Broken(f"no estimate in {dtype}")
    return "float32 and float64, on the CPU"


def _globals(bound: BoundMethod) -> str:
    before = _global_state()
    run_once(bound, max(_budgets(bound)))
    after = _global_state()
    changed = changes(before, after)
    if changed:
        raise Broken(f"changed: {', '.join(changed)}; the only randomness is the generator handed in")
    return "no global generator or setting changed"


def _too_small(bound: BoundMethod) -> str:
    least = bound.min_matvecs(DIM)
    if least <= 1:
        return "every budget from 1 is accepted; the harness refuses less"
    # The declaration is what refuses; called without the harness, a method may do whatever the budget explains.
    says = f"{least - 1} refused by the harness, from min_matvecs = {least}"
    try:
        run_once(bound, least - 1)
    except BudgetExceeded:
        return f"{says}; called by itself the method overruns"
    except Exception as failure:  # noqa: BLE001 -- a method may raise anything; that is what is reported
        if isinstance(failure, ValueError) and str(least) in str(failure):
            return f"{least - 1} refused: {failure}"
        raise Broken(f"with {least - 1} products, one below min_matvecs, the method fails for another reason than "
                      f"a refusal that names {least}: {type(failure).__name__}: {failure}") from None  # fmt: skip
    return f"{says}; called by itself the method accepts it"


def _global_state() -> dict[str, object]:
    return {
        "torch's generator": torch.get_rng_state().numpy().tobytes(),
        "numpy's generator": str(np.random.get_state()),
        "random's generator": random.getstate(),
        "the number of threads": torch.get_num_threads(),
        **settings(),
    }


def _same(one: Arrays, two: Arrays) -> bool:
    return all(np.array_equal(one[name], two[name], equal_nan=True) for name in one)


def _same_yields(one: Run, two: Run) -> bool:
    return len(one.yields) == len(two.yields) and all(
        a == b and _same(left, right) for (a, left), (b, right) in zip(one.yields, two.yields, strict=True)
    )


LAWS: Final[dict[str, Callable[[BoundMethod], str]]] = {
    # First: a setting made the same at every run is seen only at the first.
    "no global generator touched": _globals,
    "answers its estimand": _answers,
    "what is read from it": _is_read_from,
    "budget obeyed to the unit": _budget_is_kept,
    "prefix law or one-shot": _prefix,
    "same seed, same bits": _same_seed,
    "values may be evaluated late": _late,
    "no products after the yield": _no_late_products,
    "values stay as yielded": _values_stay,
    "every product charged": _every_product,
    "inputs untouched": _inputs_untouched,
    "dtype and device kept": _dtype,
    "too small a budget refused": _too_small,
}
"""Every law by name; each returns what was seen, or raises."""
