"""`hessbench list`: what is registered, and which methods answer an estimand."""

import pytest
from click.testing import CliRunner

from hessbench.cli import main
from hessbench.estimand import ESTIMANDS
from hessbench.methods import METHODS


def listed(*arguments, columns="200"):
    return CliRunner().invoke(main, ["list", *arguments], env={"COLUMNS": columns})


@pytest.mark.parametrize("estimand", ESTIMANDS)
@pytest.mark.parametrize("section", [[], ["methods"]])
def test_methods_that_answer_an_estimand(estimand, section):
    result = listed(*section, "--estimand", estimand)
    assert result.exit_code == 0
    title, head, *lines = result.stdout.strip().splitlines()
    assert (title, head.split()) == ("methods", ["name", "parameters", "what", "it", "is"])
    names = [line.split()[0] for line in lines if not line.startswith(" ")]
    assert names == [method.name for method in METHODS if method.answers(ESTIMANDS[estimand])]


def test_an_estimand_may_be_named_with_its_parameters():
    assert listed("--estimand", "top-eigenvalues[k=3]").stdout == listed("--estimand", "top-eigenvalues").stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--estimand", "trce"], "unknown estimand 'trce' (did you mean 'trace'?); accepted: top-eigenvalues"),
        (["problems", "--estimand", "trace"], "--estimand is accepted with methods, got problems"),
    ],
)
def test_what_is_no_estimand_or_has_none_is_refused(arguments, says):
    result = listed(*arguments)
    assert result.exit_code == 2
    assert says in result.stderr


@pytest.mark.parametrize("section", ["problems", "methods", "estimands", "suites"])
def test_80_columns_are_enough(section):
    lines = listed(section, columns="80").stdout.splitlines()
    assert max(map(len, lines)) <= 80
