"""Seconds of checkouts that took turns: what is flagged, and how seldom where nothing changed."""

import dataclasses

import numpy as np
import pytest
from scipy.stats import binom

from hessbench.reports.compare import Verdict, compare_seconds
from hessbench.reports.compare.seconds import TimedPair

METHODS = ("hutchinson", "hutchpp", "slq", "lanczos", "kpm", "sketch")


def pairs_of(seed=0, noise=0.1, slower=1.0, rounds=5):
    """Every method on two problems; load that comes and goes moves both sides of a turn."""
    rng = np.random.default_rng(seed)
    found = []
    for turn in range(1, rounds + 1):
        for method in METHODS:
            for problem in ("p", "q"):
                load = 1 + rng.pareto(2)
                was, now = load * np.exp(noise * rng.normal(size=2))
                now *= slower if problem == "p" else 1.0
                both = float(was), float(now)
                what = problem, method, "trace", "cpu", "float32", 1, turn, ("ok", "ok"), ("", "")
                found.append(TimedPair(*what, both, both, both))
    return found


def test_an_engine_40_percent_slower_is_flagged():
    found = compare_seconds(pairs_of(slower=1.4), 1.25)
    flagged = {(line.where.split()[0], line.column) for line in found.lines if line.column != "seconds"}
    assert flagged == {("p", "operator_s"), ("p", "cpu_s")}
    assert found.is_regression
    assert not compare_seconds(pairs_of(slower=1 / 1.4), 1.25).is_regression


@pytest.mark.parametrize("noise", [0.03, 0.3])
def test_nothing_is_flagged_where_nothing_changed(noise):
    flagged = sum(bool(compare_seconds(pairs_of(seed, noise), 1.25).lines) for seed in range(200))
    assert flagged <= binom.ppf(0.99, 200, 0.05)


def test_a_cell_that_fails_or_is_not_known_is_told():
    pairs = pairs_of()
    pairs[0] = dataclasses.replace(pairs[0], status=("ok", "error"), reason=("", "ValueError: x"))
    pairs[1] = dataclasses.replace(pairs[1], status=("unknown", "ok"), reason=("no such method", ""))
    found = compare_seconds(pairs, 1.25)
    assert [line.verdict for line in found.lines] == [Verdict.REGRESSION, Verdict.NOT_COMPARABLE]
    assert "the old checkout cannot run it: no such method" in found.lines[1].text


def test_other_engines_are_named():
    pairs = [dataclasses.replace(pair, engine=("kept-graph: x", "rules")) for pair in pairs_of() if pair.problem == "q"]
    assert compare_seconds(pairs, 1.25).conditions == ("engine of q kept-graph, now rules (30 turns)",)


def test_a_threshold_that_is_no_factor_is_refused():
    with pytest.raises(ValueError, match="threshold"):
        compare_seconds([], 1.0)
