"""Top eigenvalues from the samples that carry weight, with intervals that account for all the others."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from typing import Final, Protocol, cast

import torch
from torch import Tensor

from hessbench.estimand import Estimate, TopEigenspace, TopEigenvalues
from hessbench.method import Footprint, Method
from hessbench.methods.arguments import Which, check_inside, check_share, count_of, least_of
from hessbench.methods.eigenvalues.light_rows import light_rows, most_rows, plus_rows
from hessbench.methods.eigenvalues.ritz_intervals import IntervalsAsked, KnownEnds, RitzIntervals, leading_pairs
from hessbench.methods.eigenvalues.sample_weights import heaviest, sample_weights
from hessbench.methods.krylov.enclosures import NOTHING
from hessbench.methods.krylov.random_start_bound import Ends, end_steps
from hessbench.methods.krylov.recurrence import lanczos_steps
from hessbench.methods.krylov.ritz import ritz_vectors
from hessbench.methods.krylov.tridiagonal import Tridiagonal
from hessbench.methods.krylov.vectors import norm
from hessbench.methods.probes import draw_direction, draw_normal, single_columns
from hessbench.operator_parts import Parted, Rowed, Sampled
from hessbench.operators import LinearOperator
from hessbench.transforms import shifted

_LOOKS: Final = 2
"""Steps after which the Ritz values are read."""

_HELD_BACK: Final = 4
"""Vectors at the end of the space that bounds do not project out."""

_PATIENCE: Final = 24
"""Steps after which a bound is given up that may still be reached; as many as the run on S has where that is more."""

_ALL: Final = 0.75
"""Share of the samples from which on all are taken: what is saved on the rest would go into bounding it."""

_SHARE: Final = 0.9
"""Of the tolerance that E alone may take: what is outside of the space of S adds next to nothing once it is bounded."""

_FIRST: Final = 0.9
"""Share of the probability of failure for the first two bounds; of what is left, again so much for the next."""

_NOISE: Final = 0.1
"""Size of the random part of a start beside Ritz vectors of a smaller set, which hold nothing of the new samples."""


class SampledOperator(LinearOperator, Sampled, Protocol):
    """A GGN or a Hessian that is a sum over samples."""


def pruned_lanczos(
    op: SampledOperator,
    /,
    *,
    num_matvecs: int,
    generator: torch.Generator,
    dropped: float = 4e-4,
    tolerance: float = 0.01,
    confidence: float = 0.999,
    vectors: bool = False,
    k: int | None = None,
    which: Which = "magnitude",
) -> Iterator[Estimate]:
    """Lanczos on the sum over the heaviest samples, A = S + E, then bounds of what that leaves out, by random starts.

    What a sample weighs its outputs tell (`sample_weights`); the heaviest go into S until those in E weigh at most
    `dropped` of all. Of a Hessian the heavy rows of the GGN of the others go into S as well, so that E is little but
    their part of the residual, and fewer samples do (`light_rows`). Once the run on S seems to have converged, the
    spectra of E and of P S P are bounded by a fresh start each (`end_steps`), P = I - Q Q^T with Q its space but for a
    few vectors, and from these bounds each eigenvalue (`enclosure`). While the intervals are wider than `tolerance`,
    the cause decides what comes next: more samples in S where E is too large, with a tenth of the weight left out; more
    steps on S where P S P is. A run on more samples starts from the Ritz vectors of the one before. Where no sample is
    light, S is all of A from the start, and this is Lanczos, with intervals.

    Args:
        op: GGN or Hessian of dimension n over N samples.
        num_matvecs: Most products and rows, at least k, each counted as one whatever its share of the samples; with
            less than 5 k no rows are made.
        generator: Source of all starts.
        dropped: Share of the weight that E has at first; 0 for all samples that weigh anything.
        tolerance: Half of the widest interval, relative to its value, at which the run ends.
        confidence: Probability that all intervals of a run hold.
        vectors: Hand back Ritz vectors (n, k) of S too, and in `also` their space.
        k: Number of eigenvalues, 1 to n; by default 10, or as many as n and num_matvecs allow.
        which: Their order: `magnitude`, `algebraic` or `smallest`.

    Yields:
        After each product the Ritz values of S, up to k. Once E and P S P are bounded, `interval`: lower and upper
        bounds (k,), of magnitudes where the order is by magnitude, and each value as far towards the middle of its own
        as `tolerance` asks for. Diagnostics: `samples` in S, `steps` on them, `residual` on S, and with an interval
        half of the widest relative to its value, `width`. `converged`: whether that is within `tolerance`.

    Cost:
        A forward pass, at most 4 k rows of a Hessian, then one product in one call per yield, by the share of samples
        in S or in E. Own work and memory as in `lanczos_steps` with `full`, for the steps on S and at a time for those
        outside, and with r rows 2 r n multiplications a product and r vectors.

    Raises:
        ValueError: If an argument is out of range, or an output of the network is not finite.

    Source:
        Weighing by outputs and the bounds are this library's; `spectrum_ends` and `enclosure` say what they refine.
    """
    order = TopEigenvalues(count_of(k, op.dim, num_matvecs), which)
    check_share("dropped", dropped)
    check_inside("tolerance", tolerance, 0, float("inf"))
    check_inside("confidence", confidence, 0, 1)
    weights = sample_weights(op)
    ranking = weights.argsort(descending=True, stable=True)
    run = _PrunedRun(
        op, IntervalsAsked(order, tolerance, confidence, op.dtype, op.dim, vectors=vectors), generator, num_matvecs
    )
    start = draw_direction(op, generator)
    may_take_rows = not hasattr(op, "rows") and num_matvecs >= order.k + most_rows(order.k)
    size = least = 0
    while True:
        size = min(max(heaviest(weights, dropped), 5 * size // 4 + 1), ranking.numel())
        size = size if size < _ALL * ranking.numel() else ranking.numel()
        found = light_rows(cast("Parted", op), dropped, order.k, least, size) if may_take_rows else None
        if found is not None and found.rows.numel() > run.left:
            return
        kept, others = (ranking[:size], ranking[size:]) if found is None else (found.kept, found.dropped)
        T = yield from run.on(kept, others, start, None if found is None else run.rows(found.rows))
        if T is None:
            return
        dropped /= 10
        least = 5 * kept.numel() // 4 + 1
        assert T.basis is not None, "full reorthogonalisation keeps the basis"
        ritz = ritz_vectors(T.basis[: T.size], leading_pairs(T, order).coefficients)
        start = ritz @ _unit(draw_normal(order.k, 1, op, generator)[:, 0])
        start += _NOISE * _unit(draw_direction(op, generator))


@dataclass
class _PrunedRun:
    """What a run on one set of samples after another has in common.

    Attributes:
        op: A.
        asked: The question.
        generator: Source of starts.
        left: Products left.
        bounds: Fresh starts so far.
    """

    op: SampledOperator
    asked: IntervalsAsked
    generator: torch.Generator
    left: int
    bounds: int = 0

    def rows(self, numbers: Tensor) -> Tensor:
        """Rows of the GGN of a Hessian, as columns (n, r)."""
        self.left -= numbers.numel()
        return cast("Rowed", cast("Parted", self.op).parts.ggn).rows(numbers)

    def on(
        self, kept: Tensor, dropped: Tensor, start: Tensor, B: Tensor | None
    ) -> Generator[Estimate, None, Tridiagonal | None]:
        """Run on a set of samples until the intervals are as narrow as asked for, or the set is seen to be too small.

        Args:
            kept: Numbers of the samples in S.
            dropped: Numbers of the others.
            start: Of the run on S, (n,).
            B: Rows of the others that are added to S and taken from E, (n, r).

        Returns:
            The run on S where more samples should be in it; None where the whole run has ended.
        """
        op, asked = self.op, self.asked
        S = shifted(op.subset(kept), _shift_of(op))
        S = S if B is None else plus_rows(S, B, 1.0)
        known = KnownEnds(added=None if dropped.numel() else NOTHING)
        wait = 0
        for T in lanczos_steps(S, start, reorth="full", num_steps=self.left, generator=self.generator):
            self.left -= 1
            deflated = max(1, T.size - _HELD_BACK)
            state = RitzIntervals(T if asked.vectors else T.without_basis(), asked, kept.numel(), deflated)
            if T.size == op.dim:
                known = replace(known, outside=NOTHING)
            yield state.estimate(known)
            looks = T.size >= wait and T.size % _LOOKS == 0 and state.may_be_within(asked.tolerance / 4)
            if (looks or T.size == op.dim) and known.added is None and self.left:
                E = op.subset(dropped)  # made when it is asked for, since an engine is built for it
                E = E if B is None else plus_rows(E, B, -1.0)
                known = yield from self._bound(E, None, state, known, _SHARE * asked.tolerance)
                if known.added is None and self.left:
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
        is_ggn = hasattr(self.op, "rows")
        for bounded in end_steps(op, level, self.generator, num_steps=most, basis=basis):
            self.left -= 1
            found = (Ends(max(ends.low, 0.0), max(ends.high, 0.0)) if is_ggn else ends for ends in bounded)
            now, at_best = (
                replace(known, added=ends) if basis is None else replace(known, outside=ends) for ends in found
            )
            yield state.estimate(now)
            if state.width(now) <= allowed:
                return now
            if not state.width(at_best) <= allowed:
                break
        return known


def _unit(x: Tensor) -> Tensor:
    return x / norm(x)


def _shift_of(op: object) -> float:
    """The c of a Hessian with weight decay, which no subset has."""
    return cast("Parted", op).parts.shift if not hasattr(op, "rows") else 0.0


def _least(dim: int, *, k: int | None, **_: object) -> int:
    return least_of(k, dim)


def _footprint(dim: int, num_matvecs: int, *, vectors: bool, k: int | None, **_: object) -> Footprint:
    steps, rows = min(num_matvecs, dim), most_rows(k or 10)
    return Footprint(
        vectors=1.5 * steps + 6 + rows + (k or 10) * vectors,
        passes=steps * (steps + 1) + (18.0 + 2.0 * rows) * num_matvecs,
    )


PRUNED_LANCZOS = Method(
    name="pruned-lanczos",
    run=pruned_lanczos,
    estimands=(TopEigenvalues, TopEigenspace),
    requires=("subset",),
    by_rows=True,
    citation=(
        "Kuczynski and Wozniakowski, Estimating the largest eigenvalue by the power and Lanczos algorithms with a "
        "random start, SIAM J. Matrix Anal. Appl. 13 (1992) 1094-1122, doi:10.1137/0613066; van Dorsselaer, "
        "Hochstenbach and van der Vorst, Computing probabilistic bounds for extreme eigenvalues of symmetric matrices "
        "with the Lanczos method, CWI (1999), https://ir.cwi.nl/pub/4505"
    ),
    version="3",
    min_matvecs=_least,
    block_widths=single_columns,
    footprint=_footprint,
)
