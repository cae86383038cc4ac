"""Heavy rows for certain and draws of the others: unbiased, with intervals that hold as often as they say."""

import itertools

import numpy as np
import pytest
import torch
from scipy import stats

from hessbench.catalog import load_catalog
from hessbench.counting import CountingOperator
from hessbench.estimand import Diagonal
from hessbench.methods.rows.sampled_rows import sampled_rows
from hessbench.seeding import make_generator

SEEDS = 300


def checkpoints(op, num_matvecs, seed, **settings):
    """Estimates by the rows made."""
    run = sampled_rows(op, num_matvecs=num_matvecs, generator=make_generator(seed), **settings)
    return {found.diagnostics["rows"]: found for found in (estimate.resolve() for estimate in run)}


def most_misses(confidence, seeds=SEEDS, risk=1e-3):
    """Misses that an interval which holds as often as it says passes with a chance of `risk` only."""
    return int(stats.binom.isf(risk, seeds, 1 - confidence))


def count_misses(found, truth, confidence):
    return sum(abs(estimate.value - truth) > estimate.half_width(confidence) for estimate in found)


@pytest.mark.parametrize(("decay", "scatter", "outlying"), [(0.0, 0.3, 1.0), (1.0, 0.3, 1.0), (0.0, 0.3, 30.0)])
def test_it_is_unbiased_and_its_intervals_hold(numbered_ggn, decay, scatter, outlying):
    ggn = numbered_ggn(decay, scatter, outlying)
    runs = [checkpoints(ggn, 160, seed) for seed in range(SEEDS)]
    first = min(rows for rows, found in runs[0].items() if found.stderr is not None)
    for rows in (first, first + 32, max(runs[0])):
        found = [run[rows] for run in runs]
        errors = np.asarray([estimate.value for estimate in found]) - ggn.trace
        assert abs(errors.mean()) < 4 * errors.std() / SEEDS**0.5
        for confidence in (0.95, 0.99):
            assert count_misses(found, ggn.trace, confidence) <= most_misses(confidence)


def test_the_diagonal_is_unbiased_in_every_entry(dense_ggn):
    B = torch.randn(5, 90, generator=make_generator(8), dtype=torch.float64)
    ggn = dense_ggn(B=B * torch.linspace(1, 2, 90, dtype=torch.float64))
    runs = [checkpoints(ggn.op, 32, seed)[32] for seed in range(SEEDS)]
    errors = torch.stack([found.also[Diagonal].value for found in runs]) - ggn.A.diagonal()
    assert bool((errors.mean(dim=0).abs() < 4.5 * errors.std(dim=0) / SEEDS**0.5).all())
    for found in runs[:5]:
        assert found.value == pytest.approx(float(found.also[Diagonal].value.sum()), rel=1e-12)


def test_certain_rows_come_first_and_their_sum_is_a_lower_bound(numbered_ggn):
    ggn = numbered_ggn(decay=1.0)
    found = checkpoints(ggn, 400, 0)
    heaviest = ggn.rows.entries[(-ggn.rows.roots).argsort(stable=True)].square().cumsum(0)
    certain = max(estimate.diagnostics["certain"] for estimate in found.values())
    assert 16 <= certain < 200
    for rows, estimate in found.items():
        bound = estimate.diagnostics["lower_bound"]
        assert bound <= ggn.trace * (1 + 1e-12)
        if rows <= certain:
            assert estimate.value == pytest.approx(float(heaviest[rows - 1]), rel=1e-12)
            assert estimate.stderr is None
        else:
            assert bound <= estimate.diagnostics["low"] <= estimate.diagnostics["high"]


