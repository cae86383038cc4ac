"""Tables in any width: nothing is cut, no word is broken, and what fits stays as it is."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hessbench.reports.writing.terminal import table_console, table_lines, wrap

HEADS = ("problem", "estimand", "method", "matvecs", "wall", "status")
ROWS = [
    ("student-t[n=1000,zero_fraction=0.9]", "top-eigenvalues[k=10]", "lanczos[reorth=none]", "1,000", "8.9 s", "ok"),
    ("student-t[n=1000,zero_fraction=0.9]", "top-eigenvalues[k=10]", "simultaneous-iteration", "20", "176 ms", "ok"),
    ("digits-mlp", "trace", "hutchpp", "40", "1.0 s", "skipped: it requires the trait 'psd'"),
]
NUMBERS = (3, 4)


def texts(width, rows=ROWS, **more):
    return [line for _, line in table_lines(HEADS, rows, width, numbers=NUMBERS, **more)]


def test_what_fits_is_one_line_for_each_row():
    lines = texts(200, leads=2)
    assert len(lines) == 1 + len(ROWS)
    assert lines[0].split() == list(HEADS)
    assert lines[3].startswith("digits-mlp  ")


@pytest.mark.parametrize(("width", "leads"), [(60, 2), (72, 0), (72, 2), (80, 0), (80, 2), (100, 0), (120, 2)])
def test_no_line_is_wider_and_nothing_is_lost(width, leads):
    lines = texts(width, leads=leads)
    assert max(map(len, lines)) <= width
    shown = "".join("".join(lines).split())
    for row in ROWS:
        for cell in row[3:5]:
            assert cell in "\n".join(lines)
        for word in re.split(r"[\s\[,=-]+", " ".join(row)):
            assert word.strip("]") in shown


def test_a_narrow_table_has_headings_in_place_of_columns():
    lines = texts(80, leads=2)
    assert lines[0].split() == ["method", "matvecs", "wall", "status"]
    assert lines[1:3] == ["", "student-t[n=1000,zero_fraction=0.9], top-eigenvalues[k=10]"]
    assert lines[3].split() == ["lanczos[reorth=none]", "1,000", "8.9", "s", "ok"]
    assert lines[4].split() == ["simultaneous-iteration", "20", "176", "ms", "ok"]
    assert lines[5:7] == ["", "digits-mlp, trace"]


def test_numbers_stand_to_the_right_and_are_never_broken():
    lines = texts(60, leads=2)
    assert [line.index("wall") + 4 for line in lines if "wall" in line] == [
        line.index("8.9 s") + 5 for line in lines if "8.9 s" in line
    ]


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("", 5, [""]),
        ("two words", 9, ["two words"]),
        ("two words", 8, ["two", "words"]),
        ("student-t[n=50,zero_fraction=0.9]", 20, ["student-t[n=50,", "zero_fraction=0.9]"]),
        ("student-t[n=50,zero_fraction=0.9]", 16, ["student-t[n=50,", "zero_fraction=", "0.9]"]),
        ("top-eigenvalues[k=10]", 16, ["top-eigenvalues[", "k=10]"]),
        ("top-eigenvalues", 12, ["top-", "eigenvalues"]),
        ("tol=1e-3", 5, ["tol=", "1e-3"]),
        ("unbreakable", 4, ["unbreakable"]),
        ("at the budget of 1,000 products", 12, ["at the", "budget of", "1,000", "products"]),
    ],
)
def test_texts_go_on_at_spaces_and_inside_specs(text, width, lines):
    assert wrap(text, width) == lines


@given(text=st.text("ab ,[]=-1", max_size=60), width=st.integers(1, 30))
def test_wrapping_loses_nothing_but_spaces(text, width):
    lines = wrap(text, width)
    assert "".join("".join(lines).split()) == "".join(text.split())


def test_without_heads_there_is_no_header_and_without_rows_only_that():
    assert table_lines(("", ""), [("a", "b")], 80) == [("", "a  b")]
    assert table_lines(HEADS, [], 80) == [("bold", "problem  estimand  method  matvecs  wall  status")]


def test_rows_keep_their_styles_in_every_line():
    rows = [("a b c d e f", "1"), ("g", "2")]
    found = table_lines(("text", "n"), rows, 9, numbers=(1,), styles=("yellow", ""))
    assert [style for style, _ in found] == ["bold", "yellow", "yellow", ""]


def test_the_width_is_that_of_columns_where_it_is_set(monkeypatch):
    monkeypatch.setenv("COLUMNS", "77")
    assert table_console(160).width == 77
    monkeypatch.delenv("COLUMNS")
    assert table_console(160).width == 160
