"""A module in torch's own layers: the same function of the same parameters, and BackPACK's diagonal by it."""

import pytest
import torch
from torch import nn

from hessbench.counting import CountingOperator
from hessbench.methods.diagonal.ggn_diagonal import ggn_diagonal_exact
from hessbench.methods.peers import PEERS
from hessbench.methods.peers.torch_layers import in_torch_layers
from hessbench.problems import from_model
from hessbench.problems.networks.architectures.batch_norm import unfolded
from hessbench.problems.networks.architectures.residual_block import ResNet
from hessbench.seeding import make_generator

BACKPACK = next(method for method in PEERS if method.name == "backpack-own-ggn-diagonal")


def residual(shortcuts="projection"):
    """Two stages of a block each, batch norm at statistics that are not trivial."""
    torch.manual_seed(0)
    model = ResNet(2, (4, 8), 1, 3, shortcuts=shortcuts)
    model(torch.randn(16, 2, 8, 8))
    return unfolded(model).eval()


@pytest.mark.parametrize("shortcuts", ["projection", "padded"])
def test_a_residual_network_keeps_its_outputs_and_its_parameters(shortcuts):
    model, inputs = residual(shortcuts), torch.randn(5, 2, 8, 8)
    twin = in_torch_layers(model, inputs)
    assert torch.allclose(twin(inputs), model(inputs), atol=1e-6)
    assert {id(it) for it in twin.parameters()} == {id(it) for it in model.parameters()}
    kinds = {type(module) for module in twin.modules()}
    assert nn.BatchNorm2d in kinds
    assert nn.ReLU in kinds
    assert nn.AdaptiveAvgPool2d in kinds
    assert not any(node.target is torch.relu for node in twin.graph.nodes)


class Depends(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


class Random(nn.Module):
    def forward(self, x):
        return x + torch.rand_like(x)


@pytest.mark.parametrize(("model", "says"), [(Depends(), "cannot be rewritten"), (Random(), "has other outputs")])
def test_a_module_that_is_not_a_fixed_graph_is_refused(model, says):
    with pytest.raises(ValueError, match=says):
        in_torch_layers(model, torch.ones(2, 3))


@pytest.mark.filterwarnings("ignore:Full backward hook", "ignore:`torch.jit.script`:DeprecationWarning")
def test_backpack_has_the_exact_diagonal_of_a_residual_network():
    if BACKPACK.lack:
        pytest.skip(BACKPACK.lack)
    data = torch.randn(6, 2, 8, 8), torch.tensor([0, 1, 2, 0, 1, 2])
    problem = from_model(residual(), "cross-entropy", data, name="residual", operator="ggn")
    op = problem.build(torch.device("cpu"), torch.float64)
    exact = ggn_diagonal_exact(op, num_matvecs=3, generator=make_generator(0)).value
    found = BACKPACK.run(CountingOperator(op), num_matvecs=4, generator=make_generator(0)).value
    assert torch.allclose(found, exact, rtol=1e-10)
