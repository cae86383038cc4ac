"""The rules of the ResNet20 study on readings where the right verdict is known."""

import numpy as np
import pytest

from hessbench.reports.claims.claim import ClaimOutcome
from hessbench.reports.claims.measured import measured_of
from hessbench.reports.sketch_resnet20 import judging, named
from hessbench.reports.sketch_resnet20.mass import mass_near_zero
from hessbench.reports.sketch_resnet20.pairs import AnsweredPair, on_the_front, pairs_of
from hessbench.reports.sketch_resnet20.readings import DrawnSketch, NetworkReadings, TopRun, TopTruth
from hessbench.reports.sketch_resnet20.verdicts import CLAIMS

TOP = 100 * 0.8 ** np.arange(21)
TRUTH = TopTruth(TOP, 1e-6, TOP.sum(), TOP.sum(), 1000)


def settled_run(method, found_at, last, repeat=0, final=0.0):
    """A run whose i-th value is half of the true one until `found_at[i]` products, and off by `final` from there."""
    products = np.arange(1.0, last + 1)
    values = np.where(products[:, None] >= np.asarray(found_at), TOP[:20] * (1 + final), TOP[:20] / 2)
    nan = np.full(products.size, np.nan)
    own = products.copy()
    return TopRun(method, repeat, products, values, 2 * products, own, nan, nan, nan, TRUTH)


def readings(runs=(), sketches=()):
    return NetworkReadings(named.DOCUMENT, TRUTH, tuple(runs), tuple(sketches))


def drawn(factor_50, factor_100):
    """A draw with the true values times a factor as the first 20 of its sketch of 50, and of that of 100."""
    diagonal = np.zeros(100)
    diagonal[:20] = 50 * factor_50 * TOP[:20]
    gram = np.diag(diagonal)
    # A rotation that mixes the two halves keeps the block and is solved for the size of 100.
    extra = 100 * factor_100 * TOP[:20] - diagonal[:20]
    gram[50:70, 50:70] = np.diag(extra)
    gram[:20, 50:70] = gram[50:70, :20] = np.diag(np.sqrt(np.maximum(diagonal[:20] * extra, 0)))
    return DrawnSketch(0, gram, {50: 1.0, 100: 2.0}, {50: 0.1, 100: 0.2}, TRUTH)


@pytest.mark.parametrize(
    ("power", "lanczos", "outcome"),
    [(349, 45, ClaimOutcome.BORNE_OUT), (100, 45, ClaimOutcome.UNDECIDED), (80, 45, ClaimOutcome.REFUTED)],
)
def test_products_are_compared_at_one_per_cent(power, lanczos, outcome):
    net = readings([
        settled_run(named.POWER, [power] * 20, power + 1),
        *(settled_run(named.LANCZOS, [lanczos] * 20, 60, start) for start in range(3)),
    ])  # fmt: skip
    found = judging.fewer_products(net)
    assert found.outcome is outcome
    assert f"{power} products against {lanczos}" in found.detail


def test_where_power_iteration_ends_above_one_per_cent_its_own_error_is_the_mark():
    power, lanczos = (settled_run(method, [at] * 20, last, final=final) for method, at, last, final in (
        (named.POWER, 300, 300, 0.05), (named.LANCZOS, 45, 60, 0.04),
    ))  # fmt: skip
    found = judging.fewer_products(readings([power, lanczos]))
    assert found.outcome is ClaimOutcome.BORNE_OUT
    assert "to 5 %" in found.detail


def test_lanczos_that_does_not_get_there_refutes_only_where_the_bound_does():
    never = settled_run(named.LANCZOS, [1000] * 20, 60)
    for power, outcome in ((100, ClaimOutcome.REFUTED), (349, ClaimOutcome.UNDECIDED)):
        net = readings([settled_run(named.POWER, [power] * 20, power), never])
        assert judging.fewer_products(net).outcome is outcome


@pytest.mark.parametrize(
    ("first", "last", "outcome"),
    [(4, 45, ClaimOutcome.BORNE_OUT), (7, 45, ClaimOutcome.UNDECIDED), (13, 45, ClaimOutcome.REFUTED)],
)
def test_counts_are_within_a_factor_of_the_published_ones(first, last, outcome):
    found_at = [first, max(first, 8), max(first, 14), max(first, 14), *[last] * 16]
    assert judging.counted_products(readings([settled_run(named.LANCZOS, found_at, 60)])).outcome is outcome


@pytest.mark.parametrize(
    ("power", "outcome"), [(1.0, ClaimOutcome.BORNE_OUT), (1.3, ClaimOutcome.UNDECIDED), (2.0, ClaimOutcome.REFUTED)]
)
def test_own_time_is_judged_by_its_exponent(power, outcome):
    run = settled_run(named.LANCZOS, [45] * 20, 100)
    run.own[:] = run.products**power
    assert judging.own_time(run).outcome is outcome


def test_a_draw_is_planted_as_it_says():
    assert drawn(1.2, 1.1).signed_errors(50) == pytest.approx(np.full(20, 0.2))
    assert drawn(1.2, 1.1).signed_errors(100) == pytest.approx(np.full(20, 0.1))


@pytest.mark.parametrize(
    ("factor", "outcome"),
    [(1.15, ClaimOutcome.BORNE_OUT), (1.5, ClaimOutcome.UNDECIDED), (0.99, ClaimOutcome.REFUTED)],
)
def test_sketches_must_be_above_every_value(factor, outcome):
    assert judging.over_estimates(readings(sketches=[drawn(factor, factor)])).outcome is outcome


