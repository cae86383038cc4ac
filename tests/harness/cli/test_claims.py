"""The verb: the published pages of the checkout, folders of one's own, and what it refuses."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from hessbench.cli import main
from hessbench.studies.shipped import STUDIES

PUBLISHED = Path(__file__).parents[3] / "reports" / "published"

beside_checkout = pytest.mark.skipif(not PUBLISHED.is_dir(), reason="the published pages are the checkout's")


def claims(*arguments):
    done = CliRunner().invoke(main, ["claims", *map(str, arguments)])
    return done.exit_code, done.output


@beside_checkout
def test_every_claim_of_every_study_is_in_the_table_with_its_document_and_command(monkeypatch):
    monkeypatch.chdir(PUBLISHED.parents[1])
    code, said = claims("--format", "csv")
    assert code == 0
    assert claims(PUBLISHED, "--format", "csv")[1] == said
    for study in STUDIES.values():
        for claim in study.claims:
            assert claim.title in said
            assert claim.place in said
    assert "hessbench study sketch --out DIR" in said


@beside_checkout
def test_a_folder_of_ones_own_leaves_the_rest_not_run(tmp_path):
    code, said = claims(PUBLISHED / "density", "--format", "html", "--out", tmp_path / "claims.html")
    assert code == 0
    assert "not run" in said
    page = (tmp_path / "claims.html").read_text()
    assert "temperamental" in page
    assert "not run" in page
    assert claims(PUBLISHED / "density", "--format", "html", "--out", tmp_path / "claims.html")[0] == 0


@beside_checkout
def test_the_table_for_a_terminal_ends_with_the_counts():
    code, said = claims(PUBLISHED / "sketch-study")
    assert code == 0
    assert "rows: " in said.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [(["nowhere"], "folder must be that of a study, or hold such folders, nowhere does not"),
     (["--out", "x.csv"], "--out is for the formats markdown, csv, html, got table"),
     (["--format", "csv", "--out", "."], "--out must be a file"), (["--format", "latex"], "'latex'")],
)  # fmt: skip
def test_bad_arguments_are_refused_in_a_sentence(arguments, says):
    code, said = claims(*arguments)
    assert code == 2
    assert says in said
