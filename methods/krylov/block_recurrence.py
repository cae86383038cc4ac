"""Block Lanczos A Q = Q T + X R E^T with every block kept and reorthogonalised."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hessbench.estimand import Array
from hessbench.methods.arguments import check_at_least
from hessbench.methods.krylov.vectors import outside_of
from hessbench.methods.probes import draw_normal
from hessbench.methods.small_dense import singular_triples_of
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
