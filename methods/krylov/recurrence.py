"""The Lanczos recurrence A Q = Q T + r e^T, for one start or many in lock-step, and the quadrature it gives.

Coefficients stay on the operator's device; whoever wants eigenvalues reads them once and solves on the CPU.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import scipy.linalg
import torch
from torch import Tensor

from hessbench.estimand.base import Array
from hessbench.methods.arguments import check_at_least, check_choice
from hessbench.methods.probes import draw_normal
from hessbench.operators import LinearOperator

REORTH: Final = ("full", "none", "window")
_CUT: Final = 0.5**0.5  # a pass that leaves less than this of the norm has lost digits and is repeated


@dataclass(frozen=True)
class Tridiagonal:
    """The leading block of T after `size` products, valid for good: the lists behind it are only appended to.

    Attributes:
        alphas: Diagonal entries, scalars on the operator's device.
        betas: betas[j] couples steps j and j + 1; an exact zero where an invariant subspace was exhausted.
        size: Number of steps that count.
        operations: Vectors of length n scaled, added, multiplied or measured by the method itself so far.
        basis: Lanczos vectors as rows, the first `size` of which count, where they are all kept.
    """

    alphas: list[Tensor]
    betas: list[Tensor]
    size: int
    operations: int = 0
    basis: Tensor | None = None

    def read(self) -> tuple[Array, Array]:
        """Copy alphas and betas, `size` of each, to the CPU in float64; the last beta is the residual's norm."""
        both = torch.stack(self.alphas[: self.size] + self.betas[: self.size]).cpu().double().numpy()
        return both[: self.size], both[self.size :]


@dataclass(frozen=True)
class Ritz:
    """Eigenvalues of T, ascending, shape (m,), with its eigenvectors as columns, shape (m, m)."""

    values: Array
    vectors: Array

    @property
    def first(self) -> Array:
        """First components of the eigenvectors, shape (m,)."""
        return self.vectors[0]

    @property
    def last(self) -> Array:
        """Last components of the eigenvectors, shape (m,)."""
        return self.vectors[-1]


def norm(x: Tensor, dim: int | None = None) -> Tensor:
    """2-norm, summed in float64 so that squares of tiny float32 entries do not underflow, in the dtype of `x`."""
    return torch.linalg.vector_norm(x, dim=dim, dtype=torch.float64).to(x.dtype)


