"""Input that is not accepted: exit code 2 and one line that says what was wrong and what is accepted, on every verb."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hessbench import Ledger, Suite, run
from hessbench.catalog import load_catalog
from hessbench.cli import main
from hessbench.running.runner import Options


@pytest.fixture
def refused(capfd, tmp_path, monkeypatch):
    """Runs the command line in an empty folder and returns the one line it refuses with."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> str:
        with pytest.raises(SystemExit) as end:
            main(list(arguments), prog_name="hessbench")
        said = capfd.readouterr().err.splitlines()
        assert end.value.code == 2, said
        assert len(said) == 1, said
        assert said[0].startswith("hessbench: ")
        return said[0]

    return call


def suite_text(**changes: str | None) -> str:
    """A suite with some of its lines changed or left out."""
    head = {"name": '"mine"', "version": "1", "device": '"cpu"', "dtype": '"float32"', "threads": "1"}
    cross = {"estimand": '"trace"', "problems": '["student-t[n=100]"]', "methods": '["hutchinson"]',
             "num_matvecs": "[10]", "repeats": "1"}  # fmt: skip
    lines = {**head, "[[cross]]": None, **cross, **changes}
    return "\n".join(key if key == "[[cross]]" else f"{key} = {value}" for key, value in lines.items()
                     if key == "[[cross]]" or value is not None)  # fmt: skip


