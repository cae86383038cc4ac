"""The study of few gradients on a small network: what is timed, scored, and left out."""

from dataclasses import replace
from functools import partial
from types import MappingProxyType

import numpy as np
import pytest

from hessbench.catalog import load_catalog
from hessbench.estimand import parse_estimand
from hessbench.reports.claims.measured import measured_of
from hessbench.reports.few_gradients.results import FewGradientsResults, NetworkQuestion
from hessbench.studies.few_gradients.kept_questions import read_back, take_down
from hessbench.studies.few_gradients.measuring import FewGradientsDesign, Problems, answered
from hessbench.studies.few_gradients.questions import AskedMethods, ggn_of
from hessbench.studies.few_gradients.study import FEW_GRADIENTS, left_out, units_of
from hessbench.studies.scale import StudySetting
from hessbench.studies.units import UnitRecord, run_units

DIAGONAL = AskedMethods(
    "diagonal",
    "relative_norm",
    MappingProxyType({"hutchinson-diagonal": (5, 20), "ggn-diagonal-exact": (3, 10), "diagonal-exact": (7,)}),
)


def question(problem, asked):
    return NetworkQuestion("diagonal of the GGN", "MLP", problem, asked.estimand, asked.error), asked


def run_design(design):
    problems = Problems()
    here = [(each, asked) for each, asked in design.questions if not problems.of(each.problem).refusal]
    found = tuple(runs for each, asked in here for runs in answered(problems, each, asked, design))
    return FewGradientsResults(design.threads, found, tuple(left_out(design)))


@pytest.fixture(scope="module")
def found():
    problem = "mlp[data=digits,operator=ggn,per_class=2,weights=random,widths=4]"
    design = FewGradientsDesign((question(problem, DIAGONAL),), repeats=2, threads=1)
    return run_design(design).questions[0]


def test_every_repeat_has_a_point_for_each_budget_it_reaches(found):
    runs = {each.method: each for each in found.methods}
    assert [[point.matvecs for point in points] for points in runs["hutchinson-diagonal"].repeats] == [[5, 20]] * 2
    exact = runs["ggn-diagonal-exact"]
    assert [point.matvecs for point in exact.repeats[0]] == [10]
    assert exact.repeats[0][0].error < 1e-5
    forward = 64 * 4 + 4 * 10  # multiplications; the squares of a dense layer are summed over the outputs first
    assert exact.repeats[0][0].gradient_equivalents == pytest.approx((2 * forward + 10 * 40) / (3 * forward))


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


def test_the_ggn_of_a_hessian_has_the_same_spec_but_for_the_matrix():
    assert ggn_of("digits-mlp") == "digits-mlp[operator=ggn]"
    assert ggn_of("cnn-3c3d[per_class=2,weights=random]") == "cnn-3c3d[operator=ggn,per_class=2,weights=random]"
    assert ggn_of("digits-mlp[operator=hessian,step=0]") == "digits-mlp[operator=ggn,step=0]"


HESSIAN = "mlp[activation=relu,data=digits,per_class=2,weights=random,widths=4]"


@pytest.fixture(scope="module")
def intervals():
    trace = AskedMethods(
        "trace", "relative", MappingProxyType({"sampled-rows": (20, 50, 204), "heavy-rows": (20, 204)}),
        {"interval": "known trace"},
    )  # fmt: skip
    top = AskedMethods(
        "top-eigenvalues[k=2]", "max_relative",
        MappingProxyType({"lanczos[reorth=full]": (30, 60), "pruned-lanczos": (5, 60, 120)}), {"interval": "known top"},
    )  # fmt: skip
    diagonal = AskedMethods(
        "diagonal", "relative_norm", MappingProxyType({"heavy-rows": (204,), "ggn-diagonal-exact": (10,)}),
        elsewhere={"ggn-diagonal-exact": ggn_of(HESSIAN)}, truth=ggn_of(HESSIAN), backpack=True,
    )  # fmt: skip
    density = AskedMethods(
        "density", "wasserstein1", MappingProxyType({"slq": (20, 40)}), {"bulk_wasserstein1": "bulk"}
    )
    asked = [(HESSIAN, trace), (HESSIAN, top), (HESSIAN, diagonal), (ggn_of(HESSIAN), density)]
    design = FewGradientsDesign(tuple(question(problem, each) for problem, each in asked), repeats=1, threads=1)
    return run_design(design)


def test_the_same_runs_answer_a_question_by_each_of_its_errors(intervals):
    names = [(found.question.name, found.question.error) for found in intervals.questions]
    asked = "diagonal of the GGN"
    assert names == [
        (asked, "relative"), ("known trace", "interval"), (asked, "max_relative"), ("known top", "interval"),
        (asked, "relative_norm"), (asked, "wasserstein1"), ("bulk", "bulk_wasserstein1"),
    ]  # fmt: skip
    plain, bulk = intervals.questions[5:]
    assert plain.methods[0].repeats[0][0].error != bulk.methods[0].repeats[0][0].error


def test_an_answer_known_by_an_interval_is_as_wrong_as_that_is_wide(intervals):
    plain, known = intervals.questions[:2]
    for runs, judged in zip(plain.methods, known.methods, strict=True):
        for point, again in zip(runs.repeats[0], judged.repeats[0], strict=True):
            assert again.error == (np.inf if np.isnan(point.half_width) else max(point.error, point.half_width))
    heavy = {runs.method: runs for runs in known.methods}["heavy-rows"].repeats[0]
    assert [point.error < 1e-4 for point in heavy] == [False, True]
    assert [point.held for point in heavy] == [None, True]


