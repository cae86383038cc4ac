"""Top eigenvalues from the samples that carry weight, with intervals that account for all the others."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch

from hessbench.estimand import Estimate, TopEigenspace, TopEigenvalues
from hessbench.method import Footprint, Method
from hessbench.methods.arguments import Which, check_inside, check_share, count_of, least_of
from hessbench.methods.eigenvalues.bounded_run import BoundedRun
from hessbench.methods.eigenvalues.heavy_parts import SampledOperator, heavy_parts, is_ggn, restart_block
from hessbench.methods.eigenvalues.light_rows import most_rows
from hessbench.methods.eigenvalues.ritz_intervals import IntervalsAsked, leading_pairs
from hessbench.methods.krylov.ritz import ritz_vectors
from hessbench.methods.probes import draw_direction, single_columns


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
        After each product the Ritz values of S, up to k; after S has grown those of the run before, until these may be
        within `tolerance`. Once E and P S P are bounded, `interval`: lower and upper
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
    parts = heavy_parts(op, order.k, dropped, takes_rows=num_matvecs >= order.k + most_rows(order.k))
    part = next(parts)
    asked = IntervalsAsked(order, tolerance, confidence, op.dtype, op.dim, vectors=vectors)
    run = BoundedRun(asked, generator, num_matvecs, 0.0 if is_ggn(op) else -math.inf)
    start = draw_direction(op, generator)
    while part.num_rows <= run.left:
        run.left -= part.num_rows
        S, rest = part.split()
        T = yield from run.on(S, start, samples=part.kept.numel(), rest=rest)
        if T is None:
            return
        assert T.basis is not None, "full reorthogonalisation keeps the basis"
        ritz = ritz_vectors(T.basis[: T.size], leading_pairs(T, order).coefficients)
        start = restart_block(ritz, 1, op, generator)[:, 0]
        part = next(parts)


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
    works_by="rows",
    citation=(
        "Kuczynski and Wozniakowski, Estimating the largest eigenvalue by the power and Lanczos algorithms with a "
        "random start, SIAM J. Matrix Anal. Appl. 13 (1992) 1094-1122, doi:10.1137/0613066; van Dorsselaer, "
        "Hochstenbach and van der Vorst, Computing probabilistic bounds for extreme eigenvalues of symmetric matrices "
        "with the Lanczos method, CWI (1999), https://ir.cwi.nl/pub/4505"
    ),
    version="5",
    min_matvecs=_least,
    block_widths=single_columns,
    footprint=_footprint,
)
