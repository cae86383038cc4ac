"""Methods best first, and what must be said beside the ranking."""

import dataclasses

import pytest
from planted_ledgers import cell, repeats, shots

from hessbench.ledger.answering import Ranking, State, TrivialAnswer, answer
from hessbench.ledger.reading import Ledger
from hessbench.ledger.record import Kind
from hessbench.ledger.spreads import paired_ratio
from hessbench.reports.writing.median_intervals import median_interval


def names(found):
    return [entry.method for entry in found.entries]


def test_reached_ones_come_first_by_their_seconds_then_the_nearest():
    rows = [
        *repeats("slow", wall=0.01),
        *repeats("fast", wall=0.001),
        *repeats("far", error=lambda budget, repeat: 0.9, wall=1e-6),
        *repeats("near", error=lambda budget, repeat: 0.2, wall=1e-3),
        *repeats("few", number=1),
    ]
    (found,) = answer(rows, (0.05,))
    assert names(found) == ["fast", "slow", "near", "far", "few"]
    assert found.best.method == "fast"
    assert [entry.state for entry in found.reached] == [State.REACHED] * 2


@pytest.mark.parametrize(
    ("by", "first"), [("seconds", "quick"), ("products", "frugal"), ("gradients", "frugal"), ("memory", "small")]
)
def test_each_cost_ranks(by: Ranking, first):
    rows = [
        *repeats("quick", wall=1e-5),
        *repeats("frugal", error=lambda budget, repeat: 0.01),
        *repeats("small"),
        *(row for name in ("quick", "frugal") for row in cell(name, pass_="memory", host_peak_bytes=9000)),
        *cell("small", pass_="memory", host_peak_bytes=90),
    ]
    (found,) = answer(rows, (0.05,), by)
    assert names(found)[0] == first
    assert found.best.ratio.spread.median == 1


def test_where_the_own_time_alone_names_another_winner_that_is_said():
    rows = [*repeats("kept", build=0.01, wall=0.002), *repeats("built", build=0.5, wall=0.0005)]
    (found,) = answer(rows, (0.05,))
    assert names(found) == ["kept", "built"]
    assert found.remarks == ("by the methods' own time alone, without the build, built is first, 4 times as fast",)
    assert answer(rows, (0.05,), "products")[0].remarks == (
        "kept is not told apart from built: their ratio may as well be 1",
    )


def test_ratios_to_the_best_are_paired_by_repeat():
    rows = [
        row
        for repeat in range(3)
        for row in (
            *cell("first", repeat=repeat, build=0.0, wall=0.001 * (1 + repeat)),
            *cell("second", repeat=repeat, build=0.0, wall=0.002 * (1 + repeat)),
        )
    ]
    (found,) = answer(rows, (0.05,))
    ratio = found.entries[1].ratio
    assert (ratio.spread.low, ratio.spread.high, ratio.spread.number) == (pytest.approx(2), pytest.approx(2), 3)
    assert ratio.interval is None
    assert found.remarks == ()


def test_a_single_run_is_paired_with_its_own_repeat():
    rows = [*repeats("lanczos", build=0, wall=0.01), *cell("dense", build=0, wall=0.05, drew_random=False)]
    ratio = answer(rows, (0.05,))[0].entries[1].ratio
    assert (ratio.spread.median, ratio.spread.number) == (pytest.approx(5), 1)


@pytest.mark.parametrize("number", [8, 9, 12, 20, 31])
def test_an_interval_of_order_statistics_from_eight_repeats_on(number):
    above = {repeat: 1.0 + ((7 * repeat) % number) / number for repeat in range(number)}
    ratio = paired_ratio(above, dict.fromkeys(range(number), 1.0))
    expected = median_interval(list(above.values()))
    assert ratio.interval == pytest.approx((expected.low, expected.high))
    assert ratio.spread.median == pytest.approx(expected.median)


def test_methods_whose_paired_ratio_spans_one_are_not_told_apart():
    rows = [
        row
        for repeat in range(3)
        for row in (
            *cell("a", repeat=repeat, build=0.0, wall=0.001),
            *cell("b", repeat=repeat, build=0.0, wall=0.0009 + 0.0002 * repeat),
        )
    ]
    assert answer(rows, (0.05,))[0].remarks == ("a is not told apart from b: their ratio may as well be 1",)


def test_a_tie_falls_to_the_products_and_then_to_the_name():
    rows = [*repeats("b", build=0.0, wall=0.0), *repeats("a", build=0.0, wall=0.0)]
    assert names(answer(rows, (0.05,))[0]) == ["a", "b"]


def test_seconds_of_unlike_engines_are_not_compared():
    rows = [*repeats("a", wall=0.01), *repeats("b", wall=0.02), *repeats("odd", wall=1e-6, engine="kept-graph, of 2")]
    (found,) = answer(rows, (0.05,))
    assert names(found) == ["a", "b", "odd"]
    assert (found.entries[2].seconds, found.entries[2].ratio) == (None, None)
    assert found.remarks == (
        "cells ran with different engines (rules in 6, kept-graph in 3): only seconds with rules are compared",
    )


