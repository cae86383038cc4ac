"""Which references a matrix gets, by its size, its loss and its data; and real networks two ways."""

import os
from dataclasses import replace

import numpy as np
import pytest
import torch

from hessbench.estimand import Density, Diagonal, Source, TopEigenvalues, Trace
from hessbench.estimand.from_dense import DENSE_LIMIT
from hessbench.estimand.work import has_own_work
from hessbench.problems.curvature.choice import MatrixChoice
from hessbench.problems.curvature.matrices import OPERATORS, curvature_operator
from hessbench.problems.curvature.rules.structure import is_affine_in_each
from hessbench.problems.networks.losses import CROSS_ENTROPY, Loss
from hessbench.problems.networks.network import Batch, Network
from hessbench.problems.references import choose
from hessbench.problems.references.certified import certified_reference
from hessbench.problems.references.choose import gram_is_affordable, kernel_spectrum, references_of
from hessbench.problems.references.dense import DENSE
from hessbench.problems.references.zero_residual_diagonal import is_flat

CPU = torch.device("cpu")
ROOTLESS = Loss("quartic", lambda outputs, targets: (outputs**4).sum())


@pytest.fixture
def small_limit(monkeypatch):
    """Dense up to 20 parameters only, so that the networks at hand are large."""
    monkeypatch.setattr(choose, "DENSE_LIMIT", 20)


def wide_network(samples=3, loss=CROSS_ENTROPY):
    """A linear network of 5000 parameters and 4 outputs."""
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(samples, 1250, generator=generator, dtype=torch.float64)
    targets = torch.randint(0, 4, (samples,), generator=generator)
    parameters = torch.randn(5000, generator=generator, dtype=torch.float64) / 1250**0.5

    def forward(parameters, inputs):
        return torch.tanh(inputs @ parameters.view(4, 1250).T)

    return Network(forward, parameters, (Batch(inputs, targets),), loss)


def never():
    raise AssertionError("a network was made")


@pytest.mark.parametrize("operator", OPERATORS)
def test_nothing_is_made_before_a_reference_is_asked_for(operator):
    for dim in (10, DENSE_LIMIT + 1, 10**7):
        assert {TopEigenvalues, Trace, Density} <= set(references_of(never, MatrixChoice(operator), dim))


@pytest.mark.parametrize("operator", OPERATORS)
def test_small_matrices_are_dense_in_all_four_estimands(operator, network_of):
    network = network_of()
    dim = {"ntk": 8, "gram": 32}.get(operator, 30)
    found = references_of(lambda: network, MatrixChoice(operator), dim, rounding=33.0)
    A = DENSE[operator](network)
    truth = TopEigenvalues(3).rank(np.linalg.eigvalsh(A))[:3]
    top = found[TopEigenvalues](TopEigenvalues(3))
    np.testing.assert_allclose(top.arrays["eigenvalues"], truth, rtol=1e-12)
    np.testing.assert_allclose(found[Diagonal](Diagonal()).arrays["diagonal"], A.diagonal(), rtol=1e-12)
    for kind in (Trace, Density, Diagonal):
        answer = found[kind](kind())
        assert (answer.source, answer.rounding) == (Source.DENSE, 33.0)
    assert top.rounding == 33.0


@pytest.mark.parametrize("operator", ["ggn", "gradient-second-moment", "gradient-covariance", "monte-carlo-fisher"])
def test_large_factored_matrices_are_answered_by_their_gram_matrix(operator):
    network = wide_network()
    found = references_of(lambda: network, MatrixChoice(operator), 5000)
    A = curvature_operator(network, operator)
    diagonal = found[Diagonal](Diagonal())
    basis = torch.eye(5000, dtype=torch.float64)[:, ::1000]
    expected = A.matmat(basis)[::1000].diagonal()
    np.testing.assert_allclose(diagonal.arrays["diagonal"][::1000], expected, rtol=0, atol=1e-13)
    certified = certified_reference(A, TopEigenvalues(5), 10.0)
    top = found[TopEigenvalues](TopEigenvalues(5))
    gap = np.abs(top.arrays["eigenvalues"] - certified.arrays["eigenvalues"]).max()
    assert gap <= top.bound + certified.bound
    assert {found[kind](kind()).source for kind in (Trace, Density, Diagonal)} == {Source.GRAM}


@pytest.mark.parametrize(
    ("operator", "loss"), [("hessian", CROSS_ENTROPY), ("residual", CROSS_ENTROPY), ("ggn", ROOTLESS)]
)
def test_other_large_matrices_are_certified_at_the_top_and_statistical_beyond(operator, loss, small_limit, network_of):
    network = network_of(loss=loss)
    found = references_of(lambda: network, MatrixChoice(operator), 30, name="it")
    eigenvalues = np.linalg.eigvalsh(DENSE[operator](network))
    top = found[TopEigenvalues](TopEigenvalues(4))
    assert top.source == Source.CERTIFIED
    truth = TopEigenvalues(4).rank(eigenvalues)[:4]
    np.testing.assert_allclose(top.arrays["eigenvalues"], truth, rtol=0, atol=top.bound + 1e-13 * top.norm)
    trace, density = found[Trace](Trace()), found[Density](Density())
    assert trace.source == density.source == Source.STATISTICAL
    assert abs(trace.arrays["trace"][0] - eigenvalues.sum()) <= trace.bound
    if operator == "residual":
        assert Diagonal not in found
    else:
        says = f"no exact diagonal of the {operator} is affordable at dimension 30 on this data"
        with pytest.raises(ValueError, match=says):
            found[Diagonal](Diagonal())


