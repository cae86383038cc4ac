"""Influence functions against leaving examples out, and conjugate gradients against a dense solve."""

from __future__ import annotations

from typing import Final

import numpy as np
import scipy.linalg
import torch
from torch import Tensor

from hessbench.counting import CountingOperator
from hessbench.estimand.base import Array
from hessbench.methods.functions.cg import cg
from hessbench.methods.functions.damped_solution import damped_solver
from hessbench.operators import to_dense
from hessbench.problems.curvature.influence import influences
from hessbench.problems.network_families.weights_source import weights_of
from hessbench.problems.training.left_out import leave_one_out
from hessbench.reports.capstone.measures import DAMPING, STEPS
from hessbench.seeding import derive_seed, make_generator
from hessbench.studies.capstone.trained import network_of, problem
from hessbench.studies.unit import UnitRecord

LEFT_OUT: Final = 60
"""Examples that are left out, one a network."""

PRODUCTS: Final = 120
"""Most products of a solve."""

WITHIN: Final = 0.01
"""Relative error of a solution that counts as found."""


def measure_influence(record: UnitRecord, *, run: int) -> None:
    """Predict what leaving an example out does to the mean test loss, and leave it out.

    The damped GGN stands for the Hessian, on which conjugate gradients are not defined where it is indefinite (Martens,
    https://arxiv.org/abs/1412.1193, section 8). One solve serves all examples.

    Args:
        record: Of the unit.
        run: Number of the training.

    Cost: a dense solve, at most 120 products, and a training of 61 small networks.
    """
    last = STEPS[-1]
    asked = problem(run, last, "ggn")
    train, test = network_of(run, last), network_of(run, last, test=True)
    op = asked.build(torch.device("cpu"), torch.float64)
    dense = to_dense(op).numpy()
    damping = DAMPING * float(np.linalg.eigvalsh(dense)[-1])
    gradient = test.gradient()
    exact: Array = scipy.linalg.solve(dense + damping * np.eye(op.dim), gradient.numpy(), assume_a="pos")
    errors = _errors_by_products(CountingOperator(op, PRODUCTS), gradient, damping, exact)
    reached = np.flatnonzero(errors <= WITHIN)
    record.add("solve_products", float(reached[0]) + 1 if reached.size else np.inf, method="cg")
    record.keep("solve errors", np.concatenate([errors, np.full(PRODUCTS - errors.size, errors[-1])]))

    counted = CountingOperator(op)
    predicted = influences(counted, train, test, damped_solver(damping, PRODUCTS), spending=counted.spending)
    rng = np.random.default_rng(derive_seed("capstone left out", str(run)))
    examples: list[int] = sorted(rng.choice(train.num_samples, LEFT_OUT, replace=False).tolist())
    source = weights_of(asked)
    seen = source.samples
    (judge,) = test.batches
    found = leave_one_out(
        source.shell, source.initial, seen.inputs, seen.labels, source.recipe, examples,
        (torch.as_tensor(judge.inputs), judge.targets), step=last,
    )  # fmt: skip
    changes, told = found.changes.numpy(), predicted[examples].numpy()
    record.add("influence_rho", found.rank_correlation(predicted))
    record.add("influence_pearson", float(np.corrcoef(told, changes)[0, 1]))
    record.add("influence_slope", float(told @ changes / (told @ told)))
    record.add("influence_equivalents", counted.spending.gradient_equivalents)
    record.add("left_out", len(examples))
    # Nothing left out, the runner must end where the stored training did: at its test loss.
    record.add("same_loss", found.whole - float(test.objective(test.parameters)))
    record.keep("predicted changes", told)
    record.keep("retrained changes", changes)


def _errors_by_products(op: CountingOperator, b: Tensor, damping: float, exact: Array) -> Array:
    """Relative error of conjugate gradients after each product."""
    size = float(np.linalg.norm(exact))
    steps = cg(op, num_matvecs=PRODUCTS, generator=make_generator(0), b=b, damping=damping)
    found = (np.asarray(estimate.resolve(lambda _: False).value) for estimate in steps)
    return np.asarray([float(np.linalg.norm(solution - exact)) / size for solution in found])
