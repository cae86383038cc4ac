"""What an operator takes, refuses and leaves alone, whatever its engine."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from hessbench.operators import Factored, to_dense
from hessbench.problems.curvature.engines.choosing import Limits
from hessbench.problems.curvature.engines.table import ENGINES
from hessbench.problems.curvature.matrices import OPERATORS, curvature_operator
from hessbench.problems.networks.flat import flat_forward, flat_parameters, parameter_shapes
from hessbench.problems.networks.network import Batch, Network

EAGER = [name for name in ENGINES if name != "compiled"]
ACCEPTED = "auto, rules, kept-graph, double-backward, forward-over-reverse, reverse-over-forward, linearised, compiled"


def test_an_unknown_engine_is_refused_with_those_there_are(network):
    said = f"engine of the hessian must be one of {ACCEPTED}, got 'kept-grpah' (did you mean 'kept-graph'?)"
    with pytest.raises(ValueError, match=re.escape(said)):
        curvature_operator(network(), "hessian", "kept-grpah")


@pytest.mark.parametrize("name", ["kept-graph", "rules", "double-backward"])
@pytest.mark.parametrize("matrix", ["hessian", "ggn"])
def test_blocks_that_are_none_are_refused_naming_what_is_accepted(network, matrix, name):
    op = curvature_operator(network(dtype=torch.float32), matrix, name)
    for block, said in (
        (torch.ones(36, 2, dtype=torch.int64), r"the operator takes torch\.float32, got torch\.int64"),
        (torch.ones(36, 2, dtype=torch.complex64), r"the operator takes torch\.float32, got torch\.complex64"),
        (torch.ones(36, 2, dtype=torch.float64), r"the operator takes torch\.float32, got torch\.float64"),
        (torch.ones(36, 2, device="meta"), "the operator lives on cpu, got a block on meta"),
        (torch.ones(36), r"takes a block of shape \(36, k\), got \(36,\)"),
        (torch.ones(35, 2), r"takes a block of shape \(36, k\), got \(35, 2\)"),
    ):
        with pytest.raises(ValueError, match=said):
            op.matmat(block)
    with pytest.raises(TypeError, match="the operator takes a tensor, got list"):
        op.matmat([[1.0]] * 36)
    assert op.matmat(torch.ones(36, 0)).shape == (36, 0)
    assert (op @ torch.ones(36)).shape == (36,)


@pytest.mark.parametrize("operator", sorted(set(OPERATORS) - {"hessian", "ggn"}))
def test_other_operators_refuse_what_is_no_block_too(network, operator):
    op = curvature_operator(network(dtype=torch.float32), operator)
    for block, said in (
        (torch.ones(op.dim, 2, dtype=torch.float16), r"the operator takes torch\.float32, got torch\.float16"),
        (torch.ones(op.dim, 2, device="meta"), "the operator lives on cpu, got a block on meta"),
        (torch.ones(op.dim), r"takes a block of shape \([0-9]+, k\), got"),
        (torch.ones(op.dim + 1, 2), r"takes a block of shape \([0-9]+, k\), got"),
    ):
        with pytest.raises(ValueError, match=said):
            op.matmat(block)
    with pytest.raises(TypeError, match="the operator takes a tensor, got ndarray"):
        op.matmat(np.ones((op.dim, 2), dtype=np.float32))
    assert op.matmat(torch.ones(op.dim, 0)).shape == (op.dim, 0)


def test_the_factor_refuses_what_is_no_block_and_takes_no_columns(network):
    factor = curvature_operator(network(dtype=torch.float32), "ggn").factor
    for multiply in (factor.rmatmat, factor.squared_sum):
        with pytest.raises(ValueError, match=r"the factor takes torch\.float32, got torch\.float64"):
            multiply(torch.ones(factor.num_columns, 1, dtype=torch.float64))
        with pytest.raises(ValueError, match=r"the factor takes a block of shape"):
            multiply(torch.ones(factor.num_columns - 1, 1))
        assert multiply(torch.ones(factor.num_columns, 0)).shape == (36, 0)


@pytest.mark.parametrize("name", ["kept-graph", "rules", "double-backward", "forward-over-reverse"])
@pytest.mark.parametrize("loss", ["cross-entropy", "squared"])
def test_the_ggn_has_its_factor_whatever_the_engine(network, truth, loss, name):
    op = curvature_operator(network("dense", loss, (4, 3)), "ggn", name)
    assert isinstance(op, Factored)
    columns = op.factor.rmatmat(torch.eye(21, dtype=torch.float64))
    torch.testing.assert_close(columns @ columns.T, truth("dense", loss, "ggn"), rtol=0, atol=1e-13)


@pytest.mark.parametrize("name", EAGER)
def test_a_loss_that_is_not_finite_is_refused_with_the_number_of_its_batch(network, name):
    net = network("dense", sizes=(4, 3))
    net.batches[1].inputs[2, 0] = torch.nan
    for limits in (Limits(), Limits(micro_batch=2)) if name in ("rules", "double-backward") else (Limits(),):
        with pytest.raises(ValueError, match=r"the loss of batch 2 is nan in torch\.float64"):
            curvature_operator(net, "ggn", name, limits)


@pytest.mark.parametrize("name", ["linearised", "compiled"])
def test_engines_that_are_costly_to_set_up_refuse_micro_batches(network, name):
    with pytest.raises(ValueError, match=f"the engine {name} takes seconds to set up"):
        curvature_operator(network(), "hessian", name, Limits(micro_batch=2))


def normalised(training):
    """A small network with batch norm, its module and a network of it in evaluation or in training mode."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 2, 2), nn.BatchNorm2d(2), nn.Tanh(), nn.Flatten(), nn.Linear(8, 3)).double()
    model.train(training)
    names = tuple(parameter_shapes(model))
    state = {name: value.detach().clone() for name, value in model.state_dict().items()}
    inputs = torch.randn(6, 1, 3, 3, dtype=torch.float64)
    batches = (Batch(inputs, torch.tensor([0, 1, 2, 0, 1, 2])),)
    forward = flat_forward(model, model.state_dict(), names)
    return model, state, Network(forward, flat_parameters(state, names), batches, batched=False, group=training)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("matrix", ["hessian", "ggn"])
@pytest.mark.parametrize("name", [*EAGER, "auto"])
def test_batch_norm_is_multiplied_in_both_modes_and_its_buffers_stay(name, matrix, training):
    if (name, matrix) == ("jvp-by-double-vjp", "hessian"):
        return
    model, state, net = normalised(training)
    if training and (name == "rules" or (name, matrix) == ("reverse-over-forward", "hessian")):
        with pytest.raises(ValueError, match="training mode"):
            curvature_operator(net, matrix, name)
        return
    op = curvature_operator(net, matrix, name)
    expected = curvature_operator(net, matrix, "double-backward")
    torch.testing.assert_close(to_dense(op), to_dense(expected), rtol=0, atol=1e-12)
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
    if training:
        H = torch.autograd.functional.hessian(net.objective, net.parameters)
        if matrix == "hessian":
            torch.testing.assert_close(to_dense(op), H, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["auto", "rules", "double-backward"])
def test_a_batch_that_is_one_group_refuses_micro_batches(network, name):
    with pytest.raises(ValueError, match="makes the batch one group, and micro_batch needs every sample by itself"):
        curvature_operator(replace(network(), group=True), "hessian", name, Limits(micro_batch=2))
