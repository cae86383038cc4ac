"""The table of predicted against measured in its formats."""

import csv
import io

import pytest

from hessbench.reports.scale.checks import checks
from hessbench.reports.scale.table import scale_frame, scale_sheet
from hessbench.reports.writing import units
from hessbench.reports.writing.sheets import to_csv, to_latex, to_markdown

HOSTILE = r"a|b `c` <i> \input{x}&%"


@pytest.fixture
def made(builder, make_price):
    """Checks of a method at three sizes, under any names."""

    def make(family="student-t", method="lanczos", priced=True, **fields):
        for n in (10**4, 10**5, 10**6):
            known = {"dim": n, "budgets": (20,), "wall_s": n * 540e-9, "operator_s": n * 300e-9}
            known["counts"] = {"product": 20}
            for repeat in range(2):
                builder.cell(f"{family}[n={n}]", method, repeat=repeat, **(known | fields))
            builder.cell(f"{family}[n={n}]", method, pass_="memory", host_peak_bytes=n * 100, **(known | fields))
        prices = [make_price(n, n * 1e-8, problem=family) for n in (10**4, 10**5, 10**6)] if priced else []
        return checks(builder.rows, prices)

    return make


def _cells(laid_out, row=0):
    return {column.field: cell for column, cell in zip(laid_out.columns, laid_out.rows[row], strict=True)}


def test_cells_say_what_was_predicted_from_what_and_what_was_measured(made):
    cells = _cells(scale_sheet(made()))
    assert (cells["problem"].text, cells["problem"].detail) == (
        "student-t[n=*]",
        "P = 1,000,000, cpu, float32, 2 threads",
    )
    assert cells["method"].detail == "budget 20, 2 repeats"
    assert (cells["predicted_s"].text, cells["predicted_s"].detail) == (
        "360 ms",
        "products 200 ms, own 160 ms, by its own runs 460 ms",
    )
    assert (cells["measured_s"].text, cells["measured_s"].detail) == ("540 ms", "products 300 ms, own 240 ms")
    assert cells["seconds_ratio"].text == "1.50\N{MULTIPLICATION SIGN}"
    assert (cells["predicted_bytes"].text, cells["predicted_bytes"].detail) == (
        "76.3 MiB",
        "peak at 100,000, scaled: 95.4 MiB",
    )
    assert (cells["measured_bytes"].text, cells["bytes_ratio"].text) == ("95.4 MiB", "1.25\N{MULTIPLICATION SIGN}")
    assert cells["error"].text == "5 %"
    assert cells["rests"].text == "prices at 10,000 and 100,000; counts of the run at 100,000"


def test_what_cannot_be_said_is_a_dash_with_a_note(made):
    laid_out = scale_sheet(made(priced=False, own_vectors=None))
    cells = _cells(laid_out)
    assert (cells["predicted_s"].text, cells["predicted_s"].detail) == (units.DASH, "products 300 ms alone")
    assert "no bandwidth was measured" in laid_out.notes[cells["predicted_s"].note - 1]
    assert (cells["seconds_ratio"].text, cells["bytes_ratio"].text) == (units.DASH, units.DASH)
    assert "does not declare the vectors" in laid_out.notes[cells["predicted_bytes"].note - 1]
    assert cells["rests"].text == "prices in the runs at 10,000 and 100,000; counts of the run at 100,000"


def test_the_frame_holds_plain_numbers(made):
    (row,) = scale_frame(made()).to_dict("records")
    assert row["predicted_s"] == pytest.approx(0.36)
    assert row["measured_s"] == pytest.approx(0.54)
    assert row["seconds_ratio"] == pytest.approx(1.5)
    assert (row["predicted_bytes"], row["measured_bytes"], row["bytes_ratio"]) == (8e7, 10**8, 1.25)
    assert (row["dim"], row["smaller_dims"], row["price_dims"], row["prices_of"]) == (
        10**6,
        "10000 100000",
        "10000 100000",
        "ladder",
    )


def test_markdown_has_as_many_cells_in_every_row_whatever_the_names(made):
    text = to_markdown(scale_sheet(made(HOSTILE, HOSTILE)))
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert len(table) == 3
    assert {line.replace(r"\|", "").count("|") for line in table} == {12}
    assert "<i>" not in text
    assert "`c`" not in text


def test_latex_has_as_many_cells_in_every_row_and_no_foreign_command(made):
    text = to_latex(scale_sheet(made(HOSTILE, HOSTILE)))
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert {line.replace(r"\&", "").count("&") for line in rows} == {10}
    assert r"\input" not in text


def test_csv_has_no_formula(made):
    (row,) = csv.DictReader(io.StringIO(to_csv(scale_frame(made("=1+1", "@x")))))
    assert (row["family"], row["problem"], row["method"]) == ("'=1+1[n=*]", "'=1+1[n=1000000]", "'@x")


def test_no_checks_give_an_empty_table():
    assert scale_sheet(()).rows == ()
    assert scale_frame(()).empty
