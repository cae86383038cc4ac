"""What a method said of its own answers, and whether it was true."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hessbench.estimand import ESTIMANDS, TopEigenvalues, parse_estimand
from hessbench.estimand.eigenvalues import WITHIN
from hessbench.estimand.interval import half_width
from hessbench.ledger.answering.entries import Claim
from hessbench.ledger.answering.method_repeats import Repeat
from hessbench.ledger.answering.words import percent
from hessbench.ledger.record import Record, Status
from hessbench.ledger.spreads import spread

CONFIDENCE: Final = 0.95
"""Of the interval that a standard error is taken to stand for."""


def claims(repeats: Sequence[Repeat], tolerance: float) -> tuple[Claim, ...]:
    """What was said in these repeats; nothing where the method said nothing.

    Args:
        repeats: Those at one budget.
        tolerance: What "converged" is taken to mean.
    """
    found = (_converged(repeats, tolerance), _standard_error(repeats), _intervals(repeats))
    return tuple(claim for claim in found if claim is not None)


def values_within(estimand: str, repeats: Sequence[Repeat], tolerance: float) -> str:
    """How many values are within a tolerance, in the worst and the best repeat; empty where the rows do not tell.

    Where rows tell of smaller tolerances only, those within the largest of them are "at least" so many.

    Args:
        estimand: Its spec.
        repeats: Those at one budget.
        tolerance: The tolerance.
    """
    if ESTIMANDS.get(estimand.partition("[")[0]) is not TopEigenvalues:
        return ""
    asked = parse_estimand(estimand)
    known = [(size, name) for name, size in WITHIN.items() if size <= tolerance]
    if not known or not isinstance(asked, TopEigenvalues):
        return ""
    size, name = max(known)
    counts = spread(repeat.answer.row.errors.get(name) for repeat in repeats)
    if counts is None or counts.number < len(repeats):
        return ""
    least, most = int(counts.low), int(counts.high)
    number = str(least) if least == most else f"{least} to {most}"
    return f"{'' if size == tolerance else 'at least '}{number} of {asked.k} values within {percent(tolerance)}"


def _converged(repeats: Sequence[Repeat], tolerance: float) -> Claim | None:
    said = [repeat for repeat in repeats if repeat.answer.row.said_converged is not None]
    if not said:
        return None
    yes = [repeat for repeat in said if repeat.answer.row.said_converged]
    true = sum(repeat.is_within(tolerance) for repeat in yes)
    if not yes:
        return Claim("converged", 0, 0, None, "says it has not converged")
    share = "" if len(yes) == len(repeats) else f" in {len(yes)} of {len(repeats)}"
    if all(repeat.status is Status.OK and repeat.shown.value is None for repeat in yes):
        return Claim("converged", len(yes), None, None, f"says converged{share}")
    verdict = "true" if true == len(yes) else "not true" if not true else f"true in {true} of {len(yes)}"
    return Claim("converged", len(yes), true, None, f"says converged{share}: {verdict}")


def _standard_error(repeats: Sequence[Repeat]) -> Claim | None:
    said = [repeat for repeat in repeats if repeat.answer.row.said_stderr is not None]
    if not said:
        return None
    told = [standard_error_holds(repeat) for repeat in said]
    known = [(size, within) for size, within in told if within is not None]
    size = spread(size for size, _ in known)
    if not known:
        return Claim("standard error", len(said), None, None, "gives a standard error")
    true = sum(within for _, within in known)
    of = f" {percent(size.median)}" if size else ""
    text = f"standard error{of}: error within its {percent(CONFIDENCE)} interval in {true} of {len(known)}"
    return Claim("standard error", len(said), true, size, text)


def _intervals(repeats: Sequence[Repeat]) -> Claim | None:
    """Intervals of eigenvalues: whether all of a repeat hold, and how wide the widest is."""
    misses = [missed for repeat in repeats if (missed := repeat.answer.row.errors.get("interval_misses")) is not None]
    if not misses:
        return None
    size = spread(repeat.answer.row.errors.get("interval_half_width") for repeat in repeats)
    true = sum(missed == 0 for missed in misses)
    of = f" of {percent(size.median)}" if size else ""
    return Claim("intervals", len(misses), true, size, f"intervals{of}: hold every value in {true} of {len(misses)}")


def standard_error_holds(repeat: Repeat) -> tuple[float | None, bool | None]:
    """The standard error on the scale of the error shown, and whether the error is within the interval it stands for.

    Of few samples that interval is Student's, so that what is judged does not depend on how many there were. An error
    beyond the interval by no more than the bound of the reference is within. None where the row does not tell.
    """
    row = repeat.answer.row
    absolute, stderr = row.errors.get("absolute"), row.said_stderr
    half = half_width(stderr, _freedom(row), CONFIDENCE)
    if absolute is None or stderr is None or half is None:
        return None, None
    if not absolute or repeat.shown.value is None:
        return None, True
    scale = repeat.shown.value / absolute
    return stderr * scale, repeat.shown.value <= half * scale + (repeat.shown.bound or 0.0)


def _freedom(row: Record) -> float | None:
    """Degrees of freedom that the method gave its standard error; None where it gave none that there can be."""
    said = row.diagnostics.get("stderr_dof")
    return float(said) if isinstance(said, int | float) and not isinstance(said, bool) and said > 0 else None
