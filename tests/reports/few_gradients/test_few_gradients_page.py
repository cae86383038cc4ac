"""Costs at a level of error, and the page that shows them."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from hessbench.reports.few_gradients.figures import advantage
from hessbench.reports.few_gradients.page import answer_row, write_few_gradients_study
from hessbench.reports.few_gradients.results import (
    COUNTED,
    METHOD,
    WITH_BUILD,
    CostPoint,
    FewGradientsResults,
    MethodRuns,
    NetworkQuestion,
    QuestionRuns,
    best,
    cost_at,
    median_cost,
)
from hessbench.reports.few_gradients.targets import (
    DENSITY_OF_GGN,
    IMAGES,
    RESNET,
    STEPS,
    TOP_OF_GGN,
    TOP_OF_HESSIAN,
    TRACE_OF_GGN,
    TRACE_OF_HESSIAN,
    TRACE_WITH_INTERVAL,
    exponent,
    target_rows,
)


def runs_of(*repeats, method="one", structured=False, build=2.0, widths=False):
    """Runs from (cost, error) pairs; counted at half of what they took."""
    points = tuple(
        tuple(
            CostPoint(int(cost), cost / 2, cost, error, 2 * error if widths else np.nan, True if widths else None)
            for cost, error in repeat
        )
        for repeat in repeats
    )
    return MethodRuns(method, structured, np.full(len(repeats), build), points)


def question_of(*methods, network="MLP", series="", place=0.0, name="trace"):
    question = NetworkQuestion(name, network, "digits-mlp", "trace", "relative", series, place)
    return QuestionRuns(question, 1930, 500, 1e-3, methods)


FALLING = [(1.0, 0.5), (4.0, 0.05), (16.0, 0.004)]


def test_a_cost_counts_from_where_on_the_error_stays_within_the_level():
    lucky = [(1.0, 0.005), (4.0, 0.05), (16.0, 0.004)]
    runs = runs_of(FALLING, lucky)
    assert cost_at(runs, 0.1, METHOD).tolist() == [4.0, 1.0]
    assert cost_at(runs, 0.01, METHOD).tolist() == [16.0, 16.0]
    assert cost_at(runs, 0.01, WITH_BUILD).tolist() == [18.0, 18.0]
    assert cost_at(runs, 0.01, COUNTED).tolist() == [8.0, 8.0]
    assert cost_at(runs, 0.001, METHOD).tolist() == [np.inf, np.inf]


def test_an_error_that_is_no_number_is_within_no_level():
    assert cost_at(runs_of([(1.0, 0.001), (2.0, np.nan)]), 0.1, METHOD).tolist() == [np.inf]


def test_a_level_that_half_of_the_repeats_miss_is_not_reached():
    never = [(1.0, 0.5)]
    assert median_cost(runs_of(FALLING, FALLING, never), 0.01, METHOD) == 16.0
    assert median_cost(runs_of(FALLING, never), 0.01, METHOD) == np.inf
    assert median_cost(runs_of(), 0.01, METHOD) == np.inf


def test_the_best_of_either_kind_is_the_cheapest_that_gets_there():
    slow, quick = runs_of([(40.0, 0.001)], method="slow"), runs_of([(20.0, 0.001)], method="quick")
    rows = runs_of([(5.0, 0.001)], method="rows", structured=True, build=0.0)
    found = question_of(slow, quick, rows)
    assert best(found, 0.01, WITH_BUILD, structured=False) == ("quick", 22.0)
    assert best(found, 1e-4, WITH_BUILD, structured=False) == ("", np.inf)
    cell = answer_row(found).cells[1]
    assert (cell.whole, cell.structured, cell.advantage) == ("22.0", "5.00", "4.40")


def test_the_exponent_of_a_power_law_is_found():
    assert exponent(np.asarray([64.0, 256.0, 1024.0]), np.asarray([2.0, 4.0, 8.0])) == pytest.approx(0.5)


def test_a_target_is_met_by_the_cost_that_it_is_of():
    rows = runs_of([(5.0, 0.008), (15.0, 0.0005)], method="rows", structured=True, build=2.0)
    lanczos = runs_of([(50.0, 0.005)], method="lanczos")
    pruned = runs_of([(44.0, 0.005)], method="pruned", structured=True, build=2.0)
    found = {
        (row.task, row.network): row
        for row in target_rows(FewGradientsResults(2, (
            question_of(rows, network=RESNET, name=TRACE_WITH_INTERVAL),
            question_of(lanczos, pruned, network=RESNET, name=TOP_OF_HESSIAN),
        )))
    }  # fmt: skip
    one, tenth, top = found.values()
    # The method alone takes 5 of 6, and 15 of 14; the first eigenvalues count with their build, 46 of 45.
    assert [row.met for row in (one, tenth, top)] == [True, False, False]
    assert (one.with_build, one.alone, one.counted, one.method) == (7.0, 5.0, 2.5, "rows")
    assert (top.with_build, top.beside, top.beside_method) == (46.0, 52.0, "lanczos")


def test_methods_that_use_the_network_are_to_be_near_the_best_others_at_every_step():
    whole = runs_of([(10.0, 0.005)], method="whole", build=0.0)
    near, far, never = (
        runs_of([(cost, error)], method="rows", structured=True, build=0.0)
        for cost, error in ((10.9, 0.005), (11.5, 0.005), (1.0, 0.5))
    )
    steps = [
        question_of(*methods, series=STEPS, place=step, network=str(step), name=TOP_OF_GGN)
        for step, methods in enumerate([(whole, near), (whole, far), (whole, never), (never,), (far,)])
    ]
    rows = target_rows(FewGradientsResults(2, tuple(steps)))
    assert [row.met for row in rows] == [True, False, False, None, True]


def test_the_advantage_is_at_least_what_whole_products_spent_in_vain():
    rows = runs_of([(5.0, 0.005)], method="rows", structured=True, build=0.0)
    there = runs_of([(20.0, 0.5), (40.0, 0.005)], method="there", build=2.0)
    long, short = (runs_of([(cost, 0.5)], method=f"{cost}", build=2.0) for cost in (100.0, 60.0))
    assert advantage(question_of(rows, there, long), WITH_BUILD) == (42 / 5, False)
    assert advantage(question_of(rows, long, short), WITH_BUILD) == (62 / 5, True)
    assert advantage(question_of(rows, long, short), COUNTED) == (30 / 2.5, True)
    assert np.isnan(advantage(question_of(there), WITH_BUILD)[0])


def test_growth_is_that_of_seconds_and_of_gradients_of_one_image():
    # A gradient takes as long as it has images: 8 gradients of 64 images and 4 of 256 are 512 and 1024 of one.
    questions = [
        replace(
            question_of(runs_of([(cost, 0.001)], method="rows", structured=True, build=0.0), series=IMAGES, place=n,
                        network=str(n), name=TRACE_OF_GGN),
            samples=n, gradient_s=1e-3 * n,
        )
        for n, cost in ((64, 8.0), (256, 4.0))
    ]  # fmt: skip
    (row,) = target_rows(FewGradientsResults(2, tuple(questions)))
    assert row.alone == pytest.approx(0.5)
    assert row.counted == pytest.approx(0.5)
    assert row.met is True


def test_a_target_whose_question_was_not_asked_has_no_row():
    assert target_rows(FewGradientsResults(2, (question_of(network="other", name=DENSITY_OF_GGN, series="x"),))) == []


def results():
    rows = runs_of(FALLING, FALLING, method="heavy-rows", structured=True, build=0.0, widths=True)
    whole = runs_of([(20.0, 0.2), (400.0, 0.008)], method="hutchinson")
    failed = MethodRuns("<b>", True, np.zeros(0), (), "it has no rows & says so")
    steps = [
        question_of(whole, rows, series=STEPS, place=step, network=str(step), name=TRACE_OF_HESSIAN) for step in (0, 10)
    ]
    sizes = [question_of(whole, rows, series="number of images", place=n, network=str(n)) for n in (64, 256)]
    return FewGradientsResults(2, (question_of(whole, rows, failed), *steps, *sizes))


def test_the_page_has_every_number_and_escapes_what_it_is_told(tmp_path):
    page = write_few_gradients_study(results(), tmp_path / "out", "hessbench study <few>")
    text = page.read_text(encoding="utf-8")
    assert "not reached" in text
    assert "6 of 6" in text
    assert ">25.1<" in text
    assert "&lt;b&gt;" in text
    assert "<few>" not in text
    assert sorted(path.name for path in (page.parent / "figures").iterdir()) == [
        "by-number-of-images.svg", "by-step-of-the-training.svg", "curves.svg",
    ]  # fmt: skip
    costs = pd.read_csv(page.parent / "costs.csv")
    assert costs.groupby("method").size().to_dict() == {"<b>": 3, "heavy-rows": 15, "hutchinson": 15}
    targets = pd.read_csv(page.parent / "targets.csv")
    assert targets["met"].tolist() == ["met", "met"]
    assert targets["with_build"].tolist() == [16.0, 16.0]
    assert "<h2>Targets</h2>" in text
    points = pd.read_csv(page.parent / "points.csv")
    assert len(points) == 5 * (6 + 2)


def test_the_same_results_give_the_same_bytes(tmp_path):
    first, second = (write_few_gradients_study(results(), tmp_path / name, "command").parent for name in ("a", "b"))
    for path in first.rglob("*.*"):
        assert path.read_bytes() == (second / path.relative_to(first)).read_bytes()
