"""A function from a notebook: tried before anything costs, one row for each answer, kept where that is asked."""

import sys
import types

import numpy as np
import pytest
import torch

from hessbench import Estimate, Ledger, Method, Problem, TopEigenvalues, Trace, evaluate
from hessbench.estimand.base import Reference, Source
from hessbench.running import notebook_progress
from hessbench.running.notebook_progress import ReplacedLine, reporter_here
from hessbench.running.progress import Bar, Silent

MATRIX = np.diag(np.arange(1.0, 41.0))
pytestmark = pytest.mark.usefixtures("ready_to_count")


def good(op, /, *, num_matvecs, generator):
    probes = torch.randn(op.dim, num_matvecs, generator=generator, dtype=op.dtype)
    return Estimate(float((probes * (op @ probes)).sum() / num_matvecs))


@pytest.fixture
def costly(tmp_path):
    """A problem whose reference leaves a mark when it is made."""
    mark = tmp_path / "made"

    def answer(_):
        mark.touch()
        return Reference({"trace": np.array([820.0]), "abs_sum": np.array([820.0])}, Source.DENSE, 40.0)

    own = Problem.of("own", MATRIX)
    return Problem("costly", 40, own.build, {Trace: answer}, fingerprint=lambda: str(tmp_path)), mark


def test_a_typo_is_said_before_a_reference_is_made(costly):
    problem, mark = costly

    def typo(op, /, *, num_matvecs, generator):
        return Estimate(trase(op))  # noqa: F821 -- the typo

    with pytest.raises(ValueError, match=r"dimension 128 with 8 products: NameError: .*'trase'"):
        evaluate(typo, Trace, problems=[problem], num_matvecs=(8, 16))
    assert not mark.exists()


def test_the_name_of_a_method_is_no_function():
    with pytest.raises(ValueError, match="a Method is accepted, got 'hutchpp'"):
        evaluate("hutchpp", Trace)


def test_a_number_in_place_of_an_estimate_is_said_at_once(costly):
    problem, mark = costly
    with pytest.raises(ValueError, match="a method returns or yields Estimate, got float"):
        evaluate(lambda op, /, *, num_matvecs, generator: 1.0, Trace, problems=[problem], num_matvecs=(8,))
    assert not mark.exists()


def test_what_may_be_about_the_tiny_matrix_is_left_to_the_rows(costly):
    problem, mark = costly

    def picky(op, /, *, num_matvecs, generator):
        if op.dim != 40:
            raise ValueError("only 40 will do")
        return good(op, num_matvecs=num_matvecs, generator=generator)

    frame = evaluate(picky, Trace, problems=[problem], num_matvecs=(8,), repeats=1)
    assert list(frame.status) == ["ok"]
    assert mark.exists()


def test_what_the_tiny_matrix_is_no_case_for_is_not_tried():
    method = Method(name="wants-a-network", run=good, estimands=(Trace,), requires=("network",))
    frame = evaluate(method, Trace, problems=[Problem.of("own", MATRIX)], num_matvecs=(8,), repeats=1)
    assert list(frame.status) == ["skipped"]
    assert "requires the trait 'network'" in frame.reason[0]
    with pytest.raises(ValueError, match="k"):
        evaluate(good, TopEigenvalues(500), problems=[Problem.of("own", MATRIX)], num_matvecs=(8,))


def test_a_frame_has_one_row_for_each_answer():
    own = Problem.of("own", MATRIX)
    frame = evaluate(good, Trace, problems=[own], against=["hutchinson", "slq"], num_matvecs=(20, 40), repeats=2)
    answers = frame[["problem", "method", "repeat", "budget"]]
    assert len(frame) == len(answers.drop_duplicates()) == 3 * 2 * 2
    assert set(frame.estimand) == {"trace"}
    assert set(frame["pass"]) == {"time"}
    assert frame.error.notna().all()
    assert frame.build_s.notna().all()
    assert frame[frame.budget == 40].host_peak_bytes.notna().all()
    assert set(frame.status) == {"ok"}
    assert sorted(frame[frame.kind == "terminal"].budget.unique()) == [20, 40]