SUITES = {
    "no name": ({"name": None}, "the key 'name' is missing"),
    "name with a space": ({"name": '"A b"'}, "suite name 'A b' is not accepted: use lower-case letters"),
    "version zero": ({"version": "0"}, "version must be at least 1, got 0"),
    "threads zero": ({"threads": "0"}, "threads must be at least 1, got 0"),
    "odd dtype": ({"dtype": '"float16"'}, "dtype must be float32 or float64, got 'float16'"),
    "odd device": ({"device": '"tpu"'}, "device takes cpu, cuda or cuda:N, got 'tpu'"),
    "unknown estimand": ({"estimand": '"trce"'}, "unknown estimand 'trce' (did you mean 'trace'?); accepted:"),
    "estimand no text": ({"estimand": "3"}, "estimand takes a text, got 3"),
    "k missing": ({"estimand": '"top-eigenvalues"'}, "needs the parameter 'k'"),
    "k zero": ({"estimand": '"top-eigenvalues[k=0]"'}, "k must be at least 1, got 0"),
    "k above n": (
        {"estimand": '"top-eigenvalues[k=101]"', "methods": '["lanczos"]', "num_matvecs": "[50]"},
        "k must be between 1 and the dimension 100, got 101",
    ),
    "odd order": (
        {"estimand": '"top-eigenvalues[k=5,which=biggest]"', "methods": '["lanczos"]'},
        "which must be magnitude, algebraic or smallest, got 'biggest'",
    ),
    "delta above one": (
        {"estimand": '"density[delta=2]"', "methods": '["slq"]'},
        "delta must be above 0 and below 1",
    ),
    "unknown problem": (
        {"problems": '["studnt-t"]'},
        "unknown problem 'studnt-t' (did you mean 'student-t'?); `hessbench list` shows what is registered",
    ),
    "glob of nothing": ({"problems": '["zzz*"]'}, "no problem matches 'zzz*'; `hessbench list` shows"),
    "no problem": ({"problems": "[]"}, "problems takes a list of at least one text, got []"),
    "problems no list": ({"problems": '"student-t"'}, "problems takes a list, got 'student-t'"),
    "dimension zero": ({"problems": '["student-t[n=0]"]'}, "n must be between 1 and 10000000, got 0"),
    "dimension no integer": ({"problems": '["student-t[n=1.5]"]'}, "parameter 'n' takes an integer, got 1.5"),
    "dimension a word": ({"problems": '["student-t[n=many]"]'}, "parameter 'n' takes an integer, got many"),
    "dimension infinite": ({"problems": '["student-t[n=1e400]"]'}, "'1e400' is too large for a number"),
    "fraction above one": (
        {"problems": '["student-t[n=100,zero_fraction=1.5]"]'},
        "zero_fraction must be between 0 and 1, got 1.5",
    ),
    "fraction below zero": (
        {"problems": '["student-t[n=100,zero_fraction=-0.5]"]'},
        "zero_fraction must be between 0 and 1, got -0.5",
    ),
    "step not stored": ({"problems": '["digits-mlp[step=-1]"]'}, "step must be one of 0, 10, 100, 500, got -1"),
    "unknown operator": ({"problems": '["digits-mlp[operator=foo]"]'}, "operator must be one of"),
    "unknown parameter": ({"problems": '["student-t[m=3]"]'}, "student-t has no parameter 'm'; accepted: df,"),
    "bracket open": ({"problems": '["student-t[n=100"]'}, "the closing ']' is missing; accepted: name or name[key="),
    "no value": ({"problems": '["student-t[n]"]'}, "'n' is not key=value; accepted: name or name[key=value,...]"),
    "given twice": ({"problems": '["student-t[n=1,n=2]"]'}, "'n' is given twice; accepted:"),
    "unknown method": ({"methods": '["hutch"]'}, "unknown method 'hutch' (did you mean 'hutchpp'?)"),
    "method of another estimand": (
        {"methods": '["lanczos"]'},
        "method lanczos does not answer trace; it answers: top-eigenvalues, density",
    ),
    "unknown method parameter": ({"methods": '["hutchinson[foo=1]"]'}, "hutchinson has no parameter 'foo'; accepted:"),
    "no budget": ({"num_matvecs": None}, "the key 'num_matvecs' is missing"),
    "budgets empty": ({"num_matvecs": "[]"}, "num_matvecs needs at least one budget"),
    "budgets no list": ({"num_matvecs": "10"}, "num_matvecs takes a list, got 10"),
    "budget zero": (
        {"num_matvecs": "[0]"},
        'num_matvecs takes integers of at least 1, or "n" for the dimension, got 0',
    ),
    "budget below zero": ({"num_matvecs": "[-3]"}, "num_matvecs takes integers of at least 1"),
    "budget no integer": ({"num_matvecs": "[1.5]"}, "num_matvecs takes integers of at least 1"),
    "budget a word": ({"num_matvecs": '["m"]'}, "num_matvecs takes integers of at least 1"),
    "budget a truth": ({"num_matvecs": "[true]"}, "num_matvecs takes integers of at least 1"),
    "budget below the least": (
        {"num_matvecs": "[1]", "methods": '["hutchpp"]'},
        "hutchpp needs at least 3 products on student-t[n=100], got num_matvecs = 1",
    ),
    "repeats zero": ({"repeats": "0"}, "repeats must be at least 1, got 0"),
    "repeats a text": ({"repeats": '"x"'}, "repeats takes an integer, got 'x'"),
    "memory no truth": ({"memory": "3"}, "memory takes true or false, got 3"),
    "unknown key": ({"extra": "1"}, "unknown key 'extra'; accepted: estimand, memory, methods, num_matvecs"),
}


@pytest.mark.parametrize("what", SUITES)
def test_plan_refuses_a_suite_with(what, refused):
    changes, says = SUITES[what]
    Path("mine.toml").write_text(suite_text(**changes))
    assert says in refused("plan", "mine.toml")