def test_every_row_made_is_exact(dense_ggn, numbered_ggn):
    ggn = dense_ggn()
    last = checkpoints(ggn.op, 18, 0)[18]
    assert last.converged
    assert last.stderr == 0
    assert last.value == pytest.approx(float(ggn.A.trace()), rel=1e-13)
    torch.testing.assert_close(last.also[Diagonal].value, ggn.A.diagonal())
    numbered = numbered_ggn(decay=0.0)
    assert checkpoints(numbered, 400, 0)[400].value == pytest.approx(numbered.trace, rel=1e-13)


def test_rows_of_equal_ratio_are_estimated_exactly_by_a_draw(numbered_ggn):
    ggn = numbered_ggn(decay=0.5, scatter=0.0)
    for rows, found in checkpoints(ggn, 64, 2).items():
        if found.stderr is not None:
            assert found.value == pytest.approx(ggn.trace, rel=1e-12), rows
            assert found.half_width(0.99) < 1e-12 * ggn.trace


def test_an_interval_narrows_with_rows(numbered_ggn):
    ggn = numbered_ggn(decay=0.5)
    widths = np.asarray([[run[rows].half_width(0.99) for rows in (64, 128, max(run))] for run in
                         (checkpoints(ggn, 256, seed) for seed in range(5))])  # fmt: skip
    medians = np.median(widths, axis=0)
    assert all(wide > 1.5 * narrow for wide, narrow in itertools.pairwise(medians))


def test_weights_that_are_all_zero_give_zero(dense_ggn):
    (found,) = checkpoints(dense_ggn(B=torch.zeros(9, 60, dtype=torch.float64)).op, 60, 0).values()
    assert (found.value, found.stderr, found.converged) == (0.0, 0.0, True)


def test_a_hessian_without_diagonal_in_its_residual_is_taken(run, dense_hessian):
    hessian = dense_hessian(shift=0.25)
    outcome = run("sampled-rows", hessian.op, 20)
    assert outcome.last.value == pytest.approx(float(hessian.A.trace()), rel=1e-12)
    assert outcome.op.matvecs == 19
    with pytest.raises(ValueError, match="structure must hold"):
        run("sampled-rows", dense_hessian(curved=(0,)).op, 20)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"num_matvecs": 15}, "num_matvecs must be at least 16, got 15"),
        ({"chunk": 0}, "chunk must be at least 1"),
        ({"draws": 0}, "draws must be at least 1"),
        ({"confidence": 1.0}, "confidence must be above 0 and below 1"),
        ({"num_matvecs": 17.5}, "num_matvecs must be an integer of at least 16, got 17.5"),
        ({"chunk": 2.5}, "chunk must be an integer of at least 1, got 2.5"),
        ({"chunk": True}, "chunk must be an integer of at least 1, got True"),
        ({"draws": "16"}, "draws must be an integer of at least 1, got '16'"),
        ({"confidence": None}, "confidence must be above 0 and below 1, got None"),
    ],
)
def test_arguments_out_of_range_are_refused(dense_ggn, settings, says):
    with pytest.raises(ValueError, match=says):
        next(sampled_rows(dense_ggn().op, **{"num_matvecs": 18, "generator": make_generator(0), **settings}))


@pytest.mark.slow
@pytest.mark.parametrize("step", [0, 500])
def test_intervals_hold_on_the_rows_of_a_perceptron(step, numbered_ggn):
    rows = load_catalog().problem(f"digits-mlp[operator=ggn,step={step}]").build_rows(
        torch.device("cpu"), torch.float64
    ).rows  # fmt: skip
    norms = torch.cat([rows(part).norm(dim=0) for part in torch.arange(5000).split(500)])
    small = type(numbered_ggn())(type(numbered_ggn().rows)(rows.root_norms(), norms, rows.per_sample))
    runs = [checkpoints(CountingOperator(small), 512, seed) for seed in range(SEEDS)]
    for budget in (16, 64, 256, 512):
        made = max(rows for rows in runs[0] if rows <= budget)
        found = [run[made] for run in runs]
        for confidence in (0.95, 0.99):
            assert count_misses(found, small.trace, confidence) <= most_misses(confidence)
