"""The diagonal of a Hessian from its outputs and its curved units: exact, charged, checked."""

import numpy as np
import pytest
import torch
from torch import nn

from hessbench.catalog import load_catalog
from hessbench.counting import CountingOperator
from hessbench.estimand import Trace
from hessbench.methods.diagonal.hessian_diagonal import hessian_diagonal_exact
from hessbench.operators import ProductKind, to_dense
from hessbench.problems.curvature.curved_units import CurvedUnits
from hessbench.problems.curvature.structured import StructuredHessian
from hessbench.problems.networks.flat import module_forward
from hessbench.problems.networks.network import Batch, Network
from hessbench.problems.references.dense import dense_hessian
from hessbench.seeding import make_generator

CHECK = 16
LEAST = 3 + 2 * 9 + CHECK
"""Of the tanh network: its outputs, its units, those of the one sample of the check, and products with that."""


def network_of(*layers, dtype=torch.float64):
    torch.manual_seed(0)
    module = nn.Sequential(*layers).double().eval()
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.7)
    forward, parameters = module_forward(module)
    X = torch.randn(20, 6, dtype=torch.float64)
    return Network(forward, parameters, (Batch(X, torch.arange(20) % 3),)).to(torch.device("cpu"), dtype)


def tanh_network(dtype=torch.float64):
    return network_of(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3), dtype=dtype)


def no_products():
    raise AssertionError("a product of the whole was made")


def run(network, num_matvecs, seed=0, shift=0.0, **settings):
    op = CountingOperator(StructuredHessian(network, no_products, shift), num_matvecs)
    return hessian_diagonal_exact(op, num_matvecs=num_matvecs, generator=make_generator(seed), **settings), op


@pytest.mark.parametrize("shift", [0.0, 0.3])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_the_diagonal_of_a_curved_network_is_exact_and_costs_a_square_for_each_output_and_unit(dtype, shift):
    estimate, op = run(tanh_network(dtype), LEAST, shift=shift)
    expected = torch.as_tensor(dense_hessian(tanh_network())).diagonal() + shift
    assert estimate.value.dtype == dtype
    gap = (estimate.value.double() - expected).abs().max() / expected.abs().max()
    assert float(gap) < 20 * torch.finfo(dtype).eps
    assert estimate.also[Trace].value == pytest.approx(float(expected.sum()), rel=1e-5)
    assert (estimate.stderr, estimate.converged) == (0.0, True)
    assert op.spending.counts == {
        ProductKind.PER_EXAMPLE_SQUARE: 3 + 9 + 9, ProductKind.HESSIAN: CHECK // 2, ProductKind.FORWARD: 3,
    }  # fmt: skip


def test_where_nothing_is_curved_only_the_check_is_made():
    network = network_of(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))
    estimate, op = run(network, 5)
    np.testing.assert_allclose(estimate.value, dense_hessian(network).diagonal(), rtol=1e-12)
    assert op.spending.counts[ProductKind.PER_EXAMPLE_SQUARE] == 3


def test_the_digits_perceptron_takes_some_gradients_and_no_product_of_all_samples():
    problem = load_catalog().problems["digits-mlp"].problem("digits-mlp")
    problem.load()
    counted = CountingOperator(problem.build_rows(torch.device("cpu"), torch.float64), 200)
    estimate = hessian_diagonal_exact(counted, num_matvecs=200, generator=make_generator(0))
    expected = to_dense(problem.build(torch.device("cpu"), torch.float64)).diagonal()
    assert float((estimate.value - expected).norm() / expected.norm()) < 1e-12
    # The squares of both parts with passes of their own, the forward pass of the structure, a check on one sample.
    assert counted.spending.gradient_equivalents < 3.5


@pytest.mark.parametrize("num_matvecs", [LEAST - 1, 1])
def test_a_budget_that_does_not_hold_it_is_refused_before_any_product(num_matvecs):
    op = CountingOperator(StructuredHessian(tanh_network(), no_products), num_matvecs)
    with pytest.raises(ValueError, match=f"num_matvecs must be at least {LEAST}, got {num_matvecs}"):
        hessian_diagonal_exact(op, num_matvecs=num_matvecs, generator=make_generator(0))
    assert op.matvecs == 0


def test_what_is_curved_in_anything_else_is_refused_in_one_sentence():
    network = network_of(nn.Linear(6, 5), nn.LayerNorm(5), nn.Linear(5, 3))
    with pytest.raises(ValueError, match=r"curved in aten\.native_layer_norm\.default: accepted is a network"):
        run(network, 100)


@pytest.mark.parametrize("seed", range(5))
def test_a_wrong_claim_of_the_units_is_caught(seed, monkeypatch):
    true = CurvedUnits.diagonal
    monkeypatch.setattr(CurvedUnits, "diagonal", lambda units: 1.001 * true(units))
    with pytest.raises(ValueError, match="another diagonal than its curved units say"):
        run(tanh_network(), 100, seed)
