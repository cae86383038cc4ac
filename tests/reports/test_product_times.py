"""The page of what products cost: its table, its figure, its numbers, and hostile names on it."""

import json
import re

import pytest

from hessbench.reports.product_times import draw_operators, operators_sheet, render_operators
from hessbench.reports.writing.drawing import Picture

ROW = {
    "problem": "digits-mlp", "dim": 1930, "samples": 500, "device": "cpu", "dtype": "float32", "threads": 2,
    "gradient_s": 1e-3, "matrix": "hessian", "way": "auto", "engine": "rules", "width": 1, "seconds": 9e-4,
    "ratio": 0.9, "low": 0.8, "high": 1.1, "nominal": 2.0,
    "over_kept": 0.7, "setup": 2.0, "flops": 5_000_000, "kept_bytes": 200_000,
    "peak_bytes": 500_000, "difference": 1e-7, "note": "",
}  # fmt: skip
MISSING = {
    **ROW, "way": "curvlinops", "engine": "", "note": "it cannot be imported",
    **dict.fromkeys(("seconds", "ratio", "nominal",
                     "low", "high", "over_kept", "setup", "flops", "kept_bytes", "peak_bytes")),
    "difference": None,
}  # fmt: skip


def rows():
    kept = {**ROW, "way": "kept-graph", "engine": "kept-graph", "ratio": 1.3, "low": 1.2, "high": 1.4}
    return [{**row, "matrix": matrix} for matrix in ("hessian", "ggn") for row in (ROW, kept, MISSING)]


def test_the_page_shows_every_row_and_its_numbers_are_beside_it(tmp_path):
    page = render_operators(rows(), {"cpu": "a processor", "versions": {"torch": "2.13"}}, tmp_path / "page", "cmd")
    text = page.read_text()
    assert text.count("<tr>") == 1 + 6
    assert "a processor" in text
    assert "P = 1,930, N = 500, cpu, float32, 2 threads; a gradient takes 1.00 ms" in text
    assert "it cannot be imported" in text
    stored = json.loads((page.parent / "operators.json").read_text())
    assert stored["rows"] == rows()
    assert (page.parent / "operators.csv").read_text().count("\n") == 1 + 6
    (figure,) = (page.parent / "figures").glob("*.svg")
    assert f"figures/{figure.name}" in text
    assert re.search(r'<img [^>]*width="\d+" height="\d+"', text)


def test_the_same_rows_give_the_same_figure():
    assert draw_operators(rows()) == draw_operators(rows())


def test_a_row_without_a_time_is_a_dash_with_a_note():
    sheet = operators_sheet([MISSING])
    cell = sheet.rows[0][[column.field for column in sheet.columns].index("ratio")]
    assert (cell.text, cell.note) == ("\N{EN DASH}", 1)
    assert sheet.notes == ("it cannot be imported",)


def test_hostile_names_add_no_tag(tmp_path):
    names = ["<script>alert(1)</script>", r"$\frac{$", "\x00\x1b", "{{ 7*7 }}"]
    words = " ".join(names)
    hostile = [
        {**row, "problem": words, "way": name, "engine": name, "note": ""} for name in names for row in rows()[:2]
    ]
    text = render_operators(hostile, {}, tmp_path / "page", words).read_text()
    assert "<script" not in text
    assert text.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 2 * 2 + 2
    assert text.count("{{ 7*7 }}") >= 2 * 2 + 2


def test_a_folder_that_holds_something_else_is_refused(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ValueError, match="holds something else"):
        render_operators(rows(), {}, tmp_path, "cmd")
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_an_earlier_page_is_replaced(tmp_path, monkeypatch):
    monkeypatch.setattr("hessbench.reports.product_times.draw_operators", lambda _: Picture(b"<svg/>", 1, 1))
    render_operators(rows(), {}, tmp_path / "page", "first")
    page = render_operators(rows()[:1], {}, tmp_path / "page", "second")
    assert "second" in page.read_text()


def test_no_rows_are_refused(tmp_path):
    with pytest.raises(ValueError, match="no product was measured"):
        render_operators([], {}, tmp_path / "page", "cmd")
    assert not (tmp_path / "page").exists()
