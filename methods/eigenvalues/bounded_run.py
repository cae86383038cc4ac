"""A Lanczos run with intervals: random starts bound what is outside of its space, and what its operator left out."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import Final

import torch
from torch import Tensor

from hessbench.estimand import Estimate
from hessbench.methods.eigenvalues.ritz_intervals import IntervalsAsked, KnownEnds, RitzIntervals
from hessbench.methods.krylov.enclosures import NOTHING
from hessbench.methods.krylov.random_start_bound import Ends, end_steps
from hessbench.methods.krylov.recurrence import lanczos_steps
from hessbench.methods.krylov.tridiagonal import Tridiagonal
from hessbench.operators import LinearOperator

_LOOKS: Final = 2
"""Steps after which the Ritz values are read."""

_HELD_BACK: Final = 4
"""Vectors at the end of the space that bounds do not project out."""

_PATIENCE: Final = 24
"""Steps after which a bound is given up that may still be reached; as many as the run on S has where that is more."""

_SHARE: Final = 0.9
"""Of the tolerance that E alone may take: what is outside of the space of S adds next to nothing once it is bounded."""

_FIRST: Final = 0.9
"""Share of the probability of failure for the first two bounds; of what is left, again so much for the next."""


@dataclass
class BoundedRun:
    """What runs on one part S after another of an operator A = S + E have in common.

    Attributes:
        asked: The question.
        generator: Source of starts.
        left: Products left.
        known_low: What every eigenvalue of S and E is known to be at least.
        bounds: Fresh starts so far.
        before: The end of the run on the part before.
    """

    asked: IntervalsAsked
    generator: torch.Generator
    left: int
    known_low: float
    bounds: int = 0
    before: RitzIntervals | None = None

    def on(
        self, S: LinearOperator, start: Tensor, *, samples: int | None = None, rest: Callable[[], LinearOperator] | None
    ) -> Generator[Estimate, None, Tridiagonal | None]:
        """Run on a part until the intervals are as narrow as asked for, or the part is seen to be too small.

        Args:
            S: The part.
            start: Of the run on it, (n,).
            samples: Number of the samples in S, where it is a sum over some.
            rest: Makes E; None where S is all of A.

        Returns:
            The run on S where more should be in it; None where the whole run has ended.
        """
        asked = self.asked
        known = KnownEnds(added=NOTHING if rest is None else None)
        wait = 0
        for T in lanczos_steps(S, start, reorth="full", num_steps=self.left, generator=self.generator):
            self.left -= 1
            deflated = max(1, T.size - _HELD_BACK)
            state = RitzIntervals(T if asked.vectors else T.without_basis(), asked, samples, deflated)
            if T.size == asked.dim:
                known = replace(known, outside=NOTHING)
            yield state.estimate(known, self.before)
            looks = T.size >= wait and T.size % _LOOKS == 0 and state.may_be_within(asked.tolerance / 4)
            if (looks or T.size == asked.dim) and known.added is None and self.left and rest is not None:
                # Made when it is asked for, since an engine is built for it.
                known = yield from self._bound(rest(), None, state, known, _SHARE * asked.tolerance)
                if known.added is None and self.left:
                    self.before = state
                    return T
            if looks and known.added is not None and known.outside is None and self.left:
                assert T.basis is not None, "full reorthogonalisation keeps the basis"
                known = yield from self._bound(S, T.basis[:deflated], state, known, asked.tolerance)
                wait = T.size + T.size // 4
            if not self.left or known.is_complete:
                return None
        return None

    def _bound(
        self, op: LinearOperator, basis: Tensor | None, state: RitzIntervals, known: KnownEnds, allowed: float
    ) -> Generator[Estimate, None, KnownEnds]:
        """Bound P S P, where a basis is given, or E, until the intervals are narrow enough or cannot become so.

        Returns:
            What is known then, more than before only where the intervals are within `allowed`.
        """
        level = (1 - self.asked.confidence) * _FIRST / 2 * (1 - _FIRST) ** (self.bounds // 2)
        self.bounds += 1
        most = min(max(_PATIENCE, state.T.size), self.left)
        low = self.known_low
        for bounded in end_steps(op, level, self.generator, num_steps=most, basis=basis):
            self.left -= 1
            found = (Ends(max(ends.low, low), max(ends.high, low)) for ends in bounded)
            now, at_best = (
                replace(known, added=ends) if basis is None else replace(known, outside=ends) for ends in found
            )
            yield state.estimate(now, self.before)
            if state.width(now) <= allowed:
                return now
            if not state.width(at_best) <= allowed:
                break
        return known
