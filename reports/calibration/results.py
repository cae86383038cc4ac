"""What the calibration study measured, as arrays."""

from __future__ import annotations

from dataclasses import dataclass

from hessbench.estimand.base import Array

LEVELS = (0.68, 0.95)
"""Confidence of the intervals compared."""


@dataclass(frozen=True)
class CalibrationCell:
    """One method on one problem with one number of probes, over the seeds.

    Attributes:
        problem: Its name on the page.
        method: Its spec.
        probes: Probes, each of which is a sample of the standard error; at most so many where a method decides.
        products: Budget.
        errors: Estimate less truth, (seeds,).
        claimed: Half widths of the intervals by the formula of the source and the normal quantile, (2, seeds); a level
            a row.
        corrected: Half widths of the intervals that the estimate stands for now, (2, seeds).
        scale: Sum of the absolute eigenvalues.
    """

    problem: str
    method: str
    probes: int
    products: int
    errors: Array
    claimed: Array
    corrected: Array
    scale: float


@dataclass(frozen=True)
class CalibrationResults:
    """All cells, and what the problems are.

    Attributes:
        problems: One sentence for each problem by its name.
        seeds: Number of seeds.
        cells: In the order of problems, methods and probes.
    """

    problems: dict[str, str]
    seeds: int
    cells: tuple[CalibrationCell, ...]