@pytest.mark.parametrize("shift", [0.0, 0.375])
def test_a_large_hessian_whose_residual_has_no_diagonal_has_an_exact_trace_and_diagonal(shift, small_limit, network_of):
    def relu(parameters, inputs):
        W1, b1, W2 = parameters.split([15, 3, 12])
        return torch.relu(inputs @ W1.view(3, 5).T + b1) @ W2.view(4, 3).T

    network = replace(network_of(), forward=relu)
    found = references_of(lambda: network, MatrixChoice("hessian", shift), 30, name="it")
    A = DENSE["hessian"](network) + shift * np.eye(30)
    assert np.abs(np.linalg.eigvalsh(DENSE["residual"](network))).max() > 0.01
    trace, diagonal = found[Trace](Trace()), found[Diagonal](Diagonal())
    assert trace.source == diagonal.source == Source.GRAM
    assert abs(trace.arrays["trace"][0] - A.trace()) <= trace.bound + 1e-14 * np.abs(A).sum()
    np.testing.assert_allclose(diagonal.arrays["diagonal"], A.diagonal(), rtol=0, atol=diagonal.bound + 1e-15)
    assert "every output is affine in each parameter alone" in trace.note
    assert trace.arrays["abs_sum"][0] >= A.trace()
    assert found[Density](Density()).source == Source.STATISTICAL


def test_a_backward_pass_of_its_own_is_seen_where_the_operations_look_affine(network_of):
    class Smoothed(torch.autograd.Function):
        """A ReLU to look at, a tanh to differentiate."""

        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return torch.relu(x)

        @staticmethod
        def backward(ctx, gradient):
            return gradient * torch.tanh(ctx.saved_tensors[0])

    def network(bend):
        def forward(parameters, inputs):
            W1, b1, W2 = parameters.split([15, 3, 12])
            return bend(inputs @ W1.view(3, 5).T + b1) @ W2.view(4, 3).T

        return replace(network_of(), forward=forward)

    def hooked(x):
        """A ReLU by its operations and its graph, whose node hands on another slope."""
        y = torch.relu(x)
        if y.grad_fn is not None:
            y.grad_fn.register_hook(lambda before, after: (after[0] * torch.tanh(x),))
        return y

    assert not is_affine_in_each(network(Smoothed.apply))
    assert not is_flat(network(Smoothed.apply))
    assert is_affine_in_each(network(hooked))
    assert not is_flat(network(hooked))
    assert is_flat(network(torch.relu))


@pytest.mark.parametrize("operator", ["ggn", "hessian"])
def test_weight_decay_moves_every_reference(operator, small_limit, network_of):
    network = network_of((2, 3))
    shift = 0.375
    found = references_of(lambda: network, MatrixChoice(operator, shift), 30, name="it")
    eigenvalues = np.linalg.eigvalsh(DENSE[operator](network)) + shift
    top, trace, density = (
        found[type(asked)](asked) for asked in (TopEigenvalues(30 if operator == "ggn" else 4), Trace(), Density())
    )
    assert top.source == (Source.GRAM if operator == "ggn" else Source.CERTIFIED)
    truth = TopEigenvalues(top.arrays["eigenvalues"].size).rank(eigenvalues)[: top.arrays["eigenvalues"].size]
    np.testing.assert_allclose(top.arrays["eigenvalues"], truth, rtol=0, atol=top.bound + 1e-13)
    # Twice the half width of a 99 % interval is five standard deviations.
    assert abs(trace.arrays["trace"][0] - eigenvalues.sum()) <= 2 * trace.bound + 1e-12
    if operator == "ggn":
        assert trace.arrays["abs_sum"][0] == pytest.approx(eigenvalues.sum(), rel=1e-12)
        assert density.arrays["nodes"][0] == shift
        assert density.arrays["weights"].sum() == pytest.approx(1, rel=1e-12)
        diagonal = DENSE["ggn"](network).diagonal() + shift
        np.testing.assert_allclose(found[Diagonal](Diagonal()).arrays["diagonal"], diagonal, rtol=1e-12)
        assert top.norm == pytest.approx(eigenvalues[-1], rel=1e-12)
    mean = density.arrays["nodes"] @ density.arrays["weights"]
    assert mean == pytest.approx(eigenvalues.mean(), abs=density.bound + 1e-13)


