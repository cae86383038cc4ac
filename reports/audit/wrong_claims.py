"""What methods say of their own answers that is not so: flags of convergence that are off, intervals that miss.

A flag of convergence is wrong where the answer is not finite, or its error is above both ten times the tolerance that
the method was given and 1 %, by more than the bound of the reference. A method measures its tolerance in its own way,
by a residual, a change or a standard error, which is why it has this much room; where the tolerance is not known, the
limit is 1 %.

An interval is wrong where it misses the truth by more than the bound of the reference: the 95 % interval that a
standard error stands for, Student's where that is of few samples, and intervals of eigenvalues at the confidence that
comes with them, all of them at once. That single intervals miss is their nature: only where the exact interval of the
share that misses lies wholly above what their level allows is it beyond chance.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import pandas as pd

from hessbench.ledger.answering.claims import CONFIDENCE, standard_error_holds
from hessbench.ledger.answering.method_repeats import Repeat
from hessbench.ledger.answering.questions import posed_questions
from hessbench.ledger.claimed_tolerance import claimed_tolerance
from hessbench.ledger.grouping import Key
from hessbench.ledger.record import Record, Status
from hessbench.ledger.spreads import Spread, spread
from hessbench.reports.claims.rules import share_interval
from hessbench.reports.costs.shown_names import asked as asked_columns
from hessbench.reports.writing import units
from hessbench.reports.writing.sheets import Column, Sheet, Shown, lay_out, range_text

ROOM: Final = 10.0
"""Times its own tolerance that an answer flagged converged may be off."""
LEAST_LIMIT: Final = 0.01
"""Error that an answer flagged converged may have, however small its tolerance."""


class Claimed(StrEnum):
    """What is claimed of an answer."""

    CONVERGED = "flagged converged"
    STANDARD_ERROR = "interval of its standard error"
    INTERVALS = "intervals of eigenvalues"


@dataclass(frozen=True)
class JudgedClaims:
    """One kind of claim of one method on one question at one budget, over the repeats.

    Attributes:
        key: What the rows share.
        problem: Name to show.
        method: Name to show.
        budget: Products allowed.
        what: The kind.
        repeats: Repeats that claim it and can be judged.
        wrong: Of these, those in which it is not so.
        level: Confidence of an interval; None for a flag.
        tolerance: What a method flagged converged was given; None where it is not known, and for intervals.
        limit: Error from which a flag is wrong; None for intervals.
        error: Errors of the repeats in which it is not so; None where none of them is finite.
        cells: Ids of these.
    """

    key: Key
    problem: str
    method: str
    budget: int
    what: Claimed
    repeats: int
    wrong: int
    level: float | None
    tolerance: float | None
    limit: float | None
    error: Spread | None
    cells: tuple[str, ...]

    @property
    def share(self) -> tuple[float, float]:
        """The exact 95 % interval of the share of such claims that are wrong (Clopper and Pearson 1934)."""
        return share_interval(self.wrong, self.repeats)

    @property
    def is_beyond_chance(self) -> bool:
        """Whether it is wrong more often than its level allows; a flag allows nothing."""
        return self.wrong > 0 and (self.level is None or self.share[0] > 1 - self.level)


def judged_claims(records: Sequence[Record], tolerances: Mapping[str, float] | None = None) -> tuple[JudgedClaims, ...]:
    """Every claim that can be judged, those that are wrong beyond chance first.

    Args:
        records: Rows of a ledger.
        tolerances: Default tolerances by the name of the method, for specs that leave them out.
    """
    found: list[JudgedClaims] = []
    for asked in posed_questions(records):
        for name, method in asked.methods:
            for budget, at in method.budgets.items():
                here = [repeat for repeat in at.values() if repeat.is_answered]
                places = (method.key, asked.question.problem, name, budget)
                made = (_flags(*places, here, tolerances or {}), _standard_errors(*places, here),
                        _intervals(*places, here))  # fmt: skip
                found += [claims for claims in made if claims is not None]
    return tuple(sorted(found, key=_worst_first))


def wrong_claims(judged: Sequence[JudgedClaims]) -> tuple[JudgedClaims, ...]:
    """Those that are wrong in some repeat."""
    return tuple(claims for claims in judged if claims.wrong)


def claims_sheet(judged: Sequence[JudgedClaims]) -> Sheet:
    """The table to read."""
    return lay_out(_COLUMNS, judged, lambda _: {})


def claims_frame(judged: Sequence[JudgedClaims]) -> pd.DataFrame:
    """The table as numbers."""
    return pd.DataFrame([_numbers(claims) for claims in judged])


def _flags(
    key: Key, problem: str, name: str, budget: int, repeats: Sequence[Repeat], tolerances: Mapping[str, float]
) -> JudgedClaims | None:
    said = [repeat for repeat in repeats if repeat.answer.row.said_converged]
    if not said:
        return None
    tolerance = claimed_tolerance(said[0].answer.row, tolerances)
    limit = max(ROOM * (tolerance or 0.0), LEAST_LIMIT)
    judged = [(it, off) for it in said if (off := _is_off(it, limit)) is not None]
    return _claims(key, problem, name, budget, Claimed.CONVERGED, judged, tolerance=tolerance, limit=limit)


def _is_off(repeat: Repeat, limit: float) -> bool | None:
    """Whether an error is above a limit; None where the reference cannot tell."""
    error, bound = repeat.shown.value, repeat.shown.bound
    if error is None or not math.isfinite(error):
        return True if repeat.status is Status.DIVERGED else None
    return None if bound is not None and bound > limit else error > limit + (bound or 0.0)


def _standard_errors(key: Key, problem: str, name: str, budget: int, repeats: Sequence[Repeat]) -> JudgedClaims | None:
    told = [(it, standard_error_holds(it)[1]) for it in repeats if it.answer.row.said_stderr is not None]
    judged = [(it, not holds) for it, holds in told if holds is not None]
    return _claims(key, problem, name, budget, Claimed.STANDARD_ERROR, judged, level=CONFIDENCE)


def _intervals(key: Key, problem: str, name: str, budget: int, repeats: Sequence[Repeat]) -> JudgedClaims | None:
    misses = [(it, it.answer.row.errors.get("interval_misses")) for it in repeats]
    judged = [(it, missed > 0) for it, missed in misses if missed is not None]
    if not judged:
        return None
    said = judged[0][0].answer.row.diagnostics.get("confidence")
    level = float(said) if isinstance(said, int | float) and not isinstance(said, bool) else CONFIDENCE
    return _claims(key, problem, name, budget, Claimed.INTERVALS, judged, level=level)


def _claims(
    key: Key, problem: str, name: str, budget: int, what: Claimed, judged: Sequence[tuple[Repeat, bool]],
    *, level: float | None = None, tolerance: float | None = None, limit: float | None = None,
) -> JudgedClaims | None:  # fmt: skip
    if not judged:
        return None
    wrong = [repeat for repeat, is_wrong in judged if is_wrong]
    errors = spread(it.shown.value for it in wrong if it.shown.value is not None and math.isfinite(it.shown.value))
    cells = tuple(repeat.answer.row.cell for repeat in wrong)
    return JudgedClaims(
        key, problem, name, budget, what, len(judged), len(wrong), level, tolerance, limit, errors, cells
    )


def _worst_first(claims: JudgedClaims) -> tuple[bool, str, float, str, str, int]:
    error = claims.error.median if claims.error else math.inf
    return not claims.is_beyond_chance, claims.what.value, -error, claims.method, claims.problem, claims.budget


def _numbers(claims: JudgedClaims) -> dict[str, Any]:
    low, high = claims.share
    error = claims.error
    return {
        "claim": claims.what.value,
        "problem": claims.key.problem,
        "problem_hash": claims.key.problem_hash,
        **asked_columns(claims.key),
        "budget": claims.budget,
        "repeats": claims.repeats,
        "wrong": claims.wrong,
        "share_low": low,
        "share_high": high,
        "level": claims.level,
        "tolerance": claims.tolerance,
        "limit": claims.limit,
        "beyond_chance": claims.is_beyond_chance,
        "error": None if error is None else error.median,
        "error_min": None if error is None else error.low,
        "error_max": None if error is None else error.high,
        "cells": " ".join(claims.cells),
    }


def _wrong(claims: JudgedClaims) -> Shown:
    low, high = claims.share
    text = f"{claims.wrong} of {claims.repeats}"
    detail = f"{100 * low:.0f} to {100 * high:.0f} % of all such"
    badge = "" if claims.is_beyond_chance else "within chance"
    return Shown(text, detail, badge, claims.wrong / claims.repeats)


def _given(claims: JudgedClaims) -> Shown:
    if claims.level is not None:
        return Shown(f"{100 * claims.level:.4g} %", "confidence", sort=claims.level)
    tolerance = "not known" if claims.tolerance is None else f"{claims.tolerance:g}"
    limit = "" if claims.limit is None else f"wrong above {units.share(claims.limit)}"
    return Shown(tolerance, limit, sort=claims.tolerance)


def _error(claims: JudgedClaims) -> Shown:
    if claims.error is None:
        return Shown("not finite" if claims.wrong else units.DASH)
    return Shown(units.share(claims.error.median), range_text(claims.error, units.share), sort=claims.error.median)


_COLUMNS: Final[tuple[Column[JudgedClaims], ...]] = (
    Column("what", "Claim", "", lambda it: Shown(it.what.value), is_number=False),
    Column("who", "Method", "", lambda it: Shown(it.method, it.key.library_version), is_number=False),
    Column("estimand", "Estimand", "", lambda it: Shown(it.key.estimand, it.problem), is_number=False),
    Column("budget", "Budget", "products", lambda it: Shown(units.count(it.budget), sort=float(it.budget))),
    Column("given", "Given", "tolerance or level", _given),
    Column("wrong", "Wrong", "repeats", _wrong),
    Column("error", "Error", "of the wrong ones", _error),
)
