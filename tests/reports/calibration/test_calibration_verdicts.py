"""Whose error bars are believed: the rule on planted cells."""

import numpy as np
import pytest
from scipy.stats import binom

from hessbench.reports.calibration.page import coverage_frame, trust_frame
from hessbench.reports.calibration.results import CalibrationCell
from hessbench.reports.calibration.verdicts import CONFIDENCE, all_coverage, all_trust, exact_interval

SEEDS = 400


def cell(problem: str, held_68: float, held_95: float, wide: float = 1.0) -> CalibrationCell:
    """Errors of size one, and intervals that hold so many of them by a hair."""
    errors = np.where(np.arange(SEEDS) % 2, 1.0, -1.0)
    held = (np.arange(SEEDS) < held_68 * SEEDS, np.arange(SEEDS) < held_95 * SEEDS)
    widths = np.stack([np.where(one, wide * 1.01, 0.99) for one in held])
    return CalibrationCell(problem, "method", 5, 5, errors, widths, widths, scale=1.0)


def exact(problem: str) -> CalibrationCell:
    nothing = np.zeros((2, SEEDS))
    return CalibrationCell(problem, "method", 5, 5, np.full(SEEDS, 1e-14), nothing, nothing, scale=1.0)


@pytest.mark.parametrize(
    ("cells", "answer"),
    [
        ([cell("a", 0.68, 0.95), cell("b", 0.7, 0.96)], "yes"),
        ([cell("a", 0.68, 0.95), exact("b")], "yes"),
        # 90 % of 400 is below 95 % at 99.9 %, and so is 59 % below 68 %.
        ([cell("a", 0.68, 0.95), cell("b", 0.68, 0.9)], "nearly"),
        ([cell("a", 0.59, 0.95), cell("b", 0.68, 0.95)], "nearly"),
        ([cell("a", 0.68, 0.95), cell("b", 0.68, 0.84)], "no"),
        ([cell("a", 0.5, 0.95), cell("b", 0.68, 0.95)], "no"),
        ([cell("a", 1.0, 1.0, wide=2.0), cell("b", 1.0, 1.0, wide=2.0)], "yes, wide"),
        ([exact("a"), exact("b")], "exact"),
    ],
)
def test_the_answer_follows_the_rule(cells: list[CalibrationCell], answer: str) -> None:
    assert [one.answer for one in all_trust(all_coverage(cells))] == [answer] * 2


def test_the_worst_problem_is_named_in_both_tables() -> None:
    found = all_coverage([cell("a", 0.68, 0.95), cell("b", 0.68, 0.9)])
    assert set(trust_frame(all_trust(found))["where"]) == {"b"}
    assert set(coverage_frame(found)["coverage_95"]) == {0.95, 0.9}


@pytest.mark.parametrize("hits", [0, 1, 200, 399, 400])
def test_the_interval_is_the_one_whose_ends_the_hits_just_deny(hits: int) -> None:
    low, high = exact_interval(hits, SEEDS)
    tail = (1 - CONFIDENCE) / 2
    assert low == 0 if hits == 0 else binom.sf(hits - 1, SEEDS, low) == pytest.approx(tail)
    assert high == 1 if hits == SEEDS else binom.cdf(hits, SEEDS, high) == pytest.approx(tail)
