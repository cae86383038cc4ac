"""The cost table in its formats."""

import csv
import io
import math

import pytest

from hessbench.ledger.costs import MEMORY_PASS
from hessbench.ledger.record import Status
from hessbench.reports.costs.lines import lines
from hessbench.reports.costs.tables import error_sentences, frame, repeats_frame, sheet
from hessbench.reports.writing import units
from hessbench.reports.writing.sheets import to_csv, to_latex, to_markdown

HOSTILE = r"a|b `c` <i> \input{x} =1"


def _cells(laid_out, row=0):
    return {column.field: cell for column, cell in zip(laid_out.columns, laid_out.rows[row], strict=True)}


def test_cells_carry_units_ranges_and_marks(builder, make_price):
    for repeat in range(3):
        builder.cell(repeat=repeat, error=lambda budget: 1e-7)
    builder.cell(pass_="memory")
    cells = _cells(sheet(lines(builder.rows, [make_price(10**7, 0.1)])))
    assert (cells["wall_s"].text, cells["wall_s"].detail) == ("176 ms", "160 ms to 192 ms")
    assert (cells["error"].text, cells["error"].detail, cells["error"].badge) == ("1.0e-07", "", "at the bound")
    assert (cells["bound"].text, cells["bound"].detail) == ("1.0e-06", "ANALYTIC")
    assert cells["host_peak_bytes"].text == "3.00 MiB"
    assert (cells["predicted_s"].text, cells["predicted_s"].detail) == ("9.60 s", "products 8.00 s, own 1.60 s")
    assert cells["predicted_bytes"].text == "763 MiB"
    assert cells["gradient_equivalents"].text == "160"


def test_a_dash_has_a_note_and_equal_notes_are_one(builder):
    builder.cell()
    builder.cell(method="other")
    laid_out = sheet(lines(builder.rows))
    first, second = _cells(laid_out, 0), _cells(laid_out, 1)
    assert first["host_peak_bytes"].text == units.DASH
    assert first["host_peak_bytes"].note == second["device_peak_bytes"].note > 0
    assert laid_out.notes[first["host_peak_bytes"].note - 1] == "no memory pass in this ledger"
    assert "no price of a product" in laid_out.notes[first["predicted_s"].note - 1]


def test_the_products_alone_are_shown_where_the_rest_is_not_declared(builder, make_price):
    builder.cell(own_passes=None)
    cells = _cells(sheet(lines(builder.rows, [make_price(10**7, 0.1)])))
    assert (cells["predicted_s"].text, cells["predicted_s"].detail) == (units.DASH, "products 8.00 s alone")


def test_the_frame_holds_plain_numbers(builder):
    for repeat in range(3):
        builder.cell(repeat=repeat)
    (row,) = frame(lines(builder.rows)).to_dict("records")
    assert row["error"] == row["error_min"] == 1 / 80
    assert row["wall_s_max"] == 0.002 * 80 * 1.2
    assert (row["repeats"], row["status"], row["schema"]) == (3, "ok", 1)


def test_every_repeat_is_a_row_of_its_own_table(builder):
    cells = [builder.cell(repeat=repeat, error=lambda budget, r=repeat: float(r)) for repeat in range(3)]
    table = repeats_frame(lines(builder.rows))
    assert list(table["cell"]) == cells
    assert list(table["error"]) == [0.0, 1.0, 2.0]


def test_several_statuses_are_counted(builder):
    builder.cell()
    builder.cell(repeat=1, status=Status.TIMEOUT)
    assert _cells(sheet(lines(builder.rows)))["status"].text == "1 ok, 1 timeout"


def test_markdown_has_as_many_cells_in_every_row_whatever_the_names(builder):
    builder.cell(HOSTILE, HOSTILE, "trace")
    text = to_markdown(sheet(lines(builder.rows)))
    table = [line for line in text.splitlines() if line.startswith("|")]
    unescaped = {line.replace(r"\|", "").count("|") for line in table}
    assert len(table) == 3
    assert unescaped == {21}
    assert "<i>" not in text
    assert "`c`" not in text


def test_latex_has_as_many_cells_in_every_row_and_no_foreign_command(builder):
    builder.cell(HOSTILE + "&%", HOSTILE, "trace")
    text = to_latex(sheet(lines(builder.rows)))
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert {line.replace(r"\&", "").count("&") for line in rows} == {19}
    assert r"\input" not in text
    assert text.startswith("% needs \\usepackage{booktabs}\n\\begin{tabular}{lllrrrrrrrrrrrrrrrrl}")


def test_csv_has_no_formula(builder):
    builder.cell("=1+1", "@x", "trace")
    rows = list(csv.DictReader(io.StringIO(to_csv(frame(lines(builder.rows))))))
    assert (rows[0]["problem"], rows[0]["method"]) == ("'=1+1", "'@x")


def test_an_empty_ledger_gives_an_empty_table():
    laid_out = sheet(())
    assert laid_out.rows == ()
    assert to_markdown(laid_out).count("\n") == 2
    assert frame(()).empty


def test_what_the_memory_pass_measured_is_in_the_frame_and_null_without_one(builder):
    builder.cell(repeat=0)
    builder.cell(pass_="memory", peak_s=0.25)
    builder.cell(method="other")
    rows = frame(lines(builder.rows)).set_index("method")
    for name in MEMORY_PASS:
        assert name in rows.columns
    assert rows.loc["lanczos", "peak_s"] == 0.25
    assert math.isnan(rows.loc["other", "peak_s"])


def test_a_trace_is_shown_relative_to_itself_with_the_scaled_error_beside_it(builder):
    for repeat in range(3):
        builder.cell(repeat=repeat, error=lambda budget: 0.01, errors={"relative": 0.1}, reference_bound=1e-6)
    (line,) = lines(builder.rows)
    assert (line.error.median, line.error_name, line.scaled_error.median) == (0.1, "relative", 0.01)
    assert line.bound == pytest.approx(1e-5)
    assert _cells(sheet([line]))["error"].detail == "scaled 1 %"
    assert error_sentences([line]) == ("trace: Difference to the true trace, over its magnitude: zero scores 1.",)


def test_an_error_at_a_bound_that_is_itself_large_is_useless(builder):
    for repeat in range(3):
        builder.cell(repeat=repeat, estimand="density", error=lambda budget: 0.3, reference_bound=0.42)
    (line,) = lines(builder.rows)
    assert _cells(sheet([line]))["error"].badge == "useless, at the bound"
    assert line.reasons["error"] == "useless: the reference itself is known to an error of 0.42 only"
