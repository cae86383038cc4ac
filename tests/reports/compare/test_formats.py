"""The forms a comparison is written in: each says the same, and none lets a name out of its place."""

import dataclasses
import html.parser
import json

import pytest

from hessbench.reports.compare import FORMATS, compare, written


@pytest.fixture
def found(builder):
    name = "<script>alert(1)</script>|x"
    for problem in ("p", "q"):
        for repeat in range(5):
            builder.cell(
                problem, name, repeat=repeat, budgets=(80,), drew_random=True, error=lambda b, r=repeat: (1 + r) / b
            )
    new = [
        dataclasses.replace(row, error=row.error * (3 + 0.1 * row.repeat), environment="f" * 12) for row in builder.rows
    ]
    return compare(builder.rows, new)


@pytest.mark.parametrize("form", FORMATS)
def test_every_form_has_the_summary_the_conditions_and_the_verdict(found, form):
    text = written(found, form)
    assert "regression" in text
    assert "conditions" in text
    assert "10 runs" in text or "10" in text
    assert "\x1b" not in text


def test_json_is_read_back(found):
    whole = json.loads(written(found, "json"))
    assert whole["regression"] is True
    assert whole["verdicts"]["regression"] == 1
    assert whole["lines"][0]["verdict"] == "regression"
    assert whole["lines"][0]["column"] == "error"
    assert whole["judged"][0]["runs"] == 10
    assert whole["judged"][0]["group"]["estimand"] == "trace"
    assert whole["thresholds"]["error"] == 1.25


def test_html_holds_no_foreign_tag_and_fetches_nothing(found):
    tags: list[str] = []
    parser = html.parser.HTMLParser()
    parser.handle_starttag = lambda tag, attrs: tags.append(tag)
    parser.feed(written(found, "html"))
    assert "script" not in tags
    assert not {"img", "link", "iframe"} & set(tags)


def test_a_name_stays_in_its_cell_of_a_markdown_table(found):
    rows = [line for line in written(found, "markdown").splitlines() if line.startswith("| regression")]
    assert rows
    assert all(row.replace("\\|", "").count("|") == 4 for row in rows)


def test_many_cells_that_are_new_are_one_line(builder):
    for repeat in range(9):
        builder.cell(repeat=repeat, budgets=(80,))
    found = compare([], builder.rows)
    assert written(found, "text").splitlines()[1:] == ["only in the new ledger: 9 cells: compared with nothing"]
    assert len(json.loads(written(found, "json"))["lines"]) == 9


def test_another_form_is_refused(found):
    with pytest.raises(ValueError, match="format takes text, markdown, json, html, got 'xml'"):
        written(found, "xml")
