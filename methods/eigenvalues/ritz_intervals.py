"""Ritz values on a part of an operator, and the intervals of the eigenvalues of the whole."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np
import torch

from hessbench.estimand import Array, Estimate, TopEigenspace, TopEigenvalues
from hessbench.methods.krylov.enclosures import NOTHING, EigenvalueBounds, Space, enclosure
from hessbench.methods.krylov.random_start_bound import Ends
from hessbench.methods.krylov.ritz import Leading, last_row, leading, ritz_vectors
from hessbench.methods.krylov.ritz import tolerance as rounding_of
from hessbench.methods.krylov.tridiagonal import Tridiagonal, solve_tridiagonal


@dataclass(frozen=True)
class IntervalsAsked:
    """What a run is to find.

    Attributes:
        order: k and the order.
        tolerance: Half of the widest interval, relative to the value, at which the run ends.
        confidence: Probability that all intervals of a run hold.
        dtype: That of the operator.
        dim: Its dimension n.
        vectors: Whether Ritz vectors are handed back.
    """

    order: TopEigenvalues
    tolerance: float
    confidence: float
    dtype: torch.dtype
    dim: int
    vectors: bool


@dataclass(frozen=True)
class KnownEnds:
    """What is known of A = S + E outside of a Krylov space of S.

    Attributes:
        outside: Ends of P S P, P the projection out of the first vectors of the space.
        added: Ends of E.
    """

    outside: Ends | None = None
    added: Ends | None = None

    @property
    def is_complete(self) -> bool:
        """Whether both are known."""
        return self.outside is not None and self.added is not None


@dataclass(frozen=True)
class RitzIntervals:
    """A run on S after some steps, and what it says of the eigenvalues of A.

    Attributes:
        T: The run.
        asked: The question.
        samples: Number of samples in S; None where S is no sum over samples.
        deflated: Number of its first vectors that P projects out.
    """

    T: Tridiagonal
    asked: IntervalsAsked
    samples: int | None
    deflated: int

    @cached_property
    def space(self) -> Space:
        """T as it stands."""
        return Space(*self.T.read(), self.asked.dim, self.deflated)

    @cached_property
    def values(self) -> Array:
        """All Ritz values in their order."""
        return self.asked.order.rank(self.space.values)

    @cached_property
    def first(self) -> Leading:
        """The first k Ritz pairs."""
        return leading_pairs(self.T, self.asked.order)

    def enclose(self, known: KnownEnds) -> EigenvalueBounds:
        """Intervals of the first eigenvalues, of magnitudes by magnitude; what is not known is taken for zero."""
        found = enclosure(self.asked.order, self.space, known.outside or NOTHING, known.added or NOTHING)
        rounded = 10 * float(torch.finfo(self.asked.dtype).eps) * float(np.abs(self.values).max())
        lower = found.lower - rounded
        if self.asked.order.which == "magnitude":
            lower = np.maximum(lower, 0.0)
        return EigenvalueBounds(lower, found.upper + rounded)

    def width(self, known: KnownEnds) -> float:
        """Half of the widest interval, relative to its Ritz value, but for rounding."""
        lower, upper = self.enclose(known)
        values = np.abs(self.values[: self.asked.order.k])
        halves = (upper - lower) / 2 - rounding_of(self.asked.dtype) * float(values.max())
        with np.errstate(divide="ignore", invalid="ignore"):
            return float(np.where(halves <= 0, 0.0, halves / values).max())

    def moved(self, bounds: EigenvalueBounds) -> Array:
        """The first values, where that makes it possible moved so that both bounds are within the tolerance of each.

        E is seldom as large to both sides (that of a GGN never has a negative end), and so a Ritz value of S is seldom
        in the middle of its interval. It is moved no further towards it than the tolerance asks for.
        """
        values = self.first.values
        by_size = self.asked.order.which == "magnitude"
        found = np.abs(values) if by_size else values
        allowed = self.asked.tolerance * np.abs(found)
        least, most = np.maximum(bounds.upper - allowed, bounds.lower), np.minimum(bounds.lower + allowed, bounds.upper)
        inside = np.where(least <= most, np.clip(found, least, np.maximum(least, most)), found)
        return np.copysign(inside, values) if by_size else inside

    def may_be_within(self, allowed: float) -> bool:
        """Whether the intervals are narrow enough if nothing outside of the space reaches half of the k-th value."""
        order, values = self.asked.order, self.values
        if values.size <= order.k or not np.isfinite(values).all():
            return False
        k_th, following = (float(value) for value in values[order.k - 1 : order.k + 1])
        if order.which == "magnitude":
            last = min(abs(following), abs(k_th) / 2)
            ends = Ends(-last, last)
        else:
            sign = -1.0 if order.which == "smallest" else 1.0
            reach = sign * min(sign * following, sign * k_th - abs(k_th) / 2), float(values[-1])
            ends = Ends(min(reach), max(reach))
        lower, upper = enclosure(order, replace(self.space, deflated=self.T.size), ends)
        wanted = values[: order.k] if order.which != "magnitude" else np.abs(values[: order.k])
        return bool((np.maximum(upper - wanted, wanted - lower) <= allowed * np.abs(wanted)).all())

    def estimate(self, known: KnownEnds, before: RitzIntervals | None = None) -> Estimate:
        """The Ritz values, with intervals once all is known.

        Args:
            known: What is known outside of the space.
            before: The end of a run on a smaller part, whose values stand until these may be within the tolerance.
        """
        return Estimate(value=partial(_answer, self, known, before))


def leading_pairs(T: Tridiagonal, order: TopEigenvalues) -> Leading:
    """The first Ritz pairs in an order."""
    alphas, betas = T.read()
    ritz = solve_tridiagonal(alphas, betas)
    return leading(order, ritz.values, ritz.vectors, last_row(betas[-1], alphas.size))


def _answer(state: RitzIntervals, known: KnownEnds, before: RitzIntervals | None) -> Estimate:
    asked = state.asked
    if before is not None and not known.is_complete and not state.may_be_within(asked.tolerance):
        state = before
    found = state.first
    diagnostics: dict[str, float] = {"steps": state.T.size, "residual": found.residual}
    if state.samples is not None:
        diagnostics["samples"] = state.samples
    interval: EigenvalueBounds | None = None
    values = found.values
    if known.is_complete:
        interval = state.enclose(known)
        values = state.moved(interval)
        diagnostics |= {"width": state.width(known), "confidence": asked.confidence}
    basis = state.T.basis
    vectors = None if basis is None else ritz_vectors(basis[: state.T.size], found.coefficients)
    return Estimate(
        value=values,
        vectors=vectors,
        converged=interval is not None and diagnostics["width"] <= asked.tolerance,
        diagnostics=diagnostics,
        also={} if vectors is None else {TopEigenspace: Estimate(vectors)},
        interval=interval,
    )
