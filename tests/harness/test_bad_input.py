"""What a user or a plugin gets wrong ends in one sentence, and costs no more than it must."""

import os
from pathlib import Path

import pytest

from hessbench import Ledger, Options, Trace, evaluate, run
from hessbench.catalog import load_catalog, load_plugin
from hessbench.ledger.writing import LedgerWriter
from hessbench.running.plan import plan
from hessbench.running.suite import Cross, Suite
from hessbench.specs import parse

CARELESS = str(Path(__file__).parent / "plugins" / "careless.py")


def crossing(problem="even", method="sound", budgets=(4,), repeats=1):
    return Suite("bad", 1, (Cross("trace", (problem,), (method,), budgets, repeats, memory=False),))


@pytest.mark.parametrize(
    ("problem", "method", "says"),
    [
        ("even", "least-fails", "method least-fails: min_matvecs raised TypeError: not today"),
        ("even", "least-is-text", "min_matvecs returned str, an integer is accepted"),
        ("even", "refuses-fails", "method refuses-fails: refuses raised TypeError: not today"),
        ("family-fails", "sound", "problem family-fails: its family raised TypeError: not today"),
        ("family-is-five", "sound", "its family returned int, a Problem is accepted"),
        ("spiked-wishart[aspect=" + "9" * 400 + "]", "sound", "more than 18 digits"),
        ("even", "lanczos[window=" + "9" * 5000 + "]", "more than 18 digits"),
        ("student-t[n=[1,2],instance=[" + ",".join(map(str, range(6000))) + "]]", "sound", "more than 10000"),
    ],
)
def test_a_plan_that_cannot_be_made_says_why(problem, method, says):
    with pytest.raises(ValueError, match=says) as refused:
        plan(crossing(problem, method), load_catalog((CARELESS,)))
    assert len(str(refused.value)) < 500


def test_a_block_of_no_columns_is_refused_when_it_is_planned():
    cross = Cross("top-eigenvalues[k=2]", ("even",), ("block-krylov[block=0]",), (4,), memory=False)
    with pytest.raises(ValueError, match="block must be at least 1, got 0"):
        plan(Suite("bad", 1, (cross,)), load_catalog((CARELESS,)))


def test_problems_that_fail_at_saying_what_they_need_are_skipped_and_the_others_run(tmp_path):
    names = ("even", "unavailable-fails", "prepare-fails", "ladder-fails")
    suite = Suite("bad", 1, (Cross("trace", names, ("sound",), (4,), memory=False),))
    summary = run(suite, tmp_path, Options(plugins=(CARELESS,)))
    assert (summary.ran, summary.skipped, summary.failed) == (2, 2, 0)
    rows = {row.problem: row for row in Ledger.read(tmp_path).terminals.values()}
    assert rows["unavailable-fails"].reason == "problem unavailable-fails: unavailable raised TypeError: not today"
    assert rows["prepare-fails"].reason == "not here yet"


@pytest.mark.parametrize("budgets", [(), tuple(range(1, 1002)), (10**16,), (0,), (True,), ("m",)])
def test_budgets_that_no_run_could_hold_are_refused(budgets):
    with pytest.raises(ValueError, match=r"num_matvecs (takes|needs)"):
        crossing(budgets=budgets)


@pytest.mark.parametrize(
    "text", ["a = " + "[" * 50_000, 'name = "x"\nversion = ' + "9" * 5000, "threads = 1\n", "a = \x00"]
)
def test_text_that_is_no_suite_is_refused(text):
    with pytest.raises(ValueError, match=r"mine\.toml"):
        Suite.parse(text, "mine.toml")


def test_a_sweep_too_large_is_refused_before_it_is_made():
    lists = ",".join(f"{key}=[{','.join(map(str, range(300)))}]" for key in ("a", "b", "c"))
    with pytest.raises(ValueError, match="more than 10000 combinations"):
        parse(f"x[{lists}]")
    assert len(parse("x[a=[" + ",".join(map(str, range(100))) + "]]")) == 100


@pytest.mark.parametrize("raised", ["BaseException('no')", "GeneratorExit()", "SystemExit(3)"])
def test_a_plugin_that_raises_anything_when_it_is_imported_is_refused(tmp_path, raised):
    (tmp_path / "plug.py").write_text(f"raise {raised}\n")
    with pytest.raises(ValueError, match=r"plugin plug\.py failed to import"):
        load_plugin(tmp_path / "plug.py")


def test_a_module_that_a_problem_names_and_nobody_has_is_refused_in_one_sentence(tmp_path, capfd):
    (tmp_path / "plug.py").write_text(
        "import numpy as np\nfrom hessbench import Problem\np = Problem.of('far', np.eye(4))\n"
        "PROBLEMS = [Problem(p.name, p.dim, p.build, modules=('no_such',))]\n"
    )
    suite = crossing("far", "hutchinson")
    with pytest.raises(ValueError, match="a worker could not start: No module named 'no_such'"):
        run(suite, tmp_path / "out", Options(plugins=(str(tmp_path / "plug.py"),)))
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"timeout_s": -1}, "timeout_s must be a positive number"),
        ({"timeout_s": "5"}, "timeout_s must be a positive number"),
        ({"timeout_s": float("nan")}, "timeout_s must be a positive number"),
        ({"num_matvecs": 5}, "num_matvecs takes a list"),
        ({"num_matvecs": "n"}, "num_matvecs takes a list"),
        ({"repeats": "2"}, "repeats must be an integer"),
        ({"repeats": 0}, "repeats must be an integer"),
        ({"repeats": 10**30}, "repeats must be an integer from 1 to 10000"),
    ],
)
def test_what_evaluate_does_not_take_is_refused_before_anything_runs(change, says):
    def never(op, /, *, num_matvecs, generator):
        raise AssertionError

    with pytest.raises(ValueError, match=says):
        evaluate(never, Trace, **change)


def test_pipes_and_dangling_links_among_ledger_files_are_passed_over(tmp_path):
    run(crossing(), tmp_path, Options(plugins=(CARELESS,), prices=False))
    os.mkfifo(tmp_path / "ledger" / "pipe.jsonl")
    (tmp_path / "ledger" / "gone.jsonl").symlink_to(tmp_path / "nowhere")
    assert len(Ledger.read(tmp_path).terminals) == 1


def test_a_ledger_file_that_was_removed_stops_the_run_at_its_next_row(tmp_path):
    writer = LedgerWriter(tmp_path)
    writer.append_environment("e", {})
    writer.path.unlink()
    with pytest.raises(OSError, match="was removed"):
        writer.append_environment("e", {})
    writer.close()
