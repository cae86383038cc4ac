"""`run` and `references`: what failed and why, the exit code that says so, and a reference on request."""

import numpy as np
import pytest
from click.testing import CliRunner

from hessbench import Ledger
from hessbench.cli import main

PLUGIN = """
import numpy as np
from hessbench import Density, Estimate, Method, Problem, Trace
from hessbench.estimand.base import Reference, Source
from hessbench.estimand.work import OwnWork

def breaks(op, /, *, num_matvecs, generator):
    raise RuntimeError("broke for a reason")

def both(op, /, *, num_matvecs, generator):
    density = Estimate((np.arange(1.0, 6.0), np.full(5, 0.2)))
    return Estimate(15.0, also={Density: density})

own = Problem.of("own", np.diag(np.arange(1.0, 6.0)))
costly = Problem("costly", 5, own.build, {kind: OwnWork(own.references[kind]) for kind in (Trace, Density)},
                 fingerprint=lambda: "content")
PROBLEMS = [own, costly]
METHODS = [
    Method(name="breaks", run=breaks, estimands=(Trace,)),
    Method(name="both", run=both, estimands=(Trace, Density)),
]
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a plugin, and a suite of a method that breaks and one that does not."""
    monkeypatch.setenv("HESSBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plugin.py").write_text(PLUGIN)
    cross = '\n[[cross]]\nestimand = "trace"\nproblems = ["{}"]\nmethods = {}\nnum_matvecs = [4]\nmemory = false\n'
    (tmp_path / "broken.toml").write_text('name = "broken"\nversion = 1' + cross.format("own", '["breaks", "both"]'))
    (tmp_path / "good.toml").write_text('name = "good"\nversion = 1' + cross.format("costly", '["both"]'))
    return tmp_path


def invoke(*words):
    return CliRunner().invoke(main, [*words], catch_exceptions=False)


def run(suite, *words):
    return invoke("run", suite, "--plugin", "plugin.py", "--out", "out", "--no-report", "--no-prices", *words)


def test_what_failed_is_said_with_its_reason_and_where_strict_by_an_exit_code_also_where_it_failed_before(folder):
    for strict, code in ((("--strict",), 1), (("--strict",), 1), ((), 0)):
        result = run("broken.toml", *strict)
        assert result.exit_code == code
        assert "failed (1): error: RuntimeError: broke for a reason" in result.output
        assert "; trace of own by breaks, cell " in result.output


def test_a_skipped_cell_is_no_failure(folder):
    suite = folder / "broken.toml"
    suite.write_text(suite.read_text().replace('"breaks"', '"ggn-diagonal-exact"'))
    result = run("broken.toml", "--strict")
    assert result.exit_code == 0
    assert "1 skipped" in result.output


def test_what_nobody_asked_for_is_made_on_request_and_scores_the_row(folder):
    assert run("good.toml", "--strict").exit_code == 0
    (row,) = (row for row in Ledger.read("out").records if row.estimand == "density")
    assert row.error is None
    assert "nobody asked for density" in row.notes["error"]
    assert "hessbench references 'costly' --estimand 'density' --run DIR" in row.notes["error"]
    result = invoke("references", "costly", "--plugin", "plugin.py", "--estimand", "density", "--run", "out")
    assert result.exit_code == 0, result.output
    assert "density of costly: DENSE, bound " in result.output
    assert invoke("rescore", "out").exit_code == 0
    (row,) = (row for row in Ledger.read("out").records if row.estimand == "density")
    assert row.error == 0
    assert "error" not in row.notes
    assert np.isfinite(row.reference_bound)


def test_references_need_a_run_or_a_folder(folder):
    (folder / "empty").mkdir()
    for words in ((), ("--run", "out", "--out", "files"), ("--run", "empty")):
        assert invoke("references", "own", "--plugin", "plugin.py", *words).exit_code == 2
