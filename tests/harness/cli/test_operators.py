"""The verb `operators`: what it prints and writes, and what it refuses."""

import json

import pytest
from click.testing import CliRunner

from hessbench.cli import main

TINY = "digits-mlp[step=0,width=2]"


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("torch.set_num_threads", lambda _: None)
    return lambda *arguments: CliRunner().invoke(main, ["operators", *arguments])


def test_it_prints_a_table_and_writes_a_page(run, tmp_path):
    outcome = run(TINY, "--repeats", "1", "--width", "1", "--engine", "kept-graph", "--out", "page")
    assert outcome.exit_code == 0, outcome.output
    assert "kept-graph" in outcome.output
    stored = json.loads((tmp_path / "page" / "operators.json").read_text())
    assert [(row["matrix"], row["way"], row["width"]) for row in stored["rows"]] == [
        ("hessian", "kept-graph", 1), ("ggn", "kept-graph", 1),
    ]  # fmt: skip
    assert (tmp_path / "page" / "index.html").is_file()


def test_a_library_that_is_not_installed_has_a_row_that_says_so(run, tmp_path, monkeypatch):
    def missing(name, *args):
        raise ImportError(name)

    monkeypatch.setattr("hessbench.problems.timing.curvlinops.library", missing)
    outcome = run(TINY, "--repeats", "1", "--width", "1", "--against", "peers", "--out", "page")
    assert outcome.exit_code == 0, outcome.output
    rows = json.loads((tmp_path / "page" / "operators.json").read_text())["rows"]
    notes = [row["note"] for row in rows if row["way"] == "curvlinops"]
    assert len(notes) == 2
    assert all("pip install 'hessbench[peers]'" in note for note in notes)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("student-t[n=50]",), "it is not made of a network"),
        (("nothing",), "nothing"),
        ((TINY, "--engine", "fast"), "engine must be one of auto, rules, kept-graph"),
        ((TINY, "--device", "tpu9"), "device must be cpu or cuda"),
        ((TINY, "--width", "0"), "0 is not in the range"),
        ((TINY, "--against", "nobody"), "'nobody' is not 'peers'"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_sentence(run, tmp_path, arguments, says):
    outcome = run(*arguments, "--out", "page")
    assert outcome.exit_code == 2
    assert says in outcome.output
    assert not (tmp_path / "page").exists()


def test_a_folder_that_holds_something_else_is_refused_before_anything_is_measured(run, tmp_path, monkeypatch):
    def measured(*args, **kwargs):
        raise AssertionError("it was measured")

    monkeypatch.setattr("hessbench.cli.operators_verb.measure", measured)
    (tmp_path / "page").mkdir()
    (tmp_path / "page" / "mine.txt").write_text("mine")
    outcome = run(TINY, "--out", "page")
    assert outcome.exit_code == 2
    assert "page holds something else" in outcome.output