@pytest.mark.parametrize("by_rows", ["rows: a forward and a backward pass of single samples", "own: of a library"])
def test_seconds_that_need_no_engine_are_compared_with_any(by_rows):
    rows = [*repeats("a", wall=0.01), *repeats("b", wall=0.001, engine=by_rows)]
    (found,) = answer(rows, (0.05,))
    assert names(found) == ["b", "a"]
    assert all(it.seconds is not None for it in found.entries)
    assert not any("engines" in remark for remark in found.remarks)
    (alone,) = answer(repeats("b", wall=0.001, engine=by_rows), (0.05,))
    assert alone.entries[0].seconds is not None


def test_contended_seconds_are_said():
    (found,) = answer(repeats(contended=True), (0.05,))
    assert found.remarks == ("lanczos was timed while other work ran: products are the surer ranking",)


def test_devices_dtypes_and_threads_are_questions_of_their_own():
    rows = [*repeats(), *repeats(device="cuda"), *repeats(dtype="float64"), *repeats(threads=4)]
    found = answer(rows, (0.05,))
    assert [it.question.label for it in found] == [
        "digits-mlp, density, cpu, float32, 1 threads",
        "digits-mlp, density, cpu, float32, 4 threads",
        "digits-mlp, density, cpu, float64, 1 threads",
        "digits-mlp, density, cuda, float32, 1 threads",
    ]
    assert all(len(it.entries) == 1 for it in found)


def test_the_peak_on_a_device_is_the_device_s():
    rows = [*repeats(device="cuda"), *cell(device="cuda", pass_="memory", host_peak_bytes=1, device_peak_bytes=77)]
    assert answer(rows, (0.05,))[0].best.peak_bytes.median == 77


def test_variants_are_told_apart_by_a_hash():
    rows = [*repeats(), *repeats(method_hash="f" * 16), *repeats(problem_hash="q" * 16)]
    found = answer(rows, (0.05,))
    assert [it.question.problem for it in found] == ["digits-mlp #pppppp", "digits-mlp #qqqqqq"]
    assert names(found[0]) == ["lanczos #ffffff", "lanczos #hash o"]


def test_an_answer_from_another_run_is_an_entry_of_its_own():
    own = repeats(estimand="top-eigenvalues[k=3]")
    also = [dataclasses.replace(row, estimand="density") for row in own if row.kind is Kind.CHECKPOINT]
    memory = cell(estimand="top-eigenvalues[k=3]", pass_="memory", host_peak_bytes=70)
    found = {it.question.estimand: it for it in answer([*own, *also, *memory, *shots("slq")], (0.05,))}
    entries = {entry.method: entry for entry in found["density"].entries}
    assert set(entries) == {"slq", "lanczos (from its top-eigenvalues run)"}
    assert entries["lanczos (from its top-eigenvalues run)"].peak_bytes.median == 70
    assert names(found["top-eigenvalues[k=3]"]) == ["lanczos"]


def test_the_trivial_answer_stands_where_no_method_is_nearer():
    far = repeats("kpm", error=lambda budget, repeat: 1.4)
    (found,) = answer(far, (0.01,))
    assert found.trivial == TrivialAnswer("one point at the mean", 1.0, is_within=False)
    assert found.remarks == ("no nearer than one point at the mean, which takes no product: kpm",)
    (found,) = answer([*far, *repeats("slq", error=lambda budget, repeat: 0.2)], (0.01,))
    assert found.trivial is None
    assert found.remarks == ("no nearer than one point at the mean, which takes no product: kpm",)


def test_zero_is_an_answer_to_a_trace_that_cancels():
    def errors(value):
        return {"relative_to_abs_sum": value, "relative": value / 0.004, "trace_share": 0.004}

    rows = repeats("hutchinson", estimand="trace", error=lambda budget, repeat: 0.02, errors=errors)
    wide, narrow = answer(rows, (0.05, 0.001))
    assert wide.question.error_name == "relative_to_abs_sum"
    assert wide.trivial == TrivialAnswer("zero", 0.004, is_within=True)
    assert narrow.trivial == TrivialAnswer("zero", 0.004, is_within=False)


def test_a_trace_is_judged_relative_to_itself_with_the_scaled_error_beside_it():
    def errors(value):
        return {"relative_to_abs_sum": value, "relative": 10 * value}

    rows = repeats("hutchpp", estimand="trace", error=lambda budget, repeat: 0.1 / budget, errors=errors)
    (found,) = answer(rows, (0.03,))
    assert (found.question.error_name, found.question.error_label) == ("relative", "error / |trace|")
    assert (found.best.budget, found.best.error.median) == (40, pytest.approx(0.025))
    assert found.best.scaled_error.median == pytest.approx(0.0025)
    assert found.best.bound == pytest.approx(1e-5)


def test_tolerances_and_rankings_that_are_not_accepted_are_named():
    with pytest.raises(ValueError, match="tolerances must be above 0"):
        answer(repeats(), (0.0,))
    with pytest.raises(ValueError, match="by must be one of seconds, products, gradients, memory"):
        answer(repeats(), by="time")  # type: ignore[arg-type]


def test_a_ledger_answers():
    ledger = Ledger(tuple(repeats()))
    assert [it.tolerance for it in ledger.answer()] == [0.1, 0.01, 0.001]
    assert ledger.answer(within=(0.05,), by="products")[0].best.budget == 20
