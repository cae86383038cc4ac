"""What an answer consists of: the question, one entry per method, best first, and what must be said beside them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal, TypeAlias, get_args

from hessbench.ledger.grouping import Key
from hessbench.ledger.spreads import Ratio, Spread

Ranking: TypeAlias = Literal["seconds", "products", "gradients", "memory", "passes"]
"""What ranks: build and wall clock, products, gradient-equivalents, the peak, or passes over the data."""
RANKINGS: Final[tuple[Ranking, ...]] = get_args(Ranking)


class State(StrEnum):
    """What is known of one method at one tolerance."""

    REACHED = "reached"
    NOT_REACHED = "not reached"
    NOT_JUDGED = "not judged"
    FAILED = "failed"


@dataclass(frozen=True)
class Question:
    """What was asked: entries of one question were run on the same problem, under the same conditions.

    Attributes:
        problem: Name to show, with a short hash where there are variants.
        problem_spec: Spec of the problem.
        problem_hash: Which variant of it.
        estimand: Spec of the estimand.
        dim: Dimension of the operator.
        device: Where the cells ran.
        dtype: In what dtype.
        threads: With how many threads.
        error_name: Which error of the estimand is judged.
        error_label: That error in a few words, for a head or an axis.
        error_sentence: That error in one sentence.
        label: Problem and estimand, and the conditions where the ledger holds several.
    """

    problem: str
    problem_spec: str
    problem_hash: str
    estimand: str
    dim: int
    device: str
    dtype: str
    threads: int
    error_name: str
    error_label: str
    error_sentence: str
    label: str


@dataclass(frozen=True)
class Claim:
    """What the method said of its own answers, and in how many repeats that was true.

    Attributes:
        what: `converged` or `standard error`.
        said: Repeats in which it said so.
        true: Of these, those in which it was: an error within the tolerance, or within the 95 % interval that the
            standard error stands for, Student's where it is that of few samples; None where the rows do not tell,
            as those of an answer that nothing is known to judge by.
        size: The standard error, on the scale of the error shown; None for `converged` and where rows do not tell.
        text: The claim in a few words, such as "converged, true in 2 of 3".
    """

    what: str
    said: int
    true: int | None
    size: Spread | None
    text: str


@dataclass(frozen=True)
class MethodAnswer:
    """One method at one tolerance, at the smallest budget from which on every repeat stays within it.

    A method that did not reach it is given at the largest budget it was measured at. Every cost is over the repeats
    at that budget.

    Attributes:
        key: What its rows share.
        method: Name to show.
        state: What is known.
        reason: Why it is not reached, not judged or failed; or what to know of one that is reached. May be empty.
        budget: The budget; None where nothing ran to an answer.
        repeats: Repeats that are judged.
        is_random: Whether the method draws random numbers; None where the ledger does not tell.
        error: The error that is shown.
        scaled_error: The scaled error of a trace that is shown relative to |trace|; None for anything else.
        bound: Error bound of the reference, on the scale of the error shown.
        products: Products spent.
        gradient_equivalents: The common unit.
        build_s: Seconds to build the operator.
        wall_s: The method's own seconds.
        seconds: Build and wall, repeat by repeat.
        seconds_note: What to know of the seconds; empty where nothing is.
        peak_bytes: Peak above the built operator, from the memory pass: that of the device where there is one.
        peak_budget: Budget at which the peak was taken.
        passes: Passes over the data, of the repeats of which they are known.
        ratio: To the best entry, paired by repeat, of what ranks.
        values: Such as "7 of 10 values within 1 %"; empty where the rows do not tell or the estimand has no values.
        claims: What it said of its own answers.
        cells: Ids of the cells behind it.
    """

    key: Key
    method: str
    state: State
    reason: str = ""
    budget: int | None = None
    repeats: int = 0
    is_random: bool | None = None
    error: Spread | None = None
    scaled_error: Spread | None = None
    bound: float | None = None
    products: Spread | None = None
    gradient_equivalents: Spread | None = None
    build_s: Spread | None = None
    wall_s: Spread | None = None
    seconds: Spread | None = None
    seconds_note: str = ""
    peak_bytes: Spread | None = None
    peak_budget: int | None = None
    passes: Spread | None = None
    ratio: Ratio | None = None
    values: str = ""
    claims: tuple[Claim, ...] = ()
    cells: tuple[str, ...] = ()

    def cost(self, by: Ranking) -> Spread | None:
        """The cost that ranks."""
        costs = {
            "seconds": self.seconds,
            "products": self.products,
            "gradients": self.gradient_equivalents,
            "memory": self.peak_bytes,
            "passes": self.passes,
        }
        return costs[by]


@dataclass(frozen=True)
class TrivialAnswer:
    """The answer that takes no product.

    Attributes:
        what: Such as "zero" or "one point at the mean".
        error: Its error, on the scale of the error shown.
        is_within: Whether it stays within the tolerance.
    """

    what: str
    error: float
    is_within: bool


@dataclass(frozen=True)
class Answered:
    """One question at one tolerance.

    Attributes:
        question: What was asked.
        tolerance: Largest error accepted.
        by: What ranks.
        entries: Those that reached it, best first; then those that did not, least error first; then the rest.
        trivial: The answer that takes no product, where it is within the tolerance, or where nothing reached that and
            no method was nearer.
        remarks: Sentences that a reader of the ranking must know.
    """

    question: Question
    tolerance: float
    by: Ranking
    entries: tuple[MethodAnswer, ...]
    trivial: TrivialAnswer | None = None
    remarks: tuple[str, ...] = ()

    @property
    def best(self) -> MethodAnswer | None:
        """The first that reached the tolerance; None where none did."""
        first = self.entries[0] if self.entries else None
        return first if first is not None and first.state is State.REACHED else None

    @property
    def reached(self) -> tuple[MethodAnswer, ...]:
        """Those that reached it, best first."""
        return tuple(entry for entry in self.entries if entry.state is State.REACHED)

    @property
    def unsure(self) -> tuple[MethodAnswer, ...]:
        """Those whose every error is within it and that are not judged, most of them for want of repeats."""
        return tuple(
            entry
            for entry in self.entries
            if entry.state is State.NOT_JUDGED and entry.error is not None and entry.error.high <= self.tolerance
        )
