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

from hessbench.estimand import Array
from hessbench.methods.arguments import check_at_least, check_choice
from hessbench.methods.probes import draw_normal
from hessbench.operators import LinearOperator

REORTH: Final = ("full", "none")
_CUT: Final = 0.5**0.5  # a pass that leaves less than this of the norm has lost digits and is repeated


@dataclass(frozen=True)
class Tridiagonal:
    """The leading block of T after `size` products, valid for good: the lists behind it are only appended to.

    Attributes:
        alphas: Diagonal entries, scalars on the operator's device.
        betas: betas[j] couples steps j and j + 1; an exact zero where an invariant subspace was exhausted.
        size: Number of steps that count.
    """

    alphas: list[Tensor]
    betas: list[Tensor]
    size: int

    def read(self) -> tuple[Array, Array]:
        """Copy alphas and betas, `size` of each, to the CPU in float64; the last beta is the residual's norm."""
        both = torch.stack(self.alphas[: self.size] + self.betas[: self.size]).cpu().double().numpy()
        return both[: self.size], both[self.size :]


@dataclass(frozen=True)
class Ritz:
    """Eigenvalues of T, ascending, with the first and last components of its eigenvectors, each of shape (size,)."""

    values: Array
    first: Array
    last: Array


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
    on_host: bool | None = None,
) -> Iterator[Tridiagonal]:
    """Run the Lanczos recurrence, one product a step.

    `full`: after the three terms, classical Gram-Schmidt against the whole basis as two matrix-vector products. A
    second pass follows only where the first cut the norm below 1/sqrt(2); off the host it always follows, because
    asking would cost a synchronisation a step. Where the subspace is invariant (the residual is rounding), the run goes
    on from a random direction orthogonal to the basis, with a zero in `betas`, so that repeated eigenvalues are found;
    it ends after `dim` steps.

    `none`: two basis vectors and a residual are all that is kept. It ends with an invariant subspace; off the host,
    where nobody looks, further coefficients are zero and `first_block` leaves them out.

    Args:
        op: Operator A.
        start: First direction, shape (n,), not zero; left as it is.
        reorth: `full` or `none`.
        num_steps: Most steps.
        generator: Source of the directions after an invariant subspace.
        on_host: Whether the host takes these decisions; by default only where the operator lives on the CPU.

    Yields:
        The tridiagonal matrix after every product.

    Cost:
        One product in one call per step; own work at step j: 2 j n multiplications a Gram-Schmidt pass, which reads
        the basis twice.

    Raises:
        ValueError: If an argument is out of range.

    Source:
        Lanczos, J. Res. Natl. Bur. Stand. 45 (1950), doi:10.6028/jres.045.026; second pass: Daniel, Gragg, Kaufman and
        Stewart, Math. Comp. 30 (1976), doi:10.1090/S0025-5718-1976-0431641-8.
    """
    check_choice("reorth", reorth, REORTH)
    check_at_least("num_steps", num_steps, 1)
    n, full = op.dim, reorth == "full"
    on_host = op.device.type == "cpu" if on_host is None else on_host
    rows = min(num_steps, n) if full else 2
    Q = torch.empty(rows, n, dtype=op.dtype, device=op.device)  # rows, so that products with it read it in order
    r = start.clone()
    zero = torch.zeros((), dtype=op.dtype, device=op.device)
    size, scale = norm(r), zero
    # Without a pass the rounding of the three terms, amplified by the steps before, is all still in the residual.
    negligible = (10 if full else 100) * torch.finfo(op.dtype).eps
    alphas: list[Tensor] = []
    betas: list[Tensor] = []
    for j in range(min(num_steps, n) if full else num_steps):
        q = torch.div(r, size, out=Q[j % rows])
        product = op.matmat(q[:, None]).detach()[:, 0]  # may be q itself, or the operator's own: never written to
        alpha = torch.dot(q, product)
        torch.addcmul(product, q, alpha, value=-1, out=r)
        if betas:
            r.addcmul_(Q[(j - 1) % rows], betas[-1], value=-1)
        size = before = norm(r)
        scale = torch.maximum(scale, torch.maximum(alpha.abs(), before))
        alphas.append(alpha)
        if full and j + 1 == n:
            betas.append(zero)
            yield Tridiagonal(alphas, betas, j + 1)
            return
        basis = Q[: j + 1]
        if full:
            size = project_out(basis, r)
        broken = size <= negligible * scale
        if full and on_host:
            if broken:
                r = draw_normal(n, 1, op, generator)[:, 0]
                before = norm(r)
                size = project_out(basis, r)
            if size < _CUT * before:
                size = project_out(basis, r)
        elif full:
            r = torch.where(broken, draw_normal(n, 1, op, generator)[:, 0], r)
            size = project_out(basis, r)
        elif not on_host:
            r.mul_(~broken)
            size = torch.where(broken, torch.ones_like(size), size)
        betas.append(torch.where(broken, zero, size))
        yield Tridiagonal(alphas, betas, j + 1)
        if on_host and not full and broken:
            return


