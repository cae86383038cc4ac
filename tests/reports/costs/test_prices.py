"""Prices and the lines through them, by hand."""

import pytest

from hessbench.reports.costs.prices import Ladder, Rung, bandwidth, exponent, find, ladders, last_miss, price_at

RUNGS = (Rung(1000, 1e-3), Rung(10_000, 2e-2), Rung(100_000, 2e-1))


def test_a_measured_size_has_its_measured_price():
    assert price_at(RUNGS, 10_000) == 2e-2


@pytest.mark.parametrize(
    ("dim", "expected"),
    [
        (10_000_000, 20.0),  # slope 1 through the two largest
        (100, 5e-5),  # slope log10(20) below: 1e-3 / 20
        (1_000_000, 2.0),
    ],
)
def test_another_size_lies_on_the_line_through_the_nearest_rungs(dim, expected):
    assert price_at(RUNGS, dim) == pytest.approx(expected)


def test_inside_the_ladder_the_neighbours_are_used():
    # Between 1e3 and 1e4 the price grows 20-fold, so at the geometric middle by sqrt(20).
    assert price_at(RUNGS, round(1000 * 10**0.5)) == pytest.approx(1e-3 * 20**0.5, rel=1e-3)


def test_one_rung_prices_only_itself():
    assert price_at(RUNGS[:1], 1000) == 1e-3
    with pytest.raises(ValueError, match="at least two sizes"):
        price_at(RUNGS[:1], 2000)


def test_the_exponent_is_the_slope_of_the_line():
    assert exponent(RUNGS, 10**7) == pytest.approx(1.0)


def test_the_last_miss_is_the_recorded_prediction_of_the_largest_rung():
    ladder = Ladder("p", "product", "", "cpu", "float32", 1, (Rung(10, 1.0), Rung(100, 12.0, predicted_s=10.0)))
    miss = last_miss(ladder)
    assert miss is not None
    assert (miss.dim, miss.factor) == (100, pytest.approx(1.2))


def test_without_a_recorded_prediction_the_smaller_rungs_make_it():
    miss = last_miss(Ladder("p", "product", "", "cpu", "float32", 1, RUNGS))
    assert miss is not None
    # The line through the first two rungs says 2e-2 * 20 = 0.4 at 1e5; 0.2 was measured.
    assert miss.predicted_s == pytest.approx(0.4)
    assert miss.factor == pytest.approx(0.5)


def test_two_rungs_without_a_prediction_have_no_miss():
    assert last_miss(Ladder("p", "product", "", "cpu", "float32", 1, RUNGS[:2])) is None


def test_price_rows_become_ladders_and_repeated_sizes_their_median(make_price):
    rows = [make_price(100, 3.0), make_price(10, 1.0), make_price(10, 2.0), make_price(10, 9.0)]
    rows += [make_price(0, 1.0), make_price(5, None), make_price(5, -1.0), {"dim": "5", "seconds": True}]
    (ladder,) = ladders(rows)
    assert ladder.rungs == (Rung(10, 2.0), Rung(100, 3.0))
    assert ladder.kind == "product"
    assert ladder.bandwidth == 1e10


def test_a_row_that_names_the_product_by_kind_is_read_too(make_price):
    row = make_price(10, 1.0) | {"kind": "hessian"}
    del row["kind_of_product"]
    assert ladders([row])[0].kind == "hessian"


def test_the_most_fitting_ladder_is_found(make_price):
    family = make_price(10, 1.0)
    exact = make_price(10, 2.0, problem="student-t[n=7]")
    mine = make_price(10, 3.0, method="lanczos")
    known = ladders([family, exact, mine])

    def seconds(problem: str, method: str) -> float:
        found = find(known, problem, "product", method, "cpu", "float32", 2)
        assert found is not None
        return found.rungs[0].seconds

    assert seconds("student-t[n=7]", "other") == 2.0
    assert seconds("student-t[n=8]", "other") == 1.0
    assert seconds("student-t[n=8]", "lanczos") == 3.0
    assert find(known, "student-t", "hessian", "x", "cpu", "float32", 2) is None
    assert find(known, "student-t", "product", "x", "cpu", "float64", 2) is None
    assert find(known, "student-t", "product", "x", "cpu", "float32", 1) is None


def test_bandwidth_is_that_of_the_largest_size(make_price):
    known = ladders([make_price(10, 1.0, bandwidth=9e9), make_price(100, 1.0, bandwidth=2e9, problem="other")])
    assert bandwidth(known, "cpu", "float32", 2) == 2e9
    assert bandwidth(known, "cuda", "float32", 2) is None
