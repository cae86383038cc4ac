"""`export` for papers, and `report --open`."""

import csv
from dataclasses import replace

import pytest
from click.testing import CliRunner
from planted_ledgers import cell

from hessbench.cli import main
from hessbench.cli.selecting import Part
from hessbench.ledger.reading import Ledger
from hessbench.ledger.record import Kind, Record, Status
from hessbench.ledger.writing import LedgerWriter


@pytest.fixture
def folder(tmp_path):
    writer = LedgerWriter(tmp_path)
    for repeat in range(3):
        shared = {
            "cell": f"{repeat:032x}", "problem": "flat", "method": "lanczos", "estimand": "diagonal", "repeat": repeat,
            "problem_hash": "a" * 16, "method_hash": "a" * 16, "dim": 9, "build_s": 0.1, "reference_bound": 1e-9,
        }  # fmt: skip
        for budget in (10, 20):
            spent = {"budget": budget, "matvecs": budget, "wall_s": budget / 100, "error": 0.1 / budget}
            writer.append(Record(kind=Kind.CHECKPOINT, status=Status.OK, checkpoint=budget, **shared, **spent))
        writer.append(Record(kind=Kind.TERMINAL, status=Status.OK, **shared, **spent))
    writer.close()
    return tmp_path


def _export(folder, *arguments):
    return CliRunner().invoke(main, ["export", str(folder), *arguments], catch_exceptions=False)


def test_a_table_within_a_tolerance_is_written_beside_the_ledger(folder):
    found = _export(folder, "--format", "latex", "--within", "1%", "--columns", "method, budget, error")
    assert found.exit_code == 0
    assert found.output.strip() == str(folder / "ledger.tex")
    text = (folder / "ledger.tex").read_text(encoding="utf-8")
    assert "lanczos & 10 & 1 \\% \\\\" in text
    assert "\\toprule" in text


def test_markdown_has_every_method_at_its_largest_budget(folder, tmp_path):
    _export(folder, "--format", "markdown", "--out", str(tmp_path / "deep" / "table.md"))
    assert "| flat" in (tmp_path / "deep" / "table.md").read_text(encoding="utf-8")


def test_bibtex_has_the_sources_of_the_ledger(folder):
    _export(folder, "--format", "bibtex")
    assert "@misc{lanczos1950," in (folder / "ledger.bib").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--within", "1%"), "--columns and --within are for the formats latex and markdown, got csv"),
        (("--format", "latex", "--within", "none"), "within takes shares above 0 such as 1% or 0.01"),
        (("--format", "latex", "--within", "1%,2%"), "--within takes one tolerance for a table, got 1%,2%"),
        (("--format", "latex", "--columns", "prise"), "columns must be some of problem, estimand, method"),
    ],
)
def test_what_cannot_be_written_is_refused_and_nothing_is_left(folder, arguments, says):
    found = _export(folder, *arguments)
    assert found.exit_code != 0
    assert says in found.output
    assert not list(folder.glob("ledger.*"))


@pytest.fixture
def crossed(tmp_path):
    """Two methods on two problems; Lanczos runs for top eigenvalues answer the trace on their way."""
    writer = LedgerWriter(tmp_path)
    for problem in ("student-t[n=40]", "student-t[n=50]"):
        for method, estimand in (("lanczos[reorth=full]", "top-eigenvalues[k=3]"), ("hutchpp", "trace")):
            rows = cell(method, problem=problem, estimand=estimand)
            also = [replace(row, estimand="trace") for row in rows if row.kind is Kind.CHECKPOINT]
            for row in [*also, *rows] if method != "hutchpp" else rows:
                writer.append(row)
    writer.close()
    return tmp_path


PARTS = {
    "a method by its name": (("--method", "lanczos"), 2 * 7, "lanczos"),
    "a method by its spec": (("--method", "lanczos[reorth=full]"), 2 * 7, "lanczos"),
    "several methods": (("--method", "lan*", "--method", "hutch*"), 2 * 7 + 2 * 4, "hutchpp"),
    "a problem": (("--problem", "student-t[n=40]"), 7 + 4, "lanczos"),
    "a glob of problems": (("--problem", "student-t[n=4*"), 7 + 4, "lanczos"),
    "an estimand, also of runs for another": (("--estimand", "trace"), 2 * 3 + 2 * 4, "eigenvalues run"),
    "an estimand by its spec": (("--estimand", "top-eigenvalues[k=3]"), 2 * 4, "lanczos"),
    "all three": (("--estimand", "trace", "--method", "lan*", "--problem", "student-t[n=50]"), 3, "eigenvalues run"),
}


@pytest.mark.parametrize("part", PARTS)
def test_a_part_of_a_ledger_is_exported_in_every_format(crossed, part):
    arguments, rows, told = PARTS[part]
    assert _export(crossed, *arguments).exit_code == 0
    with (crossed / "ledger.csv").open(encoding="utf-8") as file:
        found = list(csv.DictReader(file))
    assert len(found) == rows
    for option in (("--within", "5%"), ()):
        _export(crossed, "--format", "markdown", *option, *arguments)
        table = (crossed / "ledger.md").read_text(encoding="utf-8")
        assert told in table
        lines = [line for line in table.splitlines() if line.startswith("| ")]
        assert len(lines) == 2 + len({(it["problem"], it["estimand"], it["method"]) for it in found})
    _export(crossed, "--format", "bibtex", *arguments)
    assert ("meyer" in (crossed / "ledger.bib").read_text(encoding="utf-8").lower()) is any(
        row["method"] == "hutchpp" for row in found
    )


@pytest.mark.parametrize(
    ("part", "says"),
    [
        (Part(methods=("lancoz",)), "method: 'lancoz' matches none"),
        (Part(problems=("x*",)), "problem: 'x*' matches none; in this ledger: student-t[n=40], student-t[n=50]"),
        (Part(estimands=("density",)), "estimand: 'density' matches none; in this ledger: top-eigenvalues[k=3], trace"),
        (
            Part(methods=("hutchpp",), estimands=("top-eigenvalues",)),
            "nothing of this ledger is left: no row has all of hutchpp, top-eigenvalues",
        ),
    ],
)
def test_a_part_that_is_not_there_is_refused(crossed, part, says):
    with pytest.raises(ValueError) as refusal:  # noqa: PT011 -- compared below, without escapes
        part.rows(Ledger.read(crossed))
    assert str(refusal.value).startswith(says)


@pytest.mark.parametrize(("opened", "says"), [(True, False), (False, True)])
def test_a_report_opens_in_the_browser_on_request(folder, monkeypatch, opened, says):
    asked = []

    def browser(address):
        asked.append(address)
        return opened

    monkeypatch.setattr("webbrowser.open", browser)
    assert CliRunner().invoke(main, ["report", str(folder)]).exit_code == 0
    assert asked == []
    found = CliRunner().invoke(main, ["report", str(folder), "--open"])
    assert found.exit_code == 0
    assert asked == [(folder / "report" / "index.html").resolve().as_uri()]
    assert ("no browser could be opened" in found.output) is says
