"""Progress: a bar on a terminal, plain lines elsewhere, nothing when silent."""

import io

import pytest
from rich.console import Console

from hessbench.running import progress
from hessbench.running.progress import Bar, Lines, Silent, duration, of_reference, reporter


def console(terminal=False):
    return Console(file=io.StringIO(), force_terminal=terminal, width=200, _environ={"TERM": "xterm"})


def tell(told, failures=()):
    told.phase("building references")
    told.reference("trace of a", 0.4, 12.0)
    told.begin(3)
    for cell in ("a", "b[k=1]", "c"):
        told.left(None if cell == "a" else 90.0)
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
        "3 of 3 cells done, 2 ok, 1 error, in 0 s",
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
    assert said[2].startswith("32 of 100 cells done, 32 ok, 33 s so far, ")


def test_what_went_and_what_is_left_are_told_apart(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    out = console()
    lines = Lines(out)
    lines.begin(4)
    now[0] = 30.0
    lines.finished("cell", "ok", False)
    lines.left(390.0)
    now[0] = 60.0
    lines.running("cell", 3, 10)
    assert out.file.getvalue().splitlines()[1:] == [
        "1 of 4 cells done, 1 ok, 30 s so far, time left not known yet",
        "1 of 4 cells done, 1 ok, 60 s so far, about 6.5 min left, at cell: 3 of 10 products",
    ]


def test_a_reference_tells_its_part_and_what_is_left_of_it():
    assert of_reference("trace of mlp", 0.4, 12.0) == "references: trace of mlp, 40 %, about 18 s left"
    assert of_reference("trace of mlp", 0.0, 12.0) == "references: trace of mlp, 12 s so far"


def test_long_references_are_told_of_every_ten_seconds(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    out = console()
    lines = Lines(out)
    for second in range(31):
        now[0] = float(second)
        lines.reference("trace of mlp", second / 100, second)
    assert out.file.getvalue().splitlines() == [
        "references: trace of mlp, 11 %, about 89 s left",
        "references: trace of mlp, 22 %, about 78 s left",
    ]


@pytest.mark.parametrize(("seconds", "text"), [
    (0.2, "0 s"), (37, "37 s"), (99, "99 s"), (100, "1.7 min"), (390, "6.5 min"), (1500, "25 min"), (7560, "2.1 h"),
])  # fmt: skip
def test_times_are_told_as_people_say_them(seconds, text):
    assert duration(seconds) == text


def test_the_bar_counts_cells_and_failures():
    out = console(terminal=True)
    tell(Bar(out), failures=("a", "c"))
    text = out.file.getvalue()
    assert "3/3" in text
    assert "1 ok, 2 error" in text
    assert "left" not in text.splitlines()[-1]


def test_the_bar_tells_what_went_and_what_is_left_apart():
    out = console(terminal=True)
    bar = Bar(out)
    bar.begin(2)
    bar.left(90.0)
    bar.close()
    assert "so far, about 90 s left" in out.file.getvalue()


def test_the_bar_says_why_a_cell_failed():
    out = console(terminal=True)
    bar = Bar(out)
    bar.begin(1)
    bar.finished("mlp slq", "error: NameError: name 'np' is not defined", True)
    bar.close()
    assert "mlp slq: error: NameError: name 'np' is not defined" in out.file.getvalue()


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
    assert out.file.getvalue().splitlines()[-1] == ("3 of 3 cells done, 1 ok, 1 over-budget, 1 timeout, in 0 s")


@pytest.mark.parametrize("kind", [Silent])
def test_silence_says_nothing(kind, capsys):
    tell(kind())
    assert capsys.readouterr() == ("", "")
