"""What each library was asked for, what it reports, and what was really done, by a counter of columns of our own."""

import numpy as np
import pytest
import torch

from hessbench.counting import CountingOperator
from hessbench.methods.peers import PEERS
from hessbench.operators import FunctionOperator
from hessbench.seeding import make_generator

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")

DIM, BUDGET = 200, 32
BY_NAME = {method.name: method for method in PEERS}
# By spec: columns and calls really made with a budget of 32, and the count that the library reports of itself.
DONE = {
    "scipy-lobpcg": (32, 8, None),
    "pyhessian-trace[tol=0.0]": (32, 32, 32),
    "pyhessian-density-eig-shim": (32, 32, None),
    "curvlinops-trace": (32, 1, None),
    "curvlinops-trace[by=hutchpp]": (30, 3, None),
    "curvlinops-trace[by=xtrace]": (32, 2, None),
    "curvlinops-diagonal": (32, 1, None),
    "curvlinops-diagonal[by=xdiag]": (32, 2, None),
    "skerch-seigh": (32, 2, None),
    "skerch-seigh[recovery=nystrom]": (32, 1, None),
    "skerch-seigh[recovery=singlepass]": (32, 1, None),
    "skerch-hutch": (32, 1, None),
    "skerch-xhutchpp": (32, 2, None),
    "eigenthings-lanczos": (32, 32, 32),
    "eigenthings-trace": (30, 30, None),
    "eigenthings-trace[by=hutchinson]": (32, 32, None),
    "eigenthings-density": (32, 32, None),
    "primate-lanczos": (32, 32, None),
    "primate-hutch": (32, 1, 32),
    # Nine asked for: three times as many made, twice as many reported.
    "primate-hutchpp": (27, 11, 18),
    "primate-xtrace": (32, 17, 16),
}


@pytest.fixture
def decaying():
    """0.9^i, rotated, and the columns and calls that were made, whoever asked for them."""
    seen = [0, 0]
    Q = torch.as_tensor(np.linalg.qr(np.random.default_rng(0).standard_normal((DIM, DIM)))[0])
    A = (Q * 0.9 ** torch.arange(DIM, dtype=torch.float64)) @ Q.T

    def matmat(block):
        seen[0] += block.shape[1]
        seen[1] += 1
        return A @ block

    return FunctionOperator(matmat, DIM, torch.float64), seen


@pytest.mark.parametrize("spec", DONE)
def test_what_is_charged_is_what_was_made_and_what_is_reported_stands_beside_it(spec, decaying):
    method = BY_NAME[spec.partition("[")[0]]
    if method.lack:
        pytest.skip(method.lack)
    inner, seen = decaying
    op = CountingOperator(inner, BUDGET)
    estimate = method.bind(spec, method.estimands[0].of_size(4)).run(op, BUDGET, make_generator(0))
    done, calls, reported = DONE[spec]
    assert (op.matvecs, op.calls) == tuple(seen) == (done, calls)
    assert estimate.diagnostics["asked"]
    assert estimate.diagnostics.get("matvecs") == reported
    assert op.spending.outside == 0


@pytest.mark.parametrize(
    ("spec", "fewest"), [("scipy-eigsh[tol=0.01]", 8), ("pyhessian-power", 8), ("eigenthings-power", 8)]
)
def test_methods_that_stop_by_a_tolerance_spend_what_their_budget_holds_at_most(spec, fewest, decaying):
    method = BY_NAME[spec.partition("[")[0]]
    if method.lack:
        pytest.skip(method.lack)
    inner, seen = decaying
    op = CountingOperator(inner, BUDGET)
    method.bind(spec, method.estimands[0].of_size(4)).run(op, BUDGET, make_generator(0))
    assert fewest <= op.matvecs == seen[0] <= BUDGET


def test_bounds_of_a_spectrum_are_charged_until_the_budget_ends_them(decaying):
    method = BY_NAME["curvlinops-density"]
    if method.lack:
        pytest.skip(method.lack)
    inner, seen = decaying
    op = CountingOperator(inner, 300)
    with pytest.raises(RuntimeError, match="1 more products asked for with 300 of 300 spent"):
        method.bind("curvlinops-density", method.estimands[0].of_size(1)).run(op, 300, make_generator(0))
    assert seen[0] == 300
