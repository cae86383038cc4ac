"""Top eigenvalues by power iteration with deflation."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from hessbench.estimand import Estimate, TopEigenvalues
from hessbench.method import Footprint, Method
from hessbench.methods.arguments import check_at_least
from hessbench.methods.krylov import norm
from hessbench.methods.probes import draw_normal, single_columns
from hessbench.operators import LinearOperator


def power_iteration(
    op: LinearOperator,
    /,
    *,
    num_matvecs: int,
    generator: torch.Generator,
    tol: float = 1e-3,
    max_iter: int = 100,
    k: int = 10,
) -> Iterator[Estimate]:
    """Power iteration, one eigenvalue after another, found eigenvectors projected out before each product.

    The Rayleigh quotient of the current direction estimates its eigenvalue, so signs are right. Its relative change
    falling to `tol`, or `max_iter` products on the same eigenvalue, moves on to the next one from a new random start.
    The change is measured against the quotient itself, without the absolute floor PyHessian adds, so that a scaled
    operator takes the same steps.

    Known harm: a small change is not a small error. Close eigenvalues stop early, and a pair +lambda, -lambda has a
    constant Rayleigh quotient between the two that counts as converged.

    Args:
        op: Symmetric operator of dimension n.
        num_matvecs: Most products; the run ends early when k eigenvalues have been accepted.
        generator: Source of the starts.
        tol: Relative change of the Rayleigh quotient that accepts an eigenvalue.
        max_iter: Most products on one eigenvalue.
        k: Number of eigenvalues, by magnitude whatever order is asked for.

    Yields:
        After each product the eigenvalues accepted so far, with the current quotient behind them. Diagnostics:
        `accepted`, how many; `unconverged`, how many of these by `max_iter`.

    Cost:
        One product in one call per step. The test reads one number per product from the device, as a tolerance must.

    Raises:
        ValueError: If an argument is out of range.

    Source:
        Yao, Gholami, Keutzer and Mahoney, PyHessian (2020), arXiv:1912.07145.
    """
    check_at_least("num_matvecs", num_matvecs, 1)
    check_at_least("max_iter", max_iter, 1)
    check_at_least("k", k, 1)
    if not 0 <= tol < 1:
        raise ValueError(f"tol must be at least 0 and below 1, got {tol}")
    wanted = min(k, op.dim)
    V = torch.empty(wanted, op.dim, dtype=op.dtype, device=op.device)
    accepted: list[float] = []
    spent = unconverged = 0
    negligible = 10 * torch.finfo(op.dtype).eps
    while len(accepted) < wanted:
        found = V[: len(accepted)]
        v = _deflate(found, _deflate(found, draw_normal(op.dim, 1, op, generator)[:, 0]))
        v = v / norm(v)
        quotient = float("nan")  # never close to anything
        for step in range(1, max_iter + 1):
            if spent == num_matvecs:
                return
            product = op.matmat(v[:, None]).detach()[:, 0]
            spent += 1
            before, quotient = quotient, float(torch.dot(v, product))
            image = _deflate(found, product)
            stretch = norm(image)
            # An image of rounding alone has no direction: v is in the kernel, and stays.
            noise = negligible * max(map(abs, accepted), default=0.0)
            v = torch.where(stretch > noise, image / stretch, v)
            settled = abs(quotient - before) <= tol * abs(quotient)
            if settled or step == max_iter:
                unconverged += not settled
                V[len(accepted)] = v
                accepted.append(quotient)
            values = accepted if settled or step == max_iter else [*accepted, quotient]
            yield Estimate(
                value=torch.tensor(values, dtype=torch.float64),
                converged=len(accepted) == wanted and not unconverged,
                diagnostics={"accepted": len(accepted), "unconverged": unconverged},
            )
            if settled:
                break


def _deflate(V: Tensor, v: Tensor) -> Tensor:
    """Take out of v its components along the orthonormal rows of V."""
    return v.addmv(V.T, torch.mv(V, v), alpha=-1) if V.shape[0] else v


def _footprint(dim: int, num_matvecs: int, *, k: int, **_: object) -> Footprint:
    wanted = min(k, dim)
    # On average half of the k vectors are there to project out, and each is read twice.
    return Footprint(vectors=wanted + 4, passes=num_matvecs * (wanted + 12.0))


POWER_ITERATION = Method(
    name="power-iteration",
    run=power_iteration,
    estimands=(TopEigenvalues,),
    citation=(
        "Yao, Gholami, Keutzer and Mahoney, PyHessian: Neural networks through the lens of the Hessian, IEEE Big Data "
        "(2020), arXiv:1912.07145"
    ),
    version="1",
    min_matvecs=1,
    block_widths=single_columns,
    footprint=_footprint,
)
