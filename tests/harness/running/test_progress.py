"""Progress: a bar on a terminal, plain lines elsewhere, nothing when silent."""

import io

import pytest
from rich.console import Console

from hessbench.running import progress
from hessbench.running.progress import Bar, Lines, Silent, reporter


def console(terminal=False):
    return Console(file=io.StringIO(), force_terminal=terminal, width=200, _environ={"TERM": "xterm"})


def tell(told, failures=()):
    told.phase("building references")
    told.begin(3)
    for cell in ("a", "b[k=1]", "c"):
        told.running(cell, 5, 20)
        told.finished(cell, "error" if cell in failures else "ok", cell in failures)
    told.close()


def test_a_terminal_gets_a_bar_and_a_file_gets_lines():
    bar = reporter(console(terminal=True))
    assert isinstance(bar, Bar)
    bar.close()
    assert isinstance(reporter(console()), Lines)


def test_lines_say_the_phase_the_total_every_failure_and_the_end():
    out = console()
    tell(Lines(out), failures=("b[k=1]",))
    assert out.file.getvalue().splitlines() == [
        "building references",
        "3 cells to run",
        "b[k=1]: error",
        "3 of 3 cells done, 2 ok, 1 error, about 0 s left",
    ]


def test_lines_come_at_most_every_ten_seconds(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    out = console()
    lines = Lines(out)
    lines.begin(100)
    for second in range(1, 41):
        now[0] = float(second)
        lines.running("cell", second, 1000)
        lines.finished("cell", "ok", False)
    said = out.file.getvalue().splitlines()[1:]
    assert len(said) == 3
    assert "at cell: 11 of 1000 products" in said[0]
    assert said[2].startswith("32 of 100 cells done, 32 ok, about ")


def test_what_is_left_is_told_from_what_is_done(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    out = console()
    lines = Lines(out)
    lines.begin(4)
    now[0] = 30.0
    lines.finished("cell", "ok", False)
    assert out.file.getvalue().splitlines()[-1] == "1 of 4 cells done, 1 ok, about 90 s left"


def test_the_bar_counts_cells_and_failures():
    out = console(terminal=True)
    tell(Bar(out), failures=("a", "c"))
    text = out.file.getvalue()
    assert "3/3" in text
    assert "1 ok, 2 error" in text


def test_markup_in_a_cell_is_shown_as_it_is():
    out = console()
    Lines(out).finished("m[bold]x[/bold]", "crash", True)
    assert "m[bold]x[/bold]: crash" in out.file.getvalue()


def test_cells_over_budget_are_no_failure_and_are_counted():
    out = console()
    lines = Lines(out)
    lines.begin(3)
    for status in ("ok: ", "over-budget: asked for 12 products of 10", "timeout: 60 s"):
        lines.finished("cell", status, status.startswith("timeout"))
    assert out.file.getvalue().splitlines()[-1] == ("3 of 3 cells done, 1 ok, 1 over-budget, 1 timeout, about 0 s left")


@pytest.mark.parametrize("kind", [Silent])
def test_silence_says_nothing(kind, capsys):
    tell(kind())
    assert capsys.readouterr() == ("", "")
