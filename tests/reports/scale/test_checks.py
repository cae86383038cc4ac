"""Predicted against measured, by hand: prices of 10 ns a dimension, 20 products, 400 passes of float32 at 10 GB/s."""

import dataclasses

import pytest

from hessbench.ledger.record import Kind, Status
from hessbench.reports.scale.checks import checks

SIZES = (10**4, 10**5, 10**6)


@pytest.fixture
def run(builder):
    """Adds runs of one method at several sizes, each taking 1.5 times what is predicted."""

    def add(sizes=SIZES, problem="student-t[n={}]", memory=True, **fields):
        for n in sizes:
            known = {
                "dim": n,
                "budgets": (20,),
                "wall_s": n * 540e-9,
                "operator_s": n * 300e-9,
                "counts": {"product": 20},
            }
            builder.cell(problem.format(n), **(known | fields))
            if memory:
                peak = {"host_peak_bytes": n * 100, "pass_": "memory"}
                builder.cell(problem.format(n), **(known | peak | fields))
        return builder.rows

    return add


@pytest.fixture
def prices(make_price):
    """Prices that lie on a line up to the size before the largest, and nowhere near it from there on."""
    return [make_price(10**4, 1e-4), make_price(10**5, 1e-3), make_price(10**6, 7.0), make_price(10**7, 9.0)]


def _one(rows, prices=()):
    (check,) = checks(rows, prices)
    return check


def test_the_largest_size_is_predicted_from_the_rungs_below_it_alone(run, prices):
    check = _one(run(), prices)
    assert (check.family.name, check.line.dim, check.basis.dim) == ("student-t[n=*]", 10**6, 10**5)
    assert check.price_dims == (10**4, 10**5)
    assert check.prediction.products_s == pytest.approx(20 * 1e-2)
    assert check.prediction.own_s == pytest.approx(400 * 1e6 * 4 / 1e10)
    assert check.prediction.memory_bytes == 20 * 1e6 * 4
    assert check.measured_s.median == pytest.approx(0.54)
    assert check.time_ratio == pytest.approx(1.5)
    assert check.measured_bytes == 10**8
    assert check.memory_ratio == pytest.approx(1.25)
    assert check.measured_own_s == pytest.approx(0.24)
    assert check.line.error.median == 1 / 20
    assert check.reasons == {}


def test_counts_and_footprint_come_from_below_and_not_from_the_largest(run, prices):
    run(SIZES[:2])
    check = _one(run(SIZES[2:], counts={"product": 5}, matvecs=5, own_passes=1.0, own_vectors=1.0), prices)
    assert check.prediction.seconds == pytest.approx(0.36)
    assert check.predicted_at(10**6) == pytest.approx(0.36)
    assert check.by_runs_s == pytest.approx(0.3 + 0.16)
    assert check.prediction.memory_bytes == 8e7


def test_a_memory_peak_is_also_carried_from_the_size_below(run, prices):
    check = _one(run(), prices)
    assert (check.scaled_from, check.scaled_bytes) == (10**5, pytest.approx(1e8))


def test_the_runs_own_products_give_a_second_prediction(run, prices):
    assert _one(run(), prices).by_runs_s == pytest.approx(0.3 + 0.16)


@pytest.mark.parametrize("sizes", [SIZES[:1], ()])
def test_one_size_is_no_check(run, prices, sizes):
    assert checks(run(sizes), prices) == ()


def test_without_rungs_below_the_runs_themselves_price_a_product(run, make_price):
    check = _one(run(), [make_price(10**6, 7.0), make_price(10**7, 9.0)])
    assert check.has_run_prices
    assert check.prediction.seconds == pytest.approx(0.3 + 0.16)
    assert check.price_dims == (10**4, 10**5)
    assert "priced by the smaller runs themselves" in check.reasons["predicted_s"]


