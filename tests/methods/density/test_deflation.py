"""Densities of which a few eigenpairs have been taken out, beside dense projections."""

import numpy as np
import pytest
import torch

from hessbench.estimand import Trace
from hessbench.estimand.density import wasserstein1
from hessbench.methods.density.deflation import deflate, outside_operator, rules_outside
from hessbench.methods.density.self_deflated_slq import simple_nodes
from hessbench.operators import dense_operator
from hessbench.seeding import make_generator

OUTLIERS = np.array([-50.0, 40.0, 30.0])
SPIKED = np.concatenate([OUTLIERS, np.linspace(-1, 1, 57)])
NAMES = ("deflated-slq", "self-deflated-slq", "krylov-aware-slq")


def distance(value, eigenvalues):
    nodes, weights = value
    order = np.argsort(nodes)
    truth = np.sort(eigenvalues)
    return wasserstein1(nodes[order], weights[order], truth, np.full(truth.size, 1 / truth.size))


@pytest.mark.parametrize("by", ["lanczos", "simultaneous"])
def test_deflated_values_keep_their_signs_and_their_vectors_are_orthonormal(rotated, by):
    A = rotated(SPIKED)
    found = deflate(dense_operator(A), by, 3, 45, make_generator(0))
    assert np.allclose(found.values, OUTLIERS, atol=1e-6)
    assert torch.allclose(found.vectors.T @ found.vectors, torch.eye(3, dtype=A.dtype), atol=1e-12)
    gaps = A @ found.vectors - found.vectors * torch.from_numpy(found.values)
    assert found.residual == pytest.approx(float(gaps.norm(dim=0).max()), rel=0.1, abs=1e-10)
    assert found.spent == 45


def test_quadratures_outside_are_those_of_the_dense_projected_matrix(rotated):
    A = rotated(SPIKED)
    Y = deflate(dense_operator(A), "simultaneous", 3, 9, make_generator(0)).vectors
    P = torch.eye(60, dtype=A.dtype) - Y @ Y.T
    inner = outside_operator(dense_operator(A), Y)
    ((nodes, weights),) = rules_outside(inner, Y, 1, 6, make_generator(1), scale=50.0)
    x = P @ torch.randn(60, 1, generator=make_generator(1), dtype=A.dtype)[:, 0]
    x = x / x.norm()
    for degree in range(12):
        exact = float(x @ torch.linalg.matrix_power(P @ A @ P, degree) @ x)
        assert float(weights @ nodes**degree) == pytest.approx(exact, rel=1e-8, abs=1e-10)


@pytest.mark.parametrize("by", ["lanczos", "simultaneous"])
def test_deflated_outliers_have_mass_one_over_n_each(run, rotated, by):
    nodes, weights = run("deflated-slq", rotated(SPIKED), 90, by=by, rank=3).last.value
    assert np.allclose(nodes[:3], OUTLIERS, rtol=1e-6)
    assert np.allclose(weights[:3], 1 / 60)
    assert weights.sum() == pytest.approx(1)


@pytest.mark.parametrize("name", ["deflated-slq", "krylov-aware-slq"])
def test_the_trace_beside_the_density_is_that_of_its_nodes(run, rotated, name):
    estimate = run(name, rotated(SPIKED), 60).last
    nodes, weights = estimate.value
    assert estimate.also[Trace].value == pytest.approx(60 * float(nodes @ weights), rel=1e-10)


