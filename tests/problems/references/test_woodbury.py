"""Damped systems by the Gram matrix against the dense matrix, with rows kept or made again, at any damping."""

from dataclasses import replace
from functools import partial
from itertools import product

import numpy as np
import pytest
import torch

from hessbench.estimand import Solve, Source
from hessbench.estimand.from_dense import dense_references
from hessbench.problems.curvature.choice import MatrixChoice
from hessbench.problems.networks.losses import CROSS_ENTROPY, SQUARED
from hessbench.problems.references import choose
from hessbench.problems.references.choose import gram_is_affordable, references_of
from hessbench.problems.references.dense import DENSE
from hessbench.problems.references.gram import GRAM_OPERATORS, gram_of, gram_references
from hessbench.problems.references.rows import gradient_rows
from hessbench.problems.references.woodbury import RowFactor, row_passes, woodbury_solution

ROW = 8 * 30
SHARES = (10.0, 1e-2, 1e-6, 1e-11)


@pytest.mark.parametrize("operator", GRAM_OPERATORS)
def test_solutions_are_those_of_the_dense_matrix_within_the_floors(operator, network_of):
    for sizes, loss, memory in (((2,), CROSS_ENTROPY, 6 * ROW), ((2,), SQUARED, 2**31), ((9, 3), SQUARED, 2**31)):
        network = network_of(sizes, loss)
        found = gram_references(partial(replace, network), 10.0, operator, memory)[Solve]
        A = DENSE[operator](network)
        truth = dense_references(lambda A=A: A, lambda network=network: network)[Solve]
        for share, rhs in product(SHARES, ("normal", "gradient")):
            check(found, truth, Solve(share * np.linalg.norm(A, 2), rhs))


def check(found, truth, estimand):
    answer, expected = found(estimand), truth(estimand)
    assert (answer.source, answer.dim) == (Source.GRAM, 30)
    # Products round by more than this, and the bound of neither may be looser than that.
    assert max(answer.bound, expected.bound) <= 10 * 2.0**-52 * answer.norm
    gap = np.linalg.norm(answer.arrays["solution"] - expected.arrays["solution"])
    allowed = estimand.floor(answer, "float64") + estimand.floor(expected, "float64")
    assert gap <= allowed * np.linalg.norm(expected.arrays["solution"]), estimand.spec
    assert answer.norm == pytest.approx(expected.norm, rel=1e-12)
    for name in ("size", "least", "energy"):
        rel = 1e-11 if name == "size" else 1e-3  # the least of A is 0 to rounding, and the damping as small
        assert answer.arrays[name] == pytest.approx(expected.arrays[name], rel=rel), name


def test_refinement_brings_back_the_digits_that_the_difference_has_lost(network_of):
    """A right-hand side in the span of the rows, at a damping of 1e-9 of the norm: b - B^T y cancels."""
    rows = gradient_rows(network_of((6,)))
    gram = gram_of(rows).matrix
    norm, B = float(torch.linalg.matrix_norm(gram, 2)), rows.make(0, 6)
    b, d = B.T @ torch.linspace(1, 2, 6, dtype=torch.float64), 1e-9 * norm
    once = (b - B.T @ torch.linalg.solve(gram + d * torch.eye(6, dtype=torch.float64), B @ b)) / d
    x, off = woodbury_solution(RowFactor(rows, 2**20), gram, b.numpy(), d)
    assert float((b - B.T @ (B @ once) - d * once).norm() / once.norm()) > 1e-11 * norm
    assert 0 < off <= 4 * 2.0**-52 * norm
    left = B.T @ (B @ torch.as_tensor(x)) + d * torch.as_tensor(x) - b
    assert float(left.norm()) == pytest.approx(off * np.linalg.norm(x), rel=1e-9)


