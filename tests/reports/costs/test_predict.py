"""The arithmetic of predictions, by hand."""

import pytest

from hessbench.reports.costs.predict import itemsize, own_bytes, own_seconds, predict
from hessbench.reports.costs.prices import ladders


def test_own_cost_is_bytes_over_bandwidth():
    assert own_seconds(400, 10**7, 4, 1e10) == pytest.approx(1.6)
    assert own_bytes(20, 10**7, 4) == 8e8


@pytest.mark.parametrize(("dtype", "width"), [("float32", 4), ("float64", 8), ("bfloat16", 2)])
def test_item_sizes(dtype, width):
    assert itemsize(dtype) == width


def test_an_unknown_dtype_is_refused():
    with pytest.raises(ValueError, match="dtype must be one of"):
        itemsize("complex64")


def _predict(prices, **changes):
    asked = {
        "problem": "student-t[n=1000]",
        "method": "lanczos",
        "device": "cpu",
        "dtype": "float32",
        "threads": 2,
        "counts": {"product": 80},
        "own_vectors": 20.0,
        "own_passes": 400.0,
    }
    return predict(ladders(prices), **(asked | changes))


def test_time_is_products_plus_own_traffic(make_price):
    said = _predict([make_price(10**5, 1e-3), make_price(10**6, 1e-2)])
    assert said.products_s == pytest.approx(80 * 0.1)
    assert said.own_s == pytest.approx(400 * 1e7 * 4 / 1e10)
    assert said.seconds == pytest.approx(9.6)
    assert said.memory_bytes == 20 * 10**7 * 4
    assert (said.time_reason, said.memory_reason) == ("", "")


def test_kinds_are_priced_apart(make_price):
    prices = [make_price(10**7, 0.5), make_price(10**7, 2.0, kind_of_product="ggn")]
    assert _predict(prices, counts={"product": 3, "ggn": 4}).products_s == pytest.approx(9.5)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"counts": {"ggn": 1}}, "no price of a ggn of student-t was measured on cpu, float32, 2 threads"),
        ({"own_passes": None}, "the method does not declare its own passes"),
        ({"dtype": "float64"}, "no bandwidth was measured on cpu, float64"),
        ({"dtype": "complex64"}, "the size of a number of dtype complex64 is not known"),
    ],
)
def test_what_cannot_be_said_has_a_reason(make_price, changes, reason):
    said = _predict([make_price(10**5, 1e-3), make_price(10**6, 1e-2)], **changes)
    assert said.seconds is None
    assert reason in said.time_reason


def test_one_rung_is_not_enough_for_another_size(make_price):
    assert "one size only" in _predict([make_price(10**5, 1e-3)]).time_reason
    assert _predict([make_price(10**7, 1e-3)]).products_s == pytest.approx(0.08)


def test_undeclared_vectors_leave_the_time_alone(make_price):
    said = _predict([make_price(10**7, 1e-3)], own_vectors=None)
    assert said.memory_bytes is None
    assert "does not declare the vectors" in said.memory_reason
    assert said.seconds is not None


def test_a_price_of_another_member_of_the_family_is_said(make_price):
    said = _predict([make_price(10**7, 1e-3, problem="student-t[n=5]")])
    assert said.seconds is not None
    assert said.time_reason == "priced by the ladder of student-t[n=5]"