def test_the_krylov_space_is_read_off_as_the_dense_function_on_it(run, rotated):
    """With blocks beyond those deflated, tr V^T A^j V is exact up to degree 2 e + 1."""
    A = rotated(SPIKED)
    estimate = run("krylov-aware-slq", A, 20, block=2, share=0.7, extra=2).last
    inside = estimate.diagnostics["deflated"]
    size = inside + 4
    nodes, weights = (part[:size] for part in estimate.value)
    X = torch.randn(60, 2, generator=make_generator(0), dtype=A.dtype)
    blocks = [X]
    for _ in range(inside // 2 - 1):
        blocks.append(torch.linalg.qr(A @ blocks[-1]).Q)
    V = torch.linalg.qr(torch.cat(blocks, dim=1)).Q
    for degree in range(6):
        exact = float(torch.trace(V.T @ torch.linalg.matrix_power(A, degree) @ V))
        assert 60 * float(weights @ nodes**degree) == pytest.approx(exact, rel=1e-7)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("values", [np.zeros(30), np.eye(30)[0] * 7, np.ones(30)], ids=["zero", "rank-one", "identity"])
def test_few_distinct_eigenvalues_are_found_where_they_are(run, rotated, name, values, dtype):
    assert distance(run(name, rotated(values, dtype=dtype), 30).last.value, values) <= 1e-5 * max(1, values.max())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("n", [1, 2, 3])
def test_in_few_dimensions_the_density_is_exact(run, rotated, name, n):
    values = np.array([-4.0, 3.0, 0.5])[:n]
    assert distance(run(name, rotated(values), 10).last.value, values) < 1e-12


@pytest.mark.parametrize("name", NAMES)
def test_pairs_of_opposite_sign_keep_their_balance(run, rotated, name):
    values = np.concatenate([np.arange(1.0, 21.0), -np.arange(1.0, 21.0)])
    assert distance(run(name, rotated(values), 38).last.value, values) < 1.5


def test_one_converged_run_is_far_better_deflated_than_as_it_is(run, rotated):
    values = np.concatenate([np.abs(np.random.default_rng(0).standard_t(1, 30)), np.zeros(270)])
    A = rotated(values, dtype=torch.float32)
    plain, own = (
        np.median([distance(run(*call, seed=seed, **keywords).last.value, values) for seed in range(5)])
        for call, keywords in ((("slq", A, 60), {"steps": 60}), (("self-deflated-slq", A, 29), {}))
    )
    assert own < plain / 2


def test_heavy_weights_are_not_taken_for_simple_eigenvalues():
    yes = np.ones(4, dtype=bool)
    light = np.array([0.5, 1.5, 0.1, 3.0]) / 100
    assert simple_nodes(np.arange(4.0), light, yes, 100, exhausted=False).all()
    assert not simple_nodes(np.arange(4.0), light, yes, 100, exhausted=True).any(), "96 copies must be somewhere"
    heavy = np.append(light[:3], 0.5)
    assert simple_nodes(np.arange(4.0), heavy, yes, 100, exhausted=True).tolist() == [True, True, True, False]
    assert not simple_nodes(np.arange(4.0), np.full(4, 0.07), yes, 100, exhausted=False).any(), (
        "none too heavy, their sum is"
    )


def test_of_a_sum_that_is_too_large_the_largest_are_kept_as_far_as_theirs_is_possible():
    values, sizes = np.array([1.0, -9.0, 3.0, 8.0, 2.0]), np.array([9.0, 0.5, 1.0, 2.0, 10.0])
    found = simple_nodes(values, sizes / 1000, np.ones(5, dtype=bool), 1000, exhausted=False)
    assert found.tolist() == [False, True, True, True, False]


def test_a_bulk_whose_nodes_stand_for_many_values_does_not_undo_the_deflation(run, rotated):
    """What converged outside of it stays deflated, so that more products are no worse than fewer."""
    bulk = np.random.default_rng(0).uniform(0.2, 1.0, 375)
    values = np.concatenate([np.linspace(5.0, 20.0, 25), bulk])
    A = rotated(values)
    for num_matvecs in (60, 120, 240):
        found = [run("self-deflated-slq", A, num_matvecs, seed=seed).last for seed in range(3)]
        assert min(estimate.diagnostics["deflated"] for estimate in found) > 0
        assert np.median([distance(estimate.value, values) for estimate in found]) < 0.06


@pytest.mark.parametrize(
    ("name", "keywords", "message"),
    [
        ("deflated-slq", {"share": 0.0}, "share must be above 0 and below 1, got 0.0"),
        ("deflated-slq", {"rank": 0}, "rank must be at least 1, got 0"),
        ("deflated-slq", {"by": "other"}, "by must be lanczos or simultaneous"),
        ("deflated-slq", {"steps": 0}, "steps must be at least 1"),
        ("self-deflated-slq", {"tolerance": 1.0}, "tolerance must be above 0 and below 1, got 1.0"),
        ("krylov-aware-slq", {"share": 1.0}, "share must be above 0 and below 1, got 1.0"),
        ("krylov-aware-slq", {"starts": 0}, "starts must be at least 1, got 0"),
        ("krylov-aware-slq", {"extra": -1}, "extra must be at least 0, got -1"),
        ("krylov-aware-slq", {"block": 0}, "block must be at least 1, got 0"),
    ],
)
def test_a_setting_out_of_range_is_refused(run, rotated, name, keywords, message):
    with pytest.raises(ValueError, match=message):
        run(name, rotated(np.ones(9)), 40, **keywords)
