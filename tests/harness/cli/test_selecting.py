"""A part of a suite and a method of one's own in it, as a user types it: `plan` and `run`."""

import pytest
from click.testing import CliRunner

from hessbench import Ledger
from hessbench.cli import main
from hessbench.running.suite import Suite

PLUGIN = """
import torch
from hessbench import Estimate, Method, Trace

def estimate(op, /, *, num_matvecs, generator):
    return Estimate((op @ torch.ones(op.dim, num_matvecs, dtype=op.dtype)).sum())

METHODS = [Method(name="my-method", estimands=(Trace,), run=estimate)]
"""

SUITE = """
name = "mine"
version = 1
[[cross]]
estimand = "trace"
problems = ["student-t[n=50]", "wigner[n=40]"]
methods = ["hutchinson", "hutchpp"]
num_matvecs = [10]
memory = false
"""


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.py").write_text(PLUGIN)
    (tmp_path / "mine.toml").write_text(SUITE)
    return tmp_path


def hessbench(*arguments, columns="200"):
    return CliRunner().invoke(main, arguments, env={"COLUMNS": columns}, prog_name="hessbench")


def test_plan_says_that_the_method_of_a_plugin_is_in_no_cross_and_how_to_put_it_in(files):
    said = hessbench("plan", "mine.toml", "--problem", "wigner*", "--plugin", "own.py").stdout
    assert (
        said.splitlines()[-1] == "my-method is in no cross of mine: --add my-method puts it into every cross of trace"
    )
    said = hessbench("plan", "quick", "--no-prices", "--plugin", "own.py", "--add", "my-method").stdout
    assert "in no cross" not in said
    rows = [line for line in said.splitlines() if " my-method " in line]
    traces = [cross for cross in Suite.load("quick").crosses if cross.estimand == "trace"]
    assert len(rows) == len({problem for cross in traces for problem in cross.problems})


def test_plan_shows_what_is_selected(files):
    said = hessbench(
        "plan", "mine.toml", "--no-prices", "--method", "hutchp*", "--problem", "wigner"
    ).stdout.splitlines()
    assert said[1].split()[:3] == ["trace", "wigner[n=40]", "hutchpp"]
    assert said[2] == "1 cells to run, at most 10 products; 0 skipped"


@pytest.mark.parametrize("verb", ["plan", "run"])
def test_one_sentence_says_that_nothing_is_left(files, verb):
    result = hessbench(verb, "mine.toml", "--method", "k*")
    assert result.exit_code == 2
    assert result.stderr == "hessbench: no method of the suite mine matches 'k*'; it has: hutchinson, hutchpp\n"
    assert not (files / "runs").exists()


def test_a_run_grows_by_what_is_added_and_keeps_the_rest(files):
    run = ("run", "mine.toml", "--plugin", "own.py", "--out", "out", "--no-report", "--no-prices")
    first = hessbench(*run, "--problem", "wigner*")
    assert "my-method is in no cross of mine" in first.stderr
    assert "2 cells planned: 2 run" in first.stdout
    second = hessbench(*run, "--add", "my-method")
    assert "in no cross" not in second.stderr
    assert "6 cells planned: 4 run (4 ok), 2 kept" in second.stdout
    assert len(Ledger.read("out").terminals) == 6


@pytest.mark.parametrize("suite", ["quick", "eigenvalues"])
def test_the_plan_fits_80_columns(suite):
    assert max(map(len, hessbench("plan", suite, "--no-prices", columns="80").stdout.splitlines())) <= 80


def test_merge_says_what_to_do_next(files):
    for index in ("1", "2"):
        hessbench("run", "mine.toml", "--shard", f"{index}/2", "--out", f"part {index}", "--no-report", "--no-prices")
    said = hessbench("merge", "part 1", "part 2", "--out", "the whole").stdout.splitlines()
    assert said[0].endswith("4 cells in the whole")
    assert said[1] == "next: hessbench report 'the whole'"
    assert hessbench(*said[1].removeprefix("next: hessbench ").replace("'", "").split(" ", 1)).exit_code == 0
