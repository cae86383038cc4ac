"""Diagonal estimators."""

import numpy as np
import pytest
import torch

from hessbench.catalog import load_catalog
from hessbench.counting import CountingOperator
from hessbench.estimand import Diagonal, Trace
from hessbench.methods.diagonal import ggn_diagonal_exact, ggn_diagonal_mc, hutchinson_diagonal
from hessbench.methods.probes import block_schedule, draw_probes
from hessbench.operators import ProductKind, dense_operator, to_dense
from hessbench.seeding import make_generator


@pytest.mark.parametrize("probe", ["signs", "normal"])
def test_the_estimate_is_the_ratio_of_the_sums(run, rotated, probe):
    A = rotated(np.linspace(-1, 4, 20))
    op, generator = dense_operator(A), make_generator(0)
    X = torch.cat([draw_probes(probe, 20, width, op, generator) for width in block_schedule(15, 5)], dim=1)
    expected = (X * (A @ X)).sum(dim=1) / (X * X).sum(dim=1)
    assert torch.allclose(run("hutchinson-diagonal", A, 15, probe=probe).last.value, expected, atol=1e-13)


@pytest.mark.parametrize("probe", ["signs", "normal"])
def test_a_diagonal_operator_is_read_exactly(run, probe):
    diagonal = torch.linspace(-1, 2, 30, dtype=torch.float64)
    found = run("hutchinson-diagonal", dense_operator(torch.diag(diagonal)), 7, probe=probe).last.value
    assert torch.allclose(found, diagonal, atol=1e-14)


@pytest.mark.slow
def test_sign_probes_are_unbiased_with_the_variance_of_the_off_diagonal_row(rotated):
    A = rotated(np.linspace(-1, 4, 8))
    m, repeats = 5, 2000
    runs = torch.stack(
        [
            list(hutchinson_diagonal(dense_operator(A), num_matvecs=m, generator=make_generator(seed)))[-1]
            .resolve()
            .value
            for seed in range(repeats)
        ]
    )
    variance = ((A**2).sum(dim=1) - A.diagonal() ** 2) / m
    # Four and a half standard errors for eight entries at once.
    assert ((runs.mean(dim=0) - A.diagonal()).abs() < 4.5 * (variance / repeats).sqrt()).all()
    assert (runs.var(dim=0) / variance - 1).abs().max() < 4.5 * (3.0 / repeats) ** 0.5


@pytest.mark.parametrize("block", [1, 2, 10])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_the_exact_diagonal_of_a_ggn_is_exact_and_costs_one_square_per_output(run, ggn, dtype, block):
    op = ggn(dtype)
    outcome = run("ggn-diagonal-exact", op, 8, block=block)
    expected = to_dense(op).diagonal()
    assert outcome.last.value.dtype == dtype
    assert torch.allclose(outcome.last.value, expected, rtol=20 * torch.finfo(dtype).eps)
    assert outcome.last.also[Trace].value == pytest.approx(float(expected.sum()), rel=1e-5)
    assert outcome.op.spending.counts == {ProductKind.PER_EXAMPLE_SQUARE: 3}


def test_the_exact_diagonal_of_a_perceptron_is_charged_at_what_its_sums_take():
    problem = load_catalog().problems["digits-mlp"].problem("digits-mlp[operator=ggn]")
    problem.load()
    op = problem.build(torch.device("cpu"), torch.float64)
    counted = CountingOperator(op)
    ggn_diagonal_exact(counted, num_matvecs=10, generator=make_generator(0))
    # Layers of 49 x 32 and 32 x 10: a forward pass, ten columns to the hidden units, and one product into each weight.
    forward = 49 * 32 + 32 * 10
    assert counted.spending.gradient_equivalents == pytest.approx((2 * forward + 10 * 320) / (3 * forward))


def test_fewer_squares_than_outputs_are_refused(run, ggn):
    with pytest.raises(ValueError, match="num_matvecs must be at least 3, got 2"):
        run("ggn-diagonal-exact", ggn(), 2)


