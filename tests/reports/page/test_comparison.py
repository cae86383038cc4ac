"""What a report says over all problems: written in both formats, shown only where the rows have something to say."""

import dataclasses

import pytest
from planted_ledgers import cell, repeats

from hessbench.ledger.reading import Ledger
from hessbench.reports.page import render_report

TABLES = ("profiles", "reached", "leave-one-out", "fronts", "winners", "asked-reported-done", "claims", "wrong-claims")


def rows(methods=("a", "b", "c")):
    """Three methods on two problems, one of which says what it was asked and that it has converged."""
    found = [
        row
        for problem in ("one", "two")
        for place, method in enumerate(methods)
        for row in repeats(method, problem=problem, problem_hash=problem * 4, error=lambda b, r, p=place: (1 + p) / b)
    ]
    found += [row for problem in ("one", "two") for row in cell(methods[0], problem=problem, problem_hash=problem * 4,
                                                                pass_="memory", host_peak_bytes=1 << 20)]  # fmt: skip
    said = {"asked": "f()", "asked_matvecs": 5, "reported": "all well"}
    return [
        dataclasses.replace(row, diagnostics=said, said_converged=True) if row.method == methods[1] else row
        for row in found
    ]


def written(rows, folder):
    return render_report(Ledger(tuple(rows)), folder, "c").read_text(encoding="utf-8")


def test_every_section_with_its_files(tmp_path):
    text = written(rows(), tmp_path)
    for anchor in ("profiles", "winners", "audit", "wrong-claims"):
        assert f'<h2 id="{anchor}">' in text
        assert f'<a href="#{anchor}">' in text
    assert "Pareto front" in text
    found = {file.name for file in (tmp_path / "comparison").iterdir()}
    assert found == {f"{name}.{ending}" for name in TABLES for ending in ("csv", "md")}
    for name in TABLES:
        assert f"comparison/{name}.csv" in text
        assert (tmp_path / "comparison" / f"{name}.md").read_text(encoding="utf-8").startswith("| ")


def test_one_method_on_one_problem_has_none_of_them(tmp_path):
    text = written(repeats("a"), tmp_path)
    for anchor in ("profiles", "winners", "audit", "wrong-claims"):
        assert f'id="{anchor}"' not in text
        assert f'href="#{anchor}"' not in text
    assert "Pareto front" not in text


def test_tables_of_an_earlier_report_go(tmp_path):
    written(rows(), tmp_path)
    written(repeats("a"), tmp_path)
    assert {file.stem for file in (tmp_path / "comparison").iterdir()} == {"fronts", "winners"}


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 7*7 }}", "\ud800x"]
)
def test_hostile_names_are_text(name, tmp_path):
    plain = written(rows(), tmp_path / "plain")
    text = written(rows(methods=("a", name, "c")), tmp_path / "hostile")
    assert text.count("<script") == plain.count("<script")
    assert text.count("<img") == plain.count("<img")
    assert "onerror=alert(1)>" not in text
    for file in (tmp_path / "hostile" / "comparison").glob("*.md"):
        assert "<script" not in file.read_text(encoding="utf-8")
    for file in (tmp_path / "hostile" / "figures").glob("*.svg"):
        assert "<script" not in file.read_text(encoding="utf-8")
