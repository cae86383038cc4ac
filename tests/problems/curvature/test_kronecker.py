"""K-FAC and EKFAC: exact where theory says so, counted, and one sentence where the library is missing."""

import importlib.util
from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import nn

from hessbench.distributions import PEERS_REMEDY
from hessbench.operators import ProductKind, to_dense
from hessbench.problems.curvature import kronecker
from hessbench.problems.curvature.kronecker import kronecker_operator
from hessbench.problems.networks.losses import SQUARED
from hessbench.problems.networks.of_problem import network_of
from hessbench.problems.user_model.from_model import from_model
from hessbench.spending import Spending

needs_library = pytest.mark.skipif(
    importlib.util.find_spec("curvlinops") is None, reason=f"curvlinops is not installed: {PEERS_REMEDY}"
)


def problem_on(samples, operator="ggn", layers=2):
    torch.manual_seed(0)
    parts = [nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3)] if layers == 2 else [nn.Linear(3, 3)]
    data = torch.randn(samples, 3), torch.arange(samples) % 3
    return from_model(nn.Sequential(*parts).eval(), "cross-entropy", data, operator=operator, dtype=torch.float64)


def dense_ggn(problem):
    return to_dense(problem.build(torch.device("cpu"), torch.float64))


def block_diagonal(A, problem):
    D = torch.zeros_like(A)
    start = 0
    layers = {}
    for name, shape in problem.shapes.items():
        layers.setdefault(name.partition(".")[0], []).extend(range(start, start + torch.Size(shape).numel()))
        start += torch.Size(shape).numel()
    for places in layers.values():
        D[torch.tensor(places)[:, None], torch.tensor(places)] = A[torch.tensor(places)[:, None], torch.tensor(places)]
    return D


@needs_library
@pytest.mark.parametrize("approximation", ["kfac", "ekfac"])
def test_of_one_sample_it_is_the_block_diagonal_of_the_ggn(approximation):
    problem = problem_on(1)
    op = kronecker_operator(network_of(problem), approximation)
    torch.testing.assert_close(to_dense(op), block_diagonal(dense_ggn(problem), problem), rtol=1e-8, atol=1e-12)


@needs_library
@pytest.mark.parametrize("approximation", ["kfac", "ekfac"])
def test_ragged_batches_are_one_set_of_samples(approximation):
    network = network_of(problem_on(7))
    (batch,) = network.batches
    ragged = replace(network, batches=(batch.part(slice(5)), batch.part(slice(5, 7))))
    torch.testing.assert_close(
        to_dense(kronecker_operator(ragged, approximation)), to_dense(kronecker_operator(network, approximation))
    )


@needs_library
def test_eigenvalues_corrected_it_is_nearer_to_the_blocks():
    problem = problem_on(12)
    D = block_diagonal(dense_ggn(problem), problem)
    off = {kind: float((to_dense(kronecker_operator(network_of(problem), kind)) - D).norm() / D.norm())
           for kind in ("kfac", "ekfac")}  # fmt: skip
    assert 0.01 < off["ekfac"] < off["kfac"] < 1


@needs_library
@pytest.mark.parametrize(
    ("approximation", "targets", "draws", "gradients"),
    [("kfac", "exact", 1, 3), ("ekfac", "exact", 1, 6), ("kfac", "drawn", 4, 4), ("kfac", "empirical", 1, 1)],
)
def test_making_it_is_charged_and_a_product_touches_no_sample(approximation, targets, draws, gradients):
    spending, network = Spending(), network_of(problem_on(6))
    op = kronecker_operator(network, approximation, targets=targets, draws=draws, spending=spending)
    assert spending.counts == {ProductKind.GRADIENT: gradients}
    assert spending.gradient_equivalents == gradients
    spending.charge(op.info.kind, 3, op.info.samples, op.info.population)
    assert spending.gradient_equivalents == gradients


@needs_library
def test_drawn_targets_are_those_of_their_seed_and_approach_the_exact_ones():
    network = network_of(problem_on(6))
    exact = to_dense(kronecker_operator(network))
    drawn = partial(kronecker_operator, network, targets="drawn")
    found = [to_dense(drawn(draws=draws, seed=seed)) for draws, seed in ((1, 0), (1, 0), (400, 1))]
    assert torch.equal(found[0], found[1])
    assert float((found[2] - exact).norm()) < 0.2 * float((found[0] - exact).norm())


@needs_library
def test_parts_and_other_layers_are_refused():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 3)).eval()
    data = torch.randn(5, 3), torch.arange(5) % 3
    with pytest.raises(ValueError, match="dense layers and convolutions alone"):
        kronecker_operator(network_of(from_model(model, "cross-entropy", data)))
    with pytest.raises(ValueError, match="whole layers"):
        kronecker_operator(network_of(from_model(model, "cross-entropy", data, block="0:5")))


def test_without_the_library_the_package_to_install_is_named(monkeypatch):
    def missing(name, *args):
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(kronecker, "library", missing)
    with pytest.raises(ImportError, match=r"pip install 'hessbench\[peers\]'"):
        kronecker_operator(network_of(problem_on(2)))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda net: kronecker_operator(net, "shampoo"), "kfac or ekfac"),
        (lambda net: kronecker_operator(net, targets="true"), "exact, drawn or empirical"),
        (lambda net: kronecker_operator(net, draws=2), "1 unless targets is drawn"),
        (lambda net: kronecker_operator(replace(net, loss=SQUARED)), "cross-entropy only"),
        (lambda net: kronecker_operator(replace(net, own=None)), "a function alone"),
        (lambda net: kronecker_operator(replace(net, group=True)), "one group"),
    ],
)
def test_what_is_not_accepted_is_said(call, said):
    with pytest.raises(ValueError, match=said):
        call(network_of(problem_on(2)))