def test_one_output_needs_one_probe(run, ggn):
    op = ggn(outputs=1)
    found = run("ggn-diagonal-mc", op, 1).last
    assert torch.allclose(found.value, to_dense(op).diagonal(), atol=1e-13)
    assert found.also[Trace].value == pytest.approx(float(to_dense(op).trace()))


@pytest.mark.slow
def test_sampled_squares_are_unbiased_with_their_variance(ggn):
    op = ggn()
    m, repeats = 5, 2000
    runs = [list(ggn_diagonal_mc(op, num_matvecs=m, generator=make_generator(s)))[-1].resolve() for s in range(repeats)]
    values = torch.stack([estimate.value for estimate in runs])
    squares = op.factor.F.reshape(12, 6, 3) ** 2
    variance = 2 * (squares.sum(dim=2) ** 2 - (squares**2).sum(dim=2)).sum(dim=1) / m
    # Four and a half standard errors for twelve entries at once.
    assert ((values.mean(dim=0) - squares.sum(dim=(1, 2))).abs() < 4.5 * (variance / repeats).sqrt()).all()
    assert (values.var(dim=0) / variance - 1).abs().max() < 4.5 * (3.0 / repeats) ** 0.5
    traces = np.array([estimate.also[Trace].value for estimate in runs])
    said = np.mean([estimate.also[Trace].stderr ** 2 for estimate in runs])
    assert said == pytest.approx(traces.var(), rel=0.2)


def test_the_matrix_itself_is_never_multiplied(run, ggn):
    for name in ("ggn-diagonal-exact", "ggn-diagonal-mc"):
        assert set(run(name, ggn(), 10).op.spending.counts) == {ProductKind.PER_EXAMPLE_SQUARE}


@pytest.mark.parametrize("block", [1, 7, 64])
def test_products_with_the_identity_give_the_diagonal_of_anything(run, rotated, block):
    A = rotated(np.linspace(-1, 4, 20))
    outcome = run("diagonal-exact", A, 25, block=block)
    assert torch.allclose(outcome.last.value, A.diagonal(), rtol=1e-14)
    assert outcome.last.also[Trace].value == pytest.approx(float(A.trace()), rel=1e-14)
    assert outcome.op.matvecs == 20
    assert outcome.op.calls == -(-20 // block)
    with pytest.raises(ValueError, match="num_matvecs must be at least 20"):
        run("diagonal-exact", A, 19)


@pytest.mark.parametrize("loss", ["cross-entropy", "squared"])
def test_drawn_labels_are_unbiased_for_the_diagonal_of_a_ggn(loss):
    problem = load_catalog().problem(f"mlp[loss={loss},operator=ggn,per_class=1,step=10,widths=2]")
    op = problem.build(torch.device("cpu"), torch.float64)
    truth = ggn_diagonal_exact(op, num_matvecs=10, generator=make_generator(0)).value
    draws = op.factor.drawn_squares(3000, make_generator(1))
    # Entries of one sample are correlated, those of 3000 draws are not: 5 standard errors for 140 entries at once.
    stderr = draws.std(dim=1) / 3000**0.5
    assert ((draws.mean(dim=1) - truth).abs() <= 5 * stderr + 1e-14 * truth.max()).all()
    assert (draws >= 0).all()
    method = load_catalog().method("ggn-diagonal-mc[draw=labels]", Diagonal())
    counted = CountingOperator(op, 10)
    last = list(method.run(counted, 10, make_generator(1)))[-1].resolve()
    assert counted.spending.counts == {ProductKind.PER_EXAMPLE_SQUARE: 10}
    assert last.value.shape == (op.dim,)


def test_labels_are_refused_where_nothing_draws_them(run, ggn):
    with pytest.raises(ValueError, match="draws no targets: take draw=signs"):
        run("ggn-diagonal-mc", ggn(torch.float64), 4, draw="labels")
    with pytest.raises(ValueError, match="draw must be signs or labels"):
        run("ggn-diagonal-mc", ggn(torch.float64), 4, draw="some")
