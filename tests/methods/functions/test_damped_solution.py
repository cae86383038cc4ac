"""One damped system solved to its end: against the dense solution, counted, and refused where it is indefinite."""

from functools import partial

import pytest
import torch

from hessbench.counting import CountingOperator
from hessbench.methods.functions.cg import cg
from hessbench.methods.functions.damped_solution import damped_solution, damped_solver
from hessbench.operators import dense_operator


@pytest.fixture
def matrix():
    F = torch.randn(40, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return F @ F.T


def test_the_solution_is_the_dense_one_and_its_products_are_counted(matrix):
    op, b = CountingOperator(dense_operator(matrix)), torch.linspace(-1, 1, 40, dtype=torch.float64)
    found = damped_solution(op, b, damping=0.5, num_matvecs=60)
    exact = torch.linalg.solve(matrix + 0.5 * torch.eye(40, dtype=torch.float64), b)
    torch.testing.assert_close(found.x, exact, rtol=1e-8, atol=1e-10)
    assert found.converged
    assert found.residual < 1e-10
    assert 12 <= op.matvecs < 40
    again = damped_solver(0.5, 60, method=partial(cg, reorth="full"))(op, b)
    torch.testing.assert_close(again, exact, rtol=1e-8, atol=1e-10)


def test_few_products_do_not_converge_and_say_so(matrix):
    found = damped_solution(dense_operator(matrix), torch.ones(40).double(), damping=0.5, num_matvecs=2)
    assert not found.converged
    assert found.residual > 1e-3


def test_an_indefinite_system_is_refused(matrix):
    with pytest.raises(ValueError, match="not positive definite"):
        damped_solution(dense_operator(-matrix), torch.ones(40).double(), damping=0.5, num_matvecs=40)
