"""The Jacobi-Davidson correction equation of an approximate eigenpair, solved by a few products."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from hessbench.methods.krylov.vectors import norm
from hessbench.methods.small_dense import to_device, to_host
from hessbench.operators import LinearOperator


def correction(op: LinearOperator, u: Tensor, theta: float, r: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """Solve (I - u u^T)(A - theta I)(I - u u^T) t = -r for t orthogonal to u, in the least squares over a Krylov space.

    The minimal residual method with its few basis vectors and their products kept, so that A t costs no product more,
    the small least-squares problem is solved as it stands, and an exhausted space ends it. One step gives t along r.

    Args:
        op: Operator A of dimension n.
        u: Unit vector (n,).
        theta: Its Rayleigh quotient.
        r: Residual A u - theta u, shape (n,), not zero.
        steps: Most products, at least 1.

    Returns:
        t and A t, each (n,); NaN where a product is not finite.

    Cost:
        `steps` products in as many calls; 2 `steps` + 4 vectors.

    Source:
        Sleijpen and van der Vorst, SIAM J. Matrix Anal. Appl. 17 (1996), doi:10.1137/S0895479894270427; the solver:
        Paige and Saunders, SIAM J. Numer. Anal. 12 (1975), doi:10.1137/0712047.
    """
    right = r - u * torch.dot(u, r)
    basis = torch.zeros(steps + 1, op.dim, dtype=op.dtype, device=op.device)
    products = torch.zeros(steps, op.dim, dtype=op.dtype, device=op.device)
    basis[0] = right / norm(right)
    small = torch.zeros(steps + 1, steps, dtype=op.dtype, device=op.device)
    for j in range(steps):
        products[j] = op.matmat(basis[j][:, None]).detach()[:, 0]
        w = products[j] - theta * basis[j]
        for _ in range(2):
            w = w - u * torch.dot(u, w)
            part = basis[: j + 1] @ w
            w = w - basis[: j + 1].T @ part
            small[: j + 1, j] += part
        small[j + 1, j] = norm(w)
        basis[j + 1] = w / small[j + 1, j].clamp_min(torch.finfo(op.dtype).tiny)
    T = to_host(small)
    if not np.isfinite(T).all():
        gone = torch.full_like(r, float("nan"))
        return gone, gone
    # Past an exhausted space the basis is rounding: its columns are left out.
    ends = np.flatnonzero(np.diagonal(T, -1) <= 100 * torch.finfo(op.dtype).eps * max(abs(theta), np.abs(T).max()))
    count = int(ends[0]) + 1 if ends.size else steps
    target = np.zeros(count + 1)
    target[0] = -float(norm(right))
    solved = np.linalg.lstsq(T[: count + 1, :count], target, rcond=None)[0].astype(np.float64, copy=False)
    y = to_device(solved, basis)
    return basis[:count].T @ y, products[:count].T @ y
