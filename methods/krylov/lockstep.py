"""The Lanczos recurrence for many starts in lock-step, each against its own basis."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, get_args

import torch
from torch import Tensor

from hessbench.estimand.base import Array
from hessbench.methods.arguments import Reorth, check_at_least, check_choice
from hessbench.methods.krylov.guards import FullInLockstep, Guard, Window
from hessbench.methods.krylov.recurrence import KEEPING, Recurrence
from hessbench.methods.krylov.semiorthogonal import Periodic, Selective, SemiorthogonalInLockstep, Watch
from hessbench.operators import LinearOperator

WINDOW: Final = 10


def lanczos_lockstep(
    op: LinearOperator,
    starts: Tensor,
    num_steps: int,
    *,
    reorth: str = "full",
    window: int = WINDOW,
    scale: float = 0.0,
    on_host: bool | None = None,
) -> list[tuple[Array, Array]]:
    """Run the Lanczos recurrence from several starts at once, each against its own basis.

    A start whose subspace is exhausted stands still: its next beta is an exact zero and what follows has no meaning.

    Args:
        op: Operator A.
        starts: Directions as columns, shape (n, p), none zero; left as they are.
        num_steps: Number of steps, at most n.
        reorth: `full`, `periodic`, `selective`, `window` or `none`, as in `lanczos_steps`; the last two keep no basis.
        window: Vectors of each start that `window` keeps, at least 2.
        scale: Size by which products of A round, where A is what is left of a larger operator; a residual of that
            rounding shows an exhausted space.
        on_host: Whether the host decides on second passes of `full`; by default only where the operator lives on the
            CPU. With `periodic` and `selective` it always decides.

    Returns:
        For each start the alphas and betas, float64 of shape (num_steps,) each.

    Cost:
        p * num_steps products in num_steps calls of width p. Memory: p times what `kept_rows` says, and 4 p vectors.

    Raises:
        ValueError: If `num_steps` is below 1 or above n, or another argument is out of range.
    """
    check_choice("reorth", reorth, get_args(Reorth))
    check_at_least("num_steps", num_steps, 1)
    check_at_least("window", window, 2)
    if num_steps > op.dim:
        raise ValueError(f"num_steps must be at most the dimension {op.dim}, got {num_steps}")
    n, p = starts.shape
    Q = torch.empty(p, kept_rows(reorth, num_steps, window), n, dtype=op.dtype, device=op.device)
    run = Recurrence(op, starts.T.contiguous(), Q, _guard(op, p, num_steps, reorth, scale, on_host))
    for _ in range(num_steps):
        run.advance()
    alphas, betas = run.matrix().read()
    return [(alphas[:, i], betas[:, i]) for i in range(p)]


def kept_rows(reorth: str, num_steps: int, window: int = WINDOW) -> int:
    """Lanczos vectors of one start that are kept: all, the last `window`, or the last two."""
    if reorth in KEEPING:
        return num_steps
    return 2 if reorth == "none" else min(window, max(num_steps, 2))


def _guard(op: LinearOperator, starts: int, num_steps: int, reorth: str, scale: float, on_host: bool | None) -> Guard:
    if reorth == "full":
        on_host = op.device.type == "cpu" if on_host is None else on_host
        return FullInLockstep(op, num_steps, on_host=on_host, scale=scale)
    if reorth not in KEEPING:
        # Nobody looks: each start stands still by itself.
        return Window(op, on_host=False, passes=0 if reorth == "none" else 1, scale=scale)
    eps = torch.finfo(op.dtype).eps
    make: Callable[[], Watch] = (lambda: Periodic(eps)) if reorth == "periodic" else lambda: Selective(eps, num_steps)
    return SemiorthogonalInLockstep(op, [make() for _ in range(starts)], num_steps, scale)
