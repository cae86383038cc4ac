"""Groups of networks that differ in their training run alone, and what is judged on which of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np

from hessbench.estimand.base import Array
from hessbench.reports.claims.claim import ClaimOutcome, ClaimVerdict
from hessbench.reports.claims.measured import Measured
from hessbench.reports.claims.rules import share_uncertainty, usually

Decide: TypeAlias = Callable[[int, int], ClaimOutcome]
"""A rule of counts: units that agree, and all of them."""

CLASSES: Final = 10
"""Classes C of every data set here."""

RUNS: Final = 5
"""Trainings of each group."""


@dataclass(frozen=True)
class TrainedGroup:
    """Perceptrons of one shape, trained alike on as many images, from different seeds.

    Attributes:
        data: Data set.
        widths: Hidden units, as in a spec.
        activation: relu or tanh.
        per_class: Images of each class that they are trained on, and that the training matrices are a mean over.
    """

    data: str
    widths: str = "24-24"
    activation: str = "relu"
    per_class: int = 100

    @property
    def name(self) -> str:
        """How rows of what was measured call it."""
        return f"{self.data} {self.widths} {self.activation} n={self.per_class}"

    @property
    def images(self) -> str:
        """Its data in a word."""
        return "Fashion" if self.data.startswith("fashion") else "MNIST"


MNIST: Final = "mnist-7x7"
FASHION: Final = "fashion-mnist-7x7"

MAIN: Final = (TrainedGroup(MNIST), TrainedGroup(FASHION))
"""On these ten networks whatever is said to be usual is judged."""

SHALLOW: Final = (TrainedGroup(MNIST, "34"), TrainedGroup(FASHION, "34"))
"""One hidden layer, and exactly as many parameters: the other architecture."""

SMOOTH: Final = (TrainedGroup(MNIST, activation="tanh"),)
"""Networks that are not piecewise linear."""

BY_SIZE: Final = (
    TrainedGroup(MNIST, per_class=10),
    TrainedGroup(MNIST, per_class=50),
    TrainedGroup(MNIST, per_class=100),
)
"""Sample sizes that were trained on."""

LARGE: Final = "mlp 128-128"
"""The perceptrons of 118,282 parameters; one unit each."""


def of_groups(
    measured: Measured, measure: str, groups: Sequence[TrainedGroup], method: str | None = None
) -> dict[str, float]:
    """The number of each unit of some groups, by the unit's name.

    Args:
        measured: What was measured.
        measure: Name of the number.
        groups: Which networks.
        method: By which method; None for any.
    """
    found: dict[str, float] = {}
    for group in groups:
        found |= measured.by_unit(measure, problem=group.name, method=method)
    return found


def numbers(found: dict[str, float]) -> Array:
    """The numbers, in the order of their units."""
    return np.asarray(list(found.values()), dtype=np.float64)


def agreeing(found: dict[str, float], test: Callable[[float], bool]) -> int:
    """How many units pass a test."""
    return sum(test(value) for value in found.values())


def usual(agreeing_units: int, units: int) -> ClaimOutcome:
    """What is said to be usual, as `usually`; fewer networks than a group has decide nothing."""
    return usually(agreeing_units, units) if units >= RUNS else ClaimOutcome.UNDECIDED


def usual_verdict(
    agreeing_units: int, units: int, detail: str, subject: str = "", decide: Decide = usual
) -> ClaimVerdict:
    """The verdict on what is said to be usual, with the interval of the share of networks that agree.

    Args:
        agreeing_units: Networks that agree.
        units: All of them.
        detail: What was seen.
        subject: Where it was looked at.
        decide: The rule of counts.
    """
    outcome = decide(agreeing_units, units)
    return ClaimVerdict(outcome, detail, subject, uncertainty=share_uncertainty(agreeing_units, units))


def spread(values: Array) -> str:
    """Median and range of numbers, in words; that there are none, where there are."""
    kept = values[~np.isnan(values)]
    if not kept.size:
        return "no number"
    return f"median {np.median(kept):.3g}, {kept.min():.3g} to {kept.max():.3g}"
