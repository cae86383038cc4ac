"""What the study of a single probe measured, as arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from hessbench.estimand.base import Array

MOMENTS: Final = ("moment1", "moment2", "moment3", "moment4")
WASSERSTEIN: Final = "wasserstein1"
KS: Final = "ks"
MEASURES: Final = (WASSERSTEIN, KS, *MOMENTS)
"""Errors by name: distances are not negative, those of moments have a sign and are relative to mean |lambda|^j."""


@dataclass(frozen=True)
class LadderRung:
    """One family of matrices at one dimension.

    Attributes:
        n: Dimension.
        single: Error by measure of the rule of each start, shape (starts,).
        pooled: The same of the mean of the rules of neighbouring starts, shape (groups,).
        alone: The same of the probe's own spectral measure, which takes infinitely many steps, shape (draws,).
        predicted: Standard deviation by moment that the eigenvalues give, by the law of a quadratic form.
    """

    n: int
    single: Mapping[str, Array]
    pooled: Mapping[str, Array]
    alone: Mapping[str, Array]
    predicted: Mapping[str, float]


@dataclass(frozen=True)
class SpectrumLadder:
    """A family of matrices at growing dimensions.

    Attributes:
        name: What it is called.
        spec: Its specs, the dimension and the number of the draw left open.
        rungs: By dimension, ascending.
    """

    name: str
    spec: str
    rungs: tuple[LadderRung, ...]


@dataclass(frozen=True)
class OneVectorResults:
    """Everything that was measured.

    Attributes:
        steps: Lanczos steps of each start.
        group: Starts whose rules are averaged in `LadderRung.pooled`.
        ladders: The families.
    """

    steps: int
    group: int
    ladders: tuple[SpectrumLadder, ...]