def test_without_rungs_and_with_one_smaller_run_no_time_is_said(run, make_price):
    check = _one(run(SIZES[1:]), [make_price(10**5, 1e-3), make_price(10**6, 1e-2)])
    assert check.prediction.seconds is None
    assert check.time_ratio is None
    assert check.price_dims == ()
    assert check.reasons["predicted_s"] == (
        "neither two prices of a product at sizes of at most 500,000 nor two of these runs timed there"
    )
    assert check.measured_s.median == pytest.approx(0.54)
    assert check.prediction.memory_bytes == 8e7


def test_without_any_price_the_products_alone_are_said(run):
    check = _one(run())
    assert check.prediction.products_s == pytest.approx(0.3)
    assert check.prediction.seconds is None
    assert "no bandwidth was measured" in check.reasons["predicted_s"]


@pytest.mark.parametrize(("missing", "said"), [("own_passes", "own passes"), ("own_vectors", "vectors it holds")])
def test_a_method_without_a_footprint_is_half_predicted(run, prices, missing, said):
    check = _one(run(**{missing: None}), prices)
    name = "predicted_s" if missing == "own_passes" else "predicted_bytes"
    assert said in check.reasons[name]
    assert (check.time_ratio is None) == (missing == "own_passes")
    assert (check.memory_ratio is None) == (missing == "own_vectors")


def test_without_a_memory_pass_nothing_is_said_of_the_peak(run, prices):
    check = _one(run(memory=False), prices)
    assert (check.measured_bytes, check.memory_ratio, check.scaled_bytes) == (None, None, None)
    assert check.reasons == {"measured_bytes": "no memory pass in this ledger"}
    assert check.prediction.memory_bytes == 8e7


@pytest.mark.parametrize(("name", "value"), [("dtype", "float64"), ("threads", 1), ("device", "cuda")])
def test_other_conditions_are_neither_pooled_nor_predicted_from(run, prices, name, value):
    rows = list(run(SIZES[:2]))
    rows += [dataclasses.replace(row, cell=f"{row.cell}x", **{name: value}) for row in run(SIZES[1:])[len(rows) :]]
    found = checks(rows, prices)
    assert len(found) == 2
    assert {(getattr(check.line.key, name), check.line.dim) for check in found} == {
        (getattr(rows[0], name), 10**5),
        (value, 10**6),
    }
    other = next(check for check in found if getattr(check.line.key, name) == value)
    assert [run.dim for run in other.smaller] == [10**5]
    assert other.prediction.seconds is None  # no price was measured in its conditions


def test_prices_of_other_conditions_are_not_used(run, make_price):
    others = [make_price(n, n * 1e-3, dtype="float64") for n in SIZES[:2]]
    assert _one(run(), others).prediction.seconds is None


def test_a_family_that_differs_in_another_parameter_is_not_mixed(run, prices):
    run(problem="student-t[n={},zero_fraction=0.9]")
    found = checks(run(), prices)
    assert [check.family.name for check in found] == ["student-t[n=*,zero_fraction=0.9]", "student-t[n=*]"]


def test_prices_of_the_same_family_go_before_those_of_another(run, prices, make_price):
    others = [make_price(n, 50.0, problem="student-t[n=1,signed=false]") for n in SIZES]
    mine = [{**price, "problem": "student-t[n=10000]"} for price in prices]
    assert _one(run(), [*others, *mine]).prediction.seconds == pytest.approx(0.36)


def test_prices_of_another_family_of_the_name_are_said(run, make_price):
    others = [make_price(n, n * 1e-8, problem="student-t[n=1,signed=false]") for n in SIZES]
    check = _one(run(), others)
    assert check.prediction.seconds == pytest.approx(0.36)
    assert check.reasons["predicted_s"] == "priced by the ladder of student-t[n=1,signed=false]"


def test_a_size_less_than_half_a_step_away_predicts_nothing(run, prices):
    check = _one(run((9 * 10**5, 10**6)), prices)
    assert check.basis is None
    assert check.reasons["predicted_s"] == "no run at a size of at most 500,000 came to an end"
    assert check.reasons["predicted_bytes"] == check.reasons["predicted_s"]


