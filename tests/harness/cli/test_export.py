"""`export` for papers, and `report --open`."""

import pytest
from click.testing import CliRunner

from hessbench.cli import main
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
