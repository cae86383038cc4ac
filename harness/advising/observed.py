"""What a run said, as advice reads it from its rows: never the error, which no user has."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from hessbench.advising.candidates import AdviceCandidate, Knowledge
from hessbench.estimand.base import Arrays
from hessbench.estimand.interval import half_width
from hessbench.ledger.reading import Ledger, load_arrays
from hessbench.ledger.record import Kind, Record, Status


@dataclass(frozen=True)
class PilotPoint:
    """One answer of one run.

    Attributes:
        candidate: Who gave it.
        budget: What it was allowed.
        spent: Products, or rows, that it took.
        repeat: Number of its start.
        fixed_s: Seconds of the cell beside the run: process, data read into memory, build, warm-up.
        products_s: Seconds of the run inside products.
        own_s: Seconds of the run beside them.
        gradient_equivalents: In the common unit.
        stderr: Relative to the answer; None where none is claimed.
        dof: Degrees of freedom of that; None for a normal quantile.
        converged: What it said of itself.
        width: Half of the widest interval it claims, relative; None where it claims none.
        residual: Its largest residual, relative to the last value; None where it says none.
        arrays: The answer; empty where it was too large to be kept.
    """

    candidate: AdviceCandidate
    budget: int
    spent: int
    repeat: int
    fixed_s: float = 0.0
    products_s: float = 0.0
    own_s: float = 0.0
    gradient_equivalents: float = 0.0
    stderr: float | None = None
    dof: float | None = None
    converged: bool | None = None
    width: float | None = None
    residual: float | None = None
    arrays: Arrays = field(default_factory=dict[str, Any])

    @property
    def seconds(self) -> float:
        """The whole cell."""
        return self.fixed_s + self.products_s + self.own_s

    def half_width(self, confidence: float) -> float | None:
        """Half of what the answer claims to be known to, relative; None where it claims nothing.

        Args:
            confidence: Of an interval by a standard error; those of eigenvalues have their own.
        """
        knows = self.candidate.knows
        if knows is Knowledge.EXACT:
            return 0.0 if self.converged is not False else None
        if knows is Knowledge.CERTIFIED:
            return self.width
        if knows is Knowledge.INTERVAL:
            return half_width(self.stderr, self.dof, confidence)
        return self.residual if knows is Knowledge.RESIDUAL else None


@dataclass(frozen=True)
class FailedPilot:
    """A run that came to no answer, and why."""

    candidate: AdviceCandidate
    budget: int
    why: str


@dataclass
class PilotResults:
    """What the pilot did.

    Attributes:
        points: Every answer.
        failed: Runs without one.
        seconds: What all of it took.
        cells: Runs.
        no_room: Methods that the pilot's share did not hold.
        least_s: Seconds of the cheapest run that it did not hold, where it held none.
    """

    points: list[PilotPoint] = field(default_factory=list[PilotPoint])
    failed: list[FailedPilot] = field(default_factory=list[FailedPilot])
    seconds: float = 0.0
    cells: int = 0
    no_room: list[AdviceCandidate] = field(default_factory=list[AdviceCandidate])
    least_s: float | None = None

    def of(self, candidate: AdviceCandidate) -> list[PilotPoint]:
        """The answers of one method."""
        return [point for point in self.points if point.candidate == candidate]


def observe(
    folder: Path, cells: Sequence[tuple[str, AdviceCandidate]], estimand: str
) -> tuple[list[PilotPoint], list[FailedPilot]]:
    """Read the answers of cells from the folder of a run.

    Args:
        folder: The folder.
        cells: Their ids, each with who ran.
        estimand: Spec of what was asked.

    Raises:
        ValueError: If the folder holds no ledger.
    """
    ledger = Ledger.read(folder)
    terminals = ledger.terminals
    points: list[PilotPoint] = []
    failed: list[FailedPilot] = []
    for cell, candidate in cells:
        end = terminals.get(cell)
        if end is None:
            continue
        rows = [
            row
            for row in ledger.records
            if row.cell == cell and row.kind is Kind.CHECKPOINT and row.estimand == estimand and row.status is Status.OK
        ]
        points += [_point(folder, candidate, row, end) for row in rows]
        if end.status is not Status.OK or not rows:
            failed.append(FailedPilot(candidate, end.budget, end.reason or end.status.value))
    return points, failed


def _point(folder: Path, candidate: AdviceCandidate, row: Record, end: Record) -> PilotPoint:
    arrays = load_arrays(folder, row.arrays) if row.arrays else {}
    wall = row.wall_s or 0.0
    inside = min(row.operator_s or 0.0, wall)
    values = arrays.get("eigenvalues", np.zeros(0))
    last = float(np.abs(values).min(initial=math.inf))
    size = abs(float(arrays["trace"][0])) if "trace" in arrays else None
    dof = row.diagnostics.get("stderr_dof")
    return PilotPoint(
        candidate=candidate,
        budget=row.budget,
        spent=row.matvecs or row.budget,
        repeat=row.repeat,
        fixed_s=sum(step or 0.0 for step in (end.load_s, end.build_s, end.warmup_s, end.overhead_s)),
        products_s=inside,
        own_s=wall - inside,
        gradient_equivalents=row.gradient_equivalents or 0.0,
        stderr=_relative(row.said_stderr, size),
        dof=float(dof) if isinstance(dof, int | float) else None,
        converged=row.said_converged,
        width=_number(row.diagnostics.get("width")) if "lower" in arrays else None,
        residual=_relative(_number(row.diagnostics.get("residual")), last if values.size else None),
        arrays=arrays,
    )


def _relative(size: float | None, to: float | None) -> float | None:
    if size is None or to is None:
        return None
    return 0.0 if size == 0 else size / to if to > 0 else math.inf


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
