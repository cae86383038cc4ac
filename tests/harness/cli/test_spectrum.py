"""`hessbench spectrum`: of a folder, a problem and a file, and what it refuses in one sentence."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from hessbench.catalog import load_catalog
from hessbench.cli import main
from hessbench.cli.spectrum_suite import SuitePrice, makes_references, refuse_long, spectrum_suite
from hessbench.cli.spectrum_target import ProblemTarget, find_target
from hessbench.ledger.reading import Ledger, LedgerWriter
from hessbench.problem import Problem
from hessbench.running.plan import plan

PLUGIN = """
import numpy as np
from hessbench import Problem

PROBLEMS = [Problem.of(name, np.diag(np.linspace(-1.0, 3.0, 30))) for name in NAMES]
"""


def plugin(folder: Path, *names: str) -> str:
    file = folder / "mine.py"
    file.write_text(PLUGIN.replace("NAMES", repr(list(names))))
    return str(file)


def price(**fields: object) -> SuitePrice:
    known = {"seconds": 1.0, "is_whole": True, "held_bytes": 2**20, "products": 400, "misfits": (),
             "reference_s": 1.0, "told": ""} | fields  # fmt: skip
    return SuitePrice(**known)


@pytest.mark.parametrize("n", [1, 2, 3, 50])
@pytest.mark.parametrize("budget", [40, 400, 5000])
def test_the_suite_fits_every_dimension_and_keeps_to_its_budget(n, budget):
    catalog = load_catalog()
    catalog.add(problems=[Problem.of("small", np.eye(n))], source="test")
    suite = spectrum_suite(catalog.problem("small"), 10, budget)
    planned = plan(suite, catalog)
    assert not any(entry.skip_reason for entry in planned)
    assert sum(entry.cell.budget for entry in planned) <= budget
    assert {entry.cell.estimand.partition("[")[0] for entry in planned} == {"top-eigenvalues", "trace", "density"}
    assert sum(entry.cell.method.startswith("slq") for entry in planned) == 5


@pytest.mark.parametrize(("traits", "method"), [(("psd",), "xnystrace"), ((), "xtrace")])
def test_the_trace_is_that_of_the_traits(traits, method):
    suite = spectrum_suite(Problem.of("small", np.eye(9), traits=traits))
    assert [cross.methods for cross in suite.crosses if cross.estimand == "trace"] == [(method,)]


@pytest.mark.parametrize(
    ("price", "limit_s", "said"),
    [
        (price(seconds=61.0), 60.0, "about 61.0 s"),
        (price(seconds=None), 60.0, "a time that could not be predicted"),
        (price(seconds=61.0, is_whole=False), 60.0, "at least 61.0 s"),
        (price(misfits=("will not fit: it takes 9 GiB",)), None, "will not fit"),
    ],
)
def test_what_is_long_or_too_large_needs_a_yes(price, limit_s, said):
    with pytest.raises(ValueError, match=said) as refusal:
        refuse_long(price, limit_s, "mine")
    assert "--yes" in str(refusal.value)


@pytest.mark.parametrize(("price", "limit_s"), [(price(), 60.0), (price(seconds=1e9), None)])
def test_what_is_short_starts(price, limit_s):
    refuse_long(price, limit_s, "mine")


@pytest.mark.parametrize(("seconds", "made"), [(1.0, True), (1e4, False), (None, False)])
def test_references_are_made_where_they_are_quickly_there(seconds, made):
    assert makes_references(Problem.of("small", np.eye(9)), price(reference_s=seconds)) is made


def test_a_file_names_its_problem(tmp_path):
    file = plugin(tmp_path, "alone")
    found = find_target(file)
    assert isinstance(found, ProblemTarget)
    assert (found.spec, found.plugins) == ("alone", (file,))
    both = plugin(tmp_path, "one", "other")
    assert find_target(f"{both}:other").spec == "other"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nothing-like-it"], "unknown problem 'nothing-like-it'"),
        (["runs/nowhere"], "there is no folder 'nowhere'"),
        (["missing.py"], "plugin file missing.py does not exist"),
        (["empty.py"], "defines neither METHODS = [...] nor PROBLEMS = [...]"),
        (["mine.py"], "mine.py lists several problems: name one, as in mine.py:one"),
        (["mine.py:third"], "mine.py lists no problem 'third'"),
        (["."], "holds no ledger"),
        (["bare"], "nothing of a spectrum is kept there"),
        (["bare", "--k", "3"], "--k and --budget are for a problem"),
        (["bare", "--keep-vectors"], "as --keep-vectors is"),
        (["mine.py:one", "--k", "0"], "k must be at least 1, got 0"),
        (["mine.py:one", "--budget", "7"], "budget must be at least 40 products for 10 eigenvalues, got 7"),
        (["mine.py:one", "--sigma", "0"], "sigma must be above 0 and at most 1"),
        (["mine.py:one", "--sigma", "nan"], "sigma must be above 0 and at most 1"),
        (["mine.py:one", "--axis", "polar"], "axis takes linear, log, symlog, with commas between them, got 'polar'"),
        (["mine.py:one", "--limit", "soon"], "a time such as 10s, 5m, 1.5h or none is accepted"),
        (["mine.py:one", "--dtype", "float16"], "dtype must be float32 or float64"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(arguments, said, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    plugin(tmp_path, "one", "other")
    (tmp_path / "empty.py").write_text("")
    writer = LedgerWriter(tmp_path / "bare")
    writer.append_environment("e" * 12, {})
    writer.close()
    with pytest.raises(SystemExit) as end:
        main(["spectrum", *arguments], prog_name="hessbench")
    lines = capfd.readouterr().err.splitlines()
    assert end.value.code == 2
    assert len(lines) == 1
    assert said in lines[0]


@pytest.mark.slow
def test_the_spectrum_of_a_file_is_an_ordinary_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HESSBENCH_CACHE", str(tmp_path / "cache"))
    done = CliRunner().invoke(main, ["spectrum", plugin(tmp_path, "mine"), "--k", "3", "--yes", "--out", "run"])
    assert done.exit_code == 0, done.output
    assert "3 of 3 sure to 1 %" in done.output
    assert "an eigenvalue at or below \N{MINUS SIGN}" in done.output
    page = (tmp_path / "run" / "spectrum" / "index.html").read_text()
    assert page.count("<figure>") == 5
    ledger = Ledger.read(tmp_path / "run")
    assert {record.status.value for record in ledger.terminals.values()} == {"ok"}
    top = next(row for row in ledger.records if row.estimand.startswith("top") and row.checkpoint is not None)
    assert len(top.diagnostics["residuals"]) == 3
    again = CliRunner().invoke(main, ["spectrum", "run", "--sigma", "0.1"])
    assert "3 of 3 sure to 1 %" in again.output
    report = CliRunner().invoke(main, ["report", "run"])
    assert report.exit_code == 0, report.output
    assert 'class="spectrum"' in (tmp_path / "run" / "report" / "index.html").read_text()
