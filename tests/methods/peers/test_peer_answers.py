"""Every adapter against dense truth: on a semidefinite operator, and on a small network where it has its own."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hessbench.counting import CountingOperator
from hessbench.estimand import Density, Diagonal, TopEigenvalues, Trace
from hessbench.estimand.density import wasserstein1
from hessbench.laws.small_network import SmallNetworkOperator
from hessbench.methods.peers import PEERS
from hessbench.operators import ProductKind, dense_operator, to_dense
from hessbench.problem import FACTOR, NETWORK, Problem
from hessbench.seeding import make_generator

# Some of the libraries still compile functions by torch.jit when they are imported.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")

DIM = 60
SPECS = [spec for method in PEERS for spec in method.presets or (method.name,)]
BY_NAME = {method.name: method for method in PEERS}
# Errors allowed: of top eigenvalues relative to the largest, of a trace to the sum of magnitudes, of a diagonal to its
# norm, of a density (Wasserstein-1) to the spread. Exact methods to rounding; a mean of m sign probes to five of its
# standard deviations, sqrt(2 / m) ||A||_F at most. All mass at the mean has the Wasserstein distance 1: half of that
# is what one start, or a curve smoothed for the eye, comes within.
EXACT = {
    "scipy-eigsh", "scipy-eigsh[tol=0.01]", "scipy-lobpcg", "curvlinops-own-eigsh", "curvlinops-own-eigsh[check=false]",
    "eigenthings-lanczos", "eigenthings-lanczos[reorthogonalize=on]", "primate-lanczos[orth=-1]",
    "backpack-own-ggn-diagonal", "backpack-own-hessian-diagonal",
}  # fmt: skip
LOOSE = {"density": 0.5, "diagonal": 1.5, "top-eigenvalues": 0.1}


def case(spec):
    """The operator that a method is tried on, and its matrix."""
    needs = BY_NAME[spec.partition("[")[0]].requires
    if NETWORK in needs:
        kind = ProductKind.GGN if FACTOR in needs else ProductKind.HESSIAN
        op = SmallNetworkOperator(kind, torch.float64)
        return op, to_dense(op).numpy()
    rng = np.random.default_rng(0)
    Q = np.linalg.qr(rng.standard_normal((DIM, DIM)))[0]
    # Bounds of a spectrum by ARPACK take what they like where its lower end is flat.
    A = (Q * (np.linspace(1, 3, DIM) if "density" in spec else 0.8 ** np.arange(DIM))) @ Q.T
    A = (A + A.T) / 2
    return dense_operator(torch.as_tensor(A)), A


@pytest.mark.parametrize("spec", SPECS)
def test_an_adapter_answers_what_the_dense_matrix_says(spec):
    method = BY_NAME[spec.partition("[")[0]]
    if method.lack:
        pytest.skip(method.lack)
    inner, A = case(spec)
    # Few steps for those that lose orthogonality, which would hand back copies.
    budget = {"eigenthings-lanczos": 40, "primate-lanczos": 13}.get(spec, 1000 if "density" in spec else 200)
    op = CountingOperator(inner, budget)
    kind = method.estimands[0]
    estimate = method.bind(spec, kind.of_size(3)).run(op, budget, make_generator(1)).resolve()
    assert 1 <= op.matvecs <= budget
    answers = {kind: estimate.value, **{other: inner.value for other, inner in estimate.also.items()}}
    eigenvalues, size = np.linalg.eigvalsh(A), np.abs(np.linalg.eigvalsh(A)).sum()
    top = np.sort(np.abs(eigenvalues))[::-1]
    for found_kind, value in answers.items():
        if found_kind is TopEigenvalues:
            error = np.abs(np.sort(np.abs(np.asarray(value)))[::-1][:3] - top[:3]).max() / top[0]
        elif found_kind is Trace:
            error = abs(float(value) - eigenvalues.sum()) / size
        elif found_kind is Diagonal:
            error = np.linalg.norm(np.asarray(value) - np.diag(A)) / np.linalg.norm(np.diag(A))
        else:
            assert found_kind is Density
            nodes, weights = value
            gap = wasserstein1(nodes, weights, eigenvalues, np.full(eigenvalues.size, 1 / eigenvalues.size))
            error = gap / np.abs(eigenvalues - eigenvalues.mean()).mean()
        trace = 5 * np.linalg.norm(A) * np.sqrt(2 / 30) / size
        limit = LOOSE.get(found_kind.key, trace)
        assert error < (1e-6 if spec in EXACT and found_kind is kind else limit), found_kind


def test_the_loose_limits_tell_a_wrong_answer():
    _, A = case("scipy-eigsh")
    eigenvalues = np.linalg.eigvalsh(A)
    assert 5 * np.linalg.norm(A) * np.sqrt(2 / 30) / eigenvalues.sum() < 1


def test_a_method_whose_library_is_missing_is_skipped_with_what_installs_it():
    method = replace(PEERS[0], library="no-such-distribution")
    problem = Problem.of("any", np.eye(4))
    reason = method.bind(method.name, TopEigenvalues(k=1)).skip_reason(problem)
    assert reason == (
        "scipy-eigsh needs a library: no-such-distribution is not installed: pip install no-such-distribution"
    )
    assert not PEERS[0].bind("scipy-eigsh", TopEigenvalues(k=1)).skip_reason(problem)