def test_half_the_size_is_far_enough(run, prices):
    assert _one(run((5 * 10**5, 10**6)), prices).basis.dim == 5 * 10**5


def test_a_largest_size_that_failed_keeps_its_prediction_and_says_how_it_ended(run, builder, prices):
    run(SIZES[:2])
    builder.cell("student-t[n=1000000]", dim=10**6, budgets=(20,), status=Status.OOM_HOST)
    check = _one(builder.rows, prices)
    assert check.line.dim == 10**6
    assert check.prediction.seconds == pytest.approx(0.36)
    assert (check.measured_s, check.time_ratio) == (None, None)
    assert check.reasons["measured_s"] == "ended with oom-host"


def test_seconds_until_a_failure_are_no_measurement(run, builder, prices):
    run(SIZES[:2])
    builder.cell("student-t[n=1000000]", dim=10**6, budgets=(20,), status=Status.ERROR, wall_s=0.001)
    assert _one(builder.rows, prices).measured_s is None


def test_a_smaller_run_that_failed_is_passed_over(run, builder, prices):
    run((SIZES[0], SIZES[2]))
    builder.cell("student-t[n=100000]", dim=10**5, budgets=(20,), status=Status.TIMEOUT)
    assert _one(builder.rows, prices).basis.dim == 10**4


def test_repeats_are_put_together(run, prices):
    for repeat, seconds in enumerate((0.3, 0.9, 0.4)):
        rows = run(SIZES[2:], repeat=repeat, wall_s=seconds, memory=False)
    run(SIZES[:2])
    measured = _one(rows, prices).measured_s
    assert (measured.median, measured.low, measured.high, measured.number) == (0.4, 0.3, 0.9, 3)


def test_budgets_are_checks_of_their_own(run, prices):
    run(budgets=(40,), counts={"product": 40}, matvecs=40)
    found = checks(run(), prices)
    assert [(check.line.budget, check.prediction.products_s) for check in found] == [
        (20, pytest.approx(0.2)),
        (40, pytest.approx(0.4)),
    ]


def test_what_an_anytime_run_had_on_its_way_is_no_check(run, prices):
    assert [check.line.budget for check in checks(run(budgets=(10, 20)), prices)] == [20]


def test_an_answer_beside_another_has_the_cost_of_its_run(run, prices):
    trace, density = sorted(checks(run(also=("density",)), prices), key=lambda it: it.line.key.estimand, reverse=True)
    assert density.line.key.source == "trace"
    assert density.time_ratio == trace.time_ratio


def test_a_size_in_two_versions_is_left_out(run, prices):
    rows = run()
    rows += [
        dataclasses.replace(row, cell=f"{row.cell}x", problem_hash="f" * 64) for row in rows if row.dim == SIZES[1]
    ]
    check = _one(rows, prices)
    assert [line.dim for line in (*check.smaller, check.line)] == [SIZES[0], SIZES[2]]


def test_contended_times_say_so(run, prices):
    assert "while other work ran" in _one(run(contended=True), prices).reasons["measured_s"]


def test_the_curve_goes_through_the_prediction(run, prices):
    check = _one(run(), prices)
    assert check.predicted_at(10**6) == pytest.approx(check.prediction.seconds)
    assert check.predicted_at(10**5) == pytest.approx(20 * 1e-3 + 0.016)


def test_device_peaks_are_compared_on_a_device(run, prices):
    rows = run(device="cuda", device_peak_bytes=5)
    assert _one(rows, prices).measured_bytes == 5


def test_skipped_and_torn_cells_give_no_check(run, prices):
    rows = list(run(status=Status.SKIPPED))
    assert checks(rows, prices) == ()
    assert checks([row for row in run() if row.kind is not Kind.TERMINAL], prices) == ()
