"""What the products promise beside their numbers."""

import pytest
import torch
from torch import Tensor, nn

from hessbench.problems.curvature.matrices import hessian_operator
from hessbench.problems.curvature.rules import RulesProducts, UnknownNode, products
from hessbench.problems.curvature.rules.program import Program
from hessbench.problems.curvature.rules.tape import record
from hessbench.problems.network_families.digits_mlp import digits_mlp_problem
from hessbench.problems.networks import ARCHITECTURES, module_forward
from hessbench.problems.networks.architectures.mlp import mlp
from hessbench.problems.networks.losses import SQUARED, cross_entropy
from hessbench.problems.networks.network import Batch, Network


def network_of(model: nn.Module, shape: tuple[int, ...], samples: int = 4) -> Network:
    generator = torch.Generator().manual_seed(3)
    forward, parameters = module_forward(model)
    inputs = torch.randn(samples, *shape, generator=generator)
    return Network(forward, parameters, (Batch(inputs, torch.arange(samples) % 10),), cross_entropy(mean=False))


def made(function: nn.Module | None = None) -> tuple[Network, RulesProducts]:
    network = network_of(function or mlp((3, 4), 10, (6,)), (3, 4))
    return network, RulesProducts(network, network.batches[0])


class Through(nn.Module):
    """A dense layer, then an operation."""

    def __init__(self, operation: object) -> None:
        super().__init__()
        self.layer = nn.Linear(12, 10)
        self.operation = operation

    def forward(self, x: Tensor) -> Tensor:
        return self.operation(self.layer(x.flatten(1)))


class Doubled(torch.autograd.Function):
    """The identity with another derivative."""

    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        del ctx
        return x.clone()

    @staticmethod
    def backward(ctx: object, d: Tensor) -> Tensor:
        del ctx
        return 2 * d


def test_an_operation_without_a_rule_is_named() -> None:
    with pytest.raises(UnknownNode, match=r"no rule for the node lgamma, an aten\.lgamma\.default") as caught:
        made(Through(lambda h: torch.lgamma(h)))
    assert caught.value.node == "lgamma"
    assert isinstance(caught.value, ValueError)


def test_the_second_node_of_its_kind_has_a_number() -> None:
    with pytest.raises(UnknownNode) as caught:
        made(Through(lambda h: h.cumprod(1)))
    assert caught.value.node == "cumprod"


def test_batch_norm_in_training_mode_has_no_rule() -> None:
    with pytest.raises(UnknownNode, match="training"):
        made(Through(nn.BatchNorm1d(10).train()))


def test_an_operation_without_a_rule_does_no_harm_where_nothing_depends_on_it() -> None:
    network, products = made(Through(lambda h: h + torch.lgamma(torch.ones(10))))
    assert products.hessian(torch.ones(network.parameters.numel(), 1)).shape == (network.parameters.numel(), 1)


def test_a_backward_pass_of_its_own_is_found() -> None:
    with pytest.raises(UnknownNode, match=r"autograd\.Function"):
        made(Through(Doubled.apply))


def test_a_backward_pass_of_its_own_is_found_where_it_adds_next_to_nothing() -> None:
    with pytest.raises(UnknownNode, match=r"Doubled, a custom autograd\.Function"):
        made(Through(lambda h: h + 1e-6 * Doubled.apply(h)))


def test_a_write_that_cannot_be_made_a_value_is_named() -> None:
    with pytest.raises(UnknownNode, match=r"no rule for the node copy_, an aten\.copy_\.default, whose write"):
        made(Through(lambda h: nn.functional.pad(h, (1, 1), mode="circular")[:, :10]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_stationary_weights_are_no_reason_to_pass_over_the_rules(dtype: torch.dtype) -> None:
    # Slopes outside the range of J: the gradient J^T s is rounding, which two ways to it do not share.
    network = network_of(nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 10)), (2,), 9).to(
        torch.device("cpu"), dtype
    )
    inputs = network.batches[0].inputs
    J = torch.func.jacrev(network.forward)(network.parameters.double(), inputs.double()).flatten(0, 1)
    away = torch.linalg.qr(J, mode="complete").Q[:, -1].view(9, 10)
    targets = network.forward(network.parameters.double(), inputs.double()) + away
    still = Network(network.forward, network.parameters, (Batch(inputs, targets.to(dtype)),), SQUARED)
    products = RulesProducts(still, still.batches[0])
    assert float(products.gradient.norm()) < 100 * torch.finfo(dtype).eps
    block = torch.eye(network.parameters.numel(), dtype=dtype)
    torch.testing.assert_close(products.hessian(block) / 9, hessian_operator(still, "kept-graph").matmat(block))


def test_the_gradient_and_the_outputs_are_those_of_the_batch() -> None:
    network, products = made()
    parameters = network.parameters.clone().requires_grad_()
    (expected,) = torch.autograd.grad(network.objective(parameters), parameters)
    torch.testing.assert_close(products.gradient, expected)
    torch.testing.assert_close(products.outputs, network.forward(network.parameters, network.batches[0].inputs))


