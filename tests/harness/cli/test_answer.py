"""The verb `answer`."""

import json

import pytest
from click.testing import CliRunner
from planted_ledgers import repeats

from hessbench.cli import main
from hessbench.cli.answer_verb import RANKINGS, parse_tolerances
from hessbench.ledger import answering
from hessbench.ledger.writing import LedgerWriter


@pytest.fixture
def folder(tmp_path):
    writer = LedgerWriter(tmp_path)
    for row in [*repeats(), *repeats(problem="student-t[n=40]", estimand="top-eigenvalues[k=3]")]:
        writer.append(row)
    writer.close()
    return str(tmp_path)


def run(*args):
    return CliRunner().invoke(main, ["answer", *args])


@pytest.mark.parametrize(
    ("text", "expected"),
    [("10%,1%,0.1%", (0.1, 0.01, 0.001)), ("0.01", (0.01,)), (" 1 % , 0.2", (0.2, 0.01)), ("200%", (2.0,))],
)
def test_tolerances_are_read_largest_first(text, expected):
    assert parse_tolerances(text) == expected


@pytest.mark.parametrize("text", ["", "0", "-1%", "nan", "inf%", "1", "5", "one", "1%,"])
def test_other_tolerances_are_refused(text):
    with pytest.raises(ValueError, match="within takes"):
        parse_tolerances(text)


def test_the_choices_are_those_of_the_ledger():
    assert RANKINGS == answering.RANKINGS


def test_it_answers(folder):
    said = run(folder, "--within", "5%", "--by", "products")
    assert said.exit_code == 0
    assert "within 5 %, by products" in said.output


@pytest.mark.parametrize("glob", ["student-t*", "student-t[n=40]", "student-t[n=*"])
def test_a_problem_is_chosen_by_name_or_spec(folder, glob):
    read = json.loads(run(folder, "--problem", glob, "--format", "json").output)
    assert {it["question"]["problem_spec"] for it in read} == {"student-t[n=40]"}


@pytest.mark.parametrize("spec", ["top-eigenvalues", "top-eigenvalues[k=3]"])
def test_an_estimand_is_chosen_by_key_or_spec(folder, spec):
    read = json.loads(run(folder, "--estimand", spec, "--format", "json").output)
    assert {it["question"]["estimand"] for it in read} == {"top-eigenvalues[k=3]"}


def test_ratios_are_to_the_best_of_the_methods_chosen(folder):
    read = json.loads(run(folder, "--method", "lanczos*", "--format", "json").output)
    assert {entry["method"] for it in read for entry in it["entries"]} == {"lanczos"}


@pytest.mark.parametrize(
    "args",
    [("--problem", "no-such"), ("--estimand", "trace"), ("--method", "no*"), ("--within", "1")],
)
def test_what_matches_nothing_is_refused(folder, args):
    said = run(folder, *args)
    assert said.exit_code == 2
    assert said.output.count("\n") == 1


@pytest.mark.parametrize("form", ["text", "markdown", "csv", "json"])
def test_every_format_is_written(folder, form):
    assert "lanczos" in run(folder, "--format", form).output
