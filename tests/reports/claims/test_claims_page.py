"""The page of a study that judges claims."""

import csv
import dataclasses
import hashlib
import io

import pandas as pd
import pytest
from matplotlib.figure import Figure

from hessbench.reports.claims.claim import ClaimOutcome, ClaimVerdict, PublishedClaim
from hessbench.reports.claims.claims_page import StudyPage, write_claims_study
from hessbench.reports.claims.figure import StudyFigure, StudyTable
from hessbench.reports.claims.measured import measured_of
from hessbench.reports.writing.drawing import to_svg

EVIL = "<script>alert('é')</script>"


def judge(measured):
    return (ClaimVerdict(ClaimOutcome.REFUTED, f"{measured.values('x')[0]} {EVIL}", "here", uncertainty="0 to 9"),)


CLAIM = PublishedClaim(
    title=EVIL, sentence="it grows", seed="001", place="figure 3", measure="X.", rule="Above 2.", judge=judge
)  # fmt: skip
PAGE = StudyPage("capstone", f"what {EVIL}", (f"First {EVIL}.", "Second."), "small", "cpu", 3, f"hessbench {EVIL}")


@pytest.fixture
def written(tmp_path):
    figure = Figure(figsize=(2, 2))
    figure.subplots().plot([0, 1])
    frame = pd.DataFrame({"x": [0.0, 1.0], "y": [0.0, 1.0]})
    figures = [StudyFigure("line", f"A line {EVIL}", to_svg(figure), frame, f'a "line" {EVIL}', "It rises.")]
    table = pd.DataFrame({"what": [EVIL, "b"], "n": [1234567, 2], "s": [0.12345678, float("nan")]})
    measured = measured_of([{"unit": f"run=1/{EVIL}", "measure": "x", "value": 0.1}])
    tables = [StudyTable("ledger", "Ledger", table, "Costs.")]
    return write_claims_study(PAGE, [CLAIM], measured, figures, tables, tmp_path / "out").parent


def test_a_page_has_its_command_design_claims_figures_and_every_number_beside_it(written):
    page = (written / "index.html").read_text()
    for said in ("0 to 9", "(001, figure 3)", "refuted", "seed 3", "Scale small", "Second.", "1,234,567", "0.1235"):
        assert said in page
    for file in ("measured.csv", "verdicts.csv", "ledger.csv", "figures/line.svg", "figures/line.csv"):
        assert (written / file).is_file()
        assert f'"{file}"' in page
    assert hashlib.sha256((written / "measured.csv").read_bytes()).hexdigest() in page
    row = next(csv.DictReader(io.StringIO((written / "verdicts.csv").read_text())))
    assert (row["study"], row["scale"], row["seed"], row["uncertainty"]) == ("capstone", "small", "3", "0 to 9")
    assert row["command"] == "hessbench study capstone --out DIR"


def test_no_name_is_read_as_markup(written):
    assert "<script" not in (written / "index.html").read_text()


def test_the_same_results_give_the_same_bytes_and_old_figures_go(written, tmp_path):
    before = {file.name: file.read_bytes() for file in written.rglob("*") if file.is_file()}
    (written / "units").mkdir()
    (written / "units" / "kept.jsonl").write_text("kept")
    (written / "figures" / "old.csv").write_text("old")
    measured = measured_of([{"unit": f"run=1/{EVIL}", "measure": "x", "value": 0.1}])
    write_claims_study(PAGE, [CLAIM], measured, [], [], written)
    assert (written / "measured.csv").read_bytes() == before["measured.csv"]
    assert (written / "verdicts.csv").read_bytes() == before["verdicts.csv"]
    assert list((written / "figures").iterdir()) == []
    assert (written / "units" / "kept.jsonl").read_text() == "kept"


@pytest.mark.parametrize("name", ["", "a/b", "A", "../x", "measured", "verdicts"])
def test_names_that_are_no_names_of_files_are_refused(name):
    with pytest.raises(ValueError, match="name must be"):
        StudyTable(name, "t", pd.DataFrame(), "c")


def test_a_claim_of_another_scale_is_named_and_not_judged(tmp_path):
    def refuse(_):
        pytest.fail("the claim was judged")

    measured = measured_of([{"unit": "a", "measure": "x", "value": 0.1}])
    claims = [CLAIM, dataclasses.replace(CLAIM, title="Only there", scale="medium", judge=refuse)]
    page = write_claims_study(PAGE, claims, measured, [], [], tmp_path)
    assert "Only there" not in (tmp_path / "verdicts.csv").read_text()
    assert "hessbench study capstone --scale medium --out DIR" in page.read_text()
    there = dataclasses.replace(PAGE, scale="medium")
    write_claims_study(there, [CLAIM, dataclasses.replace(CLAIM, scale="medium")], measured, [], [], tmp_path)
    assert (tmp_path / "verdicts.csv").read_text().count("\n") == 3
