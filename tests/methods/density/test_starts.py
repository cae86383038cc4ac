"""Standard errors of what is read from densities by deflation: the known part exact, the rest start by start."""

import numpy as np
import pytest
from scipy.stats import binomtest

from hessbench.estimand import Trace, parse_estimand
from hessbench.estimand.spectral import read_from_density
from hessbench.operators import dense_operator

POSITIVE = np.concatenate([[50.0, 40.0, 30.0], np.linspace(0.1, 2.0, 57)])
SEEDS = 300
MANY_STARTS = {
    "lanczos": ("deflated-slq", 60, {"rank": 3, "share": 0.3, "steps": 8}),
    "simultaneous": ("deflated-slq", 60, {"by": "simultaneous", "rank": 3, "share": 0.3, "steps": 8}),
    "krylov": ("krylov-aware-slq", 60, {"starts": 5, "share": 0.4}),
    "krylov-extra": ("krylov-aware-slq", 60, {"block": 3, "extra": 1, "starts": 3, "share": 0.5}),
}
LOGARITHM = parse_estimand("log-determinant[damping=1]")


def read(density, dim, asked=LOGARITHM):
    return read_from_density(asked, density, dim, "float64")


@pytest.mark.parametrize("way", MANY_STARTS)
def test_each_start_with_what_all_share_is_a_density_of_the_same_mean(run, rotated, way):
    name, budget, keywords = MANY_STARTS[way]
    estimate = run(name, rotated(POSITIVE), budget, **keywords).last
    nodes, weights = estimate.value
    number = estimate.diagnostics["starts"]
    shared = estimate.starts < 0
    known = 60 * float(nodes[shared] @ weights[shared])
    assert estimate.starts.max() + 1 == number >= 3
    traces = []
    for start in range(number):
        here = estimate.starts == start
        assert weights[shared].sum() + number * weights[here].sum() == pytest.approx(1)
        traces.append(known + 60 * number * float(nodes[here] @ weights[here]))
    trace = estimate.also[Trace]
    assert trace.value == pytest.approx(np.mean(traces), rel=1e-12)
    assert trace.stderr == pytest.approx(np.std(traces, ddof=1) / number**0.5, rel=1e-9)
    assert trace.stderr_dof == read(estimate, 60).stderr_dof == number - 1


def test_what_is_deflated_has_no_part_in_the_standard_error(run, rotated):
    """Outliers are worth a hundredfold of the rest, and only the rest varies."""
    far = np.concatenate([[5e4, 4e4, 3e4], POSITIVE[3:]])
    claims = [
        run("deflated-slq", rotated(values), 60, by="simultaneous", rank=3, share=0.3, steps=8).last.also[Trace].stderr
        for values in (POSITIVE, far)
    ]
    assert claims[1] == pytest.approx(claims[0], rel=0.05)


@pytest.mark.parametrize(
    ("name", "budget", "keywords"),
    [
        ("deflated-slq", 12, {"rank": 6}),
        ("deflated-slq", 1, {}),
        ("krylov-aware-slq", 12, {}),
        ("krylov-aware-slq", 12, {"block": 3}),
        ("self-deflated-slq", 6, {}),
        ("self-deflated-slq", 1, {}),
    ],
)
def test_where_everything_is_known_the_standard_error_is_zero(run, rotated, name, budget, keywords):
    values = POSITIVE[: min(budget, 6)]
    density = run(name, rotated(values), budget, **keywords).last
    found = read(density, values.size)
    assert found.value == pytest.approx(np.log1p(values).sum(), rel=1e-9)
    assert (found.stderr, found.stderr_dof) == (0.0, None)
    assert all(trace.stderr == 0.0 for trace in density.also.values())


@pytest.mark.parametrize("values", [np.zeros(30), np.full(30, 2.0), np.eye(30)[0] * 7], ids=["zero", "one", "rank-one"])
@pytest.mark.parametrize("way", MANY_STARTS)
def test_where_nothing_varies_the_standard_error_is_rounding(run, rotated, way, values):
    name, budget, keywords = MANY_STARTS[way]
    found = read(run(name, rotated(values), budget, **keywords).last, 30)
    assert found.value == pytest.approx(np.log1p(values).sum(), abs=1e-10)
    assert found.stderr < 1e-10


def test_a_single_start_claims_nothing(run, rotated):
    for name in ("self-deflated-slq", "krylov-aware-slq"):
        density = run(name, rotated(POSITIVE), 20).last
        assert set(density.starts) == {-1, 0}
        assert (read(density, 60).stderr, read(density, 60).stderr_dof) == (None, None)
    # With nothing deflated all nodes are from the start.
    assert set(run("self-deflated-slq", rotated(np.linspace(-1, 1, 60)), 3).last.starts) == {0}


@pytest.mark.parametrize(
    "way", [way if way == "simultaneous" else pytest.param(way, marks=pytest.mark.slow) for way in MANY_STARTS]
)
def test_intervals_of_smooth_functions_hold_the_truth_as_often_as_they_say(run, rotated, way):
    """Of 300 seeds, by exact binomial bounds at the level 0.001; steps are enough for their bias to be small."""
    name, budget, keywords = MANY_STARTS[way]
    op = dense_operator(rotated(POSITIVE))
    densities = [run(name, op, budget, seed=seed, **keywords).last for seed in range(SEEDS)]
    root = parse_estimand("trace-function[damping=0.1,f=sqrt]")
    for asked, truth in ((LOGARITHM, np.log1p(POSITIVE).sum()), (root, np.sqrt(POSITIVE + 0.1).sum())):
        answers = [read(density, 60, asked) for density in densities]
        held = sum(abs(answer.value - truth) <= answer.half_width(0.95) for answer in answers)
        bounds = binomtest(held, SEEDS).proportion_ci(0.999)
        assert bounds.low <= 0.95 <= bounds.high