@pytest.mark.parametrize("k", [1, 5])
def test_jvp_and_vjp_are_transposes_of_one_jacobian(k: int) -> None:
    network, products = made()
    J = torch.func.jacrev(network.on(network.batches[0]))(network.parameters)
    generator = torch.Generator().manual_seed(0)
    block = torch.randn(network.parameters.numel(), k, generator=generator)
    weights = torch.randn(4, 10, k, generator=generator)
    torch.testing.assert_close(products.jvp(block), torch.einsum("mcn,nk->mck", J, block), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(products.vjp(weights), torch.einsum("mcn,mck->nk", J, weights), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["mlp", "resnet20"])
def test_a_product_changes_nothing_and_can_be_repeated(name: str) -> None:
    model = ARCHITECTURES[name].make((3, 32, 32), 10)
    network = network_of(model, (3, 32, 32), 2)
    before = [network.parameters.clone(), network.batches[0].inputs.clone()]
    state = {key: value.clone() for key, value in model.state_dict().items()}
    block = torch.randn(network.parameters.numel(), 2, generator=torch.Generator().manual_seed(0))
    kept = block.clone()
    products = RulesProducts(network, network.batches[0])
    outputs, gradient = products.outputs.clone(), products.gradient.clone()
    first = [products.hessian(block), products.ggn(block), products.jvp(block)]
    copies = [part.clone() for part in first]
    again = [products.hessian(block), products.ggn(block), products.jvp(block)]
    for one, copy, other in zip(first, copies, again, strict=True):
        assert torch.equal(one, copy)
        assert torch.equal(one, other)
    assert torch.equal(block, kept)
    assert torch.equal(products.outputs, outputs)
    assert torch.equal(products.gradient, gradient)
    assert torch.equal(network.parameters, before[0])
    assert torch.equal(network.batches[0].inputs, before[1])
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
    assert all(value.grad is None for value in model.parameters())


def test_parameters_inputs_and_blocks_need_not_be_contiguous() -> None:
    network, products = made()
    block = torch.randn(3, network.parameters.numel(), generator=torch.Generator().manual_seed(0)).T
    inputs = network.batches[0].inputs.transpose(1, 2).contiguous().transpose(1, 2)
    spread = torch.stack([network.parameters, network.parameters], dim=1)[:, 0]
    batch = Batch(inputs, network.batches[0].targets)
    other = RulesProducts(Network(network.forward, spread, (batch,), network.loss), batch)
    torch.testing.assert_close(other.hessian(block), products.hessian(block.contiguous()))
    torch.testing.assert_close(other.ggn(block[:, ::2]), products.ggn(block)[:, ::2])


def test_without_the_hessian_only_it_is_missing() -> None:
    network, products = made()
    lean = RulesProducts(network, network.batches[0], hessian=False, check=False)
    block = torch.ones(network.parameters.numel(), 2)
    torch.testing.assert_close(lean.ggn(block), products.ggn(block))
    with pytest.raises(ValueError, match="hessian=True"):
        lean.hessian(block)
    with pytest.raises(ValueError, match="hessian=True"):
        _ = lean.gradient


def test_the_width_is_one_with_convolutions_and_many_without() -> None:
    _, products = made()
    assert products.width == 16
    network = network_of(ARCHITECTURES["cnn-3c3d"].make((3, 32, 32), 10), (3, 32, 32), 1)
    assert RulesProducts(network, network.batches[0]).width == 1


def test_outputs_that_do_not_depend_on_the_parameters_have_no_curvature() -> None:
    network = Network(
        lambda p, x: x @ torch.ones(12, 10), torch.ones(3), (Batch(torch.ones(2, 12), torch.tensor([0, 1])),)
    )
    products = RulesProducts(network, network.batches[0])
    assert torch.equal(products.hessian(torch.ones(3, 2)), torch.zeros(3, 2))
    assert torch.equal(products.ggn(torch.ones(3, 2)), torch.zeros(3, 2))
    assert torch.equal(products.gradient, torch.zeros(3))


def test_a_gradient_keeps_its_derivative_whatever_is_asked_in_between() -> None:
    network, _ = made()
    tape = record(network.forward, network.parameters, network.batches[0].inputs)
    V = torch.randn(2, network.parameters.numel(), generator=torch.Generator().manual_seed(4))
    one, other = torch.ones(4, 10), torch.arange(40.0).sin().view(4, 10)

    with torch.no_grad():
        alone = Program(tape).gradient(one).jvp(V, torch.zeros_like)
        program = Program(tape)
        linearised = program.gradient(one)
        apart = program.gradient(other).jvp(V, torch.zeros_like)
        program.vjp(other[None])
        found = linearised.jvp(V, torch.zeros_like)
    assert torch.equal(found, alone)
    assert not torch.allclose(apart, alone)
    assert torch.equal(linearised.value, program.vjp(one[None])[0])


def test_a_short_product_takes_one_thread_and_gives_back_what_there_were(monkeypatch):
    network = digits_mlp_problem(step=0, width=3).network()
    rules = RulesProducts(network, network.batches[0])
    seen: list[int] = []
    linearised = rules._linearised.jvp

    def watched(V, through_loss):
        seen.append(torch.get_num_threads())
        if len(seen) == 4:
            raise MemoryError
        return linearised(V, through_loss)

    monkeypatch.setattr(rules, "_linearised", products.LinearisedGradient(rules.gradient, watched))
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        one = torch.ones(network.parameters.numel(), 1, dtype=torch.float64)
        rules.hessian(one)
        assert torch.get_num_threads() == 2
        monkeypatch.setattr(products, "SERIAL", 10)
        rules.hessian(one)
        torch.set_num_threads(1)
        rules.hessian(one)
        torch.set_num_threads(2)
        monkeypatch.undo()
        assert seen == [1, 2, 1]
        monkeypatch.setattr(rules, "_linearised", products.LinearisedGradient(rules.gradient, watched))
        with pytest.raises(MemoryError):
            rules.hessian(one)
        assert torch.get_num_threads() == 2  # after a failure too
    finally:
        torch.set_num_threads(before)
