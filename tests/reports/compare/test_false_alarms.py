"""How often a comparison of equals is taken for a change, and how often a change is seen: simulated, with fixed seeds.

A ledger here has the shape of `quick`: two problems, five repeats, three budgets that share their start. Bounds are the
level, 5 %, with what chance leaves of it over the trials.
"""

import numpy as np
import pytest
from scipy.stats import binom

from hessbench.reports.compare.differences import Group, Verdict
from hessbench.reports.compare.judging import judge
from hessbench.reports.compare.paired_answers import Pair

METHODS, PROBLEMS, REPEATS, BUDGETS = 16, ("p", "q"), 5, (20, 40, 80)
THRESHOLD = 1.25


def normal(rng, size):
    """Errors of a trace: absolute values of normal ones."""
    return abs(rng.normal(size=size))


def narrow(rng, size):
    """Errors that hardly scatter, as of a density."""
    return np.exp(0.2 * rng.normal(size=size))


def wide(rng, size):
    """Errors over orders of magnitude, as of eigenvalues half converged."""
    return np.exp(2 * rng.normal(size=size))


def outliers(rng, size):
    """Errors a hundred times as large once in five."""
    return np.where(rng.random(size) < 0.2, 100.0, 1.0) * rng.uniform(0.8, 1.2, size)


def chained(rng, size):
    """Errors whose budgets share most of their draws."""
    *rows, budgets = size
    return abs(0.9 * rng.normal(size=(*rows, 1)) + 0.4 * rng.normal(size=(*rows, budgets)))


def two_valued(rng, size):
    """Errors at the reference's bound or a million times as large: nothing between, and often the same twice."""
    return np.where(rng.random((*size[:-1], 1)) < 0.5, 0.0, 1.0) * np.ones(size)


LAWS = (normal, narrow, wide, outliers, chained, two_valued)


def pairs_of(rng, law, factor=1.0, worse=(), methods=METHODS, problems=PROBLEMS):
    """The answers of all methods under fresh draws; those of some a factor larger in the new ledger."""
    found = []
    for number in range(methods):
        group = Group(f"m{number}", "trace", "trace", "cpu", "float32", 1, "error")
        for problem in problems:
            was, now = law(rng, (2, REPEATS, len(BUDGETS))) * 0.1 + 1e-6
            now = now * (factor if number in worse else 1.0)
            found += [
                Pair(group, problem, budget, repeat, was[repeat, at], now[repeat, at], 1e-6, False, True)
                for repeat in range(REPEATS)
                for at, budget in enumerate(BUDGETS)
            ]
    return found


def false_alarms(law, trials, **shape):
    """Comparisons of equals that call any method worse or better."""
    rng = np.random.default_rng(LAWS.index(law))
    called = (Verdict.REGRESSION, Verdict.IMPROVEMENT)
    judged = (judge(pairs_of(rng, law, **shape), THRESHOLD)[0] for _ in range(trials))
    return sum(any(line.verdict in called for line in lines) for lines in judged)


@pytest.mark.parametrize("law", LAWS)
def test_equals_are_called_worse_or_better_no_more_often_than_the_level(law):
    assert false_alarms(law, 100) <= binom.ppf(0.99, 100, 0.05)


@pytest.mark.slow
@pytest.mark.parametrize("law", LAWS)
def test_the_level_is_kept_over_many_comparisons(law):
    assert false_alarms(law, 1500) <= binom.ppf(0.99, 1500, 0.05)


@pytest.mark.slow
@pytest.mark.parametrize(("methods", "problems"), [(30, "pqrst"), (40, "p")])
@pytest.mark.parametrize("law", [outliers, two_valued])
def test_the_level_is_kept_whatever_is_compared(law, methods, problems):
    """Five runs of each problem that agree by chance, and many such problems."""
    assert false_alarms(law, 300, methods=methods, problems=problems) <= binom.ppf(0.99, 300, 0.05)


@pytest.mark.parametrize(
    ("law", "factor", "least"),
    [(normal, 100, 1.0), (wide, 1000, 0.9), (outliers, 1000, 0.9), (narrow, 2, 1.0), (chained, 100, 1.0)],
)
def test_a_change_of_six_methods_is_seen(law, factor, least):
    rng = np.random.default_rng(9)
    worse = set(range(6))
    seen = []
    for _ in range(10):
        lines, _ = judge(pairs_of(rng, law, factor, worse), THRESHOLD)
        named = {line.where.split()[0] for line in lines if line.verdict is Verdict.REGRESSION}
        seen.append(len(named & {f"m{number}" for number in worse}) / len(worse))
    assert np.mean(seen) >= least - 1e-9