def lanczos_steps(
    op: LinearOperator,
    start: Tensor,
    *,
    reorth: str,
    num_steps: int,
    generator: torch.Generator,
    window: int = 10,
    on_host: bool | None = None,
) -> Iterator[Tridiagonal]:
    """Run the Lanczos recurrence, one product a step.

    `full`: after the three terms, classical Gram-Schmidt against the whole basis as two matrix-vector products. A
    second pass follows only where the first cut the norm below 1/sqrt(2); off the host it always follows, because
    asking would cost a synchronisation a step. Where the subspace is invariant (the residual is rounding), the run goes
    on from a random direction orthogonal to the basis, with a zero in `betas`, so that repeated eigenvalues are found;
    it ends after `dim` steps.

    `none`: two basis vectors and a residual are all that is kept. It ends with an invariant subspace; off the host,
    where nobody looks, further coefficients are zero and `first_block` leaves them out. `window` is the same with a
    Gram-Schmidt pass against the last `window` vectors, which are all that is kept: copies come later, not never.

    Args:
        op: Operator A.
        start: First direction, shape (n,), not zero; left as it is.
        reorth: `full`, `none` or `window`.
        num_steps: Most steps.
        generator: Source of the directions after an invariant subspace.
        window: Vectors that `window` keeps, at least 2.
        on_host: Whether the host takes these decisions; by default only where the operator lives on the CPU.

    Yields:
        The tridiagonal matrix after every product.

    Cost:
        One product in one call per step; own work at step j: 2 j n multiplications a Gram-Schmidt pass, which reads
        the basis twice (2 w n with a window of w). Memory: num_steps + 2 vectors, 4 for `none`, w + 2 with a window.

    Raises:
        ValueError: If an argument is out of range, or the start is zero or not finite.

    Source:
        Lanczos, J. Res. Natl. Bur. Stand. 45 (1950), doi:10.6028/jres.045.026; second pass: Daniel, Gragg, Kaufman and
        Stewart, Math. Comp. 30 (1976), doi:10.1090/S0025-5718-1976-0431641-8.
    """
    check_choice("reorth", reorth, REORTH)
    check_at_least("num_steps", num_steps, 1)
    check_at_least("window", window, 2)
    n, full = op.dim, reorth == "full"
    on_host = op.device.type == "cpu" if on_host is None else on_host
    rows = {"full": min(num_steps, n), "none": 2, "window": min(window, max(num_steps, 2))}[reorth]
    Q = torch.empty(rows, n, dtype=op.dtype, device=op.device)  # rows, so that products with it read it in order
    zero = torch.zeros((), dtype=op.dtype, device=op.device)
    r, size, scale = start.clone(), check_start(start), zero
    # Without a pass the rounding of the three terms, amplified by the steps before, is all still in the residual.
    negligible = (10 if full else 100) * torch.finfo(op.dtype).eps
    alphas: list[Tensor] = []
    betas: list[Tensor] = []
    operations = 0
    for j in range(min(num_steps, n) if full else num_steps):
        q = torch.div(r, size, out=Q[j % rows])
        product = op.matmat(q[:, None]).detach()[:, 0]  # may be q itself, or the operator's own: never written to
        alpha = torch.dot(q, product)
        torch.addcmul(product, q, alpha, value=-1, out=r)
        if betas:
            r.addcmul_(Q[(j - 1) % rows], betas[-1], value=-1)
        size = before = norm(r)
        operations += 5 if betas else 4
        scale = torch.maximum(scale, torch.maximum(alpha.abs(), before))
        alphas.append(alpha)
        if full and j + 1 == n:
            betas.append(zero)
            yield Tridiagonal(alphas, betas, j + 1, operations, Q)
            return
        basis = Q[: j + 1]  # the whole ring once a window is full
        one_pass = 0 if reorth == "none" else 2 * basis.shape[0] + 1
        if one_pass:
            size = project_out(basis, r)
            operations += one_pass
        broken = size <= negligible * scale
        if full and on_host:
            if broken:
                r = draw_normal(n, 1, op, generator)[:, 0]
                before = norm(r)
                size = project_out(basis, r)
                operations += one_pass
            if size < _CUT * before:
                size = project_out(basis, r)
                operations += one_pass
        elif full:
            r = torch.where(broken, draw_normal(n, 1, op, generator)[:, 0], r)
            size = project_out(basis, r)
            operations += one_pass
        elif not on_host:
            r.mul_(~broken)
            size = torch.where(broken, torch.ones_like(size), size)
        betas.append(torch.where(broken, zero, size))
        yield Tridiagonal(alphas, betas, j + 1, operations, Q if full else None)
        if on_host and not full and broken:
            return


def check_start(start: Tensor) -> Tensor:
    """Norm of a start vector (n,).

    Raises:
        ValueError: If it is zero or not finite.
    """
    size = norm(start)
    if not 0 < float(size) < float("inf"):
        raise ValueError(f"start must have a norm above 0 and finite, got {float(size)}")
    return size


def project_out(basis: Tensor, r: Tensor) -> Tensor:
    """Take the components along orthonormal rows (j, n) out of a vector (n,), in place; return the norm left."""
    r.addmv_(basis.T, torch.mv(basis, r), alpha=-1)
    return norm(r)


def first_block(alphas: Array, betas: Array) -> tuple[Array, Array]:
    """Cut T at the first zero beta: the block that belongs to the start vector."""
    ends = np.flatnonzero(betas == 0)
    size = int(ends[0]) + 1 if ends.size else alphas.size
    return alphas[:size], betas[:size]


def solve_tridiagonal(alphas: Array, betas: Array) -> Ritz:
    """Diagonalise T on the CPU in float64; all NaN where an entry is not finite.

    Args:
        alphas: Diagonal, shape (m,).
        betas: Off-diagonal, shape (m,); the last entry is not part of T.
    """
    m = alphas.size
    if not (np.isfinite(alphas).all() and np.isfinite(betas[:-1]).all()):
        return Ritz(np.full(m, np.nan), np.full((m, m), np.nan))
    if m == 1:
        return Ritz(alphas.copy(), np.ones((1, 1)))
    return Ritz(*scipy.linalg.eigh_tridiagonal(alphas, betas[:-1]))


def quadrature(alphas: Array, betas: Array) -> tuple[Array, Array]:
    """Gauss quadrature of the start's spectral measure: Ritz values, and squared first components, which sum to one.

    Source:
        Golub and Welsch, Math. Comp. 23 (1969), doi:10.1090/S0025-5718-69-99647-1.
    """
    ritz = solve_tridiagonal(*first_block(alphas, betas))
    return ritz.values, ritz.first**2