def project_out(basis: Tensor, r: Tensor) -> Tensor:
    """Take the components along orthonormal rows (j, n) out of a vector (n,), in place; return the norm left."""
    r.addmv_(basis.T, torch.mv(basis, r), alpha=-1)
    return norm(r)


def lanczos_lockstep(
    op: LinearOperator, starts: Tensor, num_steps: int, *, on_host: bool | None = None
) -> list[tuple[Array, Array]]:
    """Run the Lanczos recurrence from several starts at once, fully reorthogonalised, each against its own basis.

    A start whose subspace is exhausted stands still: its next beta is an exact zero and what follows has no meaning.

    Args:
        op: Operator A.
        starts: Directions as columns, shape (n, p), none zero; left as they are.
        num_steps: Number of steps, at most n.
        on_host: Whether the host decides on second passes; by default only where the operator lives on the CPU.

    Returns:
        For each start the alphas and betas, float64 of shape (num_steps,) each.

    Cost:
        p * num_steps products in num_steps calls of width p.

    Raises:
        ValueError: If `num_steps` is below 1 or above n.
    """
    check_at_least("num_steps", num_steps, 1)
    if num_steps > op.dim:
        raise ValueError(f"num_steps must be at most the dimension {op.dim}, got {num_steps}")
    n, p = starts.shape
    on_host = op.device.type == "cpu" if on_host is None else on_host
    Q = torch.empty(p, num_steps, n, dtype=op.dtype, device=op.device)
    R = starts.T.clone(memory_format=torch.contiguous_format)
    sizes = norm(R, dim=1)
    scale = torch.zeros_like(sizes)
    negligible = 10 * torch.finfo(op.dtype).eps
    alphas: list[Tensor] = []
    betas: list[Tensor] = []
    for j in range(num_steps):
        q = torch.div(R, sizes[:, None], out=Q[:, j])
        product = op.matmat(q.T.contiguous()).detach().T
        alpha = (q * product).sum(dim=1)
        torch.addcmul(product, q, alpha[:, None], value=-1, out=R)
        if betas:
            R.addcmul_(Q[:, j - 1], betas[-1][:, None], value=-1)
        before = norm(R, dim=1)
        scale = torch.maximum(scale, torch.maximum(alpha.abs(), before))
        alphas.append(alpha)
        if j + 1 == num_steps:  # the last direction would not be used
            betas.append(before)
            break
        after = _project_out_each(Q[:, : j + 1], R, batched=not on_host)
        broken = after <= negligible * scale
        if not on_host or bool((~broken & (after < _CUT * before)).any()):
            after = _project_out_each(Q[:, : j + 1], R, batched=not on_host)
        R.mul_(~broken[:, None])
        betas.append(torch.where(broken, torch.zeros_like(after), after))
        sizes = torch.where(broken, torch.ones_like(after), after)
    A = torch.stack(alphas).cpu().double().numpy()
    B = torch.stack(betas).cpu().double().numpy()
    return [(A[:, i], B[:, i]) for i in range(p)]


def _project_out_each(bases: Tensor, R: Tensor, *, batched: bool) -> Tensor:
    """Take out of each row of (p, n) its components along its own orthonormal rows (p, j, n); return the norms left."""
    if batched:
        components = torch.bmm(bases, R[:, :, None])
        R[:, :, None].baddbmm_(bases.transpose(1, 2), components, alpha=-1)
    else:  # on a CPU a batched product is two to four times slower than one pair per start
        for basis, r in zip(bases, R, strict=True):
            r.addmv_(basis.T, torch.mv(basis, r), alpha=-1)
    return norm(R, dim=1)


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
        gone = np.full(m, np.nan)
        return Ritz(gone, gone, gone)
    if m == 1:
        return Ritz(alphas.copy(), np.ones(1), np.ones(1))
    values, vectors = scipy.linalg.eigh_tridiagonal(alphas, betas[:-1])
    return Ritz(values, vectors[0], vectors[-1])


def quadrature(alphas: Array, betas: Array) -> tuple[Array, Array]:
    """Gauss quadrature of the start's spectral measure: Ritz values, and squared first components, which sum to one.

    Source:
        Golub and Welsch, Math. Comp. 23 (1969), doi:10.1090/S0025-5718-69-99647-1.
    """
    ritz = solve_tridiagonal(*first_block(alphas, betas))
    return ritz.values, ritz.first**2
