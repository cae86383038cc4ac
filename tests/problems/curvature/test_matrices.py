"""What curvature operators say, refuse, cost and leave alone; their products are held in `test_products.py`."""

import subprocess
import sys

import pytest
import torch
from small_networks import CLASSES, LOSSES, SAMPLES, small_network
from torch.utils.flop_counter import FlopCounterMode

from hessbench.counting import CountingOperator
from hessbench.operators import Factor, Factored, ProductKind, info_of, to_dense
from hessbench.problems.curvature.engines.choosing import Limits
from hessbench.problems.curvature.engines.engine import MATRICES
from hessbench.problems.curvature.matrices import (
    OPERATORS,
    curvature_operator,
    exact_operator,
    has_factor,
    is_psd,
)
from hessbench.problems.networks.losses import Loss
from hessbench.problems.networks.network import Batch, Network


@pytest.fixture(autouse=True)
def one_thread():
    """Products this small wait for a second thread longer than they take."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


RAGGED = (3, 3, 1)


def test_products_say_what_they_are_and_what_they_cost():
    prices = {"hessian": 2.0, "residual": 2.0, "ntk": CLASSES * 4 / 3}
    for operator in OPERATORS:
        op = curvature_operator(small_network(sizes=RAGGED), operator)
        info = info_of(op)
        kind = ProductKind.HESSIAN if operator in ("hessian", "residual") else ProductKind.GGN
        assert (info.kind, info.population) == (kind, SAMPLES), operator
        assert "blocks" in info.engine, operator
        counted = CountingOperator(op)
        counted.matmat(torch.ones(op.dim, 2, dtype=torch.float64))
        assert counted.spending.gradient_equivalents == pytest.approx(2 * prices.get(operator, 4 / 3)), operator


def test_an_engine_that_is_named_is_taken_and_said():
    for operator in ("hessian", "ggn"):
        engine = info_of(curvature_operator(small_network(), operator, "double-backward")).engine
        assert engine == "double-backward, vectorised blocks"


@pytest.mark.parametrize("operator", ["ntk", "gradient-second-moment"])
def test_operators_with_one_way_take_no_engine_and_no_micro_batches(operator):
    with pytest.raises(ValueError, match=f"engine of the {operator} must be one of auto, got 'kept-graph'"):
        curvature_operator(small_network(), operator, "kept-graph")
    with pytest.raises(ValueError, match=f"micro_batch is not for the {operator}"):
        curvature_operator(small_network(), operator, limits=Limits(micro_batch=2))


def test_references_are_computed_by_one_engine_whatever_is_fastest():
    for network, operator, engine in (
        (small_network(), "hessian", "kept-graph"),
        (small_network(), "ggn", "kept-graph"),
        (small_network("convolutions"), "ggn", "linearised"),
        (small_network("convolutions", traced=False), "ggn", "kept-graph"),
    ):
        assert info_of(exact_operator(network, operator)).engine.startswith(f"{engine}, ")


def test_an_unknown_operator_is_refused():
    with pytest.raises(
        ValueError,
        match="operator must be one of hessian, ggn, residual, gradient-second-moment, gradient-covariance, "
        "monte-carlo-fisher, ntk, gram, got 'fish'",
    ):
        curvature_operator(small_network(), "fish")


@pytest.mark.parametrize("name", ["dense", "convolutions"])
def test_the_factor_times_its_transpose_is_the_ggn(name):
    for loss in ("cross-entropy mean", "cross-entropy sum", "squared mean"):
        op = curvature_operator(small_network(name, loss, RAGGED), "ggn", "kept-graph")
        assert isinstance(op, Factored)
        assert isinstance(op.factor, Factor)
        assert (op.factor.num_samples, op.factor.num_outputs, op.factor.num_columns) == (7, 3, 21)
        columns = op.factor.rmatmat(torch.eye(21, dtype=torch.float64))
        torch.testing.assert_close(columns @ columns.T, to_dense(op, 50), rtol=0, atol=1e-13)


def test_a_loss_without_a_root_has_no_factor_and_is_not_called_semi_definite():
    op = curvature_operator(small_network(loss="log-cosh mean"), "ggn")
    assert not isinstance(op, Factored)
    assert not has_factor(LOSSES["log-cosh mean"], "ggn")
    assert not is_psd(LOSSES["log-cosh mean"], "ggn")
    assert is_psd(LOSSES["log-cosh mean"], "ntk")
    assert is_psd(LOSSES["squared sum"], "ggn")
    assert not is_psd(LOSSES["squared sum"], "hessian")


@pytest.mark.parametrize("batched", [True, False])
def test_squared_sums_are_sums_over_samples_of_squares_whatever_the_chunk(batched, monkeypatch):
    op = curvature_operator(small_network(sizes=RAGGED, batched=batched), "ggn", "kept-graph")
    columns = op.factor.rmatmat(torch.eye(21, dtype=torch.float64)).view(op.dim, SAMPLES, CLASSES)
    block = torch.randn(21, 2, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    truth = torch.einsum("pic,icj->pij", columns, block.view(SAMPLES, CLASSES, 2)).square().sum(dim=1)
    for entries in (1, 2 * 27, 2**24):
        monkeypatch.setattr("hessbench.problems.curvature.factor._EXAMPLE_GRADIENT_ENTRIES", entries)
        torch.testing.assert_close(op.factor.squared_sum(block), truth, rtol=0, atol=1e-13)


def test_a_loss_that_is_not_finite_is_refused_with_the_number_of_its_batch():
    network = small_network(sizes=RAGGED)
    network.batches[1].inputs[2, 0] = torch.nan
    for operator in OPERATORS:
        with pytest.raises(ValueError, match=r"the loss of batch 2 is nan in torch\.float64"):
            curvature_operator(network, operator)


def test_a_gradient_that_does_not_change_is_refused():
    linear = Network(lambda q, x: x * q, torch.ones(3), (Batch(torch.ones(2, 3), torch.zeros(2)),),
                     Loss("linear", lambda outputs, _: outputs.sum()))  # fmt: skip
    with pytest.raises(ValueError, match="the gradient does not change with the parameters"):
        curvature_operator(linear, "hessian")
    with pytest.raises(ValueError, match="the gradient of the loss linear does not change with the outputs"):
        curvature_operator(linear, "ggn")


@pytest.mark.parametrize("name", ["dense", "convolutions"])
def test_floating_point_operations_of_a_product_are_counted_and_grow_with_the_block(name):
    for operator in OPERATORS:
        engine = "kept-graph" if operator in MATRICES else "auto"
        op = curvature_operator(small_network(name, dtype=torch.float32), operator, engine)
        op.matmat(torch.ones(op.dim, 2))  # the first block of several columns measures what one takes
        counts = []
        for columns in (1, 4):
            with FlopCounterMode(display=False) as counter:
                op.matmat(torch.ones(op.dim, columns))
            counts.append(counter.get_total_flops())
        assert counts[0] > 0, operator
        assert counts[1] == 4 * counts[0], operator


def test_the_network_is_left_as_it_was():
    network = small_network(sizes=RAGGED)
    before = network.parameters.clone()
    for operator in OPERATORS:
        op = curvature_operator(network, operator)
        op.matmat(torch.ones(op.dim, 2, dtype=torch.float64))
    assert torch.equal(network.parameters, before)
    assert not network.parameters.requires_grad
    assert network.parameters.grad is None


FORKED = """
import os, torch
from hessbench.problems import PROBLEMS
import sklearn.datasets
family = next(entry for entry in PROBLEMS if entry.name == "digits-mlp")
child = os.fork()
if child == 0:
    problem = family.problem("digits-mlp[operator={operator},step=10]")
    op = problem.build(torch.device("cpu"), torch.float32)
    for columns in (1, 4):
        assert torch.isfinite(op.matmat(torch.ones(op.dim, columns))).all()
    os._exit(7)
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.parametrize("operator", ["hessian", pytest.param("ggn", marks=pytest.mark.slow)])
def test_an_operator_can_be_built_and_used_in_a_forked_child(operator):
    code = FORKED.format(operator=operator)
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=300).returncode == 7
