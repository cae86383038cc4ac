"""The error that tables, answers and figures show of a row, its bound on the same scale, and its name.

Every estimand is shown by its primary error but a trace: scaled by the sum of the absolute eigenvalues it looks small
wherever they cancel, so that it is shown relative to |trace|, unless the trace itself is near zero.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from hessbench.estimand import ESTIMANDS, Trace
from hessbench.estimand.base import ErrorDefinition
from hessbench.ledger.record import Record

NEAR_ZERO: Final = 0.01
"""A trace below this share of the sum of the absolute eigenvalues is near zero: no error is taken relative to it."""

USELESS: Final = 0.1
"""A reference that is known to this error only, or worse, makes an error at its bound say nothing of use."""


@dataclass(frozen=True)
class ShownError:
    """An error as it is shown.

    Attributes:
        value: The error; None where there is none.
        bound: Below what the reference cannot tell, on the same scale; None without a reference.
        name: Which of the estimand's errors it is.
    """

    value: float | None
    bound: float | None
    name: str


def shown_error(row: Record) -> ShownError:
    """The error of a row that is shown, rows of old ledgers included.

    A trace is taken relative to |trace| where that is at least a hundredth of the sum of the absolute eigenvalues and
    above the reference's own bound; else, and for every other estimand, it is the primary error.
    """
    kind = ESTIMANDS.get(row.estimand.partition("[")[0])
    primary = "error" if kind is None else kind.primary
    plain = ShownError(row.error, row.reference_bound, primary)
    if kind is not Trace or row.error is None or row.errors.get("relative") is None:
        return plain
    relative = row.errors["relative"]
    share = trace_share(row)
    if share is None:
        # An exact value in a row that does not say how large the trace is: zero on either scale.
        return ShownError(relative, row.reference_bound, "relative")
    if share < NEAR_ZERO or share <= (row.reference_bound or 0.0):
        return plain
    bound = None if row.reference_bound is None else min(1.0, row.reference_bound / share)
    return ShownError(relative, bound, "relative")


def trace_share(row: Record) -> float | None:
    """|trace| over the sum of the absolute eigenvalues, as a row of a trace tells it; None where it does not."""
    said = row.errors.get("trace_share")
    if said is not None:
        return said
    relative = row.errors.get("relative")
    return row.error / relative if row.error and relative else None


def shown_name(rows: Iterable[Record]) -> str:
    """The one name of the errors of several rows of one problem and estimand: that of most that are not zero."""
    shown = [shown_error(row) for row in rows]
    names = Counter(error.name for error in shown if error.value) or Counter(error.name for error in shown)
    return max(sorted(names), key=lambda name: names[name], default="error")


def error_definition(estimand: str, name: str) -> ErrorDefinition:
    """What an error of an estimand is, by its name.

    Args:
        estimand: Spec, such as `top-eigenvalues[k=10]`.
        name: As `ShownError.name`.
    """
    kind = ESTIMANDS.get(estimand.partition("[")[0])
    known = {} if kind is None else kind.definitions
    return known.get(name, ErrorDefinition(name, f"The error called {name}."))
