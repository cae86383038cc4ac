"""Networks that are affine in each parameter alone are told from those that are not, against dense residuals."""

import numpy as np
import pytest
import torch
from torch import nn

from hessbench.problems.curvature.rules.structure import is_affine_in_each
from hessbench.problems.networks.flat import module_forward
from hessbench.problems.networks.network import Batch, Network
from hessbench.problems.networks.restriction import restricted
from hessbench.problems.references.dense import DENSE


class Joined(nn.Module):
    """A block that is added to its input, with layers of its own."""

    def __init__(self, bend, tied=False):
        super().__init__()
        self.one = nn.Linear(6, 6)
        self.two = self.one if tied else nn.Linear(6, 6)
        self.last = nn.Linear(6, 3)
        self.bend = bend

    def forward(self, x):
        return self.last(x + self.two(self.bend(self.one(x))))


class Product(nn.Module):
    """Products of values that have a parameter in common, or not."""

    def __init__(self, kind):
        super().__init__()
        self.kind = kind
        self.one, self.two, self.last = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 3)

    def forward(self, x):
        if self.kind == "gate":
            return self.last(torch.relu(self.one(x)) * self.two(x))
        if self.kind == "square":
            return self.last(self.one(x) * self.one(x))
        if self.kind == "decoder":  # the weight that coded is the one that decodes
            return (torch.relu(self.one(x)) @ self.one.weight)[:, :3]
        if self.kind == "scores":
            code = self.one(x)
            return self.last((code[:, None] * code[:, :, None]).sum(1) + self.two(x))
        # A way of its own for one sample out of twenty, which no recording of the first would show.
        return torch.cat([self.last(torch.tanh(self.two(r)) if r[0, 0] > 5 else r) for r in x.split(1)])


def normed():
    norm = nn.BatchNorm2d(2)
    nn.init.uniform_(norm.weight), nn.init.uniform_(norm.bias), nn.init.uniform_(norm.running_var, 0.5, 2.0)
    layers = (nn.Conv2d(1, 2, 3, padding=1), norm, nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(2, 3, 2), nn.LeakyReLU(0.1))
    return nn.Sequential(nn.Unflatten(1, (1, 4, 4)), *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()


def network_of(module, inputs=6, samples=20):
    torch.manual_seed(0)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.7)
    forward, parameters = module_forward(module.double())
    X = torch.randn(samples, inputs, dtype=torch.float64)
    X[17, 0] = 9.0
    return Network(forward, parameters, (Batch(X, torch.arange(samples) % 3),))


def bend_of(network):
    """Largest diagonal entry of the dense residual, relative to its largest entry."""
    R = np.abs(DENSE["residual"](network))
    return R.diagonal().max() / R.max()


HEAD = nn.Linear(4, 3)
AFFINE = {
    "perceptron": lambda: network_of(nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4), nn.ReLU6(), HEAD)),
    "convolutions and batch norm": lambda: network_of(normed(), 16),
    "block": lambda: network_of(Joined(torch.relu)),
    "gate": lambda: network_of(Product("gate")),
    "ranges of a perceptron": lambda: restricted(network_of(Joined(torch.relu)), (range(0, 30), range(50, 90))),
    "places of a perceptron": lambda: restricted(network_of(Joined(torch.relu)), torch.arange(100, 3, -3)),
}  # fmt: skip
BENT = {
    "tanh": lambda: network_of(Joined(torch.tanh)),
    "softplus": lambda: network_of(Joined(nn.functional.softplus)),
    "tied layers": lambda: network_of(Joined(torch.relu, tied=True)),
    "tied layers in part": lambda: restricted(network_of(Joined(torch.relu, tied=True)), (range(0, 30),)),
    "square": lambda: network_of(Product("square")),
    "tied decoder": lambda: network_of(Product("decoder")),
    "scores": lambda: network_of(Product("scores")),
    "layer norm": lambda: network_of(nn.Sequential(nn.Linear(6, 5), nn.LayerNorm(5), nn.Linear(5, 3))),
    "tanh for one sample": lambda: network_of(Product("branch")),
    "one parameter twice": lambda: (
        lambda one: Network(
            lambda p, x: one.forward(torch.cat([p[:46], p[40:42], p[48:]]), x), one.parameters, one.batches
        )
    )(network_of(Joined(torch.relu))),
}


@pytest.mark.parametrize("name", AFFINE)
def test_what_is_shown_to_be_affine_has_a_residual_without_diagonal(name):
    network = AFFINE[name]()
    assert is_affine_in_each(network)
    assert bend_of(network) < 1e-13


@pytest.mark.parametrize("name", BENT)
def test_what_bends_in_one_parameter_is_never_shown_to_be_affine(name):
    network = BENT[name]()
    assert not is_affine_in_each(network)
    assert bend_of(network) > 1e-3


def test_the_convolutional_families_are_affine_and_batch_statistics_are_not():
    from hessbench.problems import PROBLEMS
    from hessbench.registry import Registry

    families = Registry("problem", PROBLEMS)
    for spec, expected in (
        ("cnn-3c3d[per_class=1,weights=random]", True),
        ("mlp[activation=relu,per_class=1,weights=random]", True),
        ("mlp[per_class=1,weights=random]", False),
    ):
        assert is_affine_in_each(families.entry_of(spec).problem(spec).network()) is expected
