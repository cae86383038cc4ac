"""The solution of a damped system by conjugate gradients with a randomized Nystrom preconditioner."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import torch
from torch import Tensor

from hessbench.estimand import Array, Estimate, Solve
from hessbench.method import Footprint, Method
from hessbench.methods.arguments import check_at_least
from hessbench.methods.eigenvalues.nystrom import nystrom_pairs
from hessbench.methods.functions.cg import CITATION
from hessbench.methods.functions.conjugate_gradients import (
    TOLERANCE,
    KeptOrthogonal,
    Precondition,
    System,
    conjugate_gradients,
    footprint_of_steps,
)
from hessbench.methods.small_dense import to_device
from hessbench.operators import LinearOperator
from hessbench.problem import PSD

_RANK: Final = 50


def nystrom_cg(
    op: LinearOperator,
    /,
    *,
    num_matvecs: int,
    generator: torch.Generator,
    b: Tensor,
    damping: float = 0.0,
    rank: int = _RANK,
    tolerance: float = TOLERANCE,
    reorth: KeptOrthogonal = "none",
) -> Iterator[Estimate]:
    """Conjugate gradients whose preconditioner knows the top of the spectrum from a sketch.

    A Nystrom approximation U diag(l) U^T of rank r gives P^-1 = (l_r + damping) U (diag(l) + damping I)^-1 U^T +
    (I - U U^T), which brings the eigenvalues that the sketch sees down to the level of the last of them. With r twice
    the effective dimension sum lambda / (lambda + damping), and some more, the condition number is a small constant in
    expectation: the steps no longer depend on that of A.

    Args:
        op: Positive semi-definite operator A of dimension n.
        num_matvecs: Most products, above min(rank, n), which the sketch takes.
        generator: Source of the sketch.
        b: Right-hand side (n,).
        damping: Multiple of the identity that is added, at least 0.
        rank: Columns r of the sketch, at least 1.
        tolerance: Relative residual, by the recurrence, at which the run ends; above 0 and below 1.
        reorth: `none`, or `full`, as of `cg`.

    Yields:
        After each product behind the sketch x (n,). Diagnostics as of `cg`.

    Cost:
        min(rank, n) products in one call, then one in one call a step; own work about 12 r^2 n for the sketch and 4 r n
        a step; r vectors beside those of `cg`, 4 r while the sketch is factorised.

    Raises:
        ValueError: If an argument is out of range, or the sketch shows a negative eigenvalue.

    Source:
        Frangella, Tropp and Udell, SIAM J. Matrix Anal. Appl. 44 (2023), arXiv:2110.02820.
    """
    check_at_least("rank", rank, 1)
    sketched = min(rank, op.dim)
    check_at_least("num_matvecs", num_matvecs, sketched + 1)
    system = System(op, b, damping, tolerance, reorth)
    system.check()
    values, Q, W, shift = nystrom_pairs(op, sketched, generator)
    if not np.isfinite(values).all():
        yield Estimate(torch.full_like(b, torch.nan), converged=False)
        return
    precondition = _preconditioner(values, Q, W, shift, damping)
    known = float(values.max()) + damping
    yield from conjugate_gradients(system, num_matvecs - sketched, precondition, before=sketched, known=known)


def _preconditioner(values: Array, Q: Tensor, W: Array, shift: float, damping: float) -> Precondition | None:
    """The map r -> P^-1 r; None where the sketch saw nothing but rounding."""
    seen = np.flatnonzero(values > shift)
    if not seen.size:
        return None
    U = Q @ to_device(W[:, seen], Q)
    # What P^-1 adds to the identity along U.
    gains = (values[seen].min() + damping) / (values[seen] + damping) - 1
    weights = to_device(gains, Q)
    return lambda r: torch.addmv(r, U, weights * (U.T @ r))


def _least(dim: int, *, rank: int, **_: object) -> int:
    check_at_least("rank", rank, 1)
    return min(rank, dim) + 1


def _widths(num_matvecs: int, *, rank: int, **_: object) -> tuple[int, ...]:
    return (1,) if rank == 1 else (1, min(rank, num_matvecs))


def _footprint(dim: int, num_matvecs: int, *, rank: int, reorth: str, **_: object) -> Footprint:
    r = min(rank, dim)
    steps = footprint_of_steps(dim, max(num_matvecs - r, 1), reorth)
    applied = 2.0 * r * (num_matvecs - r) * (1 if reorth == "none" else 2)
    return Footprint(max(4.0 * r, r + steps.vectors), 6.0 * r * r + 6.0 * r + steps.passes + applied)


NYSTROM_CG = Method(
    name="nystrom-cg",
    run=nystrom_cg,
    estimands=(Solve,),
    requires=(PSD,),
    citation=(
        "Frangella, Tropp and Udell, Randomized Nystrom preconditioning, SIAM J. Matrix Anal. Appl. 44 (2023) 718-752, "
        f"arXiv:2110.02820; {CITATION}"
    ),
    version="1",
    min_matvecs=_least,
    block_widths=_widths,
    footprint=_footprint,
    presets=("nystrom-cg", "nystrom-cg[rank=100]", "nystrom-cg[rank=100,reorth=full]"),
)
