"""Other libraries as methods: their functions take the counted operator as it is, and keep every law."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from hessbench.catalog import load_plugin
from hessbench.counting import BudgetExceeded, CountingOperator
from hessbench.estimand import Diagonal, Estimate, TopEigenvalues, Trace
from hessbench.laws.checks import LAWS, _global_state, check_method
from hessbench.laws.global_settings import changes
from hessbench.laws.small_operator import DIM, small_operator
from hessbench.method import Method
from hessbench.operators import to_dense
from hessbench.seeding import make_generator, seeded_globally

PLUGIN = Path(__file__).parent / "plugins" / "libraries.py"
LIBRARY = {
    "scipy-eigsh": "scipy", "scipy-lobpcg": "scipy", "curvlinops-hutchpp": "curvlinops",
    "curvlinops-xtrace": "curvlinops", "curvlinops-xdiag": "curvlinops", "skerch-seigh": "skerch",
    "skerch-hutch": "skerch", "skerch-xhutchpp": "skerch", "pyhessian-power": "pyhessian",
}  # fmt: skip

# What is within these budgets of what is exact, relative to the largest eigenvalue, the sum of their absolute values,
# or the norm of the diagonal: wide, since this tries the way in and not the estimators.
WITHIN = {TopEigenvalues: 0.05, Trace: 0.5, Diagonal: 1.0}


@pytest.fixture
def method(request):
    if find_spec(LIBRARY[request.param]) is None:
        pytest.skip(f"{LIBRARY[request.param]} is not installed")
    return next(method for method in load_plugin(PLUGIN).METHODS if method.name == request.param)


# Some of the libraries still compile functions by torch.jit when they are imported.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")

every = pytest.mark.parametrize("method", LIBRARY, indirect=True)


@every
def test_every_law_holds(method):
    verdicts = list(check_method(method, method.name))
    assert [f"{verdict.law}: {verdict.detail}" for verdict in verdicts if not verdict.passed] == []
    assert len(verdicts) == len(LAWS)


@every
def test_it_answers_its_estimand(method):
    inner = small_operator(method)
    budget = 2 * DIM  # a power iteration needs some twenty products a value
    op = CountingOperator(inner, budget)
    [kind] = method.estimands
    estimate = method.bind(method.name, kind.of_size(3)).run(op, budget, make_generator(0))
    found, exact = np.asarray(estimate.resolve().value, dtype=np.float64), to_dense(inner).numpy()
    eigenvalues = np.linalg.eigvalsh(exact)
    top = np.sort(np.abs(eigenvalues))[::-1]
    error = {
        TopEigenvalues: lambda: np.abs(np.sort(np.abs(found))[::-1][:3] - top[:3]).max() / top[0],
        Trace: lambda: abs(float(found) - np.trace(exact)) / top.sum(),
        Diagonal: lambda: np.linalg.norm(found - np.diag(exact)) / np.linalg.norm(np.diag(exact)),
    }[kind]()
    assert error < WITHIN[kind]


def test_a_library_that_draws_globally_and_does_not_restore_breaks_a_law():
    def careless(op, /, *, num_matvecs, generator):
        torch.manual_seed(int(torch.randint(100, (1,), generator=generator)))
        probes = torch.randn(op.dim, num_matvecs, dtype=op.dtype)
        return Estimate((probes * (op @ probes)).sum() / num_matvecs)

    def careful(op, /, *, num_matvecs, generator):
        with seeded_globally(generator):
            return careless(op, num_matvecs=num_matvecs, generator=generator)

    def broken(run):
        return [
            verdict.law for verdict in check_method(Method("global", run, (Trace,)), "global") if not verdict.passed
        ]

    assert broken(careless) == ["no global generator touched (trace)"]
    assert broken(careful) == []


def test_a_budget_that_ends_a_library_leaves_the_global_generators_as_they_were():
    from scipy.sparse.linalg import eigsh

    before = _global_state()
    op = CountingOperator(small_operator(Method("any", lambda op, /, *, num_matvecs, generator: None, (Trace,))), 10)
    with pytest.raises(BudgetExceeded), seeded_globally(make_generator(0)):
        eigsh(op.to_scipy(), 3)
    assert op.matvecs == 10
    assert changes(before, _global_state()) == []
