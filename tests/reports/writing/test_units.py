"""Numbers as a reader wants them."""

import pytest

from hessbench.reports.writing import units


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 s"),
        (1.234e-5, "12.3 \N{MICRO SIGN}s"),
        (0.0456, "45.6 ms"),
        (0.9, "900 ms"),
        (1.5, "1.50 s"),
        (599, "599 s"),
        (1200, "20.0 min"),
        (9000, "2.50 h"),
        (864000, "10.0 d"),
        (1e11, "3,169 years"),
    ],
)
def test_seconds_carry_the_unit_that_fits(value, text):
    assert units.seconds(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.00 KiB"),
        (3 << 20, "3.00 MiB"),
        (1.5 * 2**30, "1.50 GiB"),
        (2**50, "1.00 PiB"),
    ],
)
def test_bytes_are_in_powers_of_1024(value, text):
    assert units.size(value) == text


@pytest.mark.parametrize(("value", "text"), [(40, "40"), (53.333, "53.3"), (12345.6, "12,346"), (1e6, "1,000,000")])
def test_counts_are_whole_or_have_one_decimal(value, text):
    assert units.count(value) == text


@pytest.mark.parametrize(("value", "text"), [(0, "0"), (3.21e-5, "3.2e-05"), (1, "1.0e+00")])
def test_errors_have_two_digits(value, text):
    assert units.error(value) == text


def test_conditions_count_their_threads():
    assert units.conditions("cpu", "float32", 1) == "cpu, float32, 1 thread"
    assert units.conditions("cuda", "float64", 8) == "cuda, float64, 8 threads"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (0.024, "2.4 %"), (0.001, "0.1 %"), (1.0, "100 %"), (6.2, "620 %"), (8.9e-05, "0.0089 %"),
     (1.2e-07, "1.2e-07"), (5e6, "5.0e+06")],
)  # fmt: skip
def test_an_error_is_written_as_it_is_compared_with_a_tolerance(value, text):
    assert units.share(value) == text
