"""Top eigenvalues by Rayleigh-Ritz on a randomized block Krylov space, every block of it kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from hessbench.estimand import Array, Estimate, TopEigenspace, TopEigenvalues
from hessbench.method import Footprint, Method
from hessbench.methods.arguments import Which, check_at_least, count_of
from hessbench.methods.krylov.ritz import Leading, has_converged, leading, ritz_vectors, rounding, tolerance
from hessbench.methods.krylov.vectors import outside_of
from hessbench.methods.probes import draw_normal
from hessbench.methods.small_dense import eigenpairs_of, singular_triples_of
from hessbench.operators import LinearOperator


@dataclass(frozen=True)
class BlockProjection:
    """The projection T = Q^T A Q after a block of products, with A Q = Q T + X R E^T, E^T the last block's rows.

    Attributes:
        columns: Block columns of the upper triangle of T, on the operator's device; only appended to.
        blocks: Number of `columns` that count.
        coupling: R, shape (next width, width), on the CPU; zero rows where a direction was exhausted.
        begin: First basis vector since the latest block that was random throughout; 0 is the start.
        partly: Whether random directions were mixed with others since then.
        basis: The vectors as rows, of which as many count as T has rows.
    """

    columns: list[Tensor]
    blocks: int
    coupling: Array
    begin: int
    partly: bool
    basis: Tensor | None

    @property
    def size(self) -> int:
        """Vectors of the basis."""
        return self.columns[self.blocks - 1].shape[0]

    @property
    def last_width(self) -> int:
        """Products of the last block."""
        return self.columns[self.blocks - 1].shape[1]

    def read(self) -> Array:
        """T in float64, shape (m, m), its lower triangle mirrored from the upper."""
        T = np.zeros((self.size, self.size))
        for column in self.columns[: self.blocks]:
            C = column.cpu().double().numpy()
            rows, width = C.shape
            T[:rows, rows - width : rows] = C
        return np.triu(T) + np.triu(T, 1).T


def block_krylov_steps(
    op: LinearOperator, start: Tensor, *, num_matvecs: int, generator: torch.Generator
) -> Iterator[BlockProjection]:
    """Build an orthonormal basis of span [X, A X, A^2 X, ...] block by block, with the projection of A on it.

    Block Lanczos with full reorthogonalisation. T is made of the inner products themselves, so that it is Q^T A Q
    whatever happened on the way. Directions in which the residual is rounding are replaced by random ones orthogonal to
    the basis; the run ends when the basis spans the whole space, the last block being as narrow as that takes.

    Args:
        op: Operator A.
        start: First block X, shape (n, b), of rank b; left as it is.
        num_matvecs: Most products; up to b - 1 stay unspent.
        generator: Source of the directions that replace exhausted ones.

    Yields:
        The projection after every block of products.

    Cost:
        b products in one call per block. Own work for m vectors in all: 4 m^2 n multiplications for two passes, and two
        QR factorisations a block. b x b numbers a block are read from a device. Memory: m + 2 b vectors.

    Raises:
        ValueError: If `num_matvecs` is below b, b above n, or the start does not have rank b.

    Source:
        Golub and Underwood, The block Lanczos method for computing eigenvalues (1977),
        doi:10.1016/B978-0-12-587260-7.50018-2; Musco and Musco (2015), arXiv:1504.05477.
    """
    n, width = start.shape
    check_at_least("block", width, 1)
    if width > n:
        raise ValueError(f"block must be between 1 and the dimension {n}, got {width}")
    check_at_least("num_matvecs", num_matvecs, width)
    negligible = 10 * torch.finfo(op.dtype).eps
    rows = n if num_matvecs >= n else num_matvecs // width * width
    Q = torch.empty(rows, n, dtype=op.dtype, device=op.device)
    following, first = torch.linalg.qr(start)
    sizes = first.diagonal().abs().cpu().double().numpy()
    if not (np.isfinite(sizes).all() and sizes.min() > negligible * sizes.max()):
        raise ValueError(f"start must have finite columns of rank {width}, got a start of smaller rank")
    columns: list[Tensor] = []
    held = begin = 0
    scale, partly = 0.0, False
    while held < rows:
        width = following.shape[1]
        Q[held : held + width] = following.T
        held += width
        product = op.matmat(following.contiguous()).detach()
        basis = Q[:held]
        outside, C = outside_of(basis, product)
        columns.append(C)
        residual, R = torch.linalg.qr(outside)
        coupling = R.cpu().double().numpy()
        scale = max(scale, float(C.abs().max()), float(np.abs(coupling).max()))
        width = min(width, n - held)
        if not width:
            yield BlockProjection(columns, len(columns), np.zeros((0, C.shape[1])), begin, partly, Q)
            return
        following, rank = residual[:, :width], width
        if np.isfinite(coupling).all():
            limit = negligible * scale
            following, coupling, rank = _full_rank(op, residual, coupling, basis, width, limit, generator)
        yield BlockProjection(columns, len(columns), coupling, begin, partly, Q)
        if rank == 0:
            begin, partly = held, False
        partly = partly or 0 < rank < width


def _full_rank(
    op: LinearOperator, X: Tensor, R: Array, basis: Tensor, width: int, limit: float, generator: torch.Generator
) -> tuple[Tensor, Array, int]:
    """Make of a residual X R the next block: `width` orthonormal columns, new ones where it has no such rank.

    Returns:
        The block, the coupling that goes with it, and how many of its columns are not random.
    """
    block, coupling, rank = X, R, X.shape[1]
    U, sizes, Vt = singular_triples_of(R)
    if width < rank or sizes[-1] <= limit:
        rank = min(width, int((sizes > limit).sum()))
        turned = X @ torch.from_numpy(U[:, :rank].copy()).to(dtype=X.dtype, device=X.device)
        fresh = draw_normal(X.shape[0], width - rank, op, generator)
        fresh = outside_of(basis, fresh)[0]
        fresh = torch.linalg.qr(fresh - turned @ (turned.T @ fresh)).Q
        block = torch.cat([turned, fresh], dim=1)
        coupling = np.concatenate([sizes[:rank, None] * Vt[:rank], np.zeros((width - rank, R.shape[1]))])
    # What is left along the basis was magnified when short columns were made to have length one.
    block, again = torch.linalg.qr(outside_of(basis, block)[0])
    coupling = again.cpu().double().numpy() @ coupling
    coupling[rank:] = 0.0
    return block, coupling, rank


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
    """The answer of a projection. Cost: as `leading_of`, and the vectors where it has its basis."""
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
    """Least budget: whole blocks for k values."""
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
    """Memory and own work within a budget."""
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
