"""The Lanczos recurrence for many starts in lock-step, each against its own basis."""

from __future__ import annotations

import torch
from torch import Tensor

from hessbench.estimand.base import Array
from hessbench.methods.arguments import check_at_least
from hessbench.methods.krylov.guards import FullInLockstep
from hessbench.methods.krylov.recurrence import Recurrence
from hessbench.operators import LinearOperator


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
    run = Recurrence(op, starts.T.contiguous(), Q, FullInLockstep(op, num_steps, on_host=on_host))
    while not run.ended:
        run.advance()
    alphas, betas = run.matrix().read()
    return [(alphas[:, i], betas[:, i]) for i in range(p)]
