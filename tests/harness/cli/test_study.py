"""The verb: which studies there are, and what it refuses before anything is run."""

import dataclasses
from types import MappingProxyType

import pytest
from click.testing import CliRunner

from hessbench.cli import main, study_verb
from hessbench.reports.claims.study_page import claim_folder
from hessbench.studies.shipped import STUDIES


def with_run(monkeypatch, name, **changes):
    study = dataclasses.replace(STUDIES[name], **changes)
    monkeypatch.setattr(study_verb, "STUDIES", MappingProxyType({**STUDIES, name: study}))


def test_the_verb_runs_a_study_and_writes_what_it_found(monkeypatch, tmp_path):
    def write(results, out, command):
        (out / "index.html").write_text(f"{results} {command}")
        return out / "index.html"

    with_run(monkeypatch, "sketch", run=lambda say: say("half done") or 42, write=write)
    done = CliRunner().invoke(main, ["study", "sketch", "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert "half done" in done.output
    assert (tmp_path / "out" / "index.html").read_text().startswith("42 ")


def test_the_help_says_what_each_study_does():
    said = "".join(CliRunner().invoke(main, ["study", "--help"]).output.split())  # lines break at hyphens too
    for study in STUDIES.values():
        assert "".join(f"`{study.name}`: {study.summary}".split()) in said


@pytest.mark.parametrize("study", STUDIES.values(), ids=lambda study: study.name)
def test_every_study_says_how_long_it_takes_and_names_its_claims_once(study):
    assert study.summary.endswith("minutes on two cores.")
    titles = [claim.title for claim in study.claims]
    assert titles == list(dict.fromkeys(titles))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [(["sketch"], "--out"), (["nothing", "--out", "x"], "'sketch'"), ([], "NAME")],
)
def test_bad_arguments_are_refused_in_a_sentence(arguments, says):
    done = CliRunner().invoke(main, ["study", *arguments])
    assert done.exit_code == 2
    assert says in done.output


@pytest.mark.parametrize("name", STUDIES)
def test_a_folder_that_holds_something_else_is_refused_before_anything_is_run(monkeypatch, tmp_path, name):
    with_run(monkeypatch, name, run=lambda _: pytest.fail("the study was run"))
    (tmp_path / "mine.txt").write_text("kept")
    (tmp_path / "index.html").write_text("<title>another page")
    done = CliRunner().invoke(main, ["study", name, "--out", str(tmp_path)])
    assert done.exit_code == 2
    assert f"out must be new, empty or an earlier {name} study" in done.output
    assert (tmp_path / "mine.txt").read_text() == "kept"
    with pytest.raises(ValueError, match=r"out must be a folder, mine\.txt is a file"):
        claim_folder(name, tmp_path / "mine.txt")
