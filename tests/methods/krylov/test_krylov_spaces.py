"""Top eigenspaces of the methods that iterate: how far off they may be, and that they are those of the moment."""

import numpy as np
import pytest
import torch

from hessbench.estimand import Source, TopEigenspace
from hessbench.estimand.eigenspace import eigenspace_reference

K = 4
RUNS = [
    ("power-iteration", {"tol": 1e-10}),
    ("simultaneous-iteration", {}),
    ("simultaneous-iteration", {"eigenvalue": "norm"}),
    ("simultaneous-iteration", {"eigenvalue": "ritz", "oversampling": 2}),
    ("lanczos", {}),
    ("lanczos", {"reorth": "periodic"}),
    ("lanczos", {"reorth": "selective"}),
    ("thick-restart-lanczos", {"basis": 12}),
    ("block-krylov", {"block": 3}),
]
VALUES = np.concatenate([[9.0, -7.0, 5.5, -4.0], np.linspace(-2, 2, 76)])


def lost(V, A):
    values, vectors = np.linalg.eigh(A.numpy())
    estimand = TopEigenspace(K)
    truth = eigenspace_reference(values, lambda places: vectors[:, places], estimand, Source.DENSE)
    return estimand.errors(estimand.to_arrays(V, VALUES.size), truth, "float64")["lost_overlap"]


@pytest.mark.parametrize(("name", "keywords"), RUNS)
def test_a_space_is_as_near_as_its_residuals_and_the_gap_say(run, rotated, name, keywords):
    """By Davis and Kahan ||sin||_F <= ||A V - V (V^T A V)||_F / gap, the gap being that to the eigenvalues left out."""
    A = rotated(VALUES)
    bounded = 0
    for checkpoint in run(name, A, 200, k=K, vectors=True, **keywords).checkpoints:
        V = checkpoint.estimate.resolve().also[TopEigenspace].value
        if V.shape[1] < K:
            assert lost(V, A) >= (K - V.shape[1]) / K
            continue
        Q = torch.linalg.qr(V).Q
        B = Q.T @ A @ Q
        gap = float(torch.linalg.eigvalsh(B).abs().min()) - 2.0
        if gap > 0:
            bounded += 1
            assert lost(V, A) <= (float((A @ Q - Q @ B).norm()) / gap) ** 2 / K + 1e-13
    assert bounded
    assert lost(V, A) < 1e-6


@pytest.mark.parametrize(("name", "keywords"), RUNS[4:])
def test_the_order_asked_for_decides_the_space(run, rotated, name, keywords):
    A = rotated(VALUES)
    _, vectors = np.linalg.eigh(A.numpy())
    last = run(name, A, 80, k=2, which="smallest", vectors=True, **keywords).last
    V = last.also[TopEigenspace].value.numpy()
    assert np.linalg.norm(vectors[:, :2].T @ V) ** 2 == pytest.approx(2, abs=1e-8)


def test_vectors_of_a_checkpoint_outlive_the_restarts_after_it(run, rotated):
    """Evaluated at the end of the run, they have the residuals that the recurrence gave at theirs."""
    A = rotated(VALUES)
    checkpoints = run("thick-restart-lanczos", A, 40, k=K, basis=12, vectors=True).checkpoints
    for checkpoint in checkpoints[K - 1 :]:
        late = checkpoint.estimate.resolve()
        V = late.also[TopEigenspace].value
        theta = torch.as_tensor(late.value)
        measured = float((A @ V - V * theta).norm(dim=0).max())
        assert measured == pytest.approx(late.diagnostics["residual"], rel=1e-6, abs=1e-12)
