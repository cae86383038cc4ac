"""The study of few gradients on a small network: what is timed, scored, and left out."""

from types import MappingProxyType

import numpy as np
import pytest

from hessbench.catalog import load_catalog
from hessbench.estimand import parse_estimand
from hessbench.reports.few_gradients.results import NetworkQuestion
from hessbench.studies.few_gradients import AskedMethods, FewGradientsDesign, run_few_gradients

DIAGONAL = AskedMethods(
    "diagonal",
    "relative_norm",
    MappingProxyType({"hutchinson-diagonal": (5, 20), "ggn-diagonal-exact": (3, 10), "diagonal-exact": (7,)}),
)


def question(problem, asked):
    return NetworkQuestion("diagonal of the GGN", "MLP", problem, asked.estimand, asked.error), asked


@pytest.fixture(scope="module")
def found():
    problem = "mlp[data=digits,operator=ggn,per_class=2,weights=random,widths=4]"
    design = FewGradientsDesign((question(problem, DIAGONAL),), repeats=2, threads=1)
    return run_few_gradients(design, lambda _: None).questions[0]


def test_every_repeat_has_a_point_for_each_budget_it_reaches(found):
    runs = {each.method: each for each in found.methods}
    assert [[point.matvecs for point in points] for points in runs["hutchinson-diagonal"].repeats] == [[5, 20]] * 2
    exact = runs["ggn-diagonal-exact"]
    assert [point.matvecs for point in exact.repeats[0]] == [10]
    assert exact.repeats[0][0].error < 1e-5
    assert exact.repeats[0][0].gradient_equivalents == pytest.approx(10 * 2 / 3)


def test_times_are_in_gradients_and_builds_apart(found):
    assert found.gradient_s > 0
    for runs in found.methods:
        assert runs.build.shape == (len(runs.repeats),)
        assert bool((runs.build > 0).all())
        costs = [point.gradients for points in runs.repeats for point in points]
        assert all(np.isfinite(costs))


def test_a_method_without_a_budget_that_is_enough_says_so(found):
    (exact,) = [runs for runs in found.methods if runs.method == "diagonal-exact"]
    assert exact.repeats == ()
    assert exact.failure == "no budget of the study is enough for it"


def test_every_question_of_the_study_is_about_a_problem_with_a_truth_and_methods_that_exist():
    catalog = load_catalog()
    for asking, asked in FewGradientsDesign().questions:
        problem = catalog.problem(asking.problem)
        estimand = parse_estimand(asked.estimand)
        assert problem.finder(type(estimand)) is not None
        assert asking.error in type(estimand).definitions
        for spec in asked.methods:
            catalog.method(spec, estimand)


def test_rows_may_be_more_than_parameters_and_products_may_not():
    problem = "mlp[data=digits,operator=ggn,per_class=4,weights=random,widths=4]"
    budgets = MappingProxyType({"heavy-rows": (16, 352), "hutchinson-diagonal": (5, 320, 400)})
    asked = AskedMethods("diagonal", "relative_norm", budgets)
    design = FewGradientsDesign((question(problem, asked),), repeats=1, threads=1)
    found = run_few_gradients(design, lambda _: None).questions[0]
    spent = {runs.method: [point.matvecs for point in runs.repeats[0]] for runs in found.methods}
    assert found.dim == 310
    assert spent == {"heavy-rows": [16, 352], "hutchinson-diagonal": [5, 310]}
