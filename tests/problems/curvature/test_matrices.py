"""Curvature products of networks against dense matrices put together from torch's own derivatives, sample by sample."""

import subprocess
import sys
from dataclasses import replace
from functools import cache

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from hessbench.counting import CountingOperator
from hessbench.operators import Factor, Factored, ProductKind, check_operator, info_of, to_dense
from hessbench.problems.curvature.engines.choosing import Limits
from hessbench.problems.curvature.engines.engine import MATRICES
from hessbench.problems.curvature.matrices import (
    OPERATORS,
    curvature_operator,
    exact_operator,
    has_factor,
    is_psd,
    operator_dim,
)
from hessbench.problems.curvature.monte_carlo_fisher import fisher_network
from hessbench.problems.networks.losses import CROSS_ENTROPY, SQUARED, Loss
from hessbench.problems.networks.network import Batch, Network

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def one_thread():
    """Products this small wait for a second thread longer than they take."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


SAMPLES = 7
CLASSES = 3
SPLITS = {"one batch": (7,), "ragged batches": (3, 3, 1)}


def log_cosh(outputs, targets):
    """A loss that couples the outputs of a sample and has no root here."""
    return torch.cosh(outputs - nn.functional.one_hot(targets, CLASSES)).sum(dim=1).log().sum()


def values_of(target):
    return target if target.is_floating_point() else nn.functional.one_hot(target, CLASSES)


# Each loss of a batch of one sample, written down once more.
SINGLE = {
    "cross-entropy": lambda outputs, target: nn.functional.cross_entropy(outputs, target),
    "squared": lambda outputs, target: (outputs - values_of(target)).square().sum() / 2,
    "log-cosh": log_cosh,
}
LOSSES = {
    name: replace(loss, mean=mean)
    for base, loss in (("cross-entropy", CROSS_ENTROPY), ("squared", SQUARED), ("log-cosh", Loss("log-cosh", log_cosh)))
    for name, mean in ((f"{base} mean", True), (f"{base} sum", False))
}


def dense_forward(parameters, inputs):
    """4 -> 3 tanh -> 3, (m, 4) -> (m, 3)."""
    W1, b1, W2, b2 = parameters.split([12, 3, 9, 3])
    return nn.functional.linear(torch.tanh(nn.functional.linear(inputs, W1.view(3, 4), b1)), W2.view(3, 3), b2)


def conv_forward(parameters, inputs):
    """Two convolutions, a pooling and a linear layer, (m, 4) as 2 x 2 images -> (m, 3)."""
    first, second, W = parameters.split([8, 8, 6])
    x = nn.functional.softplus(nn.functional.conv2d(inputs.view(-1, 1, 2, 2), first.view(2, 1, 2, 2), padding=1))
    x = torch.tanh(nn.functional.conv2d(x, second.view(2, 2, 1, 2)))
    return nn.functional.linear(nn.functional.max_pool2d(x, (3, 2)).flatten(1), W.view(3, 2))


WAYS = {
    "vectorised": (dense_forward, 27, {"batched": True}),
    "looped and traced": (dense_forward, 27, {"batched": False}),
    "looped and kept": (dense_forward, 27, {"batched": False, "traced": False}),
    "convolutions": (conv_forward, 22, {"batched": False}),
    "convolutions kept": (conv_forward, 22, {"batched": False, "traced": False}),
}

WITH_FORWARD_OF = {
    way: "vectorised" if forward is dense_forward else "convolutions" for way, (forward, *_) in WAYS.items()
}


def small_network(way="vectorised", loss="cross-entropy mean", split="one batch", dtype=torch.float64):
    forward, dim, flags = WAYS[way]
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(SAMPLES, 4, generator=generator)
    labels = torch.randint(0, CLASSES, (SAMPLES,), generator=generator)
    parameters = 0.7 * torch.randn(dim, generator=generator)
    sizes = SPLITS[split]
    batches = tuple(Batch(*pair) for pair in zip(inputs.split(sizes), labels.split(sizes), strict=True))
    return Network(forward, parameters, batches, LOSSES[loss], **flags).to(CPU, dtype)


@cache
def truth_of(forward_of, loss, operator):
    """The dense matrix of a network of `small_network`, whatever its batches and its engine."""
    return expected(small_network(forward_of, loss), operator)


def expected(network, operator):
    """The dense matrix in float64: explicit sums over single samples."""
    theta, single = network.parameters, SINGLE[network.loss.name]
    samples = [
        (x[None], y[None]) for batch in network.batches for x, y in zip(batch.inputs, batch.targets, strict=True)
    ]
    scale = 1 / len(samples) if network.loss.mean else 1.0
    jacobians = [torch.autograd.functional.jacobian(lambda q, x=x: network.forward(q, x)[0], theta) for x, _ in samples]
    if operator == "ntk":
        J = torch.stack(jacobians)
        return torch.einsum("icp,jcp->ij", J, J)
    if operator == "residual":
        return expected(network, "hessian") - expected(network, "ggn")
    if operator == "gram":
        # Any root of the losses' Hessians will do, but the operator's own fixes the basis.
        roots = [network.loss.root(network.forward(theta, x), y)[0] for x, y in samples]
        F = torch.cat([J.T @ S for J, S in zip(jacobians, roots, strict=True)], dim=1)
        torch.testing.assert_close(scale * F @ F.T, expected(network, "ggn"), rtol=0, atol=1e-13)
        return scale * F.T @ F
    if operator == "monte-carlo-fisher":
        samples = drawn_samples(network, samples)
    total = torch.zeros(theta.numel(), theta.numel(), dtype=torch.float64)
    gradients = []
    for J, (x, y) in zip(jacobians, samples, strict=True):
        if operator == "hessian":
            total += torch.autograd.functional.hessian(lambda q, x=x, y=y: single(network.forward(q, x), y), theta)
        elif operator == "ggn":
            inner = torch.autograd.functional.hessian(lambda f, y=y: single(f[None], y), network.forward(theta, x)[0])
            total += J.T @ inner @ J
        else:
            g = torch.autograd.functional.jacobian(lambda q, x=x, y=y: single(network.forward(q, x), y), theta)
            gradients.append(g)
    if gradients:
        g = torch.stack(gradients)
        if operator == "gradient-covariance":
            g = g - g.mean(dim=0)
        total = g.T @ g
    return total * scale


def drawn_samples(network, samples):
    """The samples with the target drawn for each, read off the slope p - e_y or f - y that the operator keeps."""
    slopes = torch.cat([batch.targets for batch in fisher_network(network).batches])[:, :, 0]
    if network.loss.name == "cross-entropy":
        return [(x, s.argmin()[None]) for (x, _), s in zip(samples, slopes, strict=True)]
    return [(x, network.forward(network.parameters, x) - s) for (x, _), s in zip(samples, slopes, strict=True)]


# Every loss and every cut where a product is quick; elsewhere what depends on the way products are made.
CASES = [
    *(("vectorised", split, loss) for split in SPLITS for loss in LOSSES),
    *(("convolutions", "ragged batches", loss) for loss in ("cross-entropy mean", "squared sum", "log-cosh mean")),
    *((way, "ragged batches", loss) for way in ("looped and traced", "looped and kept", "convolutions kept")
      for loss in ("cross-entropy mean", "log-cosh sum")),
]  # fmt: skip


def takes(loss, operator):
    """Whether the operator is defined for the loss: log-cosh has no root, and names no distribution of targets."""
    return "log-cosh" not in loss or operator not in ("monte-carlo-fisher", "gram")


@pytest.mark.parametrize(("way", "split", "loss", "operator"), [
    (way, split, loss, operator) for way, split, loss in CASES for operator in OPERATORS if takes(loss, operator)
])  # fmt: skip
def test_the_product_is_that_of_the_dense_matrix(way, split, loss, operator):
    network = small_network(way, loss, split)
    truth = truth_of(WITH_FORWARD_OF[way], loss, operator)
    op = curvature_operator(network, operator)
    assert op.dim == operator_dim(network, operator) == truth.shape[0]
    # 27 terms of order 10 at most, so 1e-13 is a few hundred roundings.
    torch.testing.assert_close(to_dense(op, 5), truth, rtol=0, atol=1e-13 * max(1.0, float(truth.abs().max())))


@pytest.mark.parametrize(("way", "loss", "operator"), [
    (way, loss, operator) for way, losses in (("vectorised", LOSSES), ("convolutions", ("cross-entropy mean",)))
    for loss in losses for operator in OPERATORS if takes(loss, operator)
])  # fmt: skip
def test_the_product_in_single_precision_is_off_by_its_rounding_only(way, loss, operator):
    network = small_network(way, loss, "ragged batches", torch.float32)
    truth = truth_of(way, loss, operator)
    found = to_dense(curvature_operator(network, operator))
    assert found.dtype == torch.float32
    assert float((found.double() - truth).norm()) <= 20 * 2.0**-23 * float(truth.norm())


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("way", WAYS)
def test_a_single_column_equals_the_column_of_a_block(way, operator):
    op = curvature_operator(small_network(way, split="ragged batches"), operator)
    block = torch.randn(op.dim, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    one_by_one = torch.cat([op.matmat(block[:, j : j + 1]) for j in range(3)], dim=1)
    torch.testing.assert_close(op.matmat(block), one_by_one, rtol=0, atol=1e-13)
    torch.testing.assert_close(op.matmat(block), op.matmat(block), rtol=0, atol=0)
    check_operator(op, torch.Generator().manual_seed(2))


@pytest.mark.parametrize(("operator", "kind", "price"), [("hessian", ProductKind.HESSIAN, 2.0),
    ("ggn", ProductKind.GGN, 4 / 3), ("gradient-second-moment", ProductKind.GGN, 4 / 3),
    ("residual", ProductKind.HESSIAN, 2.0), ("gradient-covariance", ProductKind.GGN, 4 / 3),
    ("monte-carlo-fisher", ProductKind.GGN, 4 / 3), ("gram", ProductKind.GGN, 4 / 3),
    ("ntk", ProductKind.GGN, CLASSES * 4 / 3)])  # fmt: skip
def test_products_say_what_they_are_and_what_they_cost(operator, kind, price):
    op = curvature_operator(small_network(split="ragged batches"), operator)
    info = info_of(op)
    assert (info.kind, info.population) == (kind, SAMPLES)
    assert "blocks" in info.engine
    counted = CountingOperator(op)
    counted.matmat(torch.ones(op.dim, 2, dtype=torch.float64))
    assert counted.spending.gradient_equivalents == pytest.approx(2 * price)


def test_an_engine_that_is_named_is_taken_and_said():
    for operator in ("hessian", "ggn"):
        engine = info_of(curvature_operator(small_network(), operator, "double-backward")).engine
        assert engine == "double-backward, vectorised blocks"


@pytest.mark.parametrize("operator", ["ntk", "gradient-second-moment"])
def test_operators_with_one_way_take_no_engine_and_no_micro_batches(operator):
    with pytest.raises(ValueError, match=f"engine of the {operator} must be one of auto, got 'kept-graph'"):
        curvature_operator(small_network(), operator, "kept-graph")
    with pytest.raises(ValueError, match=f"micro_batch is not for the {operator}"):
        curvature_operator(small_network(), operator, limits=Limits(micro_batch=2))


@pytest.mark.parametrize("operator", ["ntk", "gradient-second-moment"])
def test_what_needs_single_samples_refuses_a_batch_that_is_one_group(operator):
    with pytest.raises(ValueError, match=f"makes the batch one group, and {operator} needs every sample by itself"):
        curvature_operator(replace(small_network(), group=True), operator)


def test_the_ggn_of_a_batch_that_is_one_group_has_no_factor():
    assert not isinstance(curvature_operator(replace(small_network(), group=True), "ggn"), Factored)


@pytest.mark.parametrize(("way", "operator", "engine"), [("vectorised", "hessian", "kept-graph"),
    ("vectorised", "ggn", "kept-graph"), ("convolutions", "ggn", "linearised"),
    ("convolutions kept", "ggn", "kept-graph")])  # fmt: skip
def test_references_are_computed_by_one_engine_whatever_is_fastest(way, operator, engine):
    assert info_of(exact_operator(small_network(way), operator)).engine.startswith(f"{engine}, ")


def test_an_unknown_operator_is_refused():
    with pytest.raises(
        ValueError,
        match="operator must be one of hessian, ggn, residual, gradient-second-moment, gradient-covariance, "
        "monte-carlo-fisher, ntk, gram, got 'fish'",
    ):
        curvature_operator(small_network(), "fish")


@pytest.mark.parametrize("loss", ["cross-entropy mean", "cross-entropy sum", "squared mean"])
@pytest.mark.parametrize("way", ["vectorised", "convolutions"])
def test_the_factor_times_its_transpose_is_the_ggn(way, loss):
    op = curvature_operator(small_network(way, loss, "ragged batches"), "ggn")
    assert isinstance(op, Factored)
    assert isinstance(op.factor, Factor)
    assert (op.factor.num_samples, op.factor.num_outputs, op.factor.num_columns) == (7, 3, 21)
    columns = op.factor.rmatmat(torch.eye(21, dtype=torch.float64))
    torch.testing.assert_close(columns @ columns.T, to_dense(op, 50), rtol=0, atol=1e-13)


def test_a_loss_without_a_root_has_no_factor_and_is_not_called_semi_definite():
    op = curvature_operator(small_network(loss="log-cosh mean"), "ggn")
    assert not isinstance(op, Factored)
    assert not has_factor(LOSSES["log-cosh mean"], "ggn")
    assert not is_psd(LOSSES["log-cosh mean"], "ggn")
    assert is_psd(LOSSES["log-cosh mean"], "ntk")
    assert is_psd(LOSSES["squared sum"], "ggn")
    assert not is_psd(LOSSES["squared sum"], "hessian")


@pytest.mark.parametrize("entries", [1, 2 * 27, 2**24])
@pytest.mark.parametrize("way", ["vectorised", "looped and traced"])
def test_squared_sums_are_sums_over_samples_of_squares_whatever_the_chunk(way, entries, monkeypatch):
    monkeypatch.setattr("hessbench.problems.curvature.factor._EXAMPLE_GRADIENT_ENTRIES", entries)
    op = curvature_operator(small_network(way, split="ragged batches"), "ggn")
    columns = op.factor.rmatmat(torch.eye(21, dtype=torch.float64)).view(op.dim, SAMPLES, CLASSES)
    block = torch.randn(21, 2, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    truth = torch.einsum("pic,icj->pij", columns, block.view(SAMPLES, CLASSES, 2)).square().sum(dim=1)
    torch.testing.assert_close(op.factor.squared_sum(block), truth, rtol=0, atol=1e-13)


@pytest.mark.parametrize("operator", OPERATORS)
def test_a_loss_that_is_not_finite_is_refused_with_the_number_of_its_batch(operator):
    network = small_network(split="ragged batches")
    network.batches[1].inputs[2, 0] = torch.nan
    with pytest.raises(ValueError, match=r"the loss of batch 2 is nan in torch\.float64"):
        curvature_operator(network, operator)


def test_a_gradient_that_does_not_change_is_refused():
    linear = Network(lambda q, x: x * q, torch.ones(3), (Batch(torch.ones(2, 3), torch.zeros(2)),),
                     Loss("linear", lambda outputs, _: outputs.sum()))  # fmt: skip
    with pytest.raises(ValueError, match="the gradient does not change with the parameters"):
        curvature_operator(linear, "hessian")
    with pytest.raises(ValueError, match="the gradient of the loss linear does not change with the outputs"):
        curvature_operator(linear, "ggn")


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("way", ["vectorised", "convolutions"])
def test_floating_point_operations_of_a_product_are_counted_and_grow_with_the_block(way, operator):
    engine = "kept-graph" if operator in MATRICES else "auto"
    op = curvature_operator(small_network(way, dtype=torch.float32), operator, engine)
    op.matmat(torch.ones(op.dim, 2))  # the first block of several columns measures what one takes
    counts = []
    for columns in (1, 4):
        with FlopCounterMode(display=False) as counter:
            op.matmat(torch.ones(op.dim, columns))
        counts.append(counter.get_total_flops())
    assert counts[0] > 0
    assert counts[1] == 4 * counts[0]


def test_the_network_is_left_as_it_was():
    network = small_network(split="ragged batches")
    before = network.parameters.clone()
    for operator in OPERATORS:
        op = curvature_operator(network, operator)
        op.matmat(torch.ones(op.dim, 2, dtype=torch.float64))
    assert torch.equal(network.parameters, before)
    assert not network.parameters.requires_grad
    assert network.parameters.grad is None


def test_batch_norm_at_fixed_statistics_can_be_differentiated():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 2, 2), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(2, CLASSES)).double().eval()
    shapes = {name: value.shape for name, value in model.named_parameters()}

    def forward(parameters, inputs):
        pieces = parameters.split([shape.numel() for shape in shapes.values()])
        state = {name: piece.view(shape) for (name, shape), piece in zip(shapes.items(), pieces, strict=True)}
        return torch.func.functional_call(model, state, (inputs.view(-1, 1, 2, 2),))

    flat = torch.cat([value.detach().flatten() for value in model.parameters()])
    network = replace(small_network(), forward=forward, parameters=flat)
    for operator in OPERATORS:
        found = to_dense(curvature_operator(network, operator))
        torch.testing.assert_close(found, expected(network, operator), rtol=0, atol=1e-12)


FORKED = """
import os, torch
from hessbench.problems import PROBLEMS
import sklearn.datasets
family = next(entry for entry in PROBLEMS if entry.name == "digits-mlp")
child = os.fork()
if child == 0:
    problem = family.problem("digits-mlp[operator={operator},step=10]")
    op = problem.build(torch.device("cpu"), torch.float32)
    for columns in (1, 4):
        assert torch.isfinite(op.matmat(torch.ones(op.dim, columns))).all()
    os._exit(7)
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.parametrize("operator", ["hessian", "ggn"])
def test_an_operator_can_be_built_and_used_in_a_forked_child(operator):
    code = FORKED.format(operator=operator)
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 7
