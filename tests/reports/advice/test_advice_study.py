"""The page of the study of advice counts what held, and its verdicts say what did not."""

import pytest

from hessbench.reports.advice.page import summary, write_advice_study
from hessbench.reports.advice.results import AdviceStudyResults, AdviceTrial


def trial(**fields):
    known = {"problem": "mine", "dim": 10, "estimand": "trace", "within": 0.01, "method": "xtrace", "budget": 60,
             "promised": True, "kept": True, "error": 0.004}  # fmt: skip
    return AdviceTrial(**{**known, **fields})


@pytest.mark.parametrize(
    ("found", "verdict", "holds", "right"),
    [
        (trial(), "holds", True, True),
        (trial(error=0.02), "broken promise", False, False),
        (trial(error=0.02, bound=0.03), "holds", True, True),
        (trial(error=0.004, kept=False), "missed, and said so", False, True),
        (trial(error=0.02, kept=False), "missed, and said so", False, True),
        (trial(error=0.02, promised=False, kept=None), "not within", False, True),
        (trial(promised=False, kept=None), "holds", True, True),
        (trial(error=float("nan")), "broken promise", False, False),
        (trial(method=""), "nothing recommended", False, True),
        (trial(method="", failure="no price"), "refused", False, True),
        (trial(failure="it ended", kept=None, error=float("nan")), "no answer", False, True),
    ],
)
def test_a_verdict_is_what_came_of_it(found, verdict, holds, right):
    assert (found.verdict, found.holds, found.promise_was_right) == (verdict, holds, right)


def test_the_page_counts_them(tmp_path):
    blind = trial(estimand="density", promised=False, kept=None)
    results = AdviceStudyResults((trial(), trial(error=0.02), blind, trial(method="")), 60.0)
    said = summary(results)
    assert said[0].startswith("2 of 3 recommendations held: trace 1 of 2, density 1 of 1. For 1 of 4 questions")
    assert said[1].startswith("1 of 2 promises were right")
    page = write_advice_study(results, tmp_path / "page", "hessbench study advice").read_text()
    assert "broken promise" in page
    assert (tmp_path / "page" / "trials.csv").read_text().count("\n") == 5
