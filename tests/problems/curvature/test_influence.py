"""Influence of samples: against dense gradients and solves, and against exact refits of a least-squares model."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.stats
import torch
from small_networks import SPLITS, oracle_of, small_network

from hessbench.counting import CountingOperator
from hessbench.operators import ProductKind, dense_operator
from hessbench.problems.curvature.influence import influences, slopes_along
from hessbench.problems.networks.losses import SQUARED
from hessbench.problems.networks.network import Batch, Network
from hessbench.spending import Spending


def dense_solve(damping):
    def solve(op, b):
        A = op.matmat(torch.eye(op.dim, dtype=op.dtype))
        return torch.linalg.solve(A + damping * torch.eye(op.dim, dtype=op.dtype), b)

    return solve


@pytest.mark.parametrize("sizes", SPLITS.values(), ids=SPLITS)
@pytest.mark.parametrize(
    ("name", "loss"),
    [("dense", "cross-entropy mean"), ("dense", "squared sum"), ("convolutions", "cross-entropy sum"),
     ("attention", "cross-entropy mean"), ("sequence", "of-positions mean")],
)  # fmt: skip
def test_slopes_are_those_of_the_gradients_of_single_samples(name, loss, sizes):
    network, spending = small_network(name, loss, sizes), Spending()
    X = torch.randn(network.parameters.numel(), 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = torch.stack([network.example_gradient(i) @ X for i in range(7)])
    torch.testing.assert_close(slopes_along(network, X, spending=spending), expected)
    assert spending.counts == {ProductKind.JVP: 2}


@pytest.mark.parametrize("loss", ["cross-entropy mean", "cross-entropy sum"])
def test_influences_are_those_of_the_dense_formula_and_charged(loss):
    network, oracle = small_network("dense", loss), oracle_of("dense", loss)
    (batch,) = network.batches
    test = replace(network, batches=(batch.part(slice(2, 5)),))
    op = CountingOperator(dense_operator(oracle.ggn))
    found = influences(op, network, test, dense_solve(0.3), spending=op.spending)
    inverse = torch.linalg.inv(oracle.ggn + 0.3 * torch.eye(36, dtype=torch.float64))
    expected = network.scale * oracle.gradients @ inverse @ test.gradient()
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-12)
    assert op.spending.counts == {ProductKind.PRODUCT: 36, ProductKind.GRADIENT: 1, ProductKind.JVP: 1}


def least_squares(count=40, columns=3):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((count, columns))
    return X, X @ rng.standard_normal((columns, 1)) + rng.standard_normal((count, 1))


def linear(X, y, theta):
    batch = Batch(torch.as_tensor(X), torch.as_tensor(y))
    return Network(lambda q, x: x @ q.view(-1, 1), torch.as_tensor(theta.ravel()), (batch,), SQUARED)


def test_influences_predict_exact_refits_of_least_squares():
    X, y = least_squares()
    others = np.random.default_rng(1).standard_normal((9, 3))
    targets = others.sum(axis=1, keepdims=True)

    def fit(rows):
        return np.linalg.lstsq(X[rows], y[rows], rcond=None)[0]

    def loss(theta):
        return float(np.square(others @ theta - targets).sum() / 2 / 9)

    every = np.arange(40)
    theta = fit(every)
    exact = np.array([loss(fit(every != i)) - loss(theta) for i in every])
    op = dense_operator(torch.as_tensor(X.T @ X / 40))
    found = influences(op, linear(X, y, theta), linear(others, targets, theta), dense_solve(0.0)).numpy()
    # To first order in 1/N: a refit moves by more, by the leverage of the sample, 3/40 on average.
    assert scipy.stats.spearmanr(found, exact).statistic > 0.98
    assert np.abs(found - exact).max() < 0.3 * np.abs(exact).max()


def test_what_does_not_fit_is_refused():
    network = small_network()
    with pytest.raises(ValueError, match="same parameters"):
        influences(dense_operator(torch.eye(3).double()), network, network, dense_solve(0.0))
    with pytest.raises(ValueError, match="one group"):
        slopes_along(replace(network, group=True), torch.ones(36, 1).double())
    with pytest.raises(ValueError, match="directions takes columns"):
        slopes_along(network, torch.ones(35, 1).double())
