"""A Hessian by its parts: rows of the GGN, probes of the residual where its diagonal may not vanish."""

import numpy as np
import pytest
import torch
from scipy import stats

from hessbench.estimand import Diagonal, Trace
from hessbench.methods.rows.curved_probes import CurvedProbes
from hessbench.methods.rows.split_trace import split_diagonal, split_trace
from hessbench.operators import dense_operator
from hessbench.seeding import make_generator

SEEDS = 300


def last(method, op, num_matvecs, seed, **settings):
    *_, estimate = method(op, num_matvecs=num_matvecs, generator=make_generator(seed), **settings)
    return estimate.resolve()


def misses(found, truth, confidence):
    return sum(abs(estimate.value - truth) > estimate.half_width(confidence) for estimate in found)


@pytest.mark.parametrize("budget", [40])
def test_the_trace_is_unbiased_and_its_intervals_hold(dense_hessian, budget):
    hessian = dense_hessian(curved=(1,), claimed_flat=(0,), dim=24, shift=0.5)
    found = [last(split_trace, hessian.op, budget, seed, chunk=2, draws=2) for seed in range(SEEDS)]
    truth = float(hessian.A.trace())
    errors = np.asarray([estimate.value for estimate in found]) - truth
    assert errors.std() > 0
    assert abs(errors.mean()) < 4 * errors.std() / SEEDS**0.5
    for confidence in (0.95, 0.99):
        assert misses(found, truth, confidence) <= stats.binom.isf(1e-3, SEEDS, 1 - confidence)


def test_the_diagonal_is_unbiased_in_every_entry(dense_hessian):
    hessian = dense_hessian(curved=(0,), claimed_flat=(1,), dim=12)
    found = [last(split_diagonal, hessian.op, 30, seed, chunk=2, draws=2) for seed in range(SEEDS)]
    errors = torch.stack([estimate.value for estimate in found]) - hessian.A.diagonal()
    assert bool((errors.mean(dim=0).abs() < 4.5 * errors.std(dim=0) / SEEDS**0.5 + 1e-12).all())
    assert found[0].also[Trace].value == pytest.approx(float(found[0].value.sum()), rel=1e-10)


def test_nothing_is_spent_on_a_residual_without_diagonal(run, dense_hessian):
    hessian = dense_hessian(shift=0.5)
    outcome = run("split-diagonal", hessian.op, 30, chunk=4)
    assert outcome.op.matvecs == 1 + 18
    assert outcome.last.diagnostics["probes"] == 0
    assert outcome.last.converged
    torch.testing.assert_close(outcome.last.value, hessian.A.diagonal())
    trace = run("split-trace", hessian.op, 30, chunk=4).last
    assert trace.stderr == 0
    assert trace.value == pytest.approx(float(hessian.A.trace()), rel=1e-12)


def test_the_budget_left_by_the_rows_goes_to_probes(run, dense_hessian):
    outcome = run("split-trace", dense_hessian(curved=(1,), claimed_flat=(0,)).op, 100)
    said = outcome.last.diagnostics
    assert (said["rows"], outcome.op.matvecs) == (18, 100)
    assert said["probes"] == 100 - 18 - 1


def test_more_goes_where_the_variance_is(run, dense_hessian):
    hessian = dense_hessian(curved=(0, 1), claimed_flat=())
    quiet, parts = dense_hessian(curved=(0, 1), claimed_flat=()), hessian.op.parts
    small = [1e-6 * piece for piece in parts.residual._pieces]
    quiet.op.parts = type(parts)(parts.ggn, type(parts.residual)(small, parts.residual.info.kind), 0.0)
    loud_said, quiet_said = (
        run("split-trace", op, 20, chunk=2, draws=2).last.diagnostics for op in (hessian.op, quiet.op)
    )
    assert loud_said["probes"] > quiet_said["probes"]
    assert loud_said["rows"] < quiet_said["rows"]


def test_the_interval_of_a_residual_of_rank_one_holds():
    # Forms (u . v)^2 of twelve probes are skewed: Student's t of them alone misses six times as often as it says.
    u = torch.randn(300, 1, generator=make_generator(0), dtype=torch.float64)
    R, misses = dense_operator(-u @ u.T), 0
    for seed in range(1000):
        probes = CurvedProbes(R, torch.zeros(300, dtype=torch.bool), make_generator(seed))
        *_, found = (probes.step() for _ in range(12))
        mean, stderr = found.trace
        misses += abs(mean + float(u.T @ u)) > stats.t.ppf(0.995, 11) * stderr
    assert misses <= stats.binom.isf(1e-3, 1000, 0.015)


def test_what_products_tell_of_the_variance_of_forms_leaves_out_the_diagonal():
    probes = CurvedProbes(dense_operator(torch.diag(torch.arange(9.0, dtype=torch.float64))),
                          torch.zeros(9, dtype=torch.bool), make_generator(0))  # fmt: skip
    *_, found = (probes.step() for _ in range(5))
    assert found.trace == pytest.approx((36.0, 0.0), abs=1e-12)


def test_probes_touch_only_what_may_be_curved():
    R = torch.randn(6, 6, generator=make_generator(1), dtype=torch.float64)
    R = R + R.T
    flat = torch.tensor([True, False, False, True, False, True])
    probes = CurvedProbes(dense_operator(R), flat, make_generator(0))
    found = [probes.step() for _ in range(400)][-1]
    assert not found.diagonal[flat].any()
    block = R[~flat][:, ~flat]
    twin = 2 * float(block.square().sum() - block.diagonal().square().sum())
    assert found.squares == pytest.approx(float(block.square().sum()), rel=0.15)
    assert float(found.forms.var()) == pytest.approx(twin, rel=0.3)
    assert abs(found.trace[0] - float(block.trace())) < 4 * (twin / 400) ** 0.5


def test_a_wrong_claim_is_caught(dense_hessian):
    with pytest.raises(ValueError, match="structure must hold"):
        last(split_trace, dense_hessian(curved=(0,)).op, 30, 0)


def test_a_budget_without_room_for_check_rows_and_probe_is_refused(dense_hessian):
    curved = dense_hessian(curved=(1,), claimed_flat=(0,))
    assert last(split_trace, curved.op, 18, 0).stderr is None
    for budget, least in ((17, 18), (16, 17)):
        with pytest.raises(ValueError, match=f"num_matvecs must be at least {least}, got {budget}"):
            last(split_diagonal, curved.op, budget, 0)


def test_float32_gives_a_diagonal_in_float64(dense_hessian):
    hessian = dense_hessian(curved=(1,), claimed_flat=(0,), dtype=torch.float32)
    found = last(split_trace, hessian.op, 60, 0)
    assert abs(found.value - float(hessian.A.double().trace())) < found.half_width(0.999)
    assert last(split_diagonal, hessian.op, 60, 0).value.dtype == torch.float64
    assert Diagonal().to_arrays(last(split_diagonal, hessian.op, 60, 0).value, 48)
