"""`hessbench advise`: of a small matrix, of a network of one's own, and what it refuses in one sentence."""

import pytest
from click.testing import CliRunner

from hessbench.cli import main
from hessbench.ledger.reading import Ledger

MATRIX = """
import numpy as np
from hessbench import Problem

basis = np.linalg.qr(np.random.default_rng(0).standard_normal((300, 300)))[0]
PROBLEMS = [Problem.of("mine", (basis / np.arange(1.0, 301)) @ basis.T, traits=("psd",))]
"""

NETWORK = """
import torch
from hessbench.problems import from_model

torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
PROBLEMS = [from_model(model, "cross-entropy", (torch.randn(40, 6), torch.randint(0, 3, (40,))), operator="ggn",
                       name="my-network")]
"""


def run(*arguments):
    return CliRunner().invoke(main, ["advise", *arguments])


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HESSBENCH_CACHE", str(tmp_path / "cache"))
    (tmp_path / "matrix.py").write_text(MATRIX)
    (tmp_path / "network.py").write_text(NETWORK)
    return tmp_path


def headings(output):
    return [line for line in output.splitlines() if line in
            ("Price", "Pilot", "Recommendation", "Evidence", "Promise", "Answer")]  # fmt: skip


@pytest.mark.slow
def test_the_price_comes_first_and_the_promise_is_kept(here):
    asked = ["matrix.py", "--estimand", "top-eigenvalues[k=3]", "--within", "1%", "--budget", "2min", "--out", "run"]
    done = run(*asked, "--go")
    assert done.exit_code == 0, done.output
    assert headings(done.stdout) == ["Price", "Pilot", "Recommendation", "Evidence", "Promise", "Answer"]
    assert "The promise held" in done.stdout
    assert "eigenvalues 1," in done.stdout or "eigenvalues 0.99" in done.stdout or "eigenvalues 1.0" in done.stdout
    ledger = Ledger.read(here / "run")
    assert {record.status.value for record in ledger.terminals.values()} == {"ok"}
    # The answer is from a start of its own.
    assert max(record.repeat for record in ledger.terminals.values()) >= 100
    cells = set(ledger.terminals)
    again = run(*asked, "--go")
    assert again.exit_code == 0
    assert cells <= set(Ledger.read(here / "run").terminals)


@pytest.mark.slow
def test_a_network_of_ones_own_is_answered_by_its_rows(here):
    done = run("network.py", "--estimand", "diagonal", "--within", "5%", "--budget", "1min", "--go")
    assert done.exit_code == 0, done.output
    assert "No method can know its own error of a diagonal: nothing is promised" in done.stdout
    assert "Nothing was promised of its error." in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["matrix.py", "--estimand", "nope", "--within", "1%"], "unknown estimand 'nope'"),
        (
            ["matrix.py", "--estimand", "solve[damping=1]", "--within", "1%"],
            "estimand must be one that advice",
        ),
        (["matrix.py", "--estimand", "trace", "--within", "0"], "within takes shares above 0"),
        (["matrix.py", "--estimand", "trace", "--within", "1%,2%"], "within takes one share"),
        (["matrix.py", "--estimand", "trace", "--within", "200%"], "within takes one share"),
        (["matrix.py", "--estimand", "trace", "--within", "1%", "--pilot", "0"], "pilot takes a share"),
        (["matrix.py", "--estimand", "trace", "--within", "1%", "--budget", "none"], "budget takes a time"),
        (["matrix.py", "--estimand", "trace", "--within", "1%", "--memory", "4"], "a size such as 500MiB"),
        (["matrix.py:other", "--estimand", "trace", "--within", "1%"], "lists no problem 'other'"),
        (["empty.py", "--estimand", "trace", "--within", "1%"], "defines neither METHODS"),
        (["matrix.py", "--within", "1%"], "Missing option '--estimand'"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(arguments, said, here, capfd):
    (here / "empty.py").write_text("")
    with pytest.raises(SystemExit) as end:
        main(["advise", *arguments], prog_name="hessbench")
    lines = capfd.readouterr().err.splitlines()
    assert end.value.code == 2
    assert len(lines) == 1
    assert said in lines[0]


@pytest.mark.slow
def test_a_budget_or_a_memory_that_holds_nothing_names_the_least(here):
    short = run("matrix.py", "--estimand", "trace", "--within", "1%", "--budget", "0.001s")
    assert short.exit_code == 2
    assert "budget must be at least" in short.stderr.splitlines()[-1]
