"""A function from a notebook: forked from a process that has computed in threads, or run in it where it cannot be."""

import os
import sys

import numpy as np
import pytest
import torch

from hessbench import Estimate, Problem, Trace, evaluate

MATRIX = np.diag(np.arange(1.0, 41.0))
pytestmark = pytest.mark.usefixtures("ready_to_count")


@pytest.fixture
def busy_threads():
    """The thread pools of the tensor and array libraries, used, as a notebook leaves them."""
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    big = torch.randn(1200, 1200)
    assert float((big @ big).isfinite().all())
    assert np.isfinite(np.linalg.eigvalsh(big.numpy()[:400, :400])).all()
    yield
    torch.set_num_threads(threads)


def test_a_closure_is_evaluated_in_forks_of_a_process_with_busy_threads(busy_threads, marked):
    seen = {"calls": 0}
    here = os.getpid()

    def mine(op, /, *, num_matvecs, generator):
        seen["calls"] += 1
        assert os.getpid() != here
        probes = torch.randn(op.dim, num_matvecs, generator=generator, dtype=op.dtype)
        return Estimate(float((probes * op.matmat(probes)).sum() / num_matvecs))

    # The reference of a larger problem solves a dense eigenproblem, which would use the threads.
    wide = Problem.of("wide", np.cov(np.random.default_rng(0).standard_normal((600, 900))))
    frame = evaluate(mine, Trace, problems=[Problem.of("own", MATRIX), wide], against=["hutchinson"],
                     num_matvecs=(8, 16), repeats=2, timeout_s=60.0, rows="all")  # fmt: skip
    ends = frame[(frame.kind == "terminal") & (frame["pass"] == "time")]
    assert set(ends.status) == {"ok"}, list(ends.reason)
    assert sorted(ends.groupby("method").size()) == [4, 8]
    assert ends.error.notna().all()
    assert seen["calls"] == 0, "it ran in another process"


def test_a_closure_that_hangs_or_dies_costs_only_its_cells(busy_threads, marked):
    def dies(op, /, *, num_matvecs, generator):
        os._exit(7)

    frame = evaluate(dies, Trace, problems=[Problem.of("own", MATRIX)], against=["hutchinson"],
                     num_matvecs=(8,), repeats=1, timeout_s=60.0, rows="all")  # fmt: skip
    ends = frame[(frame.kind == "terminal") & (frame["pass"] == "time")].set_index("method")
    assert ends.status.to_dict() == {"dies": "crash", "hutchinson": "ok"}
    assert "exit code 7" in ends.reason["dies"]


def test_where_nothing_can_be_forked_cells_run_here_with_nulls_and_notes(busy_threads, monkeypatch):
    monkeypatch.setattr(sys.modules["hessbench.running.notebook"], "can_fork", lambda: False)
    threads = torch.get_num_threads()
    calls = []

    def mine(op, /, *, num_matvecs, generator):
        calls.append(os.getpid())
        if num_matvecs == 16:
            raise RuntimeError("only small budgets")
        probes = torch.randn(op.dim, num_matvecs, generator=generator, dtype=op.dtype)
        return Estimate(float((probes * op.matmat(probes)).sum() / num_matvecs))

    frame = evaluate(mine, Trace, problems=[Problem.of("own", MATRIX)], num_matvecs=(8, 16), repeats=1)
    ends = frame[frame.kind == "terminal"].set_index("budget")
    assert calls == [os.getpid()] * 3, "one of them is the try on a tiny matrix"
    assert ends.status.to_dict() == {8: "ok", 16: "error"}
    assert ends.error.notna().to_dict() == {8: True, 16: False}
    assert ends.host_peak_bytes.isna().all()
    assert ends.notes.str.contains("could not be forked").all()
    assert set(frame["pass"]) == {"time"}
    assert torch.get_num_threads() == threads


def test_a_reference_that_raises_costs_only_the_errors_where_nothing_can_be_forked(monkeypatch):
    monkeypatch.setattr(sys.modules["hessbench.running.notebook"], "can_fork", lambda: False)

    def refuses(_):
        raise RuntimeError("no truth today")

    own = Problem.of("own", MATRIX)
    untold = Problem("untold", own.dim, own.build, references={Trace: refuses})
    frame = evaluate(_constant, Trace, problems=[untold], num_matvecs=(8,), repeats=1)
    (end,) = frame[frame.kind == "terminal"].to_dict("records")
    assert end["status"] == "ok"
    assert "no truth today" in end["notes"]


def _constant(op, /, *, num_matvecs, generator):
    return Estimate(float(op.dim))