def test_a_cell_that_fails_has_its_row_and_its_reason():
    def fails(op, /, *, num_matvecs, generator):
        if num_matvecs == 16:
            raise RuntimeError("only small budgets")
        return good(op, num_matvecs=num_matvecs, generator=generator)

    frame = evaluate(fails, Trace, problems=[Problem.of("own", MATRIX)], num_matvecs=(8, 16), repeats=1)
    ended = frame.set_index("budget")
    assert ended.status.to_dict() == {8: "ok", 16: "error"}
    assert "only small budgets" in ended.reason[16]


def test_all_rows_are_those_of_the_ledger(tmp_path):
    own = Problem.of("own", MATRIX)
    frame = evaluate(good, Trace, problems=[own], num_matvecs=(8,), repeats=1, out=tmp_path / "kept", rows="all")
    assert sorted(zip(frame.kind, frame["pass"], strict=True)) == sorted(
        (kind, pass_) for kind in ("checkpoint", "terminal") for pass_ in ("time", "memory")
    )
    assert len(Ledger.read(tmp_path / "kept").records) == len(frame)


def test_what_is_kept_is_resumed_and_a_frame_holds_what_was_asked_now(tmp_path):
    own, out = Problem.of("own", MATRIX), tmp_path / "kept"
    first = evaluate(good, Trace, problems=[own], num_matvecs=(8,), repeats=1, out=out)
    more = evaluate(good, Trace, problems=[own], num_matvecs=(8, 16), repeats=1, out=out)
    assert list(more[more.budget == 8].time) == list(first.time)
    again = evaluate(good, Trace, problems=[own], num_matvecs=(8,), repeats=1, out=out)
    assert list(again.time) == list(first.time)


@pytest.mark.parametrize("rows", ["answer", "", None])
def test_what_rows_are_is_one_of_two(rows):
    with pytest.raises(ValueError, match="rows takes one of answers, all"):
        evaluate(good, Trace, rows=rows)


class Shown:
    """What stands for IPython: what is displayed, and what a displayed line was replaced by."""

    def __init__(self):
        self.lines = []

    def display(self, text, display_id=False):
        self.lines.append(repr(text))
        place = len(self.lines) - 1
        handle = types.SimpleNamespace(update=lambda text: self.lines.__setitem__(place, repr(text)))
        return handle if display_id else None


def test_a_notebook_shows_one_line_and_every_failure(monkeypatch):
    monkeypatch.setattr(notebook_progress, "_EVERY_S", 0.0)
    shown = Shown()
    line = ReplacedLine(shown.display)
    line.phase("references of own: trace")
    line.reference("trace of own", 0.5, 10.0)
    assert shown.lines == ["references: trace of own, 50 %, about 10 s left"]
    line.begin(2)
    line.left(90.0)
    line.running("own mine", 3, 10)
    assert "0 of 2 cells done, 0 ok, 0 s so far, about 90 s left, at own mine: 3 of 10 products" in shown.lines
    line.finished("own mine", "error: NameError", failed=True)
    line.finished("own other", "ok: ", failed=False)
    line.close()
    assert shown.lines == ["2 of 2 cells done, 1 ok, 1 error, in 0 s", "own mine: error: NameError"]


def test_progress_shows_in_a_notebook_and_on_a_terminal_and_nowhere_else(monkeypatch):
    monkeypatch.setattr(notebook_progress.Console, "is_terminal", property(lambda self: False))
    assert isinstance(reporter_here(), Silent)
    monkeypatch.setattr(notebook_progress.Console, "is_terminal", property(lambda self: True))
    bar = reporter_here()
    assert isinstance(bar, Bar)
    bar.close()
    shell = types.SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.setitem(sys.modules, "IPython.display", types.SimpleNamespace(display=Shown().display))
    assert isinstance(reporter_here(), ReplacedLine)
    del shell.kernel
    again = reporter_here()
    assert isinstance(again, Bar), "IPython on a terminal is a terminal"
    again.close()
