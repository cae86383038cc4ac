"""The leaderboard in its formats: a page with its CSV, Markdown, and lines for a terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console

from hessbench.ledger.answering.words import percent
from hessbench.reports.answers.words import error_text
from hessbench.reports.leaderboard.gathering import Gathered
from hessbench.reports.leaderboard.lines import (
    LEDGER_HEADS,
    PLACE_HEADS,
    SUMMARY_HEADS,
    TIME_NOTE,
    conditions_text,
    cost_text,
    entry_text,
    frame,
    known_text,
    ledger_rows,
    place_row,
    place_text,
    summary_rows,
)
from hessbench.reports.leaderboard.own_place import OwnPlace, own_places
from hessbench.reports.leaderboard.problem_classes import PROBLEM_CLASSES
from hessbench.reports.leaderboard.standings import COSTS, WITHIN, ClassStanding, QuestionStanding, standings
from hessbench.reports.writing.escaping import clean, file_stem, markdown
from hessbench.reports.writing.folders import claim_page_folder, page_folder, templates, write_text
from hessbench.reports.writing.sheets import to_csv
from hessbench.reports.writing.terminal import print_table

_KIND: Final = "leaderboard"
_MARK: Final = "<title>Leaderboard of curvature estimators"


@dataclass(frozen=True)
class Board:
    """Everything that is shown.

    Attributes:
        gathered: The rows.
        classes: Everyone's standing.
        own: The places of one's own methods.
        command: Command line that made it.
    """

    gathered: Gathered
    classes: tuple[ClassStanding, ...]
    own: tuple[OwnPlace, ...]
    command: str


@dataclass(frozen=True)
class _Line:
    """A method on a question, as the page shows it."""

    method: str
    costs: tuple[tuple[str, str], ...]
    error: str
    details: str
    command: str
    is_own: bool


def board(gathered: Gathered, command: str, asks: Callable[[str], bool]) -> Board:
    """Judge the rows.

    Args:
        gathered: The rows.
        command: Command line that made it.
        asks: Whether an estimand is shown.

    Raises:
        ValueError: If nothing is left to show.
    """
    classes = standings(gathered, asks)
    if not classes:
        raise ValueError("nothing is to be shown: no published row answers an estimand that is asked for")
    return Board(gathered, classes, own_places(classes, gathered.records), command)


def claim_board_folder(out: str | Path) -> Path:
    """Make the folder of a page that is written later, so that a run may begin in it.

    Raises:
        ValueError: If `out` is a file, or a folder that holds something else.
    """
    return claim_page_folder(out, _KIND, _MARK)


def write_board(shown: Board, out: str | Path) -> Path:
    """Write the page and `leaderboard.csv` beside it; what else is in the folder stays.

    Returns:
        The page.

    Raises:
        ValueError: If `out` is a file, or a folder that holds something else.
        OSError: If it cannot be written.
    """
    with page_folder(out, _KIND, _MARK) as folder:
        write_text(folder / "leaderboard.csv", as_csv(shown))
        write_text(folder / "index.html", as_page(shown))
    return Path(out) / "index.html"


def as_page(shown: Board) -> str:
    """The page, one file."""
    names = {it.problem_class.name for it in shown.classes}
    estimands = list(dict.fromkeys(it.estimand for it in shown.classes))
    return templates().get_template("leaderboard.html").render(
        within=percent(WITHIN),
        costs=COSTS,
        time_note=TIME_NOTE,
        summary=(SUMMARY_HEADS, summary_rows(shown.classes)),
        ledgers=(LEDGER_HEADS, ledger_rows(shown.gathered.ledgers)),
        superseded=[it.description.suite for it in shown.gathered.superseded],
        classes=[it for it in PROBLEM_CLASSES if it.name in names],
        places=(PLACE_HEADS, [place_row(it) for it in shown.own]),
        sections=[
            (estimand, _anchor(estimand), [
                (it.problem_class.name + conditions_text(it, shown.classes),
                 [(question, _lines(question), _short(question)) for question in it.questions])
                for it in shown.classes if it.estimand == estimand
            ])
            for estimand in estimands
        ],
        command=clean(shown.command),
    )  # fmt: skip


def as_markdown(shown: Board) -> str:
    """Tables in GitHub's Markdown: the bests of the classes, one's own places, and how each best is replayed."""
    parts = [_table(SUMMARY_HEADS, summary_rows(shown.classes))]
    if shown.own:
        parts.append(_table(PLACE_HEADS, [place_row(it) for it in shown.own]))
    parts.append(_table(("Estimand", "Problem", "Best by products", "Replayed by"), best_rows(shown)))
    return "\n\n".join([*parts, markdown(TIME_NOTE), f"Made by {markdown(shown.command)}."]) + "\n"


def as_csv(shown: Board) -> str:
    """One row for each estimand, problem and method, with what replays it."""
    return to_csv(frame(shown.classes))


def print_board(shown: Board, console: Console) -> None:
    """Print one's own places, if there are any, else the best of every class."""
    if shown.own:
        rows = [place_row(it) for it in shown.own]
        print_table(console, PLACE_HEADS, [tuple(map(clean, row)) for row in rows], leads=2)
    else:
        rows = summary_rows(shown.classes)
        print_table(console, SUMMARY_HEADS, [tuple(map(clean, row)) for row in rows], leads=2, numbers=(2,))
    console.print(f"\n{TIME_NOTE}", markup=False, highlight=False)


def best_rows(shown: Board) -> list[tuple[str, ...]]:
    """The best by products on every question with what replays it."""
    return [
        (it.estimand, question.question.problem, first.entry.method, first.command)
        for it in shown.classes
        for question in it.questions
        for first in question.methods[:1]
        if first.places
    ]


BOARD_FORMATS: Final[Mapping[str, Callable[[Board], str]]] = {
    "markdown": as_markdown,
    "csv": as_csv,
    "html": as_page,
}
"""How the leaderboard is written as one text, by the name of the format."""


def _lines(question: QuestionStanding) -> list[_Line]:
    """Those that reached the tolerance."""
    return [
        _Line(
            method=it.entry.method,
            costs=tuple((cost_text(it.by[by], by), place_text(it, by)) for by in COSTS),
            error=error_text(it.entry),
            details=known_text(it),
            command=it.command,
            is_own=it.is_own,
        )
        for it in question.methods
        if it.entry in question.answered["products"].reached
    ]


def _short(question: QuestionStanding) -> list[tuple[str, str, bool]]:
    """Those that did not reach it: what is known, what replays it, and whether it is one's own."""
    reached = question.answered["products"].reached
    return [
        (entry_text(question, number), it.command, it.is_own)
        for number, it in enumerate(question.methods)
        if it.entry not in reached
    ]


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, [":---"] * len(heads), *([markdown(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _anchor(estimand: str) -> str:
    return file_stem(estimand)