def test_eigenvalues_are_known_by_the_interval_that_their_method_gives(intervals):
    known = intervals.questions[3]
    assert [runs.method for runs in known.methods] == ["pruned-lanczos"]
    first, *_, last = known.methods[0].repeats[0]
    assert first.error == np.inf
    assert last.held is True
    assert last.error <= 0.01


def test_a_method_may_answer_on_another_problem_with_the_same_answer(intervals):
    runs = {each.method: each for each in intervals.questions[4].methods}
    assert runs["ggn-diagonal-exact of the GGN"].repeats[0][0].error < 1e-5
    assert runs["heavy-rows"].repeats[0][0].error < 1e-5
    backpack = runs["BackPACK DiagGGNExact"]
    if not backpack.repeats:
        assert backpack.failure.endswith("pip install backpack-for-pytorch")
    else:
        assert backpack.repeats[0][0].error < 1e-5
        assert backpack.repeats[0][0].gradient_equivalents > 1
        assert not backpack.structured


def test_a_refusal_is_told_in_its_own_sentence():
    problem = "mlp[data=digits,per_class=2,weights=random,widths=4]"
    asked = AskedMethods("trace", "relative", MappingProxyType({"heavy-rows": (204,)}))
    design = FewGradientsDesign((question(problem, asked),), repeats=1, threads=1)
    (runs,) = run_design(design).questions[0].methods
    assert runs.failure.startswith("op must be a Hessian with the diagonal of its GGN, but 260 of 310 parameters")


def test_what_cannot_be_asked_is_left_out_with_its_reason(monkeypatch):
    monkeypatch.delenv("HESSBENCH_DATA", raising=False)
    asked = AskedMethods("trace", "relative", MappingProxyType({"hutchinson": (2,)}))
    design = FewGradientsDesign((question("resnet20-cifar10[samples=2]", asked),), repeats=1, threads=1)
    found = run_design(design)
    assert found.questions == ()
    (left,) = found.left_out
    assert "HESSBENCH_DATA" in left.why


def test_rows_may_be_more_than_parameters_and_products_may_not():
    problem = "mlp[data=digits,operator=ggn,per_class=4,weights=random,widths=4]"
    budgets = MappingProxyType({"heavy-rows": (16, 352), "hutchinson-diagonal": (5, 320, 400)})
    asked = AskedMethods("diagonal", "relative_norm", budgets)
    design = FewGradientsDesign((question(problem, asked),), repeats=1, threads=1)
    found = run_design(design).questions[0]
    spent = {runs.method: [point.matvecs for point in runs.repeats[0]] for runs in found.methods}
    assert found.dim == 310
    assert spent == {"heavy-rows": [16, 325], "hutchinson-diagonal": [5, 310]}


def test_what_is_taken_down_of_a_question_is_read_back(intervals):
    for first, second in ((0, 2), (2, 4), (4, 5), (5, 7)):
        runs = intervals.questions[first:second]
        record = UnitRecord()
        take_down(record, runs)
        measured = measured_of(
            [{"unit": "one", **row} for row in record.rows], {f"one/{name}": it for name, it in record.arrays.items()}
        )
        found = read_back(measured, "one", [each.question for each in runs])
        assert repr(found) == repr(list(runs))


def test_every_question_is_a_unit_or_left_out_and_another_seed_or_budget_is_another_unit():
    setting = StudySetting()
    units, design = units_of(setting), FewGradientsDesign()
    assert len({unit.name for unit in units}) == len(units) == len(design.questions) - len(left_out(design))
    assert [unit.key("few", setting) for unit in units_of(setting)] == [unit.key("few", setting) for unit in units]
    fixed = dict(units[0].measure.keywords)
    fewer = replace(fixed["asked"], methods=MappingProxyType({"hutchinson": (1,)}))
    others = (
        replace(units[0], measure=partial(units[0].measure.func, **{**fixed, "asked": fewer})),
        replace(units[0], definition="hutchinson 2"),
        units_of(StudySetting(seed=1))[0],
    )
    assert not {other.key("few", setting) for other in others} & {units[0].key("few", setting)}
    with pytest.raises(ValueError, match="--device cpu and --scale small are accepted"):
        units_of(StudySetting(device="cuda"))


def test_the_page_is_written_of_the_units_that_are_kept(monkeypatch, tmp_path):
    problem = "mlp[data=digits,operator=ggn,per_class=2,weights=random,widths=4]"
    asked = [replace(question(problem, DIAGONAL)[0], name=name) for name in ("diagonal of the GGN", "again")]
    design = FewGradientsDesign(tuple((each, DIAGONAL) for each in asked), repeats=1, threads=1)
    monkeypatch.setattr("hessbench.studies.few_gradients.study.FewGradientsDesign", lambda: design)
    units, said = units_of(StudySetting()), []
    first = run_units(units, tmp_path, said.append, study="few-gradients", only=[units[0].name])
    assert first.units == (units[0].name,)
    whole = run_units(units, tmp_path, said.append, study="few-gradients")
    assert "1 of 2 units are there already" in said
    page = FEW_GRADIENTS.write(whole, StudySetting(), tmp_path / "page", "hessbench study few-gradients")
    for name in ("diagonal of the GGN", "again"):
        assert name in (page.parent / "points.csv").read_text()
    assert page.is_file()
    assert run_units(units, tmp_path, said.append, study="few-gradients").units == whole.units
