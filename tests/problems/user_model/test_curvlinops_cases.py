"""The kinds of network, loss and data that curvlinops is tested on, each by every engine against a dense oracle.

After its test/cases.py: regression, classification and yes-or-no outputs, with and without more axes, means and sums,
inputs that are dicts of one kind or another, each in batches of different size; and those that are not deterministic.
"""

from collections import UserDict

import pytest
import torch
from module_oracle import module_oracle
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from hessbench.estimand import TopEigenvalues, Trace
from hessbench.operators import to_dense
from hessbench.problem import FACTOR, PSD
from hessbench.problems import from_model
from hessbench.problems.curvature.engines.table import ENGINES, engine_names
from hessbench.problems.curvature.matrices import curvature_operator
from hessbench.problems.curvature.monte_carlo_fisher import fisher_network
from hessbench.problems.networks.linearisation import quiet_transforms

SIZES = (3, 4)
DRAWS = 1000


class DictModel(nn.Module):
    """Takes a mapping whole, whatever its kind."""

    def __init__(self, outputs):
        super().__init__()
        self.net = dense(10, outputs)

    def forward(self, data):
        return self.net(data["x"].to(next(self.parameters()).device))


class ClassesSecond(nn.Module):
    """Moves the classes to where torch's cross-entropy has them."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return self.net(x).movedim(-1, 1)


def dense(inputs, outputs):
    return nn.Sequential(nn.Linear(inputs, 5), nn.ReLU(), nn.Linear(5, outputs))


def images():
    return nn.Sequential(
        nn.Conv2d(1, 2, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(2, 3, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(3, 4),
    )  # fmt: skip


def classes(*shape, of=3):
    return [torch.randint(of, (size, *shape)) for size in SIZES]


def truths(*shape):
    return [torch.randint(2, (size, *shape)).float() for size in SIZES]


def values(*shape):
    return [torch.rand(size, *shape) for size in SIZES]


def dicts(width):
    first, second = values(width)
    return [UserDict({"x": first}), {"x": second}]


def case(model, loss, inputs, targets):
    return model, loss, lambda: list(zip(inputs(), targets(), strict=True))


CE, BCE, MSE = nn.CrossEntropyLoss, nn.BCEWithLogitsLoss, nn.MSELoss
CASES = {
    "classes": case(lambda: dense(10, 3), CE(), lambda: values(10), classes),
    "classes, sum": case(lambda: dense(10, 3), CE(reduction="sum"), lambda: values(10), classes),
    "yes or no": case(lambda: dense(10, 1), BCE(), lambda: values(10), lambda: truths(1)),
    "yes or no twice": case(lambda: dense(10, 2), BCE(), lambda: values(10), lambda: truths(2)),
    "yes or no twice, sum": case(lambda: dense(10, 2), BCE(reduction="sum"), lambda: values(10), lambda: truths(2)),
    "values": case(lambda: dense(8, 3), MSE(), lambda: values(8), lambda: values(3)),
    "values, sum": case(lambda: dense(8, 3), MSE(reduction="sum"), lambda: values(8), lambda: values(3)),
    "dicts, classes": case(lambda: DictModel(2), CE(), lambda: dicts(10), lambda: classes(of=2)),
    "dicts, yes or no": case(lambda: DictModel(1), BCE(), lambda: dicts(10), lambda: truths(1)),
    "dicts, values": case(lambda: DictModel(2), MSE(), lambda: dicts(10), lambda: values(2)),
    "sequences of classes": case(
        lambda: ClassesSecond(dense(10, 3)), CE(), lambda: values(5, 10), lambda: classes(5)
    ),
    "sequences of classes, sum": case(
        lambda: ClassesSecond(dense(10, 3)), CE(reduction="sum"), lambda: values(5, 10), lambda: classes(5)
    ),
    "sequences of yes or no": case(lambda: dense(10, 2), BCE(), lambda: values(5, 10), lambda: truths(5, 2)),
    "sequences of yes or no, sum": case(
        lambda: dense(10, 2), BCE(reduction="sum"), lambda: values(5, 10), lambda: truths(5, 2)
    ),
    "sequences of values": case(lambda: dense(8, 3), MSE(), lambda: values(5, 8), lambda: values(5, 3)),
    "sequences of values, sum": case(
        lambda: dense(8, 3), MSE(reduction="sum"), lambda: values(5, 8), lambda: values(5, 3)
    ),
    "images": case(images, CE(), lambda: values(1, 16, 16), lambda: classes(of=4)),
}  # fmt: skip


@pytest.fixture(autouse=True)
def one_thread():
    """Products this small wait for a second thread longer than they take."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def made(name):
    model, loss, data = CASES[name]
    torch.manual_seed(0)
    return model(), loss, data()


def network_of(module, loss, data, operator="ggn"):
    problem = from_model(module, loss, data, operator=operator, dtype=torch.float64)
    return problem, problem.network()


def near(found, truth, told):
    assert float((found - truth).abs().max()) <= 1e-12 * max(1.0, float(truth.abs().max())), told