@pytest.mark.parametrize("mc_samples", [1, 6])
def test_the_draws_of_a_large_fisher_matrix_are_those_of_its_operator(mc_samples):
    network = wide_network()
    found = references_of(lambda: network, MatrixChoice("monte-carlo-fisher", 0.0, mc_samples, 7), 5000)
    op = curvature_operator(network, "monte-carlo-fisher", mc_samples=mc_samples, seed=7)
    columns = op.factor.rmatmat(torch.eye(op.factor.num_columns, dtype=torch.float64))
    values = torch.linalg.svdvals(columns)[:3].square().numpy()
    np.testing.assert_allclose(found[TopEigenvalues](TopEigenvalues(3)).arrays["eigenvalues"], values, rtol=1e-12)


@pytest.mark.parametrize(
    ("limit", "value"),
    [("ROW_LIMIT", 11), ("GRAM_FLOPS", 1e5), ("MEMORY", 32 * 5000 - 1)],
    ids=["rows", "work", "memory"],
)
def test_a_gram_matrix_that_is_too_large_is_not_made(limit, value, monkeypatch):
    assert gram_is_affordable(wide_network(), "ggn")
    monkeypatch.setattr(choose, limit, value)
    assert not gram_is_affordable(wide_network(), "ggn")


@pytest.mark.parametrize("decay", [0.0, 0.5])
def test_a_ggn_of_too_many_rows_for_a_gram_matrix_has_its_exact_trace_and_diagonal(decay, monkeypatch):
    network, choice = wide_network(), MatrixChoice("ggn", decay)
    truth = references_of(lambda: network, choice, 5000)[Diagonal](Diagonal()).arrays["diagonal"]
    monkeypatch.setattr(choose, "ROW_LIMIT", 11)
    found = references_of(lambda: network, choice, 5000)
    diagonal, trace = found[Diagonal](Diagonal()), found[Trace](Trace())
    np.testing.assert_allclose(diagonal.arrays["diagonal"], truth, rtol=1e-12)
    assert trace.arrays["trace"][0] == pytest.approx(truth.sum(), rel=1e-13)
    assert trace.source == Source.GRAM
    assert trace.norm >= truth.max()
    assert found[TopEigenvalues](TopEigenvalues(2)).source == Source.CERTIFIED


@pytest.mark.parametrize(("operator", "dim"), [("ntk", 25), ("gram", 100)])
def test_a_kernel_beyond_the_dense_limit_has_all_four_estimands(operator, dim, small_limit, network_of, explicit):
    network = network_of((12, 13))
    found = references_of(lambda: network, MatrixChoice(operator), dim)
    K = explicit(network, operator)
    truth = np.linalg.eigvalsh(K)[::-1]
    top = found[TopEigenvalues](TopEigenvalues(dim))
    bound = kernel_spectrum(network, operator).bound
    np.testing.assert_allclose(top.arrays["eigenvalues"], truth, rtol=0, atol=bound + 1e-12)
    np.testing.assert_allclose(found[Diagonal](Diagonal()).arrays["diagonal"], K.diagonal(), rtol=1e-12)
    assert top.source == Source.DENSE


def test_an_unknown_operator_is_refused():
    with pytest.raises(ValueError, match=r"operator must be one of hessian, ggn, .*, got 'fisher'"):
        references_of(never, MatrixChoice("fisher"), 10)


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.skipif(not os.environ.get("HESSBENCH_DATA"), reason="HESSBENCH_DATA is not set")
def test_the_gram_matrix_and_block_lanczos_agree_on_resnet20():
    from hessbench.problems.network_families.resnet20_cifar10 import RESNET20_CIFAR10

    problem = RESNET20_CIFAR10.problem("resnet20-cifar10[operator=ggn,samples=4]")
    estimand = TopEigenvalues(5)
    gram = problem.references[TopEigenvalues](estimand)
    certified = certified_reference(problem.build(CPU, torch.float64), estimand, 10.0, problem.name)
    assert gram.source == Source.GRAM
    gap = np.abs(gram.arrays["eigenvalues"] - certified.arrays["eigenvalues"]).max()
    # What float64 itself leaves of a sure network: the operator's rounding constant at this size.
    assert gap <= gram.bound_in("float64") + certified.bound


def test_only_what_is_certified_or_estimated_is_work_of_its_own(small_limit, network_of):
    cheap = references_of(lambda: network_of(), MatrixChoice("ggn"), 30)
    assert not any(has_own_work(cheap[kind], kind()) for kind in (Trace, Density, Diagonal))
    assert not has_own_work(cheap[TopEigenvalues], TopEigenvalues(2))
    costly = references_of(lambda: network_of(loss=ROOTLESS), MatrixChoice("hessian"), 30)
    assert all(has_own_work(costly[kind], kind()) for kind in (Trace, Density))
    assert has_own_work(costly[TopEigenvalues], TopEigenvalues(2))
    assert not has_own_work(references_of(never, MatrixChoice("hessian"), 10)[Density], Density())
