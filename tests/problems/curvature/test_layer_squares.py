"""Squares by layers against gradients of single samples, and networks that are not made of such layers alone."""

from functools import partial
from itertools import product

import pytest
import torch
from torch import nn

from hessbench.flops import counting_flops
from hessbench.operators import to_dense
from hessbench.problems.curvature.layer_squares import layer_squares
from hessbench.problems.curvature.matrices import ggn_operator
from hessbench.problems.network_families.digits_mlp import mlp_dim, mlp_logits
from hessbench.problems.networks import module_forward
from hessbench.problems.networks.losses import CROSS_ENTROPY, SQUARED
from hessbench.problems.networks.network import Batch, Network
from hessbench.problems.networks.restriction import restricted
from hessbench.problems.references.dense import dense_ggn

INPUTS, CLASSES, SAMPLES = 5, 3, 7


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class Module(nn.Module):
    """A perceptron, and ways in which a network can differ from one."""

    def __init__(self, kind):
        super().__init__()
        self.kind = kind
        self.first = nn.Linear(INPUTS, 4, bias=kind != "without bias")
        self.second = nn.Linear(4, 4)
        self.last = nn.Linear(4, CLASSES)
        if kind == "scaled":
            self.scale = nn.Parameter(torch.tensor(1.5))
        if kind == "idle":
            self.idle = nn.Linear(2, 2)

    def forward(self, x):
        x = x.flip(0) if self.kind == "turned round" else x
        x = torch.tanh(self.first(x))
        x = torch.relu(self.second(x)) + x
        x = torch.tanh(self.second(x)) if self.kind == "used twice" else x
        x = x @ self.second.weight if self.kind == "used otherwise" else x
        if self.kind == "positions":
            x = torch.stack([x, -x.square()], dim=1)
        x = self.last(x)
        x = x.sum(dim=1) if self.kind == "positions" else x
        x = self.scale * x if self.kind == "scaled" else x
        return x.flip(0) if self.kind == "turned round" else x


DENSE = ["plain", "without bias", "turned round", "positions"]
"""The order of the rows inside is of no account to a sum over them."""
OTHERS = ["scaled", "idle", "used twice", "used otherwise"]


def network_of(kind="plain", *, batched=True, loss=CROSS_ENTROPY, dtype=torch.float64):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        forward, parameters = module_forward(Module(kind).double())
    labels = torch.randint(0, CLASSES, (SAMPLES,), generator=torch.Generator().manual_seed(1))
    parts = zip(drawn(SAMPLES, INPUTS).split([4, 3]), labels.split([4, 3]), strict=True)
    network = Network(forward, parameters, tuple(Batch(*part) for part in parts), loss, batched, traced=False)
    return network.to(torch.device("cpu"), dtype)


def squares_of(network, block):
    """Sums of squares from the explicit Jacobian of every sample."""
    theta, total = network.parameters, 0
    roots = block.view(SAMPLES, -1, block.shape[1])
    start = 0
    for batch in network.batches:
        J = torch.autograd.functional.jacobian(lambda q, batch=batch: network.forward(q, batch.inputs), theta)
        S = network.loss.root(network.forward(theta, batch.inputs), batch.targets) * network.scale**0.5
        F = torch.einsum("mcp,mcr->mpr", J, S)
        total = total + torch.einsum("mpr,mrk->mpk", F, roots[start : start + batch.size]).square().sum(dim=0)
        start += batch.size
    return total


@pytest.mark.parametrize("kind", [*DENSE, *OTHERS])
def test_squares_are_those_of_single_samples_whatever_the_layers(kind, monkeypatch):
    block = drawn(SAMPLES * CLASSES, 2, seed=2)
    expected = squares_of(network_of(kind), block)
    for batched in (True, False):
        for entries in (1, 2**13, 2**24):
            monkeypatch.setattr("hessbench.problems.curvature.factor._EXAMPLE_GRADIENT_ENTRIES", entries)
            monkeypatch.setattr("hessbench.problems.curvature.factor._ACTIVATION_ENTRIES", entries)
            found = ggn_operator(network_of(kind, batched=batched), "kept-graph").factor.squared_sum(block)
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-13 * float(expected.max()))


