"""One answer as a point of a figure, and which of its errors that figure shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hessbench.ledger.grouping import Answer
from hessbench.ledger.record import Record
from hessbench.ledger.shown_errors import error_definition, shown_error, shown_name


@dataclass(frozen=True)
class CurvePoint:
    """One answer: what it cost, how wrong it was, and below what error its reference cannot tell.

    Attributes:
        budget: Products allowed.
        matvecs: Products spent.
        seconds: The method's own, without the build; None where they were not measured.
        build: Seconds to build the operator; None where they were not measured.
        error: The error shown, a fraction.
        floor: The reference's bound in the same unit.
        cell: Id.
    """

    budget: int
    matvecs: int
    seconds: float | None
    build: float | None
    error: float
    floor: float
    cell: str

    @property
    def height(self) -> float:
        """The error, or the floor where it is below."""
        return max(self.error, self.floor)


@dataclass(frozen=True)
class ShownAs:
    """Which error of an estimand is drawn.

    Attributes:
        name: Its name in the ledger.
        label: What it is, in a few words.
        sentence: What it is, in one sentence.
    """

    name: str
    label: str
    sentence: str

    def error(self, row: Record) -> float | None:
        """That error of a row."""
        shown = shown_error(row)
        return shown.value if shown.name == self.name or not shown.value else row.errors.get(self.name)

    def floor(self, row: Record) -> float | None:
        """The reference's bound in the unit of that error; None where it is not known in that unit."""
        shown = shown_error(row)
        return shown.bound if shown.name == self.name or not shown.value else None


def shown_as(estimand: str, answers: Sequence[Answer]) -> ShownAs:
    """The error to draw for all answers of one problem and estimand."""
    name = shown_name(answer.row for answer in answers)
    definition = error_definition(estimand, name)
    return ShownAs(name, definition.label, definition.sentence)
