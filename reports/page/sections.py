"""The sections of a page: one per problem and estimand, with its lines by budget and the cells behind each."""

from __future__ import annotations

import dataclasses
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from hessbench.ledger.answering import Answered
from hessbench.ledger.grouping import Answer, Key
from hessbench.ledger.shown_errors import error_definition, shown_error, shown_name
from hessbench.ledger.spreads import Spread
from hessbench.reports.costs.lines import CostLine, at_largest
from hessbench.reports.costs.shown_names import where
from hessbench.reports.costs.tables import COLUMNS, reasons, seconds
from hessbench.reports.page.answer_cells import QuestionShown, shown_questions
from hessbench.reports.page.comparison import FrontShown
from hessbench.reports.page.pictures import Pictures
from hessbench.reports.page.side_by_side import ErrorsShown, errors_side_by_side
from hessbench.reports.writing.escaping import short_hash
from hessbench.reports.writing.sheets import Column, Sheet, lay_out

FIRST: Final = ("method", "budget", "error", "seconds", "matvecs", "peak_bytes")
"""Columns a table shows at once; the others come with all columns."""
_FIRST_COLUMNS: Final = tuple(column for column in COLUMNS if column.field in FIRST)
Place: TypeAlias = tuple[str, str, str]
"""Name and hash of a problem, and an estimand."""


@dataclass(frozen=True)
class RowShown:
    """What the script needs of a row beside its cells: the method by its place on the page, and whether it is first."""

    method: int
    budget: int
    is_largest: bool
    is_fine: bool


@dataclass(frozen=True)
class Section:
    """One problem and one estimand.

    Attributes:
        anchor: Its id.
        problem: Name to show.
        estimand: Spec.
        conditions: Size, device, dtype and threads.
        definition: What the error is, in one sentence.
        questions: The answers, one per set of conditions.
        sheet: The table.
        rows: Beside each row of it, what the script needs.
        pictures: The figures; None where nothing is scored.
        cells: The ids of the cells, and by row and repeat what the row was made from.
        errors: Several errors side by side; None where the estimand has one to show.
        fronts: Pareto fronts, one per set of conditions.
    """

    anchor: str
    problem: str
    estimand: str
    conditions: str
    definition: str
    questions: tuple[QuestionShown, ...]
    sheet: Sheet
    rows: tuple[RowShown, ...]
    pictures: Pictures | None = None
    cells: tuple[list[str], list[Any]] = field(default=([], []))
    errors: ErrorsShown | None = None
    fronts: tuple[FrontShown, ...] = ()

    @property
    def title(self) -> str:
        """Problem and estimand."""
        return f"{self.problem}: {self.estimand}"


def sections(
    every: Sequence[CostLine],
    answered: Sequence[Answered],
    pictures: Mapping[Place, Pictures],
    fronts: Mapping[Place, tuple[FrontShown, ...]],
    methods: Sequence[str],
    *,
    every_column: bool = True,
) -> tuple[Section, ...]:
    """The sections, by problem and estimand; in each table the least error comes first.

    Args:
        every: Lines at every budget.
        answered: Answers to every question at every tolerance.
        pictures: Figures by place.
        fronts: Pareto fronts by place.
        methods: Specs of all methods, to which rows refer by place.
        every_column: Whether tables have more than the first columns.
    """
    groups: dict[Place, list[CostLine]] = defaultdict(list)
    for line in every:
        groups[line.problem, line.key.problem_hash, line.key.estimand].append(line)
    asked: dict[tuple[str, str], list[Answered]] = defaultdict(list)
    for one in answered:
        asked[one.question.problem_hash or one.question.problem_spec, one.question.estimand].append(one)
    places = {method: place for place, method in enumerate(methods)}
    made: list[Section] = []
    for place, lines in sorted(groups.items()):
        _, problem_hash, estimand = place
        known = asked.get((problem_hash or lines[0].key.problem, estimand), [])
        section = _section(place, lines, known, pictures.get(place), places, every_column)
        made.append(dataclasses.replace(section, fronts=fronts.get(place, ())))
    return tuple(made)


def _section(
    place: Place,
    lines: Sequence[CostLine],
    answered: Sequence[Answered],
    pictures: Pictures | None,
    places: Mapping[str, int],
    every_column: bool,
) -> Section:
    problem, _, estimand = place
    at_most = at_largest(lines)
    largest = {id(line) for line in at_most}
    ordered = sorted(lines, key=_order)
    conditions = dict.fromkeys(f"n = {line.dim:,}, {where(line.key)}" for line in lines)
    sheet = lay_out(_columns(lines) if every_column else _FIRST_COLUMNS, ordered, reasons)
    if len(conditions) > 1:
        sheet = _with_conditions(sheet, ordered)
    name = shown_name(answer.row for line in lines for answer in line.answers)
    rows = tuple(
        RowShown(places[line.key.method], line.budget, id(line) in largest, set(line.statuses) <= {"ok"})
        for line in ordered
    )
    return Section(
        anchor=f"s-{short_hash(*place)}",
        problem=problem,
        estimand=estimand,
        conditions="; ".join(conditions),
        definition=error_definition(estimand, name).sentence,
        questions=shown_questions(answered, places),
        sheet=sheet,
        rows=rows,
        pictures=pictures,
        cells=_cells(ordered),
        errors=errors_side_by_side(estimand, at_most, places),
    )


def _columns(lines: Sequence[CostLine]) -> tuple[Column[CostLine], ...]:
    """The columns that say something here: a line on the host has one peak."""
    left_out = {"problem", "estimand"}
    if all(line.key.device == "cpu" for line in lines):
        left_out |= {"host_peak_bytes", "device_peak_bytes"}
    return tuple(column for column in COLUMNS if column.field not in left_out)


def _order(line: CostLine) -> tuple[float, float, str, int, Key]:
    """Least error first, then least time; what has none comes last."""
    return _or_last(line.error), _or_last(seconds(line)), line.method, line.budget, line.key


def _with_conditions(sheet: Sheet, lines: Iterable[CostLine]) -> Sheet:
    """The table with size, device, dtype and threads under each method, where they differ."""
    rows: list[Any] = []
    for row, line in zip(sheet.rows, lines, strict=True):
        method, *others = row
        text = ", ".join(filter(None, (where(line.key), method.detail)))
        rows.append((dataclasses.replace(method, detail=text), *others))
    return Sheet(sheet.columns, tuple(rows), sheet.notes)


def _cells(lines: Sequence[CostLine]) -> tuple[list[str], list[Any]]:
    """The ids of all cells, and for each line repeat, id by its place, error, seconds, products and how it ended."""
    ids = {answer.row.cell: 0 for line in lines for answer in line.answers}
    places = {cell: place for place, cell in enumerate(ids)}
    return list(ids), [[_cell(answer, places) for answer in line.answers] for line in lines]


def _cell(answer: Answer, places: Mapping[str, int]) -> list[Any]:
    """One cell, rounded as it is read."""
    took = None if answer.build_s is None or answer.wall_s is None else answer.build_s + answer.wall_s
    ended = answer.terminal.status.value
    return [
        answer.row.repeat,
        places[answer.row.cell],
        _short(shown_error(answer.row).value),
        _short(took),
        answer.terminal.matvecs,
        *([] if ended == "ok" else [ended]),
    ]


def _short(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(f"{value:.4g}")


def _or_last(value: Spread | None) -> float:
    """The median as a key of order, in which what is unknown comes last."""
    return math.inf if value is None or math.isnan(value.median) else value.median
