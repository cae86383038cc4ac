"""Top eigenvalues of any operator by Lanczos, with an interval for each that says with what probability it holds."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch

from hessbench.estimand import Estimate, TopEigenspace, TopEigenvalues
from hessbench.method import Footprint, Method
from hessbench.methods.arguments import Which, check_inside, count_of, least_of
from hessbench.methods.eigenvalues.bounded_run import BoundedRun
from hessbench.methods.eigenvalues.ritz_intervals import IntervalsAsked
from hessbench.methods.probes import draw_direction, single_columns
from hessbench.operators import LinearOperator


def bounded_lanczos(
    op: LinearOperator,
    /,
    *,
    num_matvecs: int,
    generator: torch.Generator,
    tolerance: float = 0.01,
    confidence: float = 0.999,
    vectors: bool = False,
    k: int | None = None,
    which: Which = "magnitude",
    known_low: float = -math.inf,
) -> Iterator[Estimate]:
    """Lanczos, then a bound of what is outside of its space by a random start, and from that an interval of each value.

    A residual says that an eigenvalue is near and nothing of one that was missed. Once the run with space Q seems to
    have converged, the spectrum of P A P, P = I - Q Q^T with all but a few vectors of Q, is bounded by a fresh start
    (`end_steps`), which an eigenvector escapes with a stated probability only, and from this bound each eigenvalue
    (`enclosure`). While the intervals are wider than `tolerance`, the run goes on. It is `pruned-lanczos` for an
    operator that is no sum over samples.

    Args:
        op: Symmetric operator of dimension n.
        num_matvecs: Most products, at least k, the bounds included.
        generator: Source of all starts.
        tolerance: Half of the widest interval, relative to its value, at which the run ends.
        confidence: Probability that all intervals of a run hold.
        vectors: Hand back Ritz vectors (n, k) too, and in `also` their space.
        k: Number of eigenvalues, 1 to n; by default 10, or as many as n and num_matvecs allow.
        which: Their order: `magnitude`, `algebraic` or `smallest`.
        known_low: What every eigenvalue is known to be at least.

    Yields:
        After each product the Ritz values, up to k. Once what is outside is bounded, `interval`: lower and upper bounds
        (k,), of magnitudes where the order is by magnitude. Diagnostics: `steps`, `residual`, and with an interval half
        of the widest relative to its value, `width`. `converged`: whether that is within `tolerance`.

    Cost:
        One product in one call per yield; own work and memory as in `lanczos_steps` with `full`, for the steps and for
        those of a bound.

    Raises:
        ValueError: If an argument is out of range.

    Source:
        As `spectrum_ends` and `enclosure`: Kuczynski and Wozniakowski (1992), doi:10.1137/0613066; Golub and Meurant
        (2010), doi:10.1515/9781400833887.
    """
    order = TopEigenvalues(count_of(k, op.dim, num_matvecs), which)
    check_inside("tolerance", tolerance, 0, float("inf"))
    check_inside("confidence", confidence, 0, 1)
    asked = IntervalsAsked(order, tolerance, confidence, op.dtype, op.dim, vectors=vectors)
    yield from BoundedRun(asked, generator, num_matvecs, known_low).on(op, draw_direction(op, generator), rest=None)


def _least(dim: int, *, k: int | None, **_: object) -> int:
    return least_of(k, dim)


def _footprint(dim: int, num_matvecs: int, *, vectors: bool, k: int | None, **_: object) -> Footprint:
    steps = min(num_matvecs, dim)
    return Footprint(vectors=1.5 * steps + 6 + (k or 10) * vectors, passes=steps * (steps + 1) + 18.0 * num_matvecs)


BOUNDED_LANCZOS = Method(
    name="bounded-lanczos",
    run=bounded_lanczos,
    estimands=(TopEigenvalues, TopEigenspace),
    citation=(
        "Kuczynski and Wozniakowski, Estimating the largest eigenvalue by the power and Lanczos algorithms with a "
        "random start, SIAM J. Matrix Anal. Appl. 13 (1992) 1094-1122, doi:10.1137/0613066; Golub and Meurant, "
        "Matrices, Moments and Quadrature with Applications (2010), doi:10.1515/9781400833887"
    ),
    version="1",
    min_matvecs=_least,
    block_widths=single_columns,
    footprint=_footprint,
)
