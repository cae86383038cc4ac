"""Top eigenvalues from a block Krylov space of the samples that carry weight, the others bounded by a few vectors."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Final

import numpy as np
import torch
from torch import Tensor

from hessbench.estimand import Estimate, TopEigenspace, TopEigenvalues
from hessbench.method import Footprint, Method
from hessbench.methods.arguments import Which, check_at_least, check_inside, check_share, count_of
from hessbench.methods.eigenvalues.block_krylov import (
    footprint_by_blocks,
    leading_of,
    least_by_blocks,
    ritz_estimate,
    widths_by_blocks,
)
from hessbench.methods.eigenvalues.heavy_parts import (
    HeavyPart,
    SampledOperator,
    heavy_parts,
    num_samples_of,
    restart_block,
)
from hessbench.methods.eigenvalues.light_rows import most_rows
from hessbench.methods.krylov.block_recurrence import BlockProjection, block_krylov_steps
from hessbench.methods.krylov.norm_bound import norm_steps
from hessbench.methods.krylov.ritz import Leading, ritz_vectors
from hessbench.methods.krylov.ritz import tolerance as rounding_of
from hessbench.methods.probes import draw_normal
from hessbench.operators import LinearOperator

_WORTH: Final = 2**21
"""Parameters times samples up to which all samples are taken: a product of so few multiplications takes the start of
its operations, over a part of the samples as over all of them."""

_SHARE: Final = 0.9
"""Of the tolerance, that E may take: what the space of S misses adds next to nothing once it has converged."""

_CALLS: Final = 6
"""Most powers of E by which it is bounded."""

_FIRST: Final = 0.9
"""Share of the probability of failure for the first bound; of what is left, again so much for the next."""


def pruned_krylov(
    op: SampledOperator,
    /,
    *,
    num_matvecs: int,
    generator: torch.Generator,
    block: int = 10,
    dropped: float = 4e-4,
    tolerance: float = 0.01,
    confidence: float = 0.999,
    vectors: bool = False,
    k: int | None = None,
    which: Which = "magnitude",
) -> Iterator[Estimate]:
    """Block Krylov on the sum over the heaviest samples, A = S + E, with a bound of ||E|| by a few normal vectors.

    S is that of `pruned-lanczos`, see `heavy_parts`; no eigenvalue of A is further than ||E|| from that of S. Once the
    residuals of S are within `tolerance`, ||E|| is bounded (`norm_steps`). Where it may be more than `tolerance` of the
    k-th value, S grows to leave a tenth of the weight out, and the run on it starts from the Ritz vectors of the one
    before. Where no sample is light, and where a product is so short that fewer samples would not shorten it, S is all
    of A, and this is block Krylov. There are no intervals: what the space of S misses is not bounded.

    Args:
        op: GGN or Hessian of dimension n over N samples.
        num_matvecs: Most products and rows, at least k and block, each counted as one whatever its share of the
            samples; with less than 4 k more no rows are made. Up to block - 1 stay unspent.
        generator: Source of the starts.
        block: Columns multiplied at once; n where that is less.
        dropped: Share of the weight that E has at first; 0 for all samples that weigh anything.
        tolerance: Of the k-th value, that ||E|| may be.
        confidence: Probability that it is no more in any run that says so.
        vectors: Hand back Ritz vectors (n, k) of S too, and in `also` their space.
        k: Number of eigenvalues, 1 to n; by default 10, or as many as n and num_matvecs allow.
        which: Their order: `magnitude`, `algebraic` or `smallest`.

    Yields:
        After each block the Ritz values of S, up to k; after S has grown those of the run before, until the residuals
        are within `tolerance` or the basis is as large. Diagnostics: `samples` in S, `size` of the basis, `residual` on
        S, and `left_out`, the bound of ||E|| once it is small enough, 0 where S is all of A. `converged`: as of
        `block_krylov`, and `left_out` known.

    Cost:
        A forward pass, at most 4 k rows of a Hessian, then `block` products in one call per yield, by the share of
        samples in S or in E. Own work and memory as in `block_krylov_steps`, and with r rows 2 r n multiplications a
        column and r vectors.

    Raises:
        ValueError: If an argument is out of range, or an output of the network is not finite.

    Source:
        Musco and Musco (2015), arXiv:1504.05477; the bound: Halko, Martinsson and Tropp (2011), doi:10.1137/090771806.
        Weighing by outputs is this library's.
    """
    check_at_least("block", block, 1)
    check_at_least("num_matvecs", num_matvecs, least_by_blocks(op.dim, block=block, k=k))
    check_share("dropped", dropped)
    check_inside("tolerance", tolerance, 0, float("inf"))
    check_inside("confidence", confidence, 0, 1)
    order = TopEigenvalues(count_of(k, op.dim, num_matvecs), which)
    run = _PrunedRun(op, order, min(block, op.dim), tolerance, num_matvecs, generator, vectors=vectors)
    start = draw_normal(op.dim, run.width, op, generator)
    takes_rows = num_matvecs >= max(order.k, run.width) + most_rows(order.k)
    failing, before = 1 - confidence, None
    for part in _parts(op, order.k, dropped, takes_rows=takes_rows):
        if part.num_rows + run.width > run.left:
            return
        run.left -= part.num_rows
        before = yield from _run_on(part, run, start, before, failing * _FIRST)
        if before is None:
            return
        start, failing = _restart_of(before), failing * (1 - _FIRST)
        before = before.to_show()  # the basis makes room for the next one


def _parts(op: SampledOperator, k: int, dropped: float, *, takes_rows: bool) -> Iterator[HeavyPart]:
    num_samples = num_samples_of(op)
    if op.dim * num_samples <= _WORTH:
        everything = torch.arange(num_samples)
        return iter([HeavyPart(op, everything, everything[:0])])
    return heavy_parts(op, k, dropped, takes_rows=takes_rows)


@dataclass
class _PrunedRun:
    """What the parts of a run have in common, and the products that are left."""

    op: SampledOperator
    order: TopEigenvalues
    width: int
    tolerance: float
    left: int
    generator: torch.Generator
    vectors: bool


@dataclass(frozen=True)
class _PrunedState:
    """A run on S after some blocks, and a bound of ||E|| once it is known to be small enough."""

    run: _PrunedRun
    samples: int
    projection: BlockProjection
    left_out: float | None

    @cached_property
    def first(self) -> Leading:
        """The first k Ritz pairs of S."""
        return leading_of(self.projection, self.run.order)

    @property
    def allowed(self) -> float:
        """The tolerance of the k-th value, or what counts as rounding where that is less: the rank may be below k."""
        sizes = np.abs(self.first.values)
        return max(self.run.tolerance * float(sizes.min()), rounding_of(self.run.op.dtype) * float(sizes.max()))

    @property
    def is_settled(self) -> bool:
        """Whether the first k residuals are within the tolerance."""
        return self.first.values.size == self.run.order.k and self.first.residual <= self.allowed

    def to_show(self) -> _PrunedState:
        """The same without its basis, where no vectors are asked for."""
        return self if self.run.vectors else replace(self, projection=replace(self.projection, basis=None))

    def estimate(self) -> Estimate:
        """What stands, read when it is asked for."""
        return Estimate(value=partial(_answer, self.to_show()))


def _answer(state: _PrunedState) -> Estimate:
    run = state.run
    found = ritz_estimate(state.projection, run.order, run.op.dtype, run.op.dim)
    said = {**found.diagnostics, "samples": state.samples}
    if state.left_out is not None:
        said["left_out"] = state.left_out
    return replace(found, converged=bool(found.converged) and state.left_out is not None, diagnostics=said)


def _run_on(
    part: HeavyPart, run: _PrunedRun, start: Tensor, before: _PrunedState | None, failing: float
) -> Generator[Estimate, None, _PrunedState | None]:
    """Run on a part until the budget is spent, or the part is seen to be too small.

    Args:
        part: S, whose rows have been paid for.
        run: The run.
        start: First block, (n, b).
        before: The end of the run on a smaller part, whose values stand until the new ones have settled.
        failing: Probability with which the bound of ||E|| may fail.

    Returns:
        The end of the run where more should be in S; None where the whole run has ended.
    """
    S, rest = part.split()
    left_out = 0.0 if rest is None else None
    for projection in block_krylov_steps(S, start, num_matvecs=run.left, generator=run.generator):
        run.left -= projection.last_width
        state = _PrunedState(run, part.kept.numel(), projection, left_out)
        if before is not None and (state.is_settled or projection.size >= before.projection.size):
            before = None
        yield (before or state).estimate()
        if rest is not None and left_out is None and state.is_settled:
            left_out = yield from _bounded(rest(), state, failing)
            if left_out is None:
                return state
        if run.left < min(run.width, run.op.dim - projection.size):
            return None
    return None


def _bounded(E: LinearOperator, state: _PrunedState, failing: float) -> Generator[Estimate, None, float | None]:
    """A bound of ||E|| within the tolerance; None where none was found, or the budget is spent."""
    run = state.run
    calls = min(_CALLS, run.left // run.width)
    if not calls:
        return None
    for known in norm_steps(E, failing, run.generator, width=run.width, num_calls=calls):
        run.left -= run.width
        is_small = known.high <= _SHARE * state.allowed
        yield replace(state, left_out=known.high if is_small else None).estimate()
        if is_small:
            return known.high
        if not known.low <= _SHARE * state.allowed:
            return None
    return None


def _restart_of(state: _PrunedState) -> Tensor:
    """The first block of a run on more samples."""
    run, basis = state.run, state.projection.basis
    assert basis is not None
    ritz = ritz_vectors(basis[: state.projection.size], state.first.coefficients)
    return restart_block(ritz, run.width, run.op, run.generator)


def _footprint(dim: int, num_matvecs: int, *, block: int, vectors: bool, k: int | None, **_: object) -> Footprint:
    of_blocks = footprint_by_blocks(dim, num_matvecs, block=block, vectors=vectors, k=k)
    rows = most_rows(k or 10)
    return Footprint(vectors=of_blocks.vectors + rows, passes=of_blocks.passes + 2.0 * rows * num_matvecs)


PRUNED_KRYLOV = Method(
    name="pruned-krylov",
    run=pruned_krylov,
    estimands=(TopEigenvalues, TopEigenspace),
    requires=("subset",),
    works_by="rows",
    citation=(
        "Musco and Musco, Randomized block Krylov methods for stronger and faster approximate singular value "
        "decomposition, NeurIPS (2015), arXiv:1504.05477; Halko, Martinsson and Tropp, Finding structure with "
        "randomness, SIAM Rev. 53 (2011) 217-288, doi:10.1137/090771806"
    ),
    version="1",
    min_matvecs=least_by_blocks,
    block_widths=widths_by_blocks,
    footprint=_footprint,
)
