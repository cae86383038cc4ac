"""The arithmetic of predictions, by hand."""

import pytest

from hessbench.reports.costs.predict import PREDICTED_DIM, own_bytes, own_seconds, predict
from hessbench.reports.costs.prices import ladders


def test_own_cost_is_bytes_over_bandwidth():
    assert own_seconds(400, 10**7, 4, 1e10) == pytest.approx(1.6)
    assert own_bytes(20, 10**7, 4) == 8e8


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
        "dim": PREDICTED_DIM,
    }
    return predict(ladders(prices), **(asked | changes))


def test_time_is_products_plus_own_traffic(make_price):
    found = _predict([make_price(10**5, 1e-3), make_price(10**6, 1e-2)])
    assert found.products_s == pytest.approx(80 * 0.1)
    assert found.own_s == pytest.approx(400 * 1e7 * 4 / 1e10)
    assert found.seconds == pytest.approx(9.6)
    assert found.memory_bytes == 20 * 10**7 * 4
    assert (found.time_reason, found.memory_reason) == ("", "")


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
def test_what_cannot_be_found_has_a_reason(make_price, changes, reason):
    found = _predict([make_price(10**5, 1e-3), make_price(10**6, 1e-2)], **changes)
    assert found.seconds is None
    assert reason in found.time_reason


def test_a_network_without_prices_says_that_it_takes_two_widths(make_price):
    prices = [make_price(10**5, 1e-3), make_price(10**6, 1e-2)]
    networks = _predict(prices, problem="cnn-3c3d", counts={"hessian": 4})
    assert networks.seconds is None
    assert networks.time_reason.startswith(
        "no price of a hessian of cnn-3c3d was measured on cpu, float32, 2 threads: "
    )
    assert "two widths" in networks.time_reason
    assert "widths" not in _predict([], counts={"product": 4}).time_reason


def test_a_network_of_two_widths_has_a_price_at_ten_million_parameters(make_price):
    """Twice the parameters cost twice as much from one width to the other, and so beyond."""
    prices = [make_price(dim, dim * 1e-8, problem="mlp", kind_of_product="hessian") for dim in (10**5, 2 * 10**5)]
    found = _predict(prices, problem="mlp[widths=64]", counts={"hessian": 4})
    assert found.products_s == pytest.approx(4 * 0.1)


def test_one_rung_is_not_enough_for_another_size(make_price):
    assert "one size only" in _predict([make_price(10**5, 1e-3)]).time_reason
    assert _predict([make_price(10**7, 1e-3)]).products_s == pytest.approx(0.08)


def test_undeclared_vectors_leave_the_time_alone(make_price):
    found = _predict([make_price(10**7, 1e-3)], own_vectors=None)
    assert found.memory_bytes is None
    assert "does not declare the vectors" in found.memory_reason
    assert found.seconds is not None


def test_a_price_of_another_member_of_the_family_is_found(make_price):
    found = _predict([make_price(10**7, 1e-3, problem="student-t[n=5]")])
    assert found.seconds is not None
    assert found.time_reason == "priced by the ladder of student-t[n=5]"


def test_bytes_of_a_number_follow_the_dtype_and_an_unknown_one_predicts_nothing(make_price):
    for dtype, width in (("float64", 8), ("float32", 4), ("float16", 2), ("bfloat16", 2)):
        found = _predict([make_price(10**7, 1e-3, dtype=dtype)], dtype=dtype)
        assert found.memory_bytes == 20 * 10**7 * width
        assert found.own_s == pytest.approx(400 * 10**7 * width / 1e10)
    unknown = _predict([make_price(10**7, 1e-3, dtype="complex64")], dtype="complex64")
    assert (unknown.products_s, unknown.own_s, unknown.memory_bytes) == (None, None, None)
    assert "dtype complex64 is not known" in unknown.time_reason
