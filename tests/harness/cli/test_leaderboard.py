"""The verb: what is published is shown and replayed, a method of one's own finds its place, and what is refused."""

import pytest
from click.testing import CliRunner
from planted_runs import planted_run, tiny_suite, tiny_text

from hessbench.cli import main
from hessbench.running import frozen, publishing
from hessbench.running.frozen import suite_hash

PLUGIN = """
import torch
from hessbench import Diagonal, Estimate, Method, Trace


def sphere(op, /, *, num_matvecs, generator):
    total = 0.0
    for done in range(1, num_matvecs + 1):
        probe = torch.randn(op.dim, 1, generator=generator, dtype=op.dtype, device=op.device)
        probe *= op.dim**0.5 / probe.norm()
        total = total + (probe * (op @ probe)).sum()
        yield Estimate(total / done)


def breaks(op, /, *, num_matvecs, generator):
    raise ValueError("it breaks")


METHODS = [
    Method("sphere", sphere, (Trace,)), Method("breaks", breaks, (Trace,)), Method("entries", sphere, (Diagonal,)),
]
"""


@pytest.fixture(scope="module")
def plugin(tmp_path_factory):
    file = tmp_path_factory.mktemp("plugin") / "mine.py"
    file.write_text(PLUGIN)
    return str(file)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return str(planted_run(tmp_path_factory.mktemp("run") / "tiny"))


@pytest.fixture
def call(tmp_path, monkeypatch):
    """Runs the verb in an empty folder, where the suite of two matrices ships; gives code, output and what is said."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "400")
    monkeypatch.setattr(publishing, "shipped_suite", lambda label: (tiny_suite(), tiny_text()))
    monkeypatch.setitem(frozen.FROZEN, "tiny-1", suite_hash(tiny_suite()))

    def called(*arguments):
        done = CliRunner().invoke(main, ["leaderboard", *arguments])
        return done.exit_code, done.stdout, done.stderr

    return called


@pytest.fixture
def ledgers(call, run):
    assert call("--publish", run, "--out", "ledgers")[1].startswith("ledgers/tiny-1: 22 cells of tiny-1, in 1 file")
    return "ledgers"


def test_it_shows_what_is_published(call, ledgers, tmp_path):
    code, said, _ = call(ledgers)
    assert code == 0
    assert "hutchpp; next hutchinson at 2.00" in said
    assert (tmp_path / "runs/leaderboard/index.html").is_file()
    for format_ in ("markdown", "csv", "html"):
        code, text, _ = call(f"{ledgers}/tiny-1", "--format", format_, "--estimand", "trace", "--suite", "tiny")
        assert code == 0
        assert "hessbench replay ledgers/tiny-1" in text.replace("\\", "")
    assert call(ledgers, "--format", "csv", "--out", "page")[0] == 0
    assert (tmp_path / "page/leaderboard.csv").is_file()


def test_what_cannot_be_read_is_said_and_others_are_shown(call, ledgers, tmp_path):
    other = tmp_path / ledgers / "torn"
    other.mkdir()
    (other / "ledger.json").write_text("{")
    code, said, log = call(ledgers)
    assert code == 0
    assert "hutchpp" in said
    assert log == "left out: the published ledger torn: its ledger.json is torn or no JSON\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("nowhere",), "folder must be a published ledger, or hold such folders, nowhere does not"),
        (("--publish", "{run}", "--method", "x"), "--publish takes --out alone beside it"),
        (("--publish", "{run}", "--out", "ledgers"), "a published ledger never changes"),
        (("--publish", "ledgers/tiny-1/none"), "holds no ledger"),
        (("ledgers", "--plan"), "name it with --method"),
        (("ledgers", "--suite", "quick"), "no ledger of the suite 'quick' is published here; there are: tiny-1"),
        (("ledgers", "--estimand", "density"), "nothing is to be shown"),
        (("ledgers", "--method", "none.py"), "plugin file none.py does not exist"),
        (
            ("ledgers", "--method", "{plugin}"),
            "name the method as well, as in mine.py:sphere; it lists: sphere, breaks",
        ),
        (("ledgers", "--method", "{plugin}:other"), "mine.py lists no method 'other'"),
        (("ledgers", "--method", "nothing"), "unknown method 'nothing'"),
        (("ledgers", "--method", "{plugin}:entries"), "entries answers diagonal; the suite tiny-1 asks for trace"),
        (("ledgers", "--method", "{plugin}:sphere", "--estimand", "density"), "asks for nothing of that name"),
        (("ledgers", "--method", "{plugin}:sphere", "--timeout", "soon"), "a time such as 10s"),
        (("ledgers", "--method", "{plugin}:sphere", "--out", "{plugin}"), "out must be a folder, mine.py is a file"),
        (("ledgers", "--format", "latex"), "'latex'"),
    ],
)
@pytest.mark.usefixtures("ledgers")
def test_bad_input_is_refused_in_a_sentence(arguments, says, call, run, plugin):
    code, _, said = call(*(it.format(run=run, plugin=plugin) for it in arguments))
    assert code == 2
    assert says in said
    assert len(said.splitlines()) == 1


def test_without_ledgers_it_says_where_they_come_from(call, monkeypatch):
    from hessbench.cli import leaderboard_verb

    monkeypatch.setattr(leaderboard_verb, "_checkout", list)
    code, _, said = call()
    assert (code, "`hessbench leaderboard --publish RUN` makes one" in said) == (2, True)


@pytest.mark.slow
def test_one_command_runs_a_method_and_says_its_place_and_resumes(call, ledgers, plugin, tmp_path):
    code, said, log = call(ledgers, "--method", f"{plugin}:sphere", "--out", "mine")
    assert code == 0, log
    assert "at 12 products" in said
    assert "3 of 3; hutchpp has 0.25 %" in said
    assert "in all" in log
    assert "6 run (6 ok)" in log
    page = (tmp_path / "mine/index.html").read_text()
    assert "sphere</code>" in page or "not reached: sphere" in page
    command = page.partition("hessbench replay mine/")[2].partition("<")[0].split()
    assert CliRunner().invoke(main, ["replay", f"mine/{command[0]}", *command[1:]]).exit_code == 0
    code, again, log = call(ledgers, "--method", f"{plugin}:sphere", "--out", "mine")
    assert (code, again) == (0, said)
    assert "6 kept" in log


@pytest.mark.slow
def test_an_entry_is_replayed_from_the_published_rows_alone(call, monkeypatch, tmp_path):
    from hessbench.running.runner import Options, run

    run(tiny_suite(), tmp_path / "run", Options(ladders=False))
    assert call("--publish", "run", "--out", "ledgers")[0] == 0
    monkeypatch.setenv("HESSBENCH_CACHE", str(tmp_path / "empty"))
    _, text, _ = call("ledgers", "--format", "csv")
    commands = [line.rpartition("hessbench replay ")[2].split() for line in text.splitlines() if "replay " in line]
    assert len(commands) == 4
    assert {folder for folder, _ in commands} == {"ledgers/tiny-1"}
    (file,) = (tmp_path / "ledgers/tiny-1").glob("*.xz")
    done = CliRunner().invoke(main, ["replay", str(file), commands[0][1]])
    assert done.exit_code == 0, done.output
    assert "errors on the way" in done.output
    assert sorted(it.name for it in (tmp_path / "ledgers/tiny-1").iterdir()) == ["ledger.json", file.name, "suite.toml"]
