"""The document's four computations at its budgets, others at the same number of products, and their errors."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor

from hessbench.counting import CountingOperator
from hessbench.estimand import Density, Estimand, Estimate, Reference, Source, TopEigenspace, TopEigenvalues, Trace
from hessbench.estimand.base import Array
from hessbench.estimand.density import density_reference
from hessbench.estimand.eigenvalues import top_reference
from hessbench.estimand.from_dense import dense_references
from hessbench.estimand.trace import trace_reference
from hessbench.operators import LinearOperator
from hessbench.reports.capstone.measures import (
    EIGENFUNCTIONS,
    GRANTED,
    GRID,
    HUTCHINSON,
    LANCZOS,
    RANDOMIZED,
    SLQ,
    TOP,
    step,
)
from hessbench.seeding import cell_seed, make_generator
from hessbench.studies.capstone.spectra import ExactStep
from hessbench.studies.capstone.trained import catalog, problem
from hessbench.studies.single_run import last_answer
from hessbench.studies.unit import UnitRecord, costs_of

DTYPE: Final = "float32"


@dataclass(frozen=True)
class Computation:
    """A question of the document, the method it asks, and others that are asked the same.

    Attributes:
        measure: Name of the error.
        estimand: What is asked.
        method: The document's.
        others: Their specs.
    """

    measure: str
    estimand: Estimand
    method: str
    others: tuple[str, ...]

    @property
    def budget(self) -> int:
        """Products of every method."""
        return GRANTED[self.method]


TOP_OF_HESSIAN: Final = Computation(
    "top_error", TopEigenvalues(TOP), LANCZOS, ("lanczos[reorth=full]", "block-krylov", "randomized-eigh")
)
TRACE: Final = Computation("trace_error", Trace(), HUTCHINSON, ("hutchpp", "xtrace"))
DENSITY: Final = Computation("density_error", Density(), SLQ, ("krylov-aware-slq", "deflated-slq", "slq[steps=120]"))
KERNEL: Final = Computation(
    "kernel_error", TopEigenvalues(EIGENFUNCTIONS), RANDOMIZED, ("nystrom", "lanczos[reorth=full]", "block-krylov")
)
OF_HESSIAN: Final = (TOP_OF_HESSIAN, TRACE, DENSITY)


@dataclass(frozen=True)
class RunAnswer:
    """What a method answered, what it was charged and how long it took."""

    estimate: Estimate
    counted: CountingOperator
    seconds: float


def ask(spec: str, estimand: Estimand, op: LinearOperator, budget: int, seeded_as: str) -> RunAnswer:
    """Run a method on a counted operator.

    Args:
        spec: Of the method.
        estimand: What is asked.
        op: Symmetric operator.
        budget: Most products.
        seeded_as: Name of the problem, from which the starts are drawn: the same for every method.
    """
    counted = CountingOperator(op, budget)
    generator = make_generator(cell_seed(seeded_as, estimand.spec, 0), op.device)
    begin = time.perf_counter()
    estimate = last_answer(catalog().method(spec, estimand), counted, budget, generator)
    return RunAnswer(estimate, counted, time.perf_counter() - begin)


def record_hessian(record: UnitRecord, exact: ExactStep, *, drawn: bool) -> None:
    """Ask the three computations of the Hessian, and others, and take down their errors.

    Args:
        record: Of the unit.
        exact: The network at the step.
        drawn: Whether what they found is kept for figures.
    """
    asked = problem(exact.run, exact.number)
    references = _references(exact)
    op = asked.build(torch.device("cpu"), torch.float32)
    for computation in OF_HESSIAN:
        reference = references[computation]
        for method in (computation.method, *computation.others):
            answer = ask(method, computation.estimand, op, computation.budget, asked.name)
            _record(record, step(exact.number), computation, method, answer, reference)
            if method == computation.method:
                _record_own(record, step(exact.number), computation, answer, drawn=drawn)


def _references(exact: ExactStep) -> dict[Computation, Reference]:
    """Truths of the three computations from the spectrum that is known already."""
    values = exact.eigenvalues
    bound = values.size * 2.0**-52 * float(np.abs(values).max())
    return {
        TOP_OF_HESSIAN: top_reference(values, TopEigenvalues(TOP), Source.DENSE, bound),
        TRACE: trace_reference(values, Source.DENSE, bound),
        DENSITY: density_reference(values, Source.DENSE, bound),
    }


def record_kernel(record: UnitRecord, run: int, number: int, kernel: Tensor) -> Array:
    """Ask for the first eigenfunctions of the kernel by the document's method and others.

    Args:
        record: Of the unit.
        run: Number of the training.
        number: Step.
        kernel: K (N, N), exact.

    Returns:
        The eigenfunctions (N, `EIGENFUNCTIONS`) that the document's method found.
    """
    asked = problem(run, number, "ntk", test=True)
    references = dense_references(lambda: np.asarray(kernel.double().numpy()))
    values = references[TopEigenvalues](KERNEL.estimand)
    space = TopEigenspace(EIGENFUNCTIONS)
    spaces = references[TopEigenspace](space)
    op = asked.build(torch.device("cpu"), torch.float32)
    found = np.empty(0)
    for method in (KERNEL.method, *KERNEL.others):
        answer = ask(method, KERNEL.estimand, op, KERNEL.budget, asked.name)
        _record(record, step(number), KERNEL, method, answer, values)
        basis = ask(method, space, op, KERNEL.budget, asked.name).estimate.value
        lost = space.errors(space.to_arrays(basis, asked.dim), spaces, DTYPE)["lost_overlap"]
        record.add("kernel_space_error", lost, problem=step(number), method=method)
        if method == KERNEL.method:
            found = np.asarray(basis)
    return found


def _record(
    record: UnitRecord, at: str, computation: Computation, method: str, answer: RunAnswer, reference: Reference
) -> None:
    estimand = computation.estimand
    arrays = estimand.to_arrays(answer.estimate.value, answer.counted.dim)
    errors = estimand.errors(arrays, reference, DTYPE)
    costs = costs_of(answer.counted, answer.seconds)
    record.add(computation.measure, errors[estimand.primary], problem=at, method=method, costs=costs)
    record.add("products", answer.counted.matvecs, problem=at, method=method)


def _record_own(record: UnitRecord, at: str, computation: Computation, answer: RunAnswer, *, drawn: bool) -> None:
    """What the document draws of its own methods."""
    value = answer.estimate.value
    if computation is TRACE:
        record.add("trace_estimate", float(value), problem=at, method=HUTCHINSON)
        record.add("trace_stderr", float(answer.estimate.stderr or np.nan), problem=at, method=HUTCHINSON)
    elif computation is TOP_OF_HESSIAN:
        found = np.abs(np.asarray(value))
        record.keep(f"{at} ritz magnitudes", np.sort(found)[::-1])
    else:
        nodes, weights = (np.asarray(part) for part in value)
        outside = (nodes < GRID[0]) | (nodes > GRID[1])
        record.add("mass_outside_grid", float(weights[outside].sum()), problem=at, method=SLQ)
        if drawn:
            record.keep(f"{at} nodes", nodes)
            record.keep(f"{at} weights", weights)
