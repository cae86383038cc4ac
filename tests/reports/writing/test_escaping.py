"""Hostile text in every format."""

import csv
import io

import pandas as pd
import pytest

from hessbench.reports.writing.escaping import clean, csv_text, file_stem, latex, markdown, shorten
from hessbench.reports.writing.sheets import to_csv


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\nb\tc", "a b c"),
        ("\x1b[31mred\x00", "\ufffd[31mred\ufffd"),
        ("\ud800", "\ufffd"),
        ("abc\u202etxt", "abc\ufffdtxt"),
        ("日本 é", "日本 é"),
    ],
)
def test_what_is_no_character_is_replaced(text, expected):
    assert clean(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"\input{x}", r"\textbackslash{}input\{x\}"),
        ("50%_&#$~^", r"50\%\_\&\#\$\textasciitilde{}\textasciicircum{}"),
        ("--x", "-{}-x"),
        ("a-b", "a-b"),
        ("[1]", "{[}1{]}"),
    ],
)
def test_latex_runs_no_command(text, expected):
    assert latex(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a|b", r"a\|b"),
        ("`x`", r"\`x\`"),
        ("<b>&", "&lt;b&gt;&amp;"),
        ("[a](b)", r"\[a\]\(b\)"),
        ("a\nb", "a b"),
        ("\\", "\\\\"),
    ],
)
def test_markdown_stays_in_its_cell(text, expected):
    assert markdown(text) == expected


@pytest.mark.parametrize("text", ["=cmd()", "+1", "-1", "@x", "\u202e=1"])
def test_a_spreadsheet_sees_no_formula(text):
    assert csv_text(text)[0] not in "=+-@"


def test_csv_keeps_numbers_and_survives_quotes_and_newlines():
    table = pd.DataFrame({"x": [-1.5], "text": ['a"b\n,c']})
    assert list(csv.reader(io.StringIO(to_csv(table)))) == [["x", "text"], ["-1.5", 'a"b ,c']]


@pytest.mark.parametrize("text", ["../../etc/passwd", "a/b\\c", "x" * 5000, "日本", "", "con<>:|?*", "\ud800"])
def test_file_names_are_short_and_stay_in_their_folder(text):
    stem = file_stem(text, "trace")
    assert len(stem) < 80
    assert set(stem) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")


def test_texts_that_look_the_same_in_a_file_name_get_different_ones():
    assert file_stem("a b") != file_stem("a-b")
    assert file_stem("a", apart="1") != file_stem("a", apart="2")


def test_a_cut_text_keeps_both_ends_and_is_told_apart():
    one, other = shorten("a" * 50 + "b" * 50, 30), shorten("a" * 51 + "b" * 49, 30)
    assert len(one) == len(other) == 30
    assert one.startswith("aaa")
    assert one.endswith("bbb")
    assert one != other
    assert shorten("short", 30) == "short"


def test_a_width_without_room_is_refused():
    with pytest.raises(ValueError, match="width must be at least 16"):
        shorten("x" * 20, 10)
