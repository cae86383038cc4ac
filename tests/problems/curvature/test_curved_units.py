"""The diagonal of a residual from the units in which a network is curved, against dense residuals."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from flat_architectures import CASES
from torch import nn

from hessbench.flops import counting_flops
from hessbench.problems.curvature import curved_units
from hessbench.problems.curvature.curved_units import CurvedUnits
from hessbench.problems.curvature.residual import residual_network
from hessbench.problems.held_out.architectures import held_out_models
from hessbench.problems.networks.flat import module_forward
from hessbench.problems.networks.network import Batch, Network
from hessbench.problems.references.dense import dense_residual
from hessbench.seeding import make_generator

HELD_OUT = {model.name: model for model in held_out_models()}
EXACT = (
    "mlp-tanh", "mlp-elu", "mlp-selu", "mlp-celu", "mlp-gelu", "mlp-silu", "mlp-mish", "mlp-softplus", "mlp-sigmoid",
    "mlp-tanhshrink", "mlp-hardswish", "mlp-relu", "bottleneck", "deep", "residual", "all-to-all", "highway",
    "frozen-layer", "dropout-in-evaluation", "fitted-10", "formula-siren", "formula-polynomial", "formula-where",
    "formula-distances", "conv-2d", "padding-reflect", "pool-max-overlapping", "unfolded-patches", "folded-patches",
    "channels-last", "position-waves", "swish-gate", "nested",
)  # fmt: skip
"""Held-out networks whose diagonals the units give; what they do with all others is in the slow test."""


def held_out(name):
    model, generator = HELD_OUT[name], make_generator(3)
    forward, parameters = module_forward(model.make(generator))
    inputs = model.inputs(model.samples, generator)
    return Network(forward, parameters, (Batch(inputs, torch.arange(model.samples) % model.outputs),))


def network_of(*layers, samples=20, shape=(6,), classes=3):
    torch.manual_seed(0)
    module = nn.Sequential(*layers).double().eval()
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.7)
    forward, parameters = module_forward(module)
    X = torch.randn(samples, *shape, dtype=torch.float64)
    return Network(forward, parameters, (Batch(X, torch.arange(samples) % classes),))


def perceptron(**sizes):
    return network_of(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 4), nn.GELU(), nn.Linear(4, 3), **sizes)


def normed(**sizes):
    """Convolutions with batch norm, whose statistics are stored, and two bends."""
    norm = nn.BatchNorm2d(2)
    nn.init.uniform_(norm.running_mean), nn.init.uniform_(norm.running_var, 0.5, 2.0)
    layers = (
        nn.Conv2d(1, 2, 3, padding=1),
        norm,
        nn.SiLU(),
        nn.AvgPool2d(2),
        nn.Conv2d(2, 3, 2, bias=False),
        nn.Tanh(),
    )
    return network_of(*layers, nn.Flatten(), nn.Linear(3, 3), shape=(1, 4, 4), **sizes)


def close(found, network):
    R = dense_residual(network)
    assert np.abs(found.double().numpy() - R.diagonal()).max() <= 1e-12 * max(np.abs(R).max(), 1e-300)


@pytest.mark.parametrize("name", EXACT)
def test_units_give_the_diagonal_of_a_dense_residual(name):
    network = held_out(name)
    close(CurvedUnits(residual_network(network)).diagonal(), network)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*HELD_OUT, *(f"case {name}" for name in CASES)])
def test_whatever_the_architecture_the_diagonal_is_right_or_refused_in_one_sentence(name):
    network = CASES[name.removeprefix("case ")].network() if name.startswith("case ") else held_out(name)
    try:
        dense_residual(network)
    except (RuntimeError, ValueError):
        pytest.skip("torch makes no second derivative of it")
    found, said = None, ""
    try:
        found = CurvedUnits(residual_network(network)).diagonal()
    except ValueError as refusal:
        said = str(refusal)
    if found is not None:
        close(found, network)
        return
    assert name not in EXACT
    assert "\n" not in said
    assert "accepted is" in said or "batch norm in training mode" in said


@pytest.mark.parametrize("batched", [True, False])
@pytest.mark.parametrize("make", [perceptron, normed])
def test_units_and_samples_in_parts_add_up(make, batched, monkeypatch):
    network = make()
    (batch,) = network.batches
    split = (Batch(batch.inputs[:7], batch.targets[:7]), Batch(batch.inputs[7:], batch.targets[7:]))
    monkeypatch.setattr(curved_units, "_COLUMNS", 3)
    monkeypatch.setattr(curved_units, "_ENTRIES", 300)
    close(CurvedUnits(residual_network(replace(network, batches=split, batched=batched))).diagonal(), network)


def test_units_are_those_of_one_sample_and_none_where_nothing_is_curved():
    assert CurvedUnits(residual_network(perceptron())).num_units == 9
    assert CurvedUnits(residual_network(normed())).num_units == 2 * 16 + 3
    flat = CurvedUnits(residual_network(network_of(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))))
    assert (flat.num_units, bool(flat.diagonal().any())) == (0, False)


class Gauss(nn.Module):
    """A function that torch knows under a name that nobody listed."""

    def forward(self, x):
        return torch.special.expm1(-x.abs())


@pytest.mark.parametrize(
    ("layers", "says"),
    [
        ((nn.Linear(6, 5), nn.LayerNorm(5), nn.Linear(5, 3)), "curved in aten.native_layer_norm"),
        ((nn.Linear(6, 5), nn.Softmax(dim=1), nn.Linear(5, 3)), "curved in aten._softmax"),
        ((nn.Linear(6, 5), nn.PReLU(5), nn.Linear(5, 3)), "a layer of this network is not known"),
        ((nn.Linear(6, 5), Gauss(), nn.Linear(5, 3)), "of 1 curved operations of this network 0 are known"),
    ],
)
def test_what_these_do_not_give_is_refused_with_what_is_accepted(layers, says):
    with pytest.raises(ValueError, match=says) as refusal:
        CurvedUnits(residual_network(network_of(*layers)))
    assert "accepted is a network whose parameters all belong to dense layers" in str(refusal.value)


class ByTheValue(nn.Module):
    """Curved for one sample out of twenty, in a unit that the first does not have."""

    def __init__(self):
        super().__init__()
        self.one, self.last = nn.Linear(6, 4), nn.Linear(4, 3)

    def forward(self, x):
        h = self.one(x)
        return self.last(torch.tanh(h) if x.abs().max() > 50 else torch.relu(h))


def test_samples_that_are_curved_in_other_units_are_refused():
    network = network_of(ByTheValue())
    (batch,) = network.batches
    batch.inputs[13] *= 100
    with pytest.raises(ValueError, match="unlike numbers of units"):
        CurvedUnits(residual_network(network)).diagonal()


@pytest.mark.parametrize("make", [perceptron, normed])
def test_the_share_of_its_price_is_what_is_multiplied(make):
    network = residual_network(make(samples=40))
    units = CurvedUnits(network)
    with counting_flops() as forward:
        network.forward(network.parameters, network.batches[0].inputs)
    with counting_flops() as made:
        units.diagonal()
    charged = 2 * forward.get_total_flops() * units.num_units * units.work
    assert 0.5 < made.get_total_flops() / charged < 1.6
