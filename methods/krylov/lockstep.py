"""The Lanczos recurrence for many starts in lock-step, each against its own basis."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from hessbench.estimand.base import Array
from hessbench.methods.arguments import check_at_least
from hessbench.methods.krylov.recurrence import norm
from hessbench.operators import LinearOperator

_CUT: Final = 0.5**0.5  # a pass that leaves less than this of the norm has lost digits and is repeated


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
