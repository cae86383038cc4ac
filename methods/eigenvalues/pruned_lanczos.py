"""Top eigenvalues from the samples that carry weight, with intervals that account for all the others."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Final, Protocol, cast

import numpy as np
import torch
from torch import Tensor

from hessbench.estimand import Array, Estimate, TopEigenspace, TopEigenvalues
from hessbench.method import Footprint, Method
from hessbench.methods.arguments import Which, check_inside, count_of, least_of
from hessbench.methods.eigenvalues.sample_weights import heaviest, sample_weights
from hessbench.methods.krylov.enclosures import NOTHING, Enclosure, enclosure
from hessbench.methods.krylov.random_start_bound import Ends, end_steps
from hessbench.methods.krylov.recurrence import lanczos_steps
from hessbench.methods.krylov.ritz import Leading, last_row, leading, ritz_vectors
from hessbench.methods.krylov.ritz import tolerance as rounding_of
from hessbench.methods.krylov.tridiagonal import Tridiagonal, solve_tridiagonal
from hessbench.methods.krylov.vectors import norm
from hessbench.methods.probes import draw_direction, draw_normal, single_columns
from hessbench.operator_parts import Parted, Sampled
from hessbench.operators import LinearOperator
from hessbench.transforms import shifted

_CHECKED: Final = 4
"""Steps after which the Ritz values are read."""

_PATIENCE: Final = 24
"""Steps after which a bound is given up that may still be reached; as many as the run on S has where that is more."""

_ALL: Final = 0.75
"""Share of the samples from which on all are taken: what is saved on the rest would go into bounding it."""

_NOISE: Final = 0.1
"""Size of the random part of a start beside Ritz vectors of a smaller set, which hold nothing of the new samples."""

_FIRST: Final = 0.9
"""Share of the probability of failure for the first bounds; of what is left, again so much for the next."""


class SampledOperator(LinearOperator, Sampled, Protocol):
    """A GGN or a Hessian that is a sum over samples."""


def pruned_lanczos(
    op: SampledOperator,
    /,
    *,
    num_matvecs: int,
    generator: torch.Generator,
    dropped: float = 1e-3,
    tolerance: float = 0.01,
    confidence: float = 0.999,
    vectors: bool = False,
    k: int | None = None,
    which: Which = "magnitude",
) -> Iterator[Estimate]:
    """Lanczos on the sum over the heaviest samples, A = S + E, then bounds of what that leaves out, by random starts.

    The weight of a sample is what its outputs say of its rows, the sum of ||s_r||^2; the heaviest go into S until those
    in E weigh at most `dropped` of all. In the space Q of the run on S, with P = I - Q Q^T, the spectra of P S P and of
    E are bounded by a fresh start each (`end_steps`), and from these bounds each eigenvalue (`enclosure`). While the
    intervals are wider than `tolerance`, the cause decides what comes next: more steps on S where P S P is too large,
    more samples in S where E is, a tenth of the weight left out; a run on more samples starts from the Ritz vectors of
    the one before. Where no sample is light, S soon is all of A, and this is Lanczos, with an interval.

    Args:
        op: GGN or Hessian of dimension n over N samples.
        num_matvecs: Most products, at least k, each counted as one whatever its share of the samples.
        generator: Source of all starts.
        dropped: Share of the weight that E has at first; 0 for all samples that weigh anything.
        tolerance: Largest distance of a bound from its value, relative to the value, at which the run ends.
        confidence: Probability that all intervals of a run hold.
        vectors: Hand back Ritz vectors (n, k) of S too, and in `also` their space.
        k: Number of eigenvalues, 1 to n; by default 10, or as many as n and num_matvecs allow.
        which: Their order: `magnitude`, `algebraic` or `smallest`.

    Yields:
        After each product the Ritz values of S, up to k. Once E and P S P are bounded, `interval`: lower and upper
        bounds (k,), of magnitudes where the order is by magnitude. Diagnostics: `samples` in S, `steps` on them,
        `residual` on S, and with an interval its largest distance from a value, `width`. `converged`: whether it is
        within `tolerance`.

    Cost:
        A forward pass, then one product in one call per yield, by the share of samples in S or in E. Own work and
        memory as in `lanczos_steps` with `full`, for the steps on S and at a time for those outside.

    Raises:
        ValueError: If an argument is out of range, or an output of the network is not finite.

    Source:
        Weighing by outputs and the bounds are this library's; see `random_start_bound` for what they refine.
    """
    order = TopEigenvalues(count_of(k, op.dim, num_matvecs), which)
    if not 0 <= dropped < 1:
        raise ValueError(f"dropped must be at least 0 and below 1, got {dropped}")
    check_inside("tolerance", tolerance, 0, float("inf"))
    check_inside("confidence", confidence, 0, 1)
    weights = sample_weights(op)
    ranking = weights.argsort(descending=True, stable=True)
    asked = _Asked(order, tolerance, confidence, op.dtype, op.dim, vectors=vectors)
    run = _Run(op, asked, generator, num_matvecs)
    start = draw_direction(op, generator)
    size = 0
    while True:
        size = min(max(heaviest(weights, dropped), 5 * size // 4 + 1), ranking.numel())
        size = size if size < _ALL * ranking.numel() else ranking.numel()
        T = yield from run.on(ranking[:size], ranking[size:], start)
        if T is None:
            return
        dropped /= 10
        start = _ritz_vectors(T, order) @ _unit(draw_normal(order.k, 1, op, generator)[:, 0])
        start += _NOISE * _unit(draw_direction(op, generator))


@dataclass(frozen=True)
class _Asked:
    order: TopEigenvalues
    tolerance: float
    confidence: float
    dtype: torch.dtype
    dim: int
    vectors: bool


@dataclass
class _Run:
    """What a run on one set of samples after another has in common.

    Attributes:
        op: A.
        asked: The question.
        generator: Source of starts.
        left: Products left.
        bounds: Fresh starts so far.
    """

    op: SampledOperator
    asked: _Asked
    generator: torch.Generator
    left: int
    bounds: int = 0

    def on(self, kept: Tensor, dropped: Tensor, start: Tensor) -> Generator[Estimate, None, Tridiagonal | None]:
        """Run on a set of samples until the intervals are as narrow as asked for, or the set is seen to be too small.

        Args:
            kept: Numbers of the samples in S.
            dropped: Numbers of the others.
            start: Of the run on S, (n,).

        Returns:
            The run on S where more samples should be in it; None where the whole run has ended.
        """
        op, asked = self.op, self.asked
        S = shifted(op.subset(kept), _shift_of(op))
        E = op.subset(dropped) if dropped.numel() else None
        allowed = asked.tolerance if E is None else asked.tolerance / 2
        wait = 0
        for T in lanczos_steps(S, start, reorth="full", num_steps=self.left, generator=self.generator):
            self.left -= 1
            state = _State(T if asked.vectors else T.without_basis(), asked, kept.numel())
            whole = T.size == op.dim
            yield state.estimate(_Known(NOTHING, NOTHING) if whole and E is None else _Known())
            looks = whole or (T.size >= wait and T.size % _CHECKED == 0 and state.may_be_within(allowed / 2))
            known = _Known(NOTHING if whole else None, NOTHING if E is None else None)
            if looks and not whole and self.left:
                assert T.basis is not None, "full reorthogonalisation keeps the basis"
                known = yield from self._bound(S, T.basis[: T.size], state, known, allowed)
                wait = T.size + T.size // 4
            if looks and known.outside is not None and E is not None and self.left:
                known = yield from self._bound(E, None, state, known, asked.tolerance)
                if known.added is None and self.left:
                    return T
            if not self.left or (looks and known.is_complete):
                return None
        return None

    def _bound(
        self, op: LinearOperator, basis: Tensor | None, state: _State, known: _Known, allowed: float
    ) -> Generator[Estimate, None, _Known]:
        """Bound P S P, where a basis is given, or E, until the intervals are narrow enough or cannot become so.

        Returns:
            What is known then, more than before only where the intervals are within `allowed`.
        """
        level = (1 - self.asked.confidence) * _FIRST / 2 * (1 - _FIRST) ** (self.bounds // 2)
        self.bounds += 1
        most = min(max(_PATIENCE, state.T.size), self.left)
        for bounded in end_steps(op, level, self.generator, num_steps=most, basis=basis):
            self.left -= 1
            now, at_best = (known.with_ends(ends, outside=basis is not None) for ends in bounded)
            yield state.estimate(now)
            if state.width(now) <= allowed:
                return now
            if not state.width(at_best) <= allowed:
                break
        return known


@dataclass(frozen=True)
class _Known:
    """Ends of P S P and of E; None where they are not known, which `width` takes for zero."""

    outside: Ends | None = None
    added: Ends | None = None

    @property
    def is_complete(self) -> bool:
        return self.outside is not None and self.added is not None

    def with_ends(self, ends: Ends, *, outside: bool) -> _Known:
        return _Known(ends, self.added) if outside else _Known(self.outside, ends)


@dataclass(frozen=True)
class _State:
    """The run on S after some steps, and what it says of the eigenvalues."""

    T: Tridiagonal
    asked: _Asked
    samples: int

    @cached_property
    def coefficients(self) -> tuple[Array, Array]:
        """Diagonal and off-diagonal of T."""
        return self.T.read()

    @cached_property
    def ritz(self) -> tuple[Leading, Array]:
        """The first k Ritz pairs, and all Ritz values in their order."""
        return _ritz(self.T, self.asked.order)

    def enclose(self, known: _Known) -> Enclosure:
        """Bounds of the first eigenvalues, what is not known of E taken for zero."""
        alphas, betas = self.coefficients
        outside = NOTHING if known.outside is None else known.outside
        found = enclosure(self.asked.order, alphas, betas, self.asked.dim, outside, known.added or NOTHING)
        rounded = 10 * float(torch.finfo(self.asked.dtype).eps) * float(np.abs(self.ritz[1]).max())
        lower, upper = found.lower - rounded, found.upper + rounded
        return Enclosure(np.maximum(lower, 0.0) if self.asked.order.which == "magnitude" else lower, upper)

    def width(self, known: _Known) -> float:
        """The largest distance of a bound from its Ritz value, relative to the value, but for rounding."""
        lower, upper = self.enclose(known)
        values = self.ritz[0].values
        if self.asked.order.which == "magnitude":
            values = np.abs(values)
        gaps = np.maximum(upper - values, values - lower) - rounding_of(self.asked.dtype) * float(np.abs(values).max())
        with np.errstate(divide="ignore", invalid="ignore"):
            return float(np.where(gaps <= 0, 0.0, gaps / np.abs(values)).max())

    def may_be_within(self, allowed: float) -> bool:
        """Whether the intervals are narrow enough if nothing outside of the space reaches half of the k-th value."""
        order, values = self.asked.order, self.ritz[1]
        if values.size <= order.k or not np.isfinite(values).all():
            return False
        k_th, following = (float(value) for value in values[order.k - 1 : order.k + 1])
        if order.which == "magnitude":
            end = min(abs(following), abs(k_th) / 2)
            return self.width(_Known(Ends(-end, end))) <= allowed
        sign = -1.0 if order.which == "smallest" else 1.0
        end, last = sign * min(sign * following, sign * k_th - abs(k_th) / 2), float(values[-1])
        return self.width(_Known(Ends(min(end, last), max(end, last)))) <= allowed

    def estimate(self, known: _Known) -> Estimate:
        """The Ritz values, with intervals once all is known."""
        return Estimate(value=partial(_answer, self, known))


def _answer(state: _State, known: _Known) -> Estimate:
    asked, (found, _) = state.asked, state.ritz
    diagnostics = {"samples": state.samples, "steps": state.T.size, "residual": found.residual}
    interval: Enclosure | None = None
    if known.is_complete:
        interval = state.enclose(known)
        diagnostics |= {"width": state.width(known), "confidence": asked.confidence}
    vectors = _ritz_vectors(state.T, asked.order) if asked.vectors else None
    return Estimate(
        value=found.values,
        vectors=vectors,
        converged=interval is not None and state.width(known) <= asked.tolerance,
        diagnostics=diagnostics,
        also={} if vectors is None else {TopEigenspace: Estimate(vectors)},
        interval=interval,
    )


def _ritz(T: Tridiagonal, order: TopEigenvalues) -> tuple[Leading, Array]:
    alphas, betas = T.read()
    ritz = solve_tridiagonal(alphas, betas)
    return leading(order, ritz.values, ritz.vectors, last_row(betas[-1], alphas.size)), order.rank(ritz.values)


def _ritz_vectors(T: Tridiagonal, order: TopEigenvalues) -> Tensor:
    assert T.basis is not None, "full reorthogonalisation keeps the basis"
    return ritz_vectors(T.basis[: T.size], _ritz(T, order)[0].coefficients)


def _unit(x: Tensor) -> Tensor:
    return x / norm(x)


def _shift_of(op: LinearOperator) -> float:
    """The c of a Hessian with weight decay, which no subset has."""
    return cast("Parted", op).parts.shift if not hasattr(op, "rows") else 0.0


def _least(dim: int, *, k: int | None, **_: object) -> int:
    return least_of(k, dim)


def _footprint(dim: int, num_matvecs: int, *, vectors: bool, k: int | None, **_: object) -> Footprint:
    steps = min(num_matvecs, dim)
    return Footprint(vectors=1.5 * steps + 6 + (k or 10) * vectors, passes=steps * (steps + 1) + 18.0 * num_matvecs)


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
    version="1",
    min_matvecs=_least,
    block_widths=single_columns,
    footprint=_footprint,
)
