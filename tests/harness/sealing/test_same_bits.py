"""Sealed or not, a method answers the same to the bit and is charged the same."""

import numpy as np
import pytest
import torch
from sealed_pair import COMPARED, installed, said_by

from hessbench import Problem
from hessbench.catalog import load_catalog
from hessbench.cells.cell import MEMORY, Cell
from hessbench.cells.messages import Checkpoint
from hessbench.estimand import ESTIMANDS
from hessbench.laws.small_operator import small_operator

# One for each thing that may be asked of an operator, and each way to answer; the others are slow tests.
FAST = ("lanczos", "hutchpp", "slq", "pruned-lanczos", "ggn-diagonal-mc", "heavy-rows", "split-diagonal", "dense")
METHODS = [
    pytest.param(method, id=method.name, marks=[] if method.name in FAST else pytest.mark.slow)
    for method in installed()
    if "network" not in method.requires and not method.lack
]
LARGE = ("lanczos", "lanczos[reorth=none]", "block-krylov", "slq", "hutchpp", "xtrace", "kpm", "diagpp", "scipy-eigsh")


def cell_of(method: str, key: str, dim: int, problem: str = "small", **more) -> Cell:
    """A cell of about a third of its dimension's products."""
    kind = ESTIMANDS[key]
    estimand = kind.default() or kind.of_size(3)
    budget = max(dim // 3, installed().entry_of(method).bind(method, estimand).min_matvecs(dim))
    one_shot = not installed().entry_of(method).is_anytime
    budgets = (budget,) if one_shot else (max(budget // 2, 1), budget)
    return Cell(problem, method, estimand.spec, budgets, **{"dtype": "float64", **more})


def assert_same(cell: Cell, problem: Problem) -> None:
    """Both runs of a cell agree in all but time."""
    alone, sealed = (said_by(cell, problem, installed(), sealed=is_sealed) for is_sealed in (False, True))
    assert [type(message) for message in sealed] == [type(message) for message in alone]
    assert (sealed[-1].status, sealed[-1].reason) == (alone[-1].status, alone[-1].reason)
    assert sealed[-1].drew_random == alone[-1].drew_random
    for ours, theirs in zip(sealed, alone, strict=True):
        for name in COMPARED:
            assert getattr(ours.costs, name) == getattr(theirs.costs, name)
        assert ours.costs.sealing_s is not None
        if isinstance(ours, Checkpoint):
            for name in (
                "budget",
                "estimand",
                "finite",
                "said_stderr",
                "said_converged",
                "said_matvecs",
                "diagnostics",
            ):
                assert getattr(ours, name) == getattr(theirs, name), name
            assert ours.arrays.keys() == theirs.arrays.keys()
            for name, array in ours.arrays.items():
                np.testing.assert_array_equal(array, theirs.arrays[name], err_msg=name)


def small_problem(method) -> Problem:
    """The small operator that a method accepts, as a problem."""
    op = small_operator(method)
    return Problem("small", op.dim, lambda device, dtype: small_operator(method), traits=method.requires)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_does_the_same_on_a_small_operator(method):
    problem = small_problem(method)
    dtype = str(small_operator(method).dtype).removeprefix("torch.")
    keys = [kind.key for kind in method.estimands]
    assert_same(cell_of(method.name, keys[0], problem.dim, dtype=dtype), problem)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_every_method_does_the_same_for_each_of_its_estimands_and_peaks(method):
    problem = small_problem(method)
    dtype = str(small_operator(method).dtype).removeprefix("torch.")
    for kind in method.estimands[1:]:
        assert_same(cell_of(method.name, kind.key, problem.dim, dtype=dtype), problem)
    cell = cell_of(method.name, method.estimands[0].key, problem.dim, dtype=dtype, pass_=MEMORY)
    alone, sealed = (said_by(cell, problem, installed(), sealed=is_sealed)[-1].costs for is_sealed in (False, True))
    assert sealed.flops == alone.flops
    assert sealed.host_peak_bytes is not None


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("method", LARGE)
def test_methods_do_the_same_where_products_and_dot_products_are_vectorised(method, dtype):
    problem = load_catalog().problem("student-t[n=2003]")
    key = installed().entry_of(method).estimands[0].key
    cell = cell_of(method, key, 120, problem.name, dtype=dtype)
    assert_same(cell, problem)


def test_one_thread_stays_one():
    assert torch.get_num_threads() == 1
