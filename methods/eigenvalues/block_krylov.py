"""Top eigenvalues by Rayleigh-Ritz on a randomized block Krylov space, every block of it kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np
import torch

from hessbench.estimand import Array, Estimate, TopEigenspace, TopEigenvalues
from hessbench.method import Footprint, Method
from hessbench.methods.arguments import Which, check_at_least, count_of
from hessbench.methods.krylov.block_recurrence import BlockProjection, block_krylov_steps
from hessbench.methods.krylov.ritz import Leading, has_converged, leading, ritz_vectors, rounding, tolerance
from hessbench.methods.probes import draw_normal
from hessbench.methods.small_dense import eigenpairs_of
from hessbench.operators import LinearOperator


def block_krylov(
    op: LinearOperator,
    /,
    *,
    num_matvecs: int,
    generator: torch.Generator,
    block: int = 4,
    vectors: bool = False,
    k: int | None = None,
    which: Which = "magnitude",
) -> Iterator[Estimate]:
    """Randomized block Krylov: Ritz values of A on span [X, A X, ..., A^(q - 1) X], X Gaussian with `block` columns.

    Every block counts, and so does the last product: q blocks cost q * block products and project on as many
    dimensions, where a range finder with power iterations keeps the last block only. A block finds eigenvalues of
    multiplicity up to its width, and calls the operator less often; at equal products a narrower one is the more exact.

    Args:
        op: Symmetric operator of dimension n.
        num_matvecs: Most products, at least k and block; up to block - 1 stay unspent, and n suffice.
        generator: Source of the Gaussian block.
        block: Columns of X; n where that is less.
        vectors: Hand back Ritz vectors (n, k) too, and in `also` their space.
        k: Number of eigenvalues, 1 to n; by default 10, or as many as n and num_matvecs allow.
        which: Their order: `magnitude`, `algebraic` or `smallest`.

    Yields:
        After each block the eigenvalues, up to k. Diagnostics: `size` of the basis; `residual`, the largest
        ||A y - theta y|| over the values given, by the recurrence. `converged`: see `has_converged`.

    Cost:
        `block` products in one call per block; own work and memory as in `block_krylov_steps`.

    Raises:
        ValueError: If an argument is out of range.

    Source:
        Musco and Musco, Randomized block Krylov methods (2015), arXiv:1504.05477.
    """
    check_at_least("block", block, 1)
    check_at_least("num_matvecs", num_matvecs, least_by_blocks(op.dim, block=block, k=k))
    order = TopEigenvalues(count_of(k, op.dim, num_matvecs), which)
    start = draw_normal(op.dim, min(block, op.dim), op, generator)
    for state in block_krylov_steps(op, start, num_matvecs=num_matvecs, generator=generator):
        known = state if vectors else replace(state, basis=None)
        yield Estimate(value=partial(ritz_estimate, known, order, op.dtype, op.dim))


def leading_of(state: BlockProjection, order: TopEigenvalues) -> Leading:
    """The first Ritz pairs of a projection in an order. Cost: T is read and solved."""
    values, S = eigenpairs_of(state.read())
    return leading(order, values, S, _spread(state.coupling, state.size))


def ritz_estimate(state: BlockProjection, order: TopEigenvalues, dtype: torch.dtype, dim: int) -> Estimate:
    """The answer of a projection.

    Args:
        state: The projection; vectors are handed back where it has its basis.
        order: k and the order.
        dtype: That of the operator.
        dim: Its dimension n.

    Cost: as `leading_of`, and the vectors.
    """
    T = state.read()
    m = state.size
    values, S = eigenpairs_of(T)
    R = state.coupling
    top = leading(order, values, S, _spread(R, m))
    size = float(np.abs(values).max())
    whole = m == dim
    probe = None
    if not whole and (state.begin or not R.any()):
        inner, inner_vectors = eigenpairs_of(T[state.begin :, state.begin :])
        first = TopEigenvalues(1, order.which)
        probe = leading(first, inner, inner_vectors, _spread(R, inner.size))
    unseen = np.inf if whole else rounding(dtype, dim) * size
    converged = has_converged(order, top, tolerance(dtype) * size, unseen=unseen, probe=probe)
    Q = state.basis
    vectors = None if Q is None else ritz_vectors(Q[:m], top.coefficients)
    return Estimate(
        value=top.values,
        vectors=vectors,
        converged=converged and (whole or not state.partly),
        diagnostics={"size": m, "residual": top.residual},
        also={} if vectors is None else {TopEigenspace: Estimate(vectors)},
    )


def _spread(R: Array, m: int) -> Array:
    """R E^T for m vectors; no rows where the whole space is spanned."""
    return np.pad(R, ((0, 0), (m - R.shape[1], 0)))


def least_by_blocks(dim: int, *, block: int, k: int | None, **_: object) -> int:
    """Least budget: whole blocks for k values.

    Args:
        dim: Dimension n.
        block: Columns of a block.
        k: Number of eigenvalues; None for as many as come.
    """
    check_at_least("block", block, 1)
    width = min(block, dim)
    return width if k is None else min(-(-k // width) * width, dim)


def widths_by_blocks(num_matvecs: int, *, block: int, **_: object) -> tuple[int, ...]:
    """Widths of the blocks within a budget."""
    width = min(block, num_matvecs)
    last = num_matvecs % width  # of a run that spans the whole space
    return (width, last) if last else (width,)


def footprint_by_blocks(
    dim: int, num_matvecs: int, *, block: int, vectors: bool, k: int | None, **_: object
) -> Footprint:
    """Memory and own work within a budget.

    Args:
        dim: Dimension n.
        num_matvecs: The budget.
        block: Columns of a block.
        vectors: Whether Ritz vectors are handed back.
        k: How many; by default 10.
    """
    width = min(block, dim)
    m = min(num_matvecs // width * width, dim)
    # Two passes read the basis four times a block; a QR factorisation reads and writes the block once a column, twice.
    held = m + 4.0 * width + (k or 10) * vectors
    return Footprint(vectors=held, passes=2.0 * m * (m + width) / width + 8.0 * m * width)


BLOCK_KRYLOV = Method(
    name="block-krylov",
    run=block_krylov,
    estimands=(TopEigenvalues, TopEigenspace),
    citation=(
        "Musco and Musco, Randomized block Krylov methods for stronger and faster approximate singular value "
        "decomposition, NeurIPS (2015), arXiv:1504.05477; Golub and Underwood, The block Lanczos method for computing "
        "eigenvalues, Mathematical Software III (1977) 361-377, doi:10.1016/B978-0-12-587260-7.50018-2"
    ),
    version="2",
    min_matvecs=least_by_blocks,
    block_widths=widths_by_blocks,
    footprint=footprint_by_blocks,
    presets=("block-krylov", "block-krylov[block=10]"),
)
