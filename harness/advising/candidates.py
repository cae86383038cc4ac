"""Which methods are considered for an estimand, what each can know of its own error, and where its pilot begins."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from hessbench.estimand import Density, Diagonal, Estimand, TopEigenvalues, Trace


class Knowledge(StrEnum):
    """What a method can know of its own error."""

    EXACT = "exact"
    INTERVAL = "interval"
    CERTIFIED = "certified"
    RESIDUAL = "residual"
    NONE = "none"


@dataclass(frozen=True)
class AdviceCandidate:
    """A method that is considered.

    Attributes:
        spec: Spec of the method.
        knows: What it can know of its own error.
        first: Products, or rows, of its first pilot.
        repeats: Runs of a pilot, from starts of their own.
        growth: Factor from one pilot to the next.
        whole: Whether it takes as many products as the dimension, and is exact: there is nothing to be tried.
    """

    spec: str
    knows: Knowledge
    first: int = 30
    repeats: int = 2
    growth: int = 2
    whole: bool = False

    @property
    def name(self) -> str:
        """Registered name."""
        return self.spec.partition("[")[0]


_REPEATS: Final = 3
"""Runs of a method that says nothing of its error: what differs between them is all there is to see."""


def candidates(estimand: Estimand, within: float) -> tuple[AdviceCandidate, ...]:
    """The methods for an estimand, those that are tried first where the pilot does not hold all of them first.

    Args:
        estimand: Trace, top eigenvalues, diagonal or density.
        within: Largest relative error accepted.
    """
    if isinstance(estimand, TopEigenvalues):
        return _of_eigenvalues(estimand, within)
    return _LISTED[type(estimand)]


def _of_eigenvalues(estimand: TopEigenvalues, within: float) -> tuple[AdviceCandidate, ...]:
    first = max(40, 3 * estimand.k)
    basis = max(30, 2 * estimand.k + 10)
    return (
        AdviceCandidate(f"pruned-lanczos[tolerance={within!r}]", Knowledge.CERTIFIED, first, 1),
        AdviceCandidate(f"bounded-lanczos[tolerance={within!r}]", Knowledge.CERTIFIED, first, 1),
        AdviceCandidate(f"thick-restart-lanczos[basis={basis}]", Knowledge.RESIDUAL, first, 1),
        AdviceCandidate("heavy-rows[spectrum=true]", Knowledge.EXACT, 256, 1, 4),
        AdviceCandidate("dense", Knowledge.EXACT, whole=True),
    )


_LISTED: Final[dict[type[Estimand], tuple[AdviceCandidate, ...]]] = {
    Trace: (
        AdviceCandidate("hessian-diagonal-exact", Knowledge.EXACT, 256, 1, 4),
        AdviceCandidate("sampled-rows", Knowledge.INTERVAL, 128, 2, 4),
        AdviceCandidate("split-trace", Knowledge.INTERVAL, 128, 2, 4),
        AdviceCandidate("xnystrace", Knowledge.INTERVAL),
        AdviceCandidate("xtrace", Knowledge.INTERVAL),
        AdviceCandidate("hutchpp", Knowledge.INTERVAL),
        AdviceCandidate("hutchinson[probe=sphere]", Knowledge.INTERVAL),
        AdviceCandidate("diagonal-exact", Knowledge.EXACT, whole=True),
    ),
    Diagonal: (
        AdviceCandidate("ggn-diagonal-exact", Knowledge.EXACT, 64, 1, 4),
        AdviceCandidate("hessian-diagonal-exact", Knowledge.EXACT, 256, 1, 4),
        AdviceCandidate("heavy-rows", Knowledge.EXACT, 256, 1, 4),
        AdviceCandidate("split-diagonal", Knowledge.NONE, 256, _REPEATS, 4),
        AdviceCandidate("sampled-rows", Knowledge.NONE, 256, _REPEATS, 4),
        AdviceCandidate("ggn-diagonal-mc", Knowledge.NONE, 30, _REPEATS),
        AdviceCandidate("xdiag", Knowledge.NONE, 30, _REPEATS),
        AdviceCandidate("hutchinson-diagonal", Knowledge.NONE, 30, _REPEATS),
        AdviceCandidate("diagonal-exact", Knowledge.EXACT, whole=True),
    ),
    Density: (
        AdviceCandidate("slq[steps=40]", Knowledge.NONE, 80, _REPEATS),
        AdviceCandidate("slq[steps=100]", Knowledge.NONE, 100, _REPEATS),
        AdviceCandidate("self-deflated-slq", Knowledge.NONE, 80, _REPEATS),
        AdviceCandidate("kpm", Knowledge.NONE, 80, _REPEATS),
        AdviceCandidate("heavy-rows[spectrum=true]", Knowledge.EXACT, 256, 1, 4),
        AdviceCandidate("dense", Knowledge.EXACT, whole=True),
    ),
}