@pytest.mark.parametrize("verb", ["plan", "run"])
@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"name = ", "mine.toml is not valid TOML"),
        (b"\xff\xfe", "mine.toml is not valid TOML: text in UTF-8 is accepted"),
        (b"", "mine.toml: the key 'cross' is missing"),
        (b'name = "a"\nversion = 1\ncross = []', "at least one [[cross]] is needed"),
        (b'name = "a"\nversion = 1\ncross = [3]', "a table is accepted, as in [[cross]]"),
    ],
)
def test_a_suite_that_is_none_is_refused(verb, content, says, refused):
    Path("mine.toml").write_bytes(content)
    assert says in refused(verb, "mine.toml")
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--shard", "0/3"], "shard takes I/N with I from 1 to N, such as 1/4, got '0/3'"),
        (["--shard", "4/3"], "got '4/3'"),
        (["--shard", "half"], "got 'half'"),
        (["--timeout", "-1s"], "a time such as 10s, 5m, 1.5h or none is accepted, got '-1s'"),
        (["--timeout", "0s"], "got '0s'"),
        (["--timeout", "0"], "got '0'"),
        (["--memory", "0MiB"], "a size such as 500MiB, 2GiB or none is accepted, got '0MiB'"),
        (["--memory", "5 GB"], "got '5 GB'"),
        (["--threads", "0"], "threads must be at least 1, got 0"),
        (["--threads", "all"], "'all' is not a valid integer"),
        (["--dtype", "float16"], "dtype must be float32 or float64, got 'float16'"),
        (["--device", "tpu"], "device takes cpu, cuda or cuda:N, got 'tpu'"),
        (["--device", "cuda:one"], "device takes cpu, cuda or cuda:N, got 'cuda:one'"),
        (["--bogus"], "'--bogus'"),
    ],
)
@pytest.mark.parametrize("verb", ["plan", "run"])
def test_plan_and_run_refuse_the_options(verb, options, says, refused):
    assert says in refused(verb, "quick", *options)
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--jobs", "0"], "jobs must be at least 1, got 0"),
        (["--jobs", "-2"], "jobs must be at least 1, got -2"),
        (["--retry", "bogus"], "retry takes statuses among over-budget, diverged, timeout"),
        (["--retry", "ok"], "retry takes statuses among"),
        (["--retry", "timeout,skipped"], "got 'skipped'"),
    ],
)
def test_run_refuses_the_options(options, says, refused):
    assert says in refused("run", "quick", *options)
    assert not Path("runs").exists()


PLUGINS = {
    "missing.py": (None, "plugin file missing.py does not exist; a path to a Python file is accepted"),
    "syntax.py": ("def f(:\n", "plugin syntax.py failed to import: SyntaxError"),
    "raises.py": ("1 / 0\n", "plugin raises.py failed to import: ZeroDivisionError"),
    "exits.py": ("import sys\nsys.exit(0)\n", "plugin exits.py failed to import: SystemExit"),
    "nothing.py": ("x = 1\n", "plugin nothing.py defines neither METHODS = [...] nor PROBLEMS = [...]"),
    "number.py": ("METHODS = 3\n", "number.py: an explicit list is accepted, got int"),
    "junk.py": ("METHODS = [3]\n", "METHODS holds a int; Method is accepted"),
    "twice.py": (
        "from hessbench.methods.trace import HUTCHINSON\nMETHODS = [HUTCHINSON]\n",
        "a method named 'hutchinson' is already registered; choose another name",
    ),
    "plugin.txt": ("METHODS = []\n", "plugin plugin.txt is not a Python file"),
}


@pytest.mark.parametrize("file", PLUGINS)
@pytest.mark.parametrize("verb", ["plan", "run", "list", "check"])
def test_a_plugin_that_cannot_be_used_is_refused(verb, file, refused):
    content, says = PLUGINS[file]
    if content is not None:
        Path(file).write_text(content)
    arguments = {"list": [], "check": [f"{file}:mine"]}.get(verb, ["quick"])
    assert says in refused(verb, *arguments, *([] if verb == "check" else ["--plugin", file]))


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("mine.py", "name the method as well, as in mine.py:my-method"),
        ("nothing", "unknown method 'nothing'; `hessbench list` shows what is registered"),
        ("hutchinson[foo=1]", "hutchinson has no parameter 'foo'; accepted:"),
        ("lanczos[reorth=full", "the closing ']' is missing"),
    ],
)
def test_check_refuses_the_target(target, says, refused):
    assert says in refused("check", target)


