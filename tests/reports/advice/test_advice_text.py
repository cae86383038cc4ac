"""What is said of advice: a promise only where there is one, and evidence only from pages that are there."""

from pathlib import Path

import numpy as np
import pytest

from hessbench.advising.answered import AnswerLook, CarriedOut
from hessbench.advising.candidates import AdviceCandidate, Knowledge
from hessbench.advising.choosing import Forecast, WhyNot, choose
from hessbench.advising.forecast import Needed
from hessbench.advising.observed import PilotPoint
from hessbench.advising.question import AdviceQuestion
from hessbench.estimand import Density, Trace
from hessbench.ledger.shown_errors import ShownError
from hessbench.reports.advice import text
from hessbench.reports.advice.evidence import NOWHERE, evidence
from hessbench.reports.advice.outcome import outcome

PUBLISHED = Path(__file__).parents[3] / "reports" / "published"
XTRACE = AdviceCandidate("xtrace", Knowledge.INTERVAL)


def advice(*forecasts, estimand=None):
    question = AdviceQuestion("mine", 100, estimand or Trace(), 0.01, 60.0, 2**30)
    return choose(forecasts, question, 50.0)


def forecast(candidate=XTRACE, budget=60, **fields):
    return Forecast(Needed(candidate, budget, 60, 0.02, 2), 1.5, 120.0, 2**20, **fields)


def look(claimed, is_within, error=None):
    point = PilotPoint(XTRACE, 60, 60, 100, 0.5, 0.25, 0.25, arrays={"trace": np.array([2.0])})
    return AnswerLook(60, point, claimed, 0.995, is_within, error, "DENSE" if error else "")


def test_a_promise_says_by_what_and_how_surely():
    said = text.promise(advice(forecast()))
    assert said == (
        "The answer will be within 1 % with 99 % confidence by its own interval, or it will say that it is not."
    )


@pytest.mark.parametrize("knows", [Knowledge.NONE, Knowledge.EXACT])
def test_of_a_density_nothing_is_promised(knows):
    said = text.promise(advice(forecast(AdviceCandidate("any", knows)), estimand=Density()))
    assert said.startswith("No method can know its own error of a density: nothing is promised")
    assert "confidence" not in said


def test_where_nothing_fits_it_says_what_came_nearest():
    found = advice(Forecast(Needed(XTRACE, 10**9, 60, 0.3, 2), 1e6, 2e9, 2**20))
    said = text.recommendation(found)
    assert said[0].startswith("Nothing is predicted to be within 1 % in this time and memory. Nearest in the pilot was")
    assert "it takes longer than the budget" in said[1]
    assert text.promise(found) == "Nothing is promised, since nothing is recommended."


def test_the_reason_of_a_failure_is_a_sentence_without_its_place():
    failed = Forecast(Needed(XTRACE, None), why_not=WhyNot.FAILED, detail="ValueError: op must be small (a.py:1 in f)")
    assert text.left_out(advice(failed)) == ["xtrace: op must be small"]


@pytest.mark.parametrize(
    ("looks", "said"),
    [
        ((look(0.005, True),), "The promise held: known to within 1 %."),
        ((look(0.02, False), look(0.004, True)), "The promise held: known to within 1 %."),
        ((look(0.02, False),), "The promise is missed, and said so: the answer is known to 2 % only, not to 1 %"),
        ((AnswerLook(60, None, failure="it ran out of time"),), "It came to no answer: it ran out of time."),
    ],
)
def test_it_says_whether_the_promise_held_and_by_how_much_it_is_missed(looks, said):
    lines = outcome(advice(forecast()), CarriedOut(looks, 70.0))
    assert any(line.startswith(said) for line in lines)


def test_the_true_error_stands_beside_the_answer_where_there_is_one():
    lines = outcome(advice(forecast()), CarriedOut((look(0.005, True, ShownError(0.002, 1e-6, "relative")),)))
    assert lines[0].startswith("60: trace 2 \N{PLUS-MINUS SIGN} 0.01, known to 0.5 %")
    assert lines[-1] == "True error: off by 0.2 % (DENSE reference)."


def test_evidence_is_that_of_the_pages_that_are_there(tmp_path):
    assert evidence(None, "xtrace", Trace(), 0.01, 30) == [NOWHERE]
    assert evidence(tmp_path, "xtrace", Trace(), 0.01, 30)[0].startswith("No published study")


@pytest.mark.skipif(not PUBLISHED.is_dir(), reason="the published pages are the checkout's")
def test_evidence_is_what_the_published_pages_say():
    (said,) = evidence(PUBLISHED, "xtrace", Trace(), 0.01, 30)
    assert said.startswith("Calibration study, 30 probes: its 95 % interval held the truth in at least 98 %")
    rows = evidence(PUBLISHED, "sampled-rows", Trace(), 0.01, None)
    assert any("few-gradients, trace of the GGN: within 1 % on" in line for line in rows)
    assert evidence(PUBLISHED, "slq[steps=100]", Density(), 0.05, None)[-1].startswith("Density study, slq")