@pytest.mark.parametrize("kind", [*DENSE, *OTHERS])
def test_layers_are_used_only_where_every_parameter_is_in_one_of_them(kind, monkeypatch):
    factor = ggn_operator(network_of(kind)).factor
    block = drawn(factor.num_columns, 1)
    factor.squared_sum(block)
    asked = []
    monkeypatch.setattr(
        "hessbench.problems.curvature.factor.example_squares",
        lambda network, *_: asked.append(1) or network.parameters[:, None],
    )
    factor.squared_sum(block)
    assert (not asked) == (kind in DENSE)


def test_a_perceptron_on_flat_parameters_is_dense_and_a_part_of_it_is_not():
    network = Network(partial(mlp_logits, width=2), drawn(mlp_dim(2)), (Batch(drawn(3, 49), torch.tensor([0, 1, 2])),))
    weights = drawn(3, 10, 2)
    assert layer_squares(network, network.batches[0].inputs, weights) is not None
    part = restricted(network, [range(100, 130)])
    assert layer_squares(part, part.batches[0].inputs, weights) is None
    whole = ggn_operator(network).factor.squared_sum(drawn(30, 2))
    torch.testing.assert_close(ggn_operator(part).factor.squared_sum(drawn(30, 2)), whole[100:130], rtol=1e-12, atol=0)


@pytest.mark.parametrize("kind", [*DENSE, *OTHERS])
def test_a_sum_over_columns_is_that_of_their_squares_whatever_the_layers(kind, monkeypatch):
    block = drawn(SAMPLES * CLASSES, 4, seed=2)
    expected = squares_of(network_of(kind), block).sum(dim=1)
    for batched in (True, False):
        for entries in (1, 2**24):
            monkeypatch.setattr("hessbench.problems.curvature.factor._EXAMPLE_GRADIENT_ENTRIES", entries)
            monkeypatch.setattr("hessbench.problems.curvature.factor._ACTIVATION_ENTRIES", entries)
            found = ggn_operator(network_of(kind, batched=batched), "kept-graph").factor.summed_squares(block)
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-13 * float(expected.max()))


def test_the_work_of_a_sum_is_that_of_its_multiplications():
    for kind, squared in (("plain", 1), ("positions", CLASSES)):
        factor = ggn_operator(network_of(kind), "kept-graph").factor
        eye = torch.eye(CLASSES, dtype=torch.float64).repeat(SAMPLES, 1)
        factor.summed_squares(eye)  # finds the layers
        with counting_flops() as counter:
            factor.summed_squares(eye)
        root = 2 * SAMPLES * CLASSES**3
        through = 4 * 4 + 4 * CLASSES * (2 if kind == "positions" else 1)
        forward = INPUTS * 4 + through
        last = squared * 4 * CLASSES * (2 if kind == "positions" else 1)
        assert counter.get_total_flops() - root == 2 * SAMPLES * (
            forward + CLASSES * through + INPUTS * 4 + 4 * 4 + last
        )
        priced = 2 * CLASSES * forward
        assert factor.summed_work(CLASSES) == (forward + CLASSES * through + INPUTS * 4 + 4 * 4 + last) / priced


def test_where_the_layers_are_not_known_a_sum_takes_the_whole_price():
    assert ggn_operator(network_of("used twice")).factor.summed_work(3) == 1


def test_in_single_precision_squares_are_off_by_rounding_only():
    block = drawn(SAMPLES * CLASSES, 3, seed=2)
    exact = ggn_operator(network_of()).factor.squared_sum(block)
    single = ggn_operator(network_of(dtype=torch.float32)).factor
    assert single._activations
    found = single.squared_sum(block.float())
    assert found.dtype == torch.float32
    assert float((found.double() - exact).norm()) < 50 * 2.0**-23 * float(exact.norm())


