"""How the operators hang together: Hessian = GGN + R, moments and their centre, draws and their mean; batch norm."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from dense_oracle import FORMULAS, Oracle
from torch import nn

from hessbench.estimand import Density, TopEigenvalues, Trace
from hessbench.operators import Factored, check_operator, to_dense
from hessbench.problems import from_model
from hessbench.problems.curvature.engines.table import engine_names
from hessbench.problems.curvature.matrices import BY_EXAMPLE, curvature_operator, operator_dim
from hessbench.problems.curvature.monte_carlo_fisher import fisher_network
from hessbench.problems.networks import flat_forward, flat_parameters, parameter_shapes
from hessbench.problems.networks.losses import CROSS_ENTROPY, LOSSES, SQUARED, Loss
from hessbench.problems.networks.network import Batch, Network
from hessbench.problems.references.dense import DENSE
from hessbench.problems.references.gram import gram_spectrum

CPU = torch.device("cpu")
INPUTS, HIDDEN, CLASSES, DIM = 5, 4, 3, 39
ROOTLESS = Loss("quartic", lambda outputs, targets: (outputs**4).sum())


def forward(parameters, inputs):
    """5 -> 4 tanh -> 3, (m, 5) -> (m, 3)."""
    W1, b1, W2, b2 = parameters.split([20, 4, 12, 3])
    return nn.functional.linear(torch.tanh(nn.functional.linear(inputs, W1.view(4, 5), b1)), W2.view(3, 4), b2)


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def network_of(sizes=(4, 2, 5), loss=CROSS_ENTROPY, scale=1.0):
    count = sum(sizes)
    labels = torch.randint(0, CLASSES, (count,), generator=torch.Generator().manual_seed(1))
    parts = zip(drawn(count, INPUTS).split(sizes), labels.split(sizes), strict=True)
    return Network(forward, scale * drawn(DIM, seed=2), tuple(Batch(*part) for part in parts), loss)


def dense(network, operator, **more):
    return to_dense(curvature_operator(network, operator, **more))


def close(found, expected, roundings=100):
    size = float(expected.abs().max())
    torch.testing.assert_close(found, expected, rtol=0, atol=roundings * 2.0**-52 * size)


def test_the_hessian_is_the_ggn_and_the_residual_to_rounding():
    for loss, mean in product((CROSS_ENTROPY, SQUARED, ROOTLESS), (True, False)):
        network = network_of(loss=replace(loss, mean=mean))
        close(dense(network, "ggn") + dense(network, "residual"), dense(network, "hessian"))


def test_the_residual_of_a_model_that_fits_its_data_vanishes_where_the_difference_is_rounding():
    network = network_of((6,), SQUARED)
    (batch,) = network.batches
    targets = forward(network.parameters, batch.inputs)
    fitted = replace(network, batches=(Batch(batch.inputs, targets),))
    assert not dense(fitted, "residual").any()
    close(dense(fitted, "ggn"), dense(fitted, "hessian"))


@pytest.mark.parametrize("mean", [True, False])
def test_the_covariance_is_the_second_moment_less_the_square_of_the_mean(mean):
    network = network_of(loss=replace(CROSS_ENTROPY, mean=mean))
    count = network.num_samples
    theta = network.parameters.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(network.objective(theta), theta)
    g = gradient if mean else gradient / count
    expected = dense(network, "gradient-second-moment") - (1 if mean else count) * torch.outer(g, g)
    found = dense(network, "gradient-covariance")
    close(found, expected)
    values = torch.linalg.eigvalsh(found)
    assert int((values > 1e-12 * values[-1]).sum()) == count - 1
    assert float(values[0]) > -1e-13 * float(values[-1])


def test_gradients_that_are_all_alike_have_no_covariance():
    network = network_of((1,))
    (batch,) = network.batches
    alike = replace(network, batches=(Batch(batch.inputs.expand(8, -1), batch.targets.expand(8)),))
    size = float(dense(alike, "gradient-second-moment").abs().max())
    # Each centred gradient is zero but for a few roundings of itself.
    assert float(dense(alike, "gradient-covariance").abs().max()) < (20 * 2.0**-52) * size


@pytest.mark.parametrize("loss", LOSSES.values(), ids=lambda loss: loss.name)
def test_the_gram_matrix_has_the_nonzero_spectrum_of_the_ggn(loss):
    network = network_of((2, 3), loss)
    assert operator_dim(network, "gram") == 15
    K = torch.linalg.eigvalsh(dense(network, "gram"))
    G = torch.linalg.eigvalsh(dense(network, "ggn"))
    padded = torch.cat([torch.zeros(DIM - 15, dtype=torch.float64), K]).sort().values
    torch.testing.assert_close(padded, G.sort().values, rtol=0, atol=1e-13 * float(G.max()))
    columns = curvature_operator(network, "ggn").factor.rmatmat(torch.eye(15, dtype=torch.float64))
    close(dense(network, "gram"), columns.T @ columns)


@pytest.mark.parametrize("loss", LOSSES.values(), ids=lambda loss: loss.name)
def test_the_expectation_of_the_monte_carlo_fisher_is_the_ggn(loss):
    # x^T F x is c times the mean over draws of sum_i z_i, z_i = (s_i^T u_i)^2 with u_i = J_i x. Under the draws z_i has
    # mean m_i = u^T Lambda_i u and a variance v_i that is known: for the softmax sum_o p_o (u_o - p^T u)^4 - m_i^2, for
    # normal slopes 2 m_i^2. So x^T F x lies within 5 standard deviations c sqrt(sum v_i / r) of x^T G x but for one
    # draw in a million, as it is a mean of r N independent terms.
    draws = 1000
    network = network_of(loss=loss, scale=0.5)
    inputs = torch.cat([batch.inputs for batch in network.batches])
    G, F = dense(network, "ggn"), dense(network, "monte-carlo-fisher", mc_samples=draws, seed=3)
    J = torch.autograd.functional.jacobian(lambda q: forward(q, inputs), network.parameters)
    p = forward(network.parameters, inputs).softmax(dim=1)
    for x in drawn(5, DIM, seed=4):
        u = J @ x
        if loss is CROSS_ENTROPY:
            away = u - (p * u).sum(dim=1, keepdim=True)
            means = (p * away**2).sum(dim=1)
            variances = (p * away**4).sum(dim=1) - means**2
        else:
            means = u.square().sum(dim=1)
            variances = 2 * means**2
        assert float(x @ G @ x) == pytest.approx(float(means.mean()), rel=1e-12)
        deviation = float((variances.sum() / draws).sqrt() / network.num_samples)
        assert abs(float(x @ F @ x - x @ G @ x)) < 5 * deviation < 0.2 * float(x @ G @ x)


@pytest.mark.parametrize("loss", LOSSES.values(), ids=lambda loss: loss.name)
def test_draws_are_those_of_the_seed_for_any_cut_dtype_and_order_of_asking(loss):
    network = network_of((11,), loss)
    first = dense(network, "monte-carlo-fisher", mc_samples=2, seed=5)
    torch.rand(3)
    close(dense(network_of((4, 2, 5), loss), "monte-carlo-fisher", mc_samples=2, seed=5), first)
    single = dense(network.to(CPU, torch.float32), "monte-carlo-fisher", mc_samples=2, seed=5)
    # In float32 weights and inputs are rounded too; other draws would be off by the matrix itself.
    assert float((single.double() - first).norm()) < 1e-4 * float(first.norm())
    other = dense(network, "monte-carlo-fisher", mc_samples=2, seed=6)
    assert float((other - first).norm()) > 1e-2 * float(first.norm())


def test_the_monte_carlo_fisher_has_a_factor_of_a_column_for_every_draw():
    for loss, mc_samples in product(LOSSES.values(), (1, 2, 7)):
        check_factor(network_of(loss=loss), loss, mc_samples)


def check_factor(network, loss, mc_samples):
    op = curvature_operator(network, "monte-carlo-fisher", mc_samples=mc_samples, seed=1)
    assert isinstance(op, Factored)
    assert (op.factor.num_outputs, op.factor.num_columns) == (mc_samples, 11 * mc_samples)
    columns = op.factor.rmatmat(torch.eye(11 * mc_samples, dtype=torch.float64))
    close(columns @ columns.T, to_dense(op))
    check_operator(op, torch.Generator().manual_seed(0))
    slopes = torch.cat([batch.targets for batch in fisher_network(network, mc_samples, 1).batches])
    if loss is CROSS_ENTROPY:
        outputs = torch.cat([forward(network.parameters, batch.inputs) for batch in network.batches])
        labels = outputs.softmax(dim=1)[:, :, None] - slopes
        torch.testing.assert_close(labels, labels.round(), rtol=0, atol=1e-15)
        assert labels.round().sum(dim=1).eq(1).all()


@pytest.mark.parametrize(
    ("operator", "more", "says"),
    [
        ("monte-carlo-fisher", {"mc_samples": 0}, "mc_samples must be between 1 and 1000, got 0"),
        ("monte-carlo-fisher", {"mc_samples": 1001}, "mc_samples must be between 1 and 1000, got 1001"),
        ("monte-carlo-fisher", {"seed": -1}, "seed must be at least 0, got -1"),
    ],
)
def test_numbers_out_of_range_are_refused(operator, more, says):
    with pytest.raises(ValueError, match=says):
        curvature_operator(network_of(), operator, **more)


def test_a_loss_that_lacks_what_an_operator_needs_is_refused_in_one_sentence():
    network = network_of(loss=ROOTLESS)
    with pytest.raises(
        ValueError, match=r"\Athe loss quartic names no distribution .*takes cross-entropy, binary .* or squared\Z"
    ):
        curvature_operator(network, "monte-carlo-fisher")
    for ask in (curvature_operator, operator_dim):
        with pytest.raises(ValueError, match=r"\Athe loss quartic has no root, .* or squared is accepted\Z"):
            ask(network, "gram")


def normed_model():
    """Convolution, batch norm, tanh, linear, batch norm, linear; statistics that are not the batch's."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(
            nn.Conv2d(1, 2, 2), nn.BatchNorm2d(2), nn.Tanh(), nn.Flatten(), nn.Linear(8, 4), nn.BatchNorm1d(4),
            nn.Tanh(), nn.Linear(4, CLASSES),
        ).double()  # fmt: skip
        for module in model.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                nn.init.uniform_(module.running_mean)
                nn.init.uniform_(module.running_var, 0.5, 2.0)
    return model


