"""Rows by layers are gradients of single samples, and are taken only where they are."""

from dataclasses import replace

import pytest
import torch
from small_networks import SAMPLES, small_network
from torch.nn import functional

from hessbench.problems.curvature.factor import example_gradients
from hessbench.problems.curvature.layer_rows import layer_rows
from hessbench.problems.curvature.matrices import ggn_operator
from hessbench.problems.curvature.network_rows import NetworkRows
from hessbench.problems.networks.network import Batch, Network
from hessbench.problems.references.dense import dense_ggn
from hessbench.seeding import make_generator

WEIGHTS = torch.randn(SAMPLES, 3, generator=make_generator(2), dtype=torch.float64)


def turned(parameters, inputs):
    """A layer that sees the samples in another order: its own sums over all samples are right all the same."""
    hidden = functional.linear(inputs.flip(0), parameters[:12].view(3, 4)).flip(0)
    return functional.linear(torch.tanh(hidden), parameters[12:21].view(3, 3))


def network_of(forward, dim):
    inputs = torch.randn(SAMPLES, 4, generator=make_generator(3), dtype=torch.float64)
    parameters = torch.randn(dim, generator=make_generator(4), dtype=torch.float64)
    return Network(forward, parameters, (Batch(inputs, torch.arange(SAMPLES) % 3),))


def test_dense_layers_with_and_without_a_bias_have_rows():
    network = small_network("dense")
    inputs = network.batches[0].inputs
    torch.testing.assert_close(layer_rows(network, inputs, WEIGHTS), example_gradients(network, inputs, WEIGHTS))


@pytest.mark.parametrize("name", ["convolutions", "sequence"])
def test_other_layers_have_none(name):
    network = small_network(name)
    outputs = network.forward(network.parameters, network.batches[0].inputs)
    assert layer_rows(network, network.batches[0].inputs, torch.ones_like(outputs)) is None


def test_a_layer_that_mixes_up_the_samples_is_noticed():
    network = network_of(turned, 21)
    inputs = network.batches[0].inputs
    rows = NetworkRows(network)
    assert not torch.allclose(layer_rows(network, inputs, WEIGHTS), example_gradients(network, inputs, WEIGHTS))
    everything = torch.arange(rows.root_norms().numel())
    first = rows(everything)
    torch.testing.assert_close(rows(everything), first, rtol=0, atol=0)
    torch.testing.assert_close(first[:, 4:5], rows(torch.tensor([4])))


def test_a_weight_that_is_used_twice_is_noticed():
    network = small_network("residual")
    assert layer_rows(network, network.batches[0].inputs, WEIGHTS) is None
    rows = NetworkRows(network)
    everything = torch.arange(rows.root_norms().numel())
    torch.testing.assert_close(rows(everything)[:, 4:5], rows(torch.tensor([4])))


def gated(parameters, inputs):
    """A tied use of the last weight that only a sample with a large first entry has."""
    weight = parameters[12:21].view(3, 3)
    hidden = torch.tanh(functional.linear(inputs, parameters[:12].view(3, 4)))
    return functional.linear(hidden, weight) + torch.relu(inputs[:, :1] - 1) * (hidden @ weight.T)


def idle(parameters, inputs):
    """A layer whose outputs go nowhere, and one that autograd does not follow."""
    hidden = torch.tanh(functional.linear(inputs, parameters[:12].view(3, 4)))
    functional.linear(hidden, parameters[21:24].view(1, 3))
    with torch.no_grad():
        functional.linear(hidden, parameters[24:27].view(1, 3))
    return functional.linear(hidden, parameters[12:21].view(3, 3))


@pytest.mark.parametrize(("forward", "dim"), [(gated, 21), (idle, 27)])
def test_what_reaches_the_outputs_otherwise_is_seen_in_the_graph_and_not_in_samples(forward, dim):
    network = network_of(forward, dim)
    inputs = network.batches[0].inputs.clamp(max=0.9)
    inputs[SAMPLES // 2, 0] = 3
    network = replace(network, batches=(Batch(inputs, network.batches[0].targets),))
    rows, op = NetworkRows(network), ggn_operator(network, "kept-graph")
    B = rows(torch.arange(rows.root_norms().numel()))
    dense = torch.from_numpy(dense_ggn(network))
    torch.testing.assert_close(B @ B.T, dense, rtol=0, atol=1e-13)
    ones = torch.eye(3, dtype=torch.float64).repeat(SAMPLES, 1)
    torch.testing.assert_close(op.factor.squared_sum(ones).sum(dim=1), dense.diagonal(), rtol=0, atol=1e-13)


def test_rows_of_a_single_sample_decide_nothing():
    network = network_of(turned, 21)
    rows = NetworkRows(network)
    alone = rows(torch.tensor([0, 1]))
    torch.testing.assert_close(rows(torch.arange(2 * rows.per_sample))[:, :2], alone)
    torch.testing.assert_close(rows(torch.arange(2 * rows.per_sample))[:, :2], alone)