@pytest.mark.parametrize("folder", ["missing", "empty", "hollow", "file"])
@pytest.mark.parametrize(
    "arguments",
    [
        ("report", "{}"),
        ("export", "{}"),
        ("rescore", "{}"),
        ("replay", "{}", "abc"),
        ("compare", "{}", "{}"),
        ("merge", "{}", "--out", "whole"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_folder_without_a_ledger_is_refused(arguments, folder, refused):
    Path("empty").mkdir()
    Path("hollow/ledger").mkdir(parents=True)
    Path("file").write_text("no folder")
    line = refused(*(word.format(folder) for word in arguments))
    assert f"{folder} holds no ledger; a folder with ledger/*.jsonl is accepted" in line
    assert not Path("whole").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["bogus"], "unknown verb 'bogus'; accepted: list, plan, train, run, answer"),
        (["reprot"], "unknown verb 'reprot' (did you mean 'report'?)"),
        (["--bogus"], "'--bogus'"),
        (["run"], "Missing argument 'SUITE'; `hessbench run --help` shows what is accepted"),
        (
            ["run", "qick"],
            "unknown suite 'qick' (did you mean 'quick'?); accepted: eigenvalues, few-gradients",
        ),
        (["run", "missing.toml"], "suite file missing.toml does not exist; a path to a TOML file or one of"),
        (["list", "things"], "'things' is not one of 'problems', 'methods', 'estimands', 'suites'"),
        (["export", "run", "--format", "xls"], "'xls' is not one of 'csv', 'parquet', 'json'"),
        (["merge", "one"], "Missing option '--out'"),
        (["compare", "one"], "Missing argument 'NEW'"),
    ],
)
def test_a_command_that_is_none_is_refused(arguments, says, refused):
    assert says in refused(*arguments)


@pytest.fixture(scope="module")
def small_run(hostile, crossing, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("small")
    run(crossing(methods="good good-shot"), folder, Options(prices=False), catalog=load_catalog((hostile,)))
    return folder


@pytest.mark.parametrize("cell", ["zzzz", "", "0" * 17])
def test_replay_refuses_a_cell_that_is_not_one_of_the_ledger(cell, small_run, refused):
    assert "cell" in refused("replay", str(small_run), cell)


def test_replay_without_the_plugin_says_what_is_unknown(small_run, refused):
    cell = next(iter(Ledger.read(small_run).terminals))
    assert "unknown" in refused("replay", str(small_run), cell)


@pytest.mark.parametrize("verb", ["report", "export", "rescore"])
def test_a_ledger_of_another_schema_is_refused(verb, small_run, refused, tmp_path):
    for file in (small_run / "ledger").iterdir():
        there = tmp_path / "other" / "ledger" / file.name
        there.parent.mkdir(parents=True, exist_ok=True)
        there.write_text(file.read_text().replace('"schema":1', '"schema":7'))
    assert "line 2: the row is of schema 7; this version reads schema 1" in refused(verb, "other")


def test_what_does_not_fit_is_skipped_with_the_reason_where_a_glob_chose_it(tmp_path, hostile):
    """The explicit name is refused above; under a glob the cell is a row that says why it did not run."""
    text = suite_text(
        estimand='"top-eigenvalues[k=40]"', problems='["tiny*"]', methods='["lanczos"]', num_matvecs="[40]"
    )
    summary = run(Suite.parse(text), tmp_path, Options(prices=False), catalog=load_catalog((hostile,)))
    assert summary.ran == 0
    assert summary.skipped == summary.planned > 0
    rows = Ledger.read(tmp_path).terminals.values()
    assert {row.status for row in rows} == {"skipped"}
    assert all("k must be between 1 and the dimension 32, got 40" in row.reason for row in rows)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [(["run", "qick"], b"unknown suite 'qick'"), (["plan", "quick", "--plugin", "missing.py"], b"missing.py")],
)
def test_the_installed_command_refuses_in_the_same_way(arguments, says, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "hessbench", *arguments], cwd=tmp_path, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, b"")
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_reader_that_has_had_enough_is_no_error_of_ours(tmp_path):
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "hessbench", "list"], stdout=writing, stderr=subprocess.PIPE, check=False
    )
    os.close(writing)
    assert b"Traceback" not in done.stderr
    assert b"hessbench:" not in done.stderr
