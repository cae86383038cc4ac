"""Influence functions against leaving examples out, and conjugate gradients against a dense solve."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import scipy.linalg
import torch
from scipy import stats
from torch import Tensor

from hessbench.counting import CountingOperator
from hessbench.estimand.base import Array
from hessbench.methods.functions.cg import cg
from hessbench.operators import to_dense
from hessbench.problems.networks.network import Network
from hessbench.problems.training import recipe_for
from hessbench.reports.capstone.measures import DAMPING, STEPS
from hessbench.seeding import derive_seed, make_generator
from hessbench.studies.capstone.removals import retrained
from hessbench.studies.capstone.trained import PER_CLASS, RECIPE, network_of, problem
from hessbench.studies.unit import UnitRecord

LEFT_OUT: Final = 60
"""Examples that are left out, one a network."""

PRODUCTS: Final = 120
"""Most products of a solve."""

WITHIN: Final = 0.01
"""Relative error of a solution that counts as found."""


def measure_influence(record: UnitRecord, *, run: int) -> None:
    """Predict what leaving an example out does to the mean test loss, and leave it out.

    With G the GGN on the training images, removal of example i moves the parameters by (1/N) (G + d I)^-1 grad l_i, and
    the test loss by the product of that with its gradient g. One solve (G + d I) s = g serves all examples.

    Args:
        record: Of the unit.
        run: Number of the training.

    Cost: a dense solve, at most 120 products, and a training of 61 small networks.

    Source:
        Koh and Liang 2017, https://arxiv.org/abs/1703.04730; the GGN in place of an indefinite Hessian after Martens,
        https://arxiv.org/abs/1412.1193.
    """
    last = STEPS[-1]
    train, test = network_of(run, last), network_of(run, last, test=True)
    op = problem(run, last, "ggn").build(torch.device("cpu"), torch.float64)
    dense = to_dense(op).numpy()
    dense = (dense + dense.T) / 2
    damping = DAMPING * float(np.linalg.eigvalsh(dense)[-1])
    gradient = test.gradient()
    exact: Array = scipy.linalg.solve(dense + damping * np.eye(op.dim), gradient.numpy(), assume_a="pos")
    counted = CountingOperator(op, PRODUCTS)
    errors, found = _by_products(counted, gradient, damping, exact)
    reached = np.flatnonzero(errors <= WITHIN)
    record.add("solve_products", float(reached[0]) + 1 if reached.size else np.inf, method="cg")
    record.keep("solve errors", np.concatenate([errors, np.full(PRODUCTS - errors.size, errors[-1])]))

    rng = np.random.default_rng(derive_seed("capstone left out", str(run)))
    examples = sorted(rng.choice(train.num_samples, LEFT_OUT, replace=False).tolist())
    predicted = np.asarray([found @ train.example_gradient(it).numpy() for it in examples]) / train.num_samples
    samples = PER_CLASS * 10
    recipe = recipe_for(
        "mlp", "mnist-7x7", "cross-entropy", widths=(32,), text=RECIPE, run=run, samples=samples
    )  # fmt: skip
    whole, *others = retrained(network_of(run, 0), recipe, last, [-1, *examples])
    base = _loss(test, whole)
    changes = np.asarray([_loss(test, it) for it in others]) - base
    rho: Any = stats.spearmanr(predicted, changes)
    record.add("influence_rho", float(rho.statistic))
    record.add("influence_pearson", float(np.corrcoef(predicted, changes)[0, 1]))
    record.add("influence_slope", float(predicted @ changes / (predicted @ predicted)))
    record.add("left_out", len(examples))
    record.add("same_weights", float((whole - train.parameters).abs().max()))
    record.keep("predicted changes", predicted)
    record.keep("retrained changes", changes)


def _by_products(op: CountingOperator, b: Tensor, damping: float, exact: Array) -> tuple[Array, Array]:
    """Relative error of conjugate gradients after each product, and the last solution."""
    size = float(np.linalg.norm(exact))
    errors: list[float] = []
    solution = np.zeros_like(exact)
    for estimate in cg(op, num_matvecs=PRODUCTS, generator=make_generator(0), b=b, damping=damping):
        solution = np.asarray(estimate.resolve(lambda _: False).value)
        errors.append(float(np.linalg.norm(solution - exact)) / size)
    return np.asarray(errors), solution


def _loss(network: Network, parameters: Tensor) -> float:
    return float(network.objective(parameters))
