"""Every library on its own operator once: what was charged, in gradients, beside the FLOPs that were made."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from hessbench.counting import CountingOperator
from hessbench.flops import counting_flops
from hessbench.methods.peers import PEERS
from hessbench.network_copy import NetworkCopy
from hessbench.operators import ProductKind
from hessbench.seeding import make_generator

BY_COPY = [spec for method in PEERS if method.works_by == "copy" for spec in (method.presets or (method.name,))]
SAMPLES, WIDTH, CLASSES = 40, 24, 5


def perceptron():
    layers = [nn.Linear(16, WIDTH), nn.Tanh(), *(it for _ in range(4) for it in (nn.Linear(WIDTH, WIDTH), nn.Tanh()))]
    return nn.Sequential(*layers, nn.Linear(WIDTH, CLASSES))


def convolutions():
    layers = [nn.Conv2d(2, 8, 3, padding=1), *(nn.Conv2d(8, 8, 3, padding=1) for _ in range(4))]
    return nn.Sequential(*(it for layer in layers for it in (layer, nn.ReLU())), nn.Flatten(), nn.Linear(128, CLASSES))


MODELS = {"perceptron": (perceptron, (16,)), "convolutions": (convolutions, (2, 4, 4))}


class Offering:
    """An operator that hands out a copy of a network, and makes no product itself."""

    def __init__(self, name, kind):
        torch.manual_seed(0)
        make, shape = MODELS[name]
        self.model, self.kind = make().double().eval(), kind
        self.data = torch.randn(SAMPLES, *shape).double(), torch.randint(CLASSES, (SAMPLES,))
        self.dim, self.dtype = sum(it.numel() for it in self.model.parameters()), torch.float64
        self.device = torch.device("cpu")
        self.info = SimpleNamespace(kind=kind, samples=SAMPLES, population=SAMPLES, engine="")

    def matmat(self, block):
        raise AssertionError("a product of ours was made")

    def network_copy(self):
        parameters = list(self.model.parameters())
        return NetworkCopy(self.model, parameters, nn.CrossEntropyLoss(), [self.data], self.kind, SAMPLES)


def flops(compute):
    with counting_flops() as counter:
        compute()
    return counter.get_total_flops()


def gradients(spec, name, kind):
    """What a run was charged, and what its FLOPs come to, in gradients of three forward passes."""
    (method,) = [it for it in PEERS if it.name == spec.partition("[")[0]]
    if method.lack:
        pytest.skip(method.lack)
    op = Offering(name, kind)
    unit = 3 * flops(lambda: op.model(op.data[0]))
    counted, bound = CountingOperator(op, 2000), method.bind(spec, method.estimands[0].of_size(3))
    budget = 400 if "backpack" in spec and "mc" not in spec else 40
    return flops(lambda: bound.run(counted, budget, make_generator(0))) / unit, counted.spending


@pytest.mark.filterwarnings("ignore:Using backward", "ignore:`torch.jit.script` is deprecated:DeprecationWarning")
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("spec", BY_COPY)
def test_what_is_charged_is_what_is_made(spec, name):
    kind = ProductKind.GGN if "ggn" in spec else ProductKind.HESSIAN
    made, spending = gradients(spec, name, kind)
    # Nothing is sent through the first layer, a tenth here; some multiply small matrices beside. Prices know neither.
    assert 0.8 < made / spending.gradient_equivalents < 1.2, (made, spending.gradient_equivalents, spending.counts)
