"""Intervals from a Krylov space and two ends hold the eigenvalues, in every order, and close in as residuals do."""

import numpy as np
import pytest
import torch

from hessbench.estimand import TopEigenvalues
from hessbench.methods.krylov.enclosures import NOTHING, enclosure
from hessbench.methods.krylov.random_start_bound import Ends
from hessbench.methods.krylov.recurrence import lanczos_steps
from hessbench.operators import dense_operator
from hessbench.seeding import make_generator

ORDERS = ["magnitude", "algebraic", "smallest"]


def krylov(A, steps, seed=0):
    """T, its basis, and the true ends of what lies outside."""
    generator = make_generator(seed)
    start = torch.randn(A.shape[0], generator=generator, dtype=A.dtype)
    *_, T = lanczos_steps(dense_operator(A), start, reorth="full", num_steps=steps, generator=generator)
    Q = T.basis[:steps]
    outside = torch.linalg.svd(Q).Vh[steps:]
    inner = torch.linalg.eigvalsh(outside @ A @ outside.T) if steps < A.shape[0] else torch.zeros(1)
    return *T.read(), Ends(float(inner[0]), float(inner[-1]))


def symmetric(n, seed=3):
    B = torch.randn(n, n, generator=make_generator(seed), dtype=torch.float64)
    return (B + B.T) / 2


def truth(A, order):
    values = order.rank(torch.linalg.eigvalsh(A).numpy())[: order.k]
    return np.abs(values) if order.which == "magnitude" else values


@pytest.mark.parametrize("which", ORDERS)
@pytest.mark.parametrize(("n", "steps", "k"), [(30, 4, 3), (30, 20, 5), (30, 29, 30), (6, 2, 6), (5, 5, 5), (1, 1, 1)])
def test_the_eigenvalues_lie_inside(which, n, steps, k):
    A, order = symmetric(n), TopEigenvalues(k, which)
    alphas, betas, ends = krylov(A, steps)
    lower, upper = enclosure(order, alphas, betas, n, ends)
    assert lower.shape == upper.shape == (k,)
    assert (lower <= truth(A, order) + 1e-12).all()
    assert (upper >= truth(A, order) - 1e-12).all()


@pytest.mark.parametrize("which", ORDERS)
def test_what_is_added_moves_them_by_its_own_ends(which):
    A, E, order = symmetric(20), 0.3 * symmetric(20, seed=8), TopEigenvalues(4, which)
    added = torch.linalg.eigvalsh(E)
    alphas, betas, ends = krylov(A, 12)
    lower, upper = enclosure(order, alphas, betas, 20, ends, Ends(float(added[0]), float(added[-1])))
    assert (lower <= truth(A + E, order)).all()
    assert (upper >= truth(A + E, order)).all()


def test_a_converged_pair_is_known_to_the_square_of_its_residual():
    rho, theta, high = 1e-4, 2.0, 1.0
    lower, upper = enclosure(TopEigenvalues(1, "algebraic"), np.array([theta]), np.array([rho]), 50, Ends(-1.0, high))
    assert theta <= lower[0] <= upper[0]
    assert upper[0] - theta == pytest.approx(rho**2 / (theta - high), rel=1e-3)


def test_what_lies_outside_may_be_repeated_and_come_first():
    order = TopEigenvalues(3, "algebraic")
    lower, upper = enclosure(order, np.array([1.0, 0.0]), np.array([0.0, 0.0]), 10, Ends(-1.0, 5.0))
    np.testing.assert_allclose(upper, [5.0, 5.0, 5.0])
    np.testing.assert_allclose(lower, [1.0, 0.0, -1.0])


def test_magnitudes_from_both_sides_are_merged():
    order = TopEigenvalues(3, "magnitude")
    lower, upper = enclosure(order, np.array([3.0, -4.0, 1.0]), np.zeros(3), 8, NOTHING)
    np.testing.assert_allclose(lower, [4.0, 3.0, 1.0])
    np.testing.assert_allclose(upper, [4.0, 3.0, 1.0])