def grouped(training, *, batched=False, traced=False, loss=CROSS_ENTROPY):
    """A network with batch norm on 6 images, its state, and a function that asserts that nothing in it changed."""
    model = normed_model().train(training)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    names = tuple(parameter_shapes(model))
    labels = torch.randint(0, CLASSES, (6,), generator=torch.Generator().manual_seed(1))
    batch = Batch(drawn(6, 1, 3, 3), labels)
    network = Network(
        flat_forward(model, state, names), flat_parameters(state, names), (batch,), loss, batched, traced, training
    )
    before = {name: value.clone() for name, value in state.items()}

    def unchanged():
        for name, value in before.items():
            assert torch.equal(state[name], value), name
            assert torch.equal(model.state_dict()[name], value), name

    return network, unchanged


def oracle_of(network):
    """The oracle of the whole batch at once, which a group is."""
    (batch,) = network.batches
    loss = network.loss
    return Oracle(
        network.forward, network.parameters, batch.inputs, batch.targets, FORMULAS[loss.name], 1 / 6, loss.root
    )


@pytest.mark.parametrize("training", [False, True])
def test_batch_norm_in_either_mode_is_exact_and_its_buffers_stay(training):
    for loss in LOSSES.values():
        oracle = oracle_of(grouped(training, loss=loss)[0])
        for operator, traced in product(("hessian", "ggn", "residual", "gram"), (False, True)):
            network, unchanged = grouped(training, traced=traced, loss=loss)
            expected = oracle.matrix(operator)
            op = curvature_operator(network, operator)
            torch.testing.assert_close(to_dense(op), expected, rtol=0, atol=1e-12 * float(expected.abs().max()))
            check_operator(op, torch.Generator().manual_seed(0))
            unchanged()
            reference = torch.as_tensor(DENSE[operator](network))
            torch.testing.assert_close(reference, expected, rtol=0, atol=1e-12 * float(expected.abs().max()))
            unchanged()


