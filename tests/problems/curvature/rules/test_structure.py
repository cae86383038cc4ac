"""Networks that are affine in each parameter alone are told from those that are not, against dense residuals."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from flat_architectures import CASES
from torch import nn
from torch.nn import functional

from hessbench.flops import counting_flops
from hessbench.operators import to_dense
from hessbench.problems.curvature.matrices import curvature_operator
from hessbench.problems.curvature.rules.structure import is_affine_in_each, structure_of
from hessbench.problems.held_out.architectures import held_out_models
from hessbench.problems.held_out.plain_curvature import PlainCurvature
from hessbench.problems.networks.flat import module_forward
from hessbench.problems.networks.network import Batch, Network
from hessbench.problems.networks.restriction import restricted
from hessbench.problems.references.dense import DENSE
from hessbench.seeding import make_generator


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


def residual_of(network):
    return to_dense(curvature_operator(network, "residual", "double-backward"))


def check_soundness(structure, R):
    """Every claim against a dense residual, entry by entry, and groups by random vectors inside."""
    n, largest = R.shape[0], float(R.abs().max())
    assert structure.flat.shape == (n,)
    assert structure.flat.dtype == torch.bool
    assert (R.diagonal().abs()[structure.flat] <= 1e-10 * largest).all()
    assert all(type(end) is int for group in structure.groups for end in group)
    covered = torch.zeros(n, dtype=torch.bool)
    reached = 0
    generator = torch.Generator().manual_seed(0)
    for start, stop in structure.groups:
        assert reached <= start < stop
        reached = stop
        covered[start:stop] = True
        v = torch.randn(stop - start, 8, generator=generator, dtype=R.dtype)
        inside = (v * (R[start:stop, start:stop] @ v)).sum(dim=0).abs()
        assert (inside <= 1e-10 * largest * v.square().sum(dim=0)).all()
    assert torch.equal(covered, structure.flat)


@pytest.mark.parametrize("name", CASES)
def test_exactly_the_parameters_that_enter_affinely_are_flat(name):
    case = CASES[name]
    network = case.network()
    structure = structure_of(network)
    R = residual_of(network)
    check_soundness(structure, R)
    assert torch.equal(structure.flat, case.mask(case.flat))
    bent = ~structure.flat & ~case.mask(case.unseen)
    if bent.any():  # what is not claimed is curved indeed, but for dead units
        pieces = R.diagonal().abs().split([value.numel() for value in case.build().parameters()])
        asked = bent.split([value.numel() for value in case.build().parameters()])
        assert all(piece.max() > 1e-6 * R.abs().max() for piece, one in zip(pieces, asked, strict=True) if one.any())


def whole_and_restricted(index):
    network = CASES["tied"].network()
    return structure_of(network), structure_of(restricted(network, index)), network


@pytest.mark.parametrize(
    "index",
    [
        (range(0, 10), range(30, 50)),
        (range(40, 60), range(2, 9)),  # in another order than in the whole
        torch.arange(60, 0, -7),
        torch.tensor([41, 3, 40, 36, 62, 2, 5, 37]),
    ],
    ids=["ranges", "ranges turned round", "places", "places in disorder"],
)
def test_a_restricted_network_has_the_flat_parameters_of_the_whole(index):
    whole, part, network = whole_and_restricted(index)
    places = index if isinstance(index, torch.Tensor) else torch.cat([torch.arange(len(r)) + r.start for r in index])
    assert torch.equal(part.flat, whole.flat[places])
    assert part.flat.any()
    assert not part.flat.all()
    check_soundness(part, residual_of(restricted(network, index)))


def test_a_restriction_of_a_restriction_keeps_its_places():
    network = CASES["tied"].network()
    whole = structure_of(network)
    once = restricted(network, torch.arange(60, 2, -2))
    twice = restricted(restricted(once, (range(3, 25),)), (range(10, 20), range(0, 4)))
    places = torch.arange(60, 2, -2)[3:25][[*range(10, 20), *range(4)]]
    assert torch.equal(structure_of(twice).flat, whole.flat[places])


def test_a_group_ends_with_its_tensor():
    structure = structure_of(CASES["relu"].network())
    assert structure.groups == ((0, 30), (30, 35), (35, 60), (60, 65), (65, 80), (80, 83))


def test_what_one_batch_bends_is_not_flat():
    network = network_of(Product("branch"))
    (batch,) = network.batches
    later = replace(network, batches=(batch.part(slice(0, 17)), batch.part(slice(17, 20))))
    first = replace(network, batches=later.batches[:1])
    bent = torch.ones(105, dtype=torch.bool)
    assert torch.equal(structure_of(first).flat, bent)
    bent[42:84] = False  # the layer that one sample sends through a tanh
    assert torch.equal(structure_of(later).flat, bent)
    check_soundness(structure_of(later), residual_of(replace(later, batched=False, traced=False)))


def test_a_network_that_cannot_run_has_nothing_shown():
    def fails(parameters, inputs):
        raise RuntimeError

    structure = structure_of(Network(fails, torch.zeros(4), (Batch(torch.zeros(1, 1), torch.zeros(1).long()),)))
    assert not structure.flat.any()
    assert structure.flat.shape == (4,)
    assert structure.groups == ()


def test_outputs_without_parameters_and_outputs_that_are_parameters_are_flat():
    batch = Batch(torch.ones(2, 3), torch.tensor([0, 1]))
    for forward in (lambda p, x: x, lambda p, x: p.view(2, 3), lambda p, x: p.view(2, 3).detach().tanh()):
        structure = structure_of(Network(forward, torch.ones(6), (batch,)))
        assert structure.flat.all()
        assert sum(stop - start for start, stop in structure.groups) == 6
    one = structure_of(Network(lambda p, x: x * p, torch.ones(1), (batch,)))
    assert one.flat.tolist() == [True]
    assert one.groups == ((0, 1),)


NO_SECOND_DERIVATIVE = ("mlp-hardsigmoid", "embedding-bag-sum", "embedding-bag-mean", "embedding-bag-max")
"""Architectures that torch does not differentiate twice."""


@pytest.mark.slow
@pytest.mark.parametrize(
    "model", [one for one in held_out_models() if one.name not in NO_SECOND_DERIVATIVE], ids=lambda model: model.name
)
def test_claims_hold_for_architectures_of_no_registry(model):
    module, inputs = model.draw(0)
    module.requires_grad_(True)
    targets = torch.arange(inputs.shape[0]) % model.outputs

    def objective(outputs):
        return functional.cross_entropy(outputs, targets) if model.outputs > 1 else outputs.square().mean()

    # First, as a call leaves a layer that is used twice without its own weights.
    R = PlainCurvature(module, inputs, objective, mean=True).matrix("residual")
    forward, parameters = module_forward(module)
    check_soundness(structure_of(Network(forward, parameters, (Batch(inputs, targets),))), R)


def test_the_structure_is_shown_while_flops_are_counted():
    model = nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 3))
    forward, parameters = module_forward(model)
    network = Network(
        forward, parameters, (Batch(torch.randn(4, 6, generator=make_generator(0)), torch.arange(4) % 3),)
    )
    with counting_flops():
        assert is_affine_in_each(network)
