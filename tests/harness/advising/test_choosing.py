"""Who is recommended: the cheapest that fits and may be believed, an exact method where nobody knows its error."""

import csv
from pathlib import Path

import pytest

from hessbench.advising.belief import HELD, LEAST_PROBES, PRODUCTS_A_PROBE, is_believed, least_believed
from hessbench.advising.candidates import AdviceCandidate, Knowledge, candidates
from hessbench.advising.choosing import Forecast, WhyNot, choose
from hessbench.advising.forecast import Needed
from hessbench.advising.question import AdviceQuestion, asked_estimand
from hessbench.catalog import load_catalog
from hessbench.estimand import Density, Diagonal, TopEigenvalues, Trace
from hessbench.studies.calibration import PRODUCTS

PUBLISHED = Path(__file__).parents[3] / "reports" / "published"
beside_checkout = pytest.mark.skipif(not PUBLISHED.is_dir(), reason="the published pages are the checkout's")


def question(estimand=None, **fields):
    known = {"problem": "mine", "dim": 100, "estimand": estimand or Trace(), "within": 0.01, "budget_s": 60.0,
             "memory_bytes": 2**30}  # fmt: skip
    return AdviceQuestion(**{**known, **fields})


def forecast(name, knows=Knowledge.CERTIFIED, seconds=1.0, budget=50, **fields):
    return Forecast(Needed(AdviceCandidate(name, knows), budget), seconds, **fields)


def chosen(*forecasts, asked=None, left_s=50.0):
    advice = choose(forecasts, asked or question(), left_s)
    return advice, None if advice.best is None else advice.best.needed.candidate.name


def test_the_cheapest_that_is_promised_is_taken():
    cheap = forecast("cheap", Knowledge.RESIDUAL, 0.1)
    advice, best = chosen(cheap, forecast("dear", seconds=3.0), forecast("sure", seconds=2.0))
    assert best == "sure"
    assert advice.promised
    assert [it.why_not for it in advice.others] == [WhyNot.DEARER, WhyNot.NO_PROMISE]
    assert advice.runner_up.needed.candidate.name == "dear"


def test_without_a_promise_the_cheapest_is_taken_and_nothing_promised():
    advice, best = chosen(forecast("cheap", Knowledge.RESIDUAL, 0.1), forecast("dear", Knowledge.RESIDUAL, 1.0))
    assert best == "cheap"
    assert not advice.promised


@pytest.mark.parametrize(
    ("it", "why"),
    [
        (forecast("long", seconds=51.0), WhyNot.TIME),
        (forecast("large", held_bytes=2**31), WhyNot.MEMORY),
        (forecast("untold", budget=None), WhyNot.UNTOLD),
        (forecast("unpriced", seconds=None), WhyNot.UNPRICED),
        (forecast("unable", why_not=WhyNot.CANNOT, detail="no rows"), WhyNot.CANNOT),
    ],
)
def test_what_does_not_fit_is_not_taken_and_says_why(it, why):
    advice, best = chosen(it)
    assert best is None
    assert not advice.promised
    assert advice.others[0].why_not is why


@pytest.mark.parametrize(("exact_s", "best"), [(2.9, "exact"), (5.9, "exact"), (7.0, "blind")])
def test_where_nobody_knows_its_error_an_exact_method_may_cost_more(exact_s, best):
    blind, exact = forecast("blind", Knowledge.NONE, 1.0), forecast("exact", Knowledge.EXACT, exact_s)
    advice, found = chosen(blind, exact, asked=question(Density()))
    assert found == best
    assert not advice.promised


def rows(*parts):
    with PUBLISHED.joinpath(*parts).open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


@beside_checkout
def test_intervals_are_believed_as_the_published_calibration_says():
    table = [row for row in rows("calibration", "believed.csv") if row["interval"] == "corrected"]
    found = {}
    for method in dict.fromkeys(row["method"] for row in table):
        believed = {int(row["probes"]): row["believed"].startswith("yes") for row in table if row["method"] == method}
        least = [probes for probes in believed if all(believed[more] for more in believed if more >= probes)]
        if least:
            found[method] = min(least)
    mine = {candidate.spec for candidate in candidates(Trace(), 0.01)} | {"adaptive-hutchpp"}
    assert {method: probes for method, probes in found.items() if method in mine} == dict(LEAST_PROBES)
    assert {method: PRODUCTS[method] for method in LEAST_PROBES} == dict(PRODUCTS_A_PROBE)


@beside_checkout
def test_intervals_by_rows_and_subsets_held_as_often_as_the_published_study_says():
    seen = [
        row for row in rows("few-gradients", "points.csv") if row["half_width_99"] and "known" not in row["question"]
    ]
    wide = [row for row in seen if float(row["half_width_99"]) > 1e-6]
    # What a run that has ended says at larger budgets is what it said as it ended.
    said = {tuple(row[key] for key in ("network", "question", "method", "repeat", "matvecs")): row for row in wide}
    for method, kept in HELD.items():
        held = [float(row["error"]) <= float(row["half_width_99"]) for row in said.values() if row["method"] == method]
        assert (sum(held), len(held)) == (kept.held, kept.number)


def test_what_is_not_believed_at_a_budget_is_not_promised():
    hutchpp = AdviceCandidate("hutchpp", Knowledge.INTERVAL)
    assert least_believed(hutchpp) == 30
    assert not is_believed(hutchpp, 29)
    assert is_believed(hutchpp, 30)
    assert not is_believed(AdviceCandidate("any", Knowledge.NONE), 10**6)


@pytest.mark.parametrize("estimand", [Trace(), TopEigenvalues(3), Diagonal(), Density()])
def test_every_candidate_is_registered_and_answers(estimand):
    catalog = load_catalog()
    for candidate in candidates(estimand, 0.02):
        bound = catalog.method(candidate.spec, estimand)
        assert bound.min_matvecs(1000) <= (1000 if candidate.whole else candidate.first)


@pytest.mark.parametrize("text", ["log-determinant[damping=1]", "nope", "top-eigenvalues[k=101]"])
def test_other_estimands_are_refused(text):
    with pytest.raises(ValueError, match=r"estimand|between 1 and the dimension"):
        asked_estimand(text, 100)
