"""Vectors of one start or of several in lock-step: norms, products, and the one projection out of a basis.

One start is a vector (n,) with a basis of rows (j, n). Several are rows (p, n), each with its own basis, (p, j, n).
"""

from __future__ import annotations

import torch
from torch import Tensor

from hessbench.operators import LinearOperator


def norm(x: Tensor, dim: int | None = None) -> Tensor:
    """2-norm, summed in float64 so that squares of tiny float32 entries do not underflow, in the dtype of `x`."""
    return torch.linalg.vector_norm(x, dim=dim, dtype=torch.float64).to(x.dtype)


def check_start(start: Tensor) -> Tensor:
    """Norm of a start vector (n,).

    Raises:
        ValueError: If it is zero or not finite.
    """
    size = norm(start)
    if not 0 < float(size) < float("inf"):
        raise ValueError(f"start must have a norm above 0 and finite, got {float(size)}")
    return size


def image(op: LinearOperator, q: Tensor) -> Tensor:
    """A q for one vector (n,) or for each row (p, n), in one call; may be q itself, or the operator's own memory."""
    if q.dim() == 1:
        return op.matmat(q[:, None]).detach()[:, 0]
    return op.matmat(q.T.contiguous()).detach().T


def inner(x: Tensor, y: Tensor) -> Tensor:
    """<x, y> of two vectors (n,), or of each pair of rows (p, n)."""
    return torch.dot(x, y) if x.dim() == 1 else (x * y).sum(dim=1)


def along(sizes: Tensor, x: Tensor) -> Tensor:
    """A number (), or one for each row (p,), shaped to multiply the entries of x, (n,) or (p, n)."""
    return sizes if x.dim() == 1 else sizes[:, None]


def project_out(basis: Tensor, x: Tensor, *, batched: bool = False) -> Tensor:
    """Take the components along orthonormal rows out of x, in place: the basis is read twice.

    Args:
        basis: Rows (j, n); or (p, j, n), where each row of x has its own.
        x: A vector (n,); or rows (p, n).
        batched: Whether rows go through one batched product, which on a CPU is two to four times slower than a pair of
            products for each.

    Returns:
        The components: (j,); or (p, j).
    """
    if basis.dim() == 2:
        components = torch.mv(basis, x)
        x.addmv_(basis.T, components, alpha=-1)
        return components
    if not batched:
        return torch.stack([project_out(rows, r) for rows, r in zip(basis, x, strict=True)])
    components = torch.bmm(basis, x[:, :, None])
    x[:, :, None].baddbmm_(basis.transpose(1, 2), components, alpha=-1)
    return components[:, :, 0]


def outside_of(basis: Tensor, block: Tensor) -> tuple[Tensor, Tensor]:
    """`project_out` for columns (n, b), in new memory: what is outside of rows (j, n), and the components (j, b)."""
    components = basis @ block
    return torch.addmm(block, basis.T, components, alpha=-1), components