def diagonal_of_ggn(network):
    """Entry p is the sum over samples i and outputs c of F[p, i C + c]^2."""
    op = ggn_operator(network)
    outputs = torch.eye(op.factor.num_outputs, dtype=op.dtype)
    return op.factor.squared_sum(outputs.repeat(op.factor.num_samples, 1)).sum(dim=1)


def test_squares_of_all_outputs_are_the_diagonals_of_the_dense_matrices():
    for kind, loss in product(("plain", "scaled"), (CROSS_ENTROPY, SQUARED)):
        network = network_of(kind, loss=loss)
        expected = torch.as_tensor(dense_ggn(network).diagonal().copy())
        torch.testing.assert_close(diagonal_of_ggn(network), expected, rtol=0, atol=1e-13 * float(expected.abs().max()))


def test_outputs_that_are_written_to_are_not_taken_for_those_of_the_layer():
    # The first samples, on which the two ways are compared, meet no zero of the ReLU; the others do.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(inplace=True), nn.Linear(3, CLASSES)).double()
    nn.init.ones_(model[0].weight)
    forward, parameters = module_forward(model)
    inputs = torch.cat([torch.ones(3, 2), -torch.ones(4, 2)]).double()
    network = Network(forward, parameters, (Batch(inputs, torch.arange(7) % CLASSES),))
    expected = to_dense(ggn_operator(network, "kept-graph")).diagonal()
    torch.testing.assert_close(diagonal_of_ggn(network), expected, rtol=1e-10, atol=1e-12)


def convolutional(kind):
    """A small network of images, each way of which is one of its layers."""
    channels = 2
    first = {
        "strided": nn.Conv2d(1, channels, 3, stride=2, padding=1),
        "dilated": nn.Conv2d(1, channels, 2, dilation=2, bias=False),
        "by name": nn.Conv2d(1, channels, 3, padding="same"),
        "reflecting": nn.Conv2d(1, channels, 3, padding=1, padding_mode="reflect"),
    }.get(kind, nn.Conv2d(1, channels, 3, padding=1))
    second = nn.Conv2d(channels, channels, 3, padding=1, groups=2 if kind == "in groups" else 1)
    norm = nn.GroupNorm(1, channels) if kind == "other norm" else nn.BatchNorm2d(channels)
    model = nn.Sequential(
        first, norm, nn.ReLU(inplace=kind == "in place"), second, nn.AdaptiveAvgPool2d(2), nn.Flatten(),
        nn.Linear(4 * channels, CLASSES),
    ).double().eval()  # fmt: skip
    if isinstance(norm, nn.BatchNorm2d):
        norm.running_mean, norm.running_var = drawn(channels, seed=3), drawn(channels, seed=4).square() + 0.5
    return model


KNOWN_LAYERS = ["plain", "strided", "dilated", "reflecting"]


@pytest.mark.parametrize("batched", [True, False])
@pytest.mark.parametrize("kind", [*KNOWN_LAYERS, "by name", "in groups", "other norm", "in place"])
def test_squares_of_convolutions_and_batch_norm_are_those_of_single_samples(kind, batched):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        forward, parameters = module_forward(convolutional(kind))
    labels = torch.randint(0, CLASSES, (SAMPLES,), generator=torch.Generator().manual_seed(1))
    images = drawn(SAMPLES, 1, 5, 4)
    network = Network(forward, parameters.double(), (Batch(images, labels),), batched=batched, traced=False)
    factor = ggn_operator(network, "kept-graph").factor
    block = drawn(SAMPLES * CLASSES, 2, seed=2)
    expected = squares_of(network, block)
    torch.testing.assert_close(factor.squared_sum(block), expected, rtol=0, atol=1e-13 * float(expected.max()))
    assert bool(factor._activations) == (kind in KNOWN_LAYERS)
