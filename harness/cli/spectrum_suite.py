"""The small suite behind `hessbench spectrum`: which methods answer, at what budgets, and what that will take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from hessbench.cli.plan_prices import misfits
from hessbench.cli.spectrum_target import ProblemTarget
from hessbench.estimand.from_dense import DENSE_LIMIT
from hessbench.problem import Problem
from hessbench.reports.writing import units
from hessbench.running.block_prices import seconds_of
from hessbench.running.cell_prices import CellPrice
from hessbench.running.plan import PlannedCell
from hessbench.running.price_pass import LIMIT_S, price_plan
from hessbench.running.price_store import Place, PriceStore
from hessbench.running.suite import Cross, Suite

BUDGET: Final = 400
"""Products in all, where no other number is named."""
VALUES: Final = 10
RUNS: Final = 5
"""Runs of the density, each from starts of its own: what differs between them is the spread that is shown."""

LEAST_BUDGET: Final = 40
_MOST_STEPS: Final = 200
_BASIS: Final = 30
_REFERENCE_S: Final = 20.0
"""Seconds that a reference may be predicted to take to be made."""

_EIGH_FLOPS: Final = 10.0
_FLOPS_A_SECOND: Final = 2e10


@dataclass(frozen=True)
class SuitePrice:
    """What a suite is predicted to take.

    Attributes:
        seconds: In all; None where the products of a cell have no price.
        is_whole: Whether the methods' own arithmetic is in it.
        held_bytes: Most memory of a cell; None where nothing is known.
        products: Products in all.
        misfits: Why a cell may not fit into the memory.
        reference_s: Seconds to make the references by the whole matrix; None where nothing is known.
        told: Where the prices come from.
    """

    seconds: float | None
    is_whole: bool
    held_bytes: int | None
    products: int
    misfits: tuple[str, ...]
    reference_s: float | None
    told: str

    @property
    def text(self) -> str:
        """In one sentence."""
        took = "a time that could not be predicted"
        if self.seconds is not None:
            took = f"{'about' if self.is_whole else 'at least'} {units.seconds(self.seconds)}"
        held = "" if self.held_bytes is None else f" and {units.size(self.held_bytes)}"
        return f"{self.products:,} products, {took}{held}"


def spectrum_suite(problem: Problem, k: int = VALUES, budget: int = BUDGET) -> Suite:
    """The suite for the spectrum of one problem.

    Two fifths of the budget go to the first k eigenvalues by thick-restart Lanczos, one fifth to the trace by XTrace,
    or XNysTrace where the matrix is declared positive semi-definite, two fifths to the density by stochastic Lanczos
    quadrature in five runs, so that the spread between starts is seen.

    Args:
        problem: Of what.
        k: Number of eigenvalues; as many as the dimension where that is less.
        budget: Products in all.

    Raises:
        ValueError: If k or the budget is not accepted.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    least = max(LEAST_BUDGET, 4 * k)
    if budget < least:
        raise ValueError(f"budget must be at least {least} products for {k} eigenvalues, got {budget}")
    count = min(k, problem.dim)
    basis = max(_BASIS, 2 * count + 10)
    top = max(count, 2 * budget // 5)
    trace = max(2, budget // 5)
    each = max(1, 2 * budget // (5 * RUNS))
    steps = min(problem.dim, each, _MOST_STEPS)
    trace_method = "xnystrace" if "psd" in problem.traits else "xtrace"
    crosses = (
        Cross(f"top-eigenvalues[k={count}]", (problem.name,), (f"thick-restart-lanczos[basis={basis}]",), (top,),
              memory=False),
        Cross("trace", (problem.name,), (trace_method,), (trace,), memory=False),
        Cross("density", (problem.name,), (f"slq[steps={steps}]",), (each // steps * steps,), RUNS, memory=False),
    )  # fmt: skip
    return Suite("spectrum", 1, crosses)


def price_suite(planned: Sequence[PlannedCell], target: ProblemTarget, say: Callable[[str], None]) -> SuitePrice:
    """Price the cells of a suite on one problem, measuring what is not remembered.

    Args:
        planned: Its cells.
        target: The problem.
        say: Told what is measured.
    """
    store = PriceStore()
    prices, summary = price_plan(planned, store, LIMIT_S, say, plugins=target.plugins)
    found = [prices.cell_price(entry) for entry in planned]
    seconds = [it for price in found if (it := _seconds(price)) is not None]
    held = [price.held_bytes for price in found if price.held_bytes is not None]
    return SuitePrice(
        seconds=sum(seconds) if len(seconds) == len(found) else None,
        is_whole=all(price.seconds is not None for price in found),
        held_bytes=max(held, default=None),
        products=sum(entry.cell.budget for entry in planned),
        misfits=tuple(misfits(planned, prices, None)),
        reference_s=_reference_s(planned[0], store),
        told=summary.text,
    )


def refuse_long(price: SuitePrice, limit_s: float | None, problem: str) -> None:
    """Refuse what takes longer than a limit, or does not fit, unless someone has said yes.

    Args:
        price: What it is predicted to take.
        limit_s: The limit; None is none.
        problem: How the message calls the problem.

    Raises:
        ValueError: Saying what it would take.
    """
    if price.misfits:
        raise ValueError(f"{price.misfits[0]}; --yes starts it all the same")
    if limit_s is not None and (price.seconds is None or price.seconds > limit_s):
        raise ValueError(
            f"the spectrum of {problem} would take {price.text}, above the limit of {units.seconds(limit_s)}: --yes "
            "starts it, --limit raises the limit, a smaller --budget takes less"
        )


def makes_references(problem: Problem, price: SuitePrice) -> bool:
    """Whether references are made that are not kept: in closed form, or by a whole matrix that is quickly there."""
    if problem.network is None and problem.dim > DENSE_LIMIT:
        return True  # of such a size there is a reference in closed form, or none
    return problem.dim <= DENSE_LIMIT and price.reference_s is not None and price.reference_s <= _REFERENCE_S


def _seconds(price: CellPrice) -> float | None:
    """What is known of the time of a cell: with its products, and without its method's own arithmetic if need be."""
    parts = (price.start_s, price.build_s, price.warmup_s, price.products_s)
    known = [part for part in parts if part is not None]
    return sum(known) + (price.own_s or 0.0) if len(known) == len(parts) else None


def _reference_s(entry: PlannedCell, store: PriceStore) -> float | None:
    """All columns of the matrix one by one, and its eigenvalues."""
    known = store.of(Place.of(entry.cell))
    if known.built is None:
        return None
    products = seconds_of(known, {(known.built.kind_of_product, 1): known.built.dim})
    return None if products is None else products + _EIGH_FLOPS * known.built.dim**3 / _FLOPS_A_SECOND
