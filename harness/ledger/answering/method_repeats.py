"""What one method was measured at: the answer of every repeat at every budget, read once for all tolerances."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from hessbench.ledger.grouping import Answer, Key
from hessbench.ledger.record import Kind, Status
from hessbench.ledger.shown_errors import ShownError, shown_error

_ANSWERED: Final = (Status.OK, Status.OVER_BUDGET)
_DRAW_NOTHING: Final = frozenset({"dense", "ggn-diagonal-exact"})
"""Methods of this package without randomness, for rows from before there was a column that tells."""


@dataclass(frozen=True)
class Repeat:
    """What one repeat answered at one budget.

    Attributes:
        answer: Its row, and the terminal row of its cell.
        shown: The error that is shown; its value is None where there is none.
        status: How the cell stood there: `ok` where there is an answer, `diverged` where it is not finite, else what
            ended the cell before it.
    """

    answer: Answer
    shown: ShownError
    status: Status

    @property
    def is_answered(self) -> bool:
        """Whether there is an estimate, finite or not."""
        return self.status in (Status.OK, Status.DIVERGED)

    def is_within(self, tolerance: float) -> bool:
        """Whether its error is known and within the tolerance."""
        return self.status is Status.OK and self.shown.value is not None and self.shown.value <= tolerance


@dataclass(frozen=True)
class MethodRepeats:
    """One method on one question.

    Attributes:
        key: What the rows share.
        budgets: By budget, ascending: the repeats, by number.
    """

    key: Key
    budgets: Mapping[int, Mapping[int, Repeat]]

    @property
    def repeats(self) -> tuple[Repeat, ...]:
        """Every repeat at every budget."""
        return tuple(repeat for at in self.budgets.values() for repeat in at.values())

    @property
    def bound(self) -> float | None:
        """Error bound of the reference, on the scale of the error shown; None without a reference."""
        bounds = [repeat.shown.bound for repeat in self.repeats if repeat.shown.bound is not None]
        return max(bounds, default=None)

    @property
    def is_random(self) -> bool | None:
        """Whether the method draws random numbers; None where the rows do not tell."""
        said = {repeat.answer.terminal.drew_random for repeat in self.repeats} - {None}
        if said:
            return True in said
        return False if self.key.method.partition("[")[0] in _DRAW_NOTHING else None

    @property
    def ended(self) -> Mapping[str, int]:
        """How many cells ended otherwise than well, by status."""
        cells = {repeat.answer.terminal.cell: repeat.answer.terminal.status for repeat in self.repeats}
        return Counter(status.value for status in cells.values() if status not in _ANSWERED)


def method_repeats(key: Key, group: Sequence[Answer]) -> MethodRepeats:
    """Order the answers of one key by budget and repeat.

    A cell that ended early says so at every budget of its grid that it did not come to. Where two cells hold the same
    repeat at the same budget, one that ended well and ran alone is taken.
    """
    found: dict[int, dict[int, Repeat]] = {}
    for answer in sorted(group, key=_worth):
        for budget, repeat in _stands(answer, group):
            found.setdefault(budget, {}).setdefault(answer.row.repeat, repeat)
    return MethodRepeats(key, {budget: dict(sorted(found[budget].items())) for budget in sorted(found)})


def tally(statuses: Iterable[str]) -> str:
    """Statuses with their numbers, such as "2 timeout, 1 crash"."""
    numbers = Counter(statuses)
    return ", ".join(f"{number} {status}" for status, number in sorted(numbers.items()))


def _stands(answer: Answer, group: Sequence[Answer]) -> list[tuple[int, Repeat]]:
    """At which budgets an answer stands, and as what."""
    row, end = answer.row, answer.terminal
    shown = shown_error(row)
    if row.kind is Kind.TERMINAL and end.status not in _ANSWERED:
        # It carries the error of the last budget it came to, which is no answer at the one it was cut short at.
        come_to = {other.row.budget for other in group if other.row.cell == row.cell and other is not answer}
        nothing = ShownError(None, shown.bound, shown.name)
        return [(budget, Repeat(answer, nothing, end.status)) for budget in {*end.budgets, row.budget} - come_to]
    if end.status is Status.ERROR:
        # Whatever went wrong, such as products that changed under way, may have been so from the start.
        return [(row.budget, Repeat(answer, shown, Status.ERROR))]
    is_lost = shown.value is None and (row.status is Status.DIVERGED or bool(row.reference_source))
    return [(row.budget, Repeat(answer, shown, Status.DIVERGED if is_lost else Status.OK))]


def _worth(answer: Answer) -> tuple[bool, bool, str]:
    return answer.terminal.status not in _ANSWERED, answer.row.contended or answer.terminal.contended, answer.row.cell
