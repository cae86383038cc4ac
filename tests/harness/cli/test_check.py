"""`hessbench check` finds a method by its name, by its name with underscores, or by the variable that holds it."""

import pytest
from click.testing import CliRunner

from hessbench.cli import main
from hessbench.laws.checks import LAWS

PLUGIN = """
import torch
from hessbench import Estimate, Method, Trace


def run(op, /, *, num_matvecs, generator):
    if num_matvecs < 2:
        raise RuntimeError("too few")
    op.matmat(op.matmat(torch.ones(op.dim, 1, dtype=op.dtype)))
    return Estimate(1.0)


variable = Method(name="listed-name", estimands=(Trace,), run=run, min_matvecs=2)
METHODS = [variable]
"""


@pytest.fixture
def plugin(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(PLUGIN)
    return file


@pytest.mark.parametrize("name", ["listed-name", "listed_name", "variable"])
def test_a_method_is_found_and_held_against_every_law(plugin, name):
    done = CliRunner().invoke(main, ["check", f"{plugin}:{name}", "--laws-only"])
    # Below its least budget it fails in a way of its own, and so breaks the one law about budgets that are too small.
    assert done.exit_code == 1, done.output
    assert done.output.count("kept  ") == len(LAWS) - 1
    assert "BROKEN  too small a budget refused" in done.output


def test_an_unknown_method_is_refused_with_what_the_file_lists(plugin):
    done = CliRunner().invoke(main, ["check", f"{plugin}:other"])
    assert done.exit_code == 2
    assert "mine.py lists no method 'other' in METHODS; it lists: listed-name" in done.output
