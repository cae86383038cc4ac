"""The gradient of the module itself is that of the network in its flat vector, piece by piece."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from hessbench.problems.network_families.digits_mlp import digits_mlp_problem
from hessbench.problems.networks.flat import module_forward, parameter_shapes
from hessbench.problems.networks.losses import CROSS_ENTROPY, SQUARED
from hessbench.problems.networks.network import Batch, Network
from hessbench.problems.networks.own_module import OwnModule, filled
from hessbench.problems.networks.restriction import restricted
from hessbench.problems.user_model.from_model import from_model


def joined(parts):
    return torch.cat([part.flatten() for part in parts])


@pytest.fixture
def network():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    forward, parameters = module_forward(model)
    batches = tuple(Batch(torch.randn(m, 3).double(), torch.arange(m) % 2) for m in (5, 3))
    return Network(forward, parameters, batches, own=OwnModule(lambda: model, parameter_shapes(model)))


@pytest.mark.parametrize("loss", [CROSS_ENTROPY, SQUARED, replace(CROSS_ENTROPY, mean=False)])
@pytest.mark.parametrize("several", [False, True])
def test_it_is_the_gradient_of_the_objective(network, loss, several):
    net = replace(network, loss=loss, batches=network.batches if several else network.batches[:1])
    torch.testing.assert_close(joined(net.own_gradient()()), net.gradient(), rtol=1e-12, atol=1e-14)


def test_without_a_module_the_flat_vector_stands_for_it(network):
    (found,) = replace(network, own=None).own_gradient()()
    torch.testing.assert_close(found, network.gradient())


def test_torch_s_own_loss_is_taken_once_for_one_batch(network, monkeypatch):
    asked: list[str] = []

    def watched(outputs, targets, reduction):
        asked.append(reduction)
        return nn.functional.cross_entropy(outputs, targets, reduction=reduction)

    loss = replace(CROSS_ENTROPY, written=watched)
    replace(network, loss=loss, batches=network.batches[:1]).own_gradient()()
    replace(network, loss=loss).own_gradient()()
    assert asked == ["mean", "sum", "sum"]


def test_a_restricted_network_is_differentiated_by_the_tensors_it_touches(network):
    # Places 12 to 15 are the first bias, 16 to 23 the second weight.
    own = restricted(network, (range(14, 18),)).own
    assert list(own.shapes) == ["0.bias", "2.weight"]
    own = restricted(network, torch.tensor([25, 0])).own
    assert list(own.shapes) == ["0.weight", "2.bias"]


def test_the_digits_have_a_module_of_the_same_function():
    network = digits_mlp_problem(step=0, width=3).network()
    torch.testing.assert_close(joined(network.own_gradient()()), network.gradient(), rtol=1e-10, atol=1e-12)


def test_a_module_of_the_user_s_is_called_as_it_takes_its_inputs_and_stays_as_it_is():
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    before = model.weight.clone()
    data = (torch.randn(6, 3), torch.arange(6) % 2)
    network = from_model(model, "cross-entropy", data, params=["weight"]).network()
    (found,) = network.own_gradient()()
    torch.testing.assert_close(found.flatten(), network.gradient())
    assert torch.equal(model.weight, before)
    assert model.weight.grad is None


def test_a_shell_is_filled_with_its_state():
    with torch.device("meta"):
        shell = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    state = {
        "0.weight": torch.eye(2), "0.bias": torch.zeros(2), "1.weight": torch.ones(2), "1.bias": torch.ones(2),
        "1.running_mean": torch.zeros(2), "1.running_var": torch.ones(2),
    }  # fmt: skip
    model = filled(shell, state).eval()
    torch.testing.assert_close(model(torch.eye(2)), torch.eye(2) + 1, rtol=1e-4, atol=1e-4)