@pytest.mark.parametrize(
    ("after", "outcome"),
    [(1.17, ClaimOutcome.BORNE_OUT), (1.15, ClaimOutcome.UNDECIDED), (1.1, ClaimOutcome.REFUTED)],
)
def test_the_gain_is_the_ratio_of_mean_errors(after, outcome):
    assert judging.gain(readings(sketches=[drawn(1.2, after)] * 5)).outcome is outcome


def test_errors_that_fall_slightly_with_the_rank_are_told_from_those_that_rise():
    ranks = np.arange(20)
    for slope, outcome in ((0.7, ClaimOutcome.BORNE_OUT), (3.0, ClaimOutcome.REFUTED), (0.2, ClaimOutcome.REFUTED)):
        factor = 1 + 0.1 * slope ** (ranks / 19)
        assert judging.by_rank(readings(sketches=[drawn(factor, factor)] * 5)).outcome is outcome


def test_negative_values_of_the_sketch_are_counted_beyond_the_bound():
    few, many = (np.diag(np.where(np.arange(100) % 50 < count, -1.0, 1.0)) for count in (4, 13))
    for gram, outcome in ((few, ClaimOutcome.BORNE_OUT), (many, ClaimOutcome.REFUTED)):
        net = readings(sketches=[DrawnSketch(0, gram, {}, {}, TRUTH)])
        assert judging.definiteness(net).outcome is outcome


def test_the_mass_near_zero_of_a_known_measure_is_within_its_bounds():
    # Equal weights: the measure of each start is the quadrature itself.
    nodes = np.asarray([-5.0, -0.5, -0.1, 0.0, 0.1, 0.5, 9.0])
    weights = np.asarray([0.01, 0.02, 0.1, 0.7, 0.1, 0.05, 0.02])
    found = mass_near_zero([nodes, nodes], [weights, weights], 1.0)
    assert found.value == pytest.approx(0.97)
    assert found.low == pytest.approx(0.9)  # without the nodes next to the ends
    assert found.high == pytest.approx(1.0)
    with pytest.raises(ValueError, match="two starts"):
        mass_near_zero([nodes], [weights], 1.0)


def test_a_pair_that_is_worse_in_everything_is_off_the_front():
    def pair(name, seconds, top, trace):
        return AnsweredPair(name, name, name, np.full(3, 50.0), *(np.full(3, it) for it in (seconds, top, trace)))

    ours, better, quicker = pair("a", 2.0, 0.2, 0.1), pair("b", 1.0, 0.1, 0.1), pair("c", 1.0, 0.9, 0.1)
    assert on_the_front("a", (ours, better)) == (0.0, "b")
    assert on_the_front("a", (ours, quicker)) == (1.0, "")


def test_power_iteration_at_its_theoretical_rate_has_slope_two():
    products, values, accepted, current = [], [], [], []
    spent = 0
    for place in range(20):
        for step in range(1, 12):
            spent += 1
            products.append(spent)
            current.append(TOP[place] * (1 - 0.5 * (TOP[place + 1] / TOP[place]) ** (2 * step)))
            accepted.append(place + (step == 11))
            values.append(np.concatenate([TOP[:place], [current[-1]], np.full(19 - place, np.nan)]))
    nan = np.full(spent, np.nan)
    seconds = np.asarray(products, dtype=float)
    run = TopRun(named.POWER, 0, seconds, np.stack(values), seconds, seconds, nan, np.asarray(accepted, dtype=float),
                 np.asarray(current), TRUTH)  # fmt: skip
    steps = judging.power_steps(run)
    assert (steps.products == 11).all()
    assert steps.log_rate == pytest.approx(2 * steps.log_ratio)


def test_without_measurements_nothing_is_decided():
    empty = measured_of([])
    for claim in CLAIMS:
        for verdict in claim.judge(empty):
            assert verdict.outcome in (ClaimOutcome.UNDECIDED, ClaimOutcome.NOT_TESTABLE)


def test_published_sketches_are_judged_without_a_run():
    rows = [
        {"unit": "published", "problem": "rotated", "method": f"combination {number}", "measure": named.PUBLISHED,
         "value": 10 * 0.7 ** (rank / 19)}
        for number in range(10) for rank in range(20)
    ]  # fmt: skip
    claim = next(it for it in CLAIMS if "uniform" in it.title)
    assert claim.judge(measured_of(rows))[-1].outcome is ClaimOutcome.BORNE_OUT


def test_runs_that_answer_both_questions_are_pairs_of_their_own():
    nan = np.full(1, np.nan)
    last = np.asarray([50.0])
    shared = [TopRun(named.SHARED, r, last, TOP[None, :20], last, last, nan + 1, nan, nan, TRUTH) for r in range(2)]
    net = readings(
        [*(settled_run(named.LANCZOS, [40] * 20, 60, start) for start in range(3)), *shared], [drawn(1.1, 1.05)]
    )
    found = {it.name: it for it in pairs_of(measured_of([]), net) if it.top == it.trace}
    assert list(found) == ["sketch 50", "sketch 100", "lanczos 50, own trace", "shared range 50"]
    sketch, lanczos = found["sketch 50"], found["lanczos 50, own trace"]
    assert sketch.seconds == pytest.approx([1.1])
    assert sketch.products == pytest.approx([50])
    assert sketch.top_error == pytest.approx([0.1])
    assert lanczos.seconds == pytest.approx([100] * 3)
    assert lanczos.top_error == pytest.approx([0] * 3)
    assert found["shared range 50"].products == pytest.approx([50, 50])
