"""Intervals from a Krylov space and two ends hold the eigenvalues, in every order, and close in as residuals do."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hessbench.estimand import TopEigenvalues
from hessbench.methods.krylov.enclosures import NOTHING, Space, enclosure
from hessbench.methods.krylov.random_start_bound import Ends
from hessbench.methods.krylov.recurrence import lanczos_steps
from hessbench.operators import dense_operator
from hessbench.seeding import make_generator

ORDERS = ["magnitude", "algebraic", "smallest"]


def krylov(A, steps, deflated, seed=0):
    """A Krylov space, and the true ends of what is orthogonal to its first vectors."""
    generator = make_generator(seed)
    start = torch.randn(A.shape[0], generator=generator, dtype=A.dtype)
    *_, T = lanczos_steps(dense_operator(A), start, reorth="full", num_steps=steps, generator=generator)
    outside = torch.linalg.svd(T.basis[:deflated]).Vh[deflated:]
    inner = torch.linalg.eigvalsh(outside @ A @ outside.T) if steps < A.shape[0] else torch.zeros(1)
    return Space(*T.read(), A.shape[0], deflated), Ends(float(inner[0]), float(inner[-1]))


def symmetric(n, seed=3):
    B = torch.randn(n, n, generator=make_generator(seed), dtype=torch.float64)
    return (B + B.T) / 2


def truth(A, order):
    values = order.rank(torch.linalg.eigvalsh(A).numpy())[: order.k]
    return np.abs(values) if order.which == "magnitude" else values


@pytest.mark.parametrize("which", ORDERS)
@pytest.mark.parametrize("late", [0, 1, 3])
@pytest.mark.parametrize(("n", "steps", "k"), [(30, 4, 3), (30, 20, 5), (30, 29, 30), (6, 4, 6), (5, 5, 5), (1, 1, 1)])
def test_the_eigenvalues_lie_inside(which, n, steps, k, late):
    A, order = symmetric(n), TopEigenvalues(k, which)
    space, ends = krylov(A, steps, max(1, steps - late))
    lower, upper = enclosure(order, space, ends)
    assert lower.shape == upper.shape == (k,)
    assert (lower <= truth(A, order) + 1e-10).all()
    assert (upper >= truth(A, order) - 1e-10).all()


@pytest.mark.parametrize("which", ORDERS)
def test_they_lie_inside_wherever_the_ends_are_only_bounds(which):
    A, order = symmetric(16), TopEigenvalues(5, which)
    for steps in range(1, 16):
        for deflated in range(1, steps + 1):
            space, (low, high) = krylov(A, steps, deflated)
            lower, upper = enclosure(order, space, Ends(low - 0.1 * abs(low), high + 0.1 * abs(high)))
            assert (lower <= truth(A, order) + 1e-10).all()
            assert (upper >= truth(A, order) - 1e-10).all()


@pytest.mark.parametrize("which", ORDERS)
def test_what_is_added_moves_them_by_its_own_ends(which):
    A, E, order = symmetric(20), 0.3 * symmetric(20, seed=8), TopEigenvalues(4, which)
    added = torch.linalg.eigvalsh(E)
    space, ends = krylov(A, 12, 10)
    lower, upper = enclosure(order, space, ends, Ends(float(added[0]), float(added[-1])))
    assert (lower <= truth(A + E, order)).all()
    assert (upper >= truth(A + E, order)).all()


def test_a_converged_pair_is_known_to_the_square_of_its_residual():
    rho, theta, high = 1e-4, 2.0, 1.0
    space = Space(np.array([theta]), np.array([rho]), 50, 1)
    lower, upper = enclosure(TopEigenvalues(1, "algebraic"), space, Ends(-1.0, high))
    assert theta <= lower[0] <= upper[0]
    assert upper[0] - theta == pytest.approx(rho**2 / (theta - high), rel=1e-3)


def test_vectors_beyond_those_deflated_keep_the_end_from_standing_out():
    space = Space(np.array([3.0, 0.0, 0.0, 0.0]), np.array([0.0, 1.0, 1.0, 1.0]), 50, 4)
    second = TopEigenvalues(2, "algebraic")
    at_once = enclosure(second, space, Ends(-2.0, 2.0)).upper[1]
    late = enclosure(second, replace(space, deflated=1), Ends(-2.0, 2.0)).upper[1]
    assert late == pytest.approx(2.0)
    assert at_once > 2.4


def test_what_lies_outside_may_be_repeated_and_come_first():
    order = TopEigenvalues(3, "algebraic")
    lower, upper = enclosure(order, Space(np.array([1.0, 0.0]), np.array([0.0, 0.0]), 10, 2), Ends(-1.0, 5.0))
    np.testing.assert_allclose(upper, [5.0, 5.0, 5.0])
    np.testing.assert_allclose(lower, [1.0, 0.0, -1.0])


def test_magnitudes_from_both_sides_are_merged():
    order = TopEigenvalues(3, "magnitude")
    lower, upper = enclosure(order, Space(np.array([3.0, -4.0, 1.0]), np.zeros(3), 8, 3), NOTHING)
    np.testing.assert_allclose(lower, [4.0, 3.0, 1.0])
    np.testing.assert_allclose(upper, [4.0, 3.0, 1.0])