def test_the_gram_matrix_of_one_group_gives_its_spectrum():
    network, unchanged = grouped(training=True)
    spectrum = gram_spectrum(network, "ggn")
    unchanged()
    values = torch.linalg.eigvalsh(oracle_of(network).matrix("ggn")).numpy()
    found = np.sort(np.concatenate([spectrum.eigenvalues, np.zeros(spectrum.zeros)]))
    np.testing.assert_allclose(found, values, rtol=0, atol=1e-13 * values[-1])
    np.testing.assert_allclose(spectrum.diagonal, oracle_of(network).matrix("ggn").diagonal(), rtol=0, atol=1e-13)


def test_the_two_modes_differ():
    found = [dense(grouped(training)[0], "hessian") for training in (False, True)]
    assert float((found[0] - found[1]).norm()) > 0.1 * float(found[0].norm())


def test_operators_of_single_samples_refuse_a_batch_that_is_one_group():
    for operator in BY_EXAMPLE:
        network, unchanged = grouped(training=True)
        says = (
            rf"\Abatch norm in training mode makes the batch one group, and {operator} needs every sample by itself.*\Z"
        )
        with pytest.raises(ValueError, match=says):
            curvature_operator(network, operator)
        unchanged()
        curvature_operator(grouped(training=False)[0], operator)


def test_the_ggn_of_one_group_has_no_factor():
    assert not isinstance(curvature_operator(grouped(training=True)[0], "ggn"), Factored)
    assert isinstance(curvature_operator(grouped(training=False)[0], "ggn"), Factored)


@pytest.mark.parametrize("kind", ["linear", "convolution"])
def test_the_residual_of_a_model_linear_in_its_parameters_is_the_zero_matrix(kind):
    layers = {"linear": [nn.Linear(5, 3)], "convolution": [nn.Unflatten(1, (1, 5)), nn.Conv1d(1, 3, 5), nn.Flatten()]}
    data = torch.ones(4, 5), torch.zeros(4, 3)
    for engine in engine_names("residual"):
        if engine == "compiled":  # takes half a minute to compile nothing
            continue
        problem = from_model(nn.Sequential(*layers[kind]), "squared", data, operator="residual", engine=engine)
        product = problem.build(torch.device("cpu"), torch.float32).matmat(torch.ones(problem.dim, 2))
        assert product.shape == (18, 2)
        assert not product.any(), engine
    found = problem.references[TopEigenvalues](TopEigenvalues(3))
    assert not found.arrays["eigenvalues"].any()
    assert not problem.references[Trace](Trace()).arrays["trace"].any()
    density = problem.references[Density](Density()).arrays
    assert (density["nodes"].tolist(), density["weights"].tolist()) == ([0.0], [1.0])