@pytest.mark.parametrize("name", CASES)
def test_every_case_is_taken_and_every_engine_multiplies_with_the_dense_matrix(name):
    module, loss, data = made(name)
    oracle = module_oracle(module, loss, data)
    problem, network = network_of(module, loss, data)
    assert {PSD, FACTOR} <= set(problem.traits)
    for operator in ("hessian", "ggn", "residual", "gradient-second-moment", "gradient-covariance", "ntk"):
        truth = oracle.matrix(operator)
        engines = engine_names(operator)
        # Engines of the other matrices are crossed with networks and losses in `curvature/test_products.py`.
        for engine in engines if operator in ("hessian", "ggn") or name == "sequences of classes" else engines[:1]:
            costly = engine in ENGINES and ENGINES[engine].is_costly
            if engine == "compiled" or (costly and name != "sequences of classes"):
                continue  # compiling takes half a minute a product, tracing some seconds
            near(to_dense(curvature_operator(network, operator, engine)), truth, (operator, engine))


@pytest.mark.parametrize("name", CASES)
def test_factor_and_gram_matrix_of_every_case_are_those_of_its_ggn(name):
    module, loss, data = made(name)
    _, network = network_of(module, loss, data)
    G = module_oracle(module, loss, data).ggn
    op = curvature_operator(network, "ggn", "kept-graph")
    factor = op.factor
    F = factor.rmatmat(torch.eye(factor.num_columns, dtype=torch.float64))
    near(F @ F.T, G, "factor")
    each = torch.zeros(factor.num_columns, factor.num_outputs, dtype=torch.float64)
    for column in range(factor.num_outputs):
        each[column :: factor.num_outputs, column] = 1
    near(factor.squared_sum(each).sum(dim=1), G.diagonal(), "squares")
    K = to_dense(curvature_operator(network, "gram"))
    assert K.shape == (factor.num_columns, factor.num_columns)
    near(K, F.T @ F, "gram")
    nonzero = torch.linalg.eigvalsh(G)[-min(G.shape[0], K.shape[0]) :]
    near(torch.linalg.eigvalsh(K)[-nonzero.numel() :], nonzero, "eigenvalues")


@pytest.mark.parametrize("name", CASES)
def test_the_monte_carlo_fisher_of_every_case_is_its_ggn_on_average(name):
    module, loss, data = made(name)
    oracle = module_oracle(module, loss, data)
    _, network = network_of(module, loss, data)
    found = to_dense(curvature_operator(network, "monte-carlo-fisher", "kept-graph", mc_samples=DRAWS))
    drawn = fisher_network(network, DRAWS)
    v = torch.randn(found.shape[0], 5, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    with quiet_transforms():
        Jv = [torch.func.jvp(drawn.on(batch), (drawn.parameters,), (u,))[1] for u in v.T for batch in drawn.batches]
    for place, u in enumerate(v.T):
        # v^T F v is scale times the sum of the means over the draws of (s^T J v)^2, independent from sample to sample.
        parts = Jv[place * len(drawn.batches) : (place + 1) * len(drawn.batches)]
        squares = torch.cat([
            torch.einsum("mc,mcr->mr", part, batch.targets).square()
            for part, batch in zip(parts, drawn.batches, strict=True)
        ])  # fmt: skip
        means, deviations = squares.mean(dim=1), squares.var(dim=1).sum().sqrt() / DRAWS**0.5
        quadratic = float(u @ found @ u)
        assert abs(quadratic - oracle.scale * float(means.sum())) <= 1e-10 * quadratic
        assert abs(quadratic - float(u @ oracle.ggn @ u)) <= 5 * oracle.scale * float(deviations)


@pytest.mark.parametrize("name", CASES)
def test_references_of_every_case_hold_the_oracles_trace_and_values(name):
    module, loss, data = made(name)
    oracle = module_oracle(module, loss, data)
    for operator in ("ggn", "gram"):
        problem, _ = network_of(module, loss, data, operator)
        truth = torch.linalg.eigvalsh(oracle.ggn)
        for estimand, reference in asked(problem):
            value = truth.sum() if "trace" in reference.arrays else truth.flip(0)[:3]
            key = "trace" if "trace" in reference.arrays else "eigenvalues"
            gap = (torch.as_tensor(reference.arrays[key]) - value).abs().max()
            assert float(gap) <= reference.bound_in("float64") + 1e-12 * float(truth.sum()), (operator, estimand)


def asked(problem):
    return [(estimand, problem.references[type(estimand)](estimand)) for estimand in (Trace(), TopEigenvalues(3))]


def loader(**options):
    torch.manual_seed(0)
    return DataLoader(TensorDataset(torch.rand(12, 10), torch.randint(2, (12,))), **options)


NOT_DETERMINISTIC = {
    "dropout": (
        lambda: nn.Sequential(nn.Linear(10, 5), nn.Dropout(), nn.ReLU(), nn.Linear(5, 2)), {"batch_size": 3},
        "1 (Dropout) draws at random in training mode: call model.eval() first",
    ),
    "batch norm on shuffled batches": (
        lambda: nn.Sequential(nn.Linear(10, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 2)),
        {"batch_size": 3, "shuffle": True}, "1 (BatchNorm1d) mixes the samples of a batch in training mode",
    ),
    "shuffled": (lambda: dense(10, 2), {"batch_size": 3, "shuffle": True}, "by a RandomSampler, which is no fixed"),
    "shuffled, the last ones dropped": (
        lambda: dense(10, 2), {"batch_size": 5, "shuffle": True, "drop_last": True}, "by a RandomSampler",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NOT_DETERMINISTIC)
def test_what_is_not_deterministic_is_refused_in_one_sentence(name):
    model, options, says = NOT_DETERMINISTIC[name]
    with pytest.raises(ValueError) as refusal:  # noqa: PT011 -- compared below, without escapes
        from_model(model(), CE(), loader(**options))
    assert says in str(refusal.value)
    assert "\n" not in str(refusal.value)