def test_a_zero_right_side_and_a_factor_without_rows(network_of):
    rows = gradient_rows(network_of((3,)))
    x, off = woodbury_solution(RowFactor(rows, 2**20), gram_of(rows).matrix, np.zeros(30), 1.0)
    assert not x.any()
    assert off == 0
    none = replace(rows, samples=rows.samples[:0], weights=rows.weights[:0])
    b = np.arange(30.0)
    for memory in (2**20, 6 * ROW):
        x, off = woodbury_solution(RowFactor(none, memory), torch.zeros(0, 0, dtype=torch.float64), b, 4.0)
        assert np.array_equal(x, b / 4)
        assert off == 0


@pytest.mark.parametrize(("memory", "times"), [(2**20, 1), (7 * ROW, 3)])
def test_rows_are_made_no_more_often_than_said(memory, times, network_of, monkeypatch):
    rows = gradient_rows(network_of((20,)))
    made, make = [], type(rows).make
    gram = gram_of(rows).matrix
    monkeypatch.setattr(type(rows), "make", lambda self, *ends: made.append(ends[1] - ends[0]) or make(self, *ends))
    woodbury_solution(RowFactor(rows, memory), gram, np.ones(30), 0.1)
    assert sum(made) == 20 * times <= 20 * row_passes(20, 30, memory)
    assert max(made) * 2 * ROW <= max(memory, 20 * 2 * ROW if times == 1 else 0)


def test_no_damping_and_one_that_is_rounding_have_no_reference(network_of):
    for sizes in ((2,), (20, 13)):
        find = gram_references(lambda sizes=sizes: network_of(sizes), 10.0)[Solve]
        for damping in (0.0, 1e-18):
            with pytest.raises(ValueError, match="is singular"):
                find(Solve(damping))


def large(operator="ggn", **choice):
    return lambda make: references_of(make, MatrixChoice(operator, **choice), 30)


@pytest.mark.parametrize("operator", [*GRAM_OPERATORS, "monte-carlo-fisher"])
def test_matrices_above_the_dense_limit_have_the_same_references(operator, network_of, monkeypatch):
    network = network_of((3, 5))
    estimands = [Solve(0.01), Solve(0.01, "gradient"), Solve(0.01, "example", 2)]
    decay = 0.2 if operator == "ggn" else 0.0
    truth = large(operator, weight_decay=decay)(lambda: network)[Solve]
    expected = [truth(estimand) for estimand in estimands]
    monkeypatch.setattr(choose, "DENSE_LIMIT", 20)
    found = large(operator, weight_decay=decay)(lambda: network)[Solve]
    for estimand, dense in zip(estimands, expected, strict=True):
        answer = found(estimand)
        assert (answer.source, dense.source) == (Source.GRAM, Source.DENSE)
        np.testing.assert_allclose(answer.arrays["solution"], dense.arrays["solution"], rtol=1e-11, atol=1e-12)
        for name in ("least", "size", "energy"):
            assert answer.arrays[name] == pytest.approx(dense.arrays[name], rel=1e-11), name


def test_the_gradient_beside_drawn_targets_is_that_of_the_data(network_of):
    """A method is handed the gradient of the problem's network; a Fisher matrix of draws has no other."""
    network = network_of((3, 5))
    answer = large("monte-carlo-fisher")(lambda: network)[Solve](Solve(0.1, "gradient"))
    assert answer.arrays["size"][0] == pytest.approx(float(network.gradient().norm()), rel=1e-12)


def test_a_large_hessian_and_one_whose_rows_take_too_long_have_none(network_of, monkeypatch):
    monkeypatch.setattr(choose, "DENSE_LIMIT", 20)
    network = network_of()
    assert Solve not in large("hessian")(lambda: network)
    assert gram_is_affordable(network, "ggn", solves=True)
    whole = large()(lambda: network)
    flops = choose.GRAM_FLOPS
    while gram_is_affordable(network, "ggn", solves=True):
        flops /= 1.1
        monkeypatch.setattr(choose, "GRAM_FLOPS", flops)
    assert gram_is_affordable(network, "ggn")
    with pytest.raises(ValueError, match="no exact solve of the ggn is affordable at dimension 30"):
        whole[Solve](Solve(0.1))
