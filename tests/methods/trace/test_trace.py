"""Trace estimators: exact where they must be, unbiased with the variance theory gives elsewhere."""

import numpy as np
import pytest
import torch

from hessbench.methods.probes import (
    block_schedule,
    draw_normal,
    draw_probes,
    draw_signs,
    schedule_widths,
    single_columns,
)
from hessbench.methods.trace import hutchinson, hutchpp
from hessbench.operators import dense_operator
from hessbench.seeding import make_generator


def test_the_mean_and_its_error_are_those_of_the_quadratic_forms(run, rotated):
    A = rotated(np.linspace(-1, 4, 20))
    op, generator = dense_operator(A), make_generator(0)
    X = torch.cat([draw_signs(20, width, op, generator) for width in block_schedule(15, 5)], dim=1)
    forms = torch.einsum("nk,nm,mk->k", X, A, X)
    estimate = run("hutchinson", A, 15).last
    assert estimate.value == pytest.approx(float(forms.mean()), rel=1e-13)
    assert estimate.stderr == pytest.approx(float(forms.std()) / 15**0.5, rel=1e-12)


def test_one_probe_has_no_error_bar(run, rotated):
    assert run("hutchinson", rotated(np.arange(5)), 1).last.stderr is None


def test_signs_are_exact_on_a_diagonal_operator(run):
    diagonal = torch.linspace(-1, 2, 30, dtype=torch.float64)
    estimate = run("hutchinson", dense_operator(torch.diag(diagonal)), 10).last
    assert estimate.value == pytest.approx(float(diagonal.sum()), abs=1e-12)
    assert estimate.stderr < 1e-12


@pytest.mark.slow
@pytest.mark.parametrize("probe", ["signs", "normal"])
def test_the_mean_is_unbiased_with_the_variance_theory_gives(rotated, probe):
    A = rotated(np.linspace(-1, 4, 20))
    m, repeats = 10, 1500
    off = 2 * float((A**2).sum() - (A.diagonal() ** 2).sum())
    variance = (off if probe == "signs" else 2 * float((A**2).sum())) / m
    runs = [
        list(hutchinson(dense_operator(A), num_matvecs=m, generator=make_generator(seed), probe=probe))[-1].resolve()
        for seed in range(repeats)
    ]
    means = np.array([estimate.value for estimate in runs])
    # Four standard errors of the mean and of the variance; samples of ten are nearly normal (kurtosis below 4.5).
    assert abs(means.mean() - float(A.trace())) < 4 * (variance / repeats) ** 0.5
    assert abs(means.var() / variance - 1) < 4 * (3.5 / repeats) ** 0.5
    said = np.mean([estimate.stderr**2 for estimate in runs])
    assert abs(said / variance - 1) < 0.1


@pytest.mark.parametrize("rank", [0, 1, 4, 6])
def test_hutchpp_is_exact_up_to_the_rank_of_its_sketch(run, rotated, rank):
    values = np.concatenate([np.linspace(-3, 5, rank), np.zeros(40 - rank)])
    outcome = run("hutchpp", rotated(values), 20)
    assert outcome.last.value == pytest.approx(values.sum(), abs=1e-12)
    assert outcome.last.diagnostics == {"sketched": 6, "probes": 8}
    assert (outcome.op.matvecs, outcome.op.calls) == (20, 2)


@pytest.mark.parametrize("probe", ["signs", "normal", "sphere"])
def test_hutchpp_is_the_dense_formula_on_the_same_probes(run, rotated, probe):
    A = rotated(np.linspace(-1, 4, 30))
    op, generator = dense_operator(A), make_generator(0)
    Q = torch.linalg.qr(A @ draw_probes(probe, 30, 6, op, generator)).Q
    P = torch.eye(30, dtype=A.dtype) - Q @ Q.T
    G = draw_probes(probe, 30, 8, op, generator)
    forms = torch.einsum("nk,nm,mk->k", G, P @ A @ P, G)
    estimate = run("hutchpp", A, 20, probe=probe).last
    assert estimate.value == pytest.approx(float(torch.trace(Q.T @ A @ Q) + forms.mean()), rel=1e-12)
    assert estimate.stderr == pytest.approx(float(forms.std()) / 8**0.5, rel=1e-11)


@pytest.mark.parametrize("probe", ["normal", "sphere"])
def test_hutchpp_is_unbiased_with_every_probe(rotated, probe):
    op, values = dense_operator(rotated(np.linspace(-1, 4, 12))), []
    for seed in range(400):
        values.append(hutchpp(op, num_matvecs=6, generator=make_generator(seed), probe=probe).value)
    # Four standard errors by the sample's own variance.
    assert abs(np.mean(values) - 18.0) < 4 * np.std(values) / 400**0.5


@pytest.mark.parametrize("num_matvecs", [15, 16, 40])
def test_hutchpp_is_exact_and_draws_no_probe_where_the_sketch_spans_everything(run, rotated, num_matvecs):
    outcome = run("hutchpp", rotated(np.linspace(-1, 3, 5)), num_matvecs)
    assert outcome.last.value == pytest.approx(5.0, abs=1e-12)
    assert outcome.last.stderr == 0
    assert outcome.op.matvecs == 10


@pytest.mark.slow
def test_hutchpp_is_unbiased_and_beats_hutchinson_on_a_decaying_spectrum(rotated):
    values = 1.0 / np.arange(1, 61) ** 2
    op = dense_operator(rotated(values))
    repeats = 400
    sharp = np.array([hutchpp(op, num_matvecs=30, generator=make_generator(s)).value for s in range(repeats)])
    plain = np.array(
        [list(hutchinson(op, num_matvecs=30, generator=make_generator(s)))[-1].resolve().value for s in range(repeats)]
    )
    # Four standard errors by the sample's own variance.
    assert abs(sharp.mean() - values.sum()) < 4 * sharp.std() / repeats**0.5
    assert sharp.std() < plain.std() / 5


@pytest.mark.parametrize("block", [1, 2, 5, 10])
def test_a_small_budgets_blocks_begin_a_large_ones(block):
    large = list(block_schedule(200, block))
    for num_matvecs in range(1, 100):
        small = list(block_schedule(num_matvecs, block))
        assert small == large[: len(small)]
        assert num_matvecs - block < sum(small) <= num_matvecs
        assert set(small) == set(schedule_widths(num_matvecs, block=block))
    assert single_columns(7) == (1,)


def test_probes_have_the_moments_of_their_law():
    op = dense_operator(torch.eye(3))
    for draw, fourth in ((draw_signs, 1.0), (draw_normal, 3.0)):
        X = draw(4000, 10, op, make_generator(1))
        assert X.dtype == torch.float32
        # Four standard errors of moments of 40 000 samples; the eighth normal moment is 105.
        assert abs(float(X.mean())) < 4 / 200
        assert abs(float((X**4).mean()) - fourth) < 4 * (105 - 9) ** 0.5 / 200
    assert set(draw_signs(50, 2, op, make_generator(0)).unique().tolist()) == {-1.0, 1.0}
