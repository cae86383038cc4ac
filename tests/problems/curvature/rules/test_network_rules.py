"""The rules against double backward in float64 on every architecture, on parts of their parameters and on tied ones."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from hessbench.problems.curvature.matrices import ggn_operator, hessian_operator
from hessbench.problems.curvature.rules import RulesProducts
from hessbench.problems.networks import ARCHITECTURES, module_forward, parameter_shapes
from hessbench.problems.networks.architectures.mlp import mlp
from hessbench.problems.networks.losses import SQUARED, Loss, cross_entropy
from hessbench.problems.networks.network import Batch, Network
from hessbench.problems.networks.restriction import block_index, restricted
from hessbench.problems.user_model.check import differentiable_attention
from hessbench.problems.user_model.from_model import from_model

CPU = torch.device("cpu")
SMALL = ("mlp", "cnn-3c3d", "resnet20", "resnet20-padded")
LARGE = tuple(name for name in ARCHITECTURES if name not in SMALL)


def network_of(model: nn.Module, shape: tuple[int, ...], samples: int = 2, loss: Loss | None = None) -> Network:
    generator = torch.Generator().manual_seed(3)
    forward, parameters = module_forward(model.double())
    # Off the initial weights, where whole layers of zero biases and shifts would hide a mistake.
    parameters = parameters + 0.02 * torch.randn(parameters.shape, generator=generator, dtype=torch.float64)
    inputs = torch.randn(samples, *shape, generator=generator, dtype=torch.float64)
    batch = Batch(inputs, torch.arange(samples) % 10)
    return Network(forward, parameters, (batch,), loss or cross_entropy(mean=False), batched=False, traced=False)


def architecture(name: str) -> Network:
    shape = (1, 5, 5) if name == "mlp" else (3, 32, 32)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = ARCHITECTURES[name].make(shape, 10)
    return network_of(model, shape)


def check(network: Network, width: int = 2) -> RulesProducts:
    """Compare both matrices with double backward on a few columns."""
    products = RulesProducts(network, network.batches[0])
    generator = torch.Generator().manual_seed(4)
    block = torch.randn(network.parameters.numel(), width, generator=generator, dtype=network.parameters.dtype)
    by_autograd = (hessian_operator(network, "kept-graph"), ggn_operator(network, "kept-graph"))
    pairs = zip((products.hessian, products.ggn), by_autograd, strict=True)
    for multiply, operator in pairs:
        wanted, found = operator.matmat(block), multiply(block)
        assert found.shape == block.shape
        # Rounding of two float64 sums over layers of up to 10^4 terms; a wrong rule is off by more than 1e-4.
        assert float((found - wanted).norm() / wanted.norm()) < 1e-10
        assert float(wanted.norm()) > 0
    return products


@pytest.mark.parametrize("name", SMALL)
def test_products_of_an_architecture_equal_double_backward(name: str) -> None:
    check(architecture(name))


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE)
def test_products_of_a_large_architecture_equal_double_backward(name: str) -> None:
    check(architecture(name), width=1)


def test_blocks_of_any_width_equal_double_backward() -> None:
    for width in (1, 3, 40):
        check(architecture("mlp"), width)


def test_a_restricted_block_equals_double_backward() -> None:
    model = mlp((5, 5), 10, (26,))
    network = network_of(model, (5, 5))
    for block in ("fc2.weight", "fc1.bias+fc2", "fc1.weight", "10:400", "3:300:7", "fc1.bias+fc2.bias", "805:806"):
        check(restricted(network, block_index(block, parameter_shapes(model))))


def test_a_restricted_block_of_convolutions_equals_double_backward() -> None:
    network = architecture("resnet20")
    shapes = parameter_shapes(ARCHITECTURES["resnet20"].make((3, 32, 32), 10))
    for block in ("layer3.2", "bn1+fc", "conv1", "1000:30000"):
        check(restricted(network, block_index(block, shapes)), width=1)


def test_places_in_any_order_equal_double_backward() -> None:
    network = architecture("mlp")
    places = torch.randperm(network.parameters.numel(), generator=torch.Generator().manual_seed(0))[:50]
    check(restricted(network, places))


class Tied(nn.Module):
    """One matrix used three times, once transposed."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(6, 6)
        self.second = nn.Linear(6, 6)
        self.second.weight = self.first.weight

    def forward(self, x: Tensor) -> Tensor:
        x = self.second(torch.tanh(self.first(x)))
        return torch.sigmoid(x) @ self.first.weight


def test_tied_weights_equal_double_backward() -> None:
    check(network_of(Tied(), (6,), 3))


class Transformer(nn.Module):
    """A token table, one encoder layer and a mean over the tokens."""

    def __init__(self, activation: str) -> None:
        super().__init__()
        self.table = nn.Embedding(7, 8)
        self.encoder = nn.TransformerEncoderLayer(8, 2, 12, dropout=0.0, activation=activation, batch_first=True)
        self.head = nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Tensor:
        tokens = (x.detach().abs() * 3).long().clamp(max=6)
        return self.head(self.encoder(self.table(tokens)).mean(1))


@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_a_transformer_equals_double_backward(activation: str) -> None:
    network = network_of(Transformer(activation).eval(), (5,), 3)
    inner = network.forward

    def forward(parameters: Tensor, inputs: Tensor) -> Tensor:
        with differentiable_attention():
            return inner(parameters, inputs)

    check(replace(network, forward=forward))


def quartic(outputs: Tensor, targets: Tensor) -> Tensor:
    """A loss of nobody's closed form."""
    return (outputs**4).sum() + outputs.gather(1, targets[:, None]).exp().sum()


def test_any_loss_equals_double_backward() -> None:
    for loss in (SQUARED, cross_entropy(smoothing=0.1), Loss("quartic", quartic, mean=False)):
        check(network_of(mlp((3, 4), 10, (5,)), (3, 4), 4, replace(loss, mean=False)))


def test_a_model_of_a_user_equals_its_problem() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(
            nn.Conv2d(1, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Dropout(),
            nn.Conv2d(3, 4, 3), nn.SiLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
            nn.LayerNorm(4), nn.Linear(4, 3),
        ).eval()  # fmt: skip
        data = (torch.randn(5, 1, 8, 8), torch.arange(5) % 3)
    problem = from_model(model, "cross-entropy", data, dtype=torch.float64, engine="kept-graph")
    operator = problem.build(CPU, torch.float64)
    forward, parameters = module_forward(model.double())
    network = Network(forward, parameters, (Batch(data[0].double(), data[1]),))
    products = RulesProducts(network, network.batches[0])
    identity = torch.eye(parameters.numel(), dtype=torch.float64)
    torch.testing.assert_close(products.hessian(identity) / 5, operator.matmat(identity), rtol=1e-9, atol=1e-12)
