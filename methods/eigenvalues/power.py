"""Top eigenvalues by power iteration with deflation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Literal, TypeAlias, get_args

import torch
from torch import Tensor

from hessbench.estimand import Estimate, TopEigenspace, TopEigenvalues
from hessbench.method import Footprint, Method
from hessbench.methods.arguments import check_at_least, check_choice, count_of, least_of
from hessbench.methods.krylov.vectors import norm, project_out
from hessbench.methods.probes import draw_direction, single_columns
from hessbench.operators import LinearOperator

Stopping: TypeAlias = Literal["relative", "pyhessian"]


def power_iteration(
    op: LinearOperator,
    /,
    *,
    num_matvecs: int,
    generator: torch.Generator,
    tol: float = 1e-3,
    max_iter: int = 100,
    stopping: Stopping = "relative",
    vectors: bool = False,
    k: int | None = None,
) -> Iterator[Estimate]:
    """Power iteration, one eigenvalue after another, found eigenvectors projected out before each product.

    The Rayleigh quotient of the current direction estimates its eigenvalue, so signs are right. Its relative change
    falling to `tol`, or `max_iter` products on the same eigenvalue, moves on to the next one from a new random start.

    `stopping` says how the change from a quotient p to the next one q is judged. `relative`: |q - p| <= tol |q|, and q
    is the value; a scaled operator takes the same steps. `pyhessian`, the rule of that library:
    |q - p| < tol (|p| + 1e-6), and p is the value, the quotient of the last product being thrown away; an operator
    whose eigenvalues are far below 1e-6 stops at its second product.

    Known harm: a small change is not a small error. Close eigenvalues stop early, and a pair +lambda, -lambda has a
    constant Rayleigh quotient between the two that the rule accepts. So `converged` is not the rule's word: it asks
    that every residual ||A v - theta v|| be at most sqrt(tol) |theta|, within which an eigenvalue then lies.

    Args:
        op: Symmetric operator of dimension n.
        num_matvecs: Most products, at least k; the run ends early when k eigenvalues have been accepted.
        generator: Source of the starts.
        tol: Relative change of the Rayleigh quotient that accepts an eigenvalue.
        max_iter: Most products on one eigenvalue.
        stopping: `relative` or `pyhessian`.
        vectors: Hand back the vectors (n, k) too, and in `also` their space.
        k: Number of eigenvalues, 1 to n, by magnitude whatever order is asked for; by default 10, or as many as n and
            num_matvecs allow.

    Yields:
        After each product the eigenvalues accepted so far, with the current quotient behind them. Diagnostics:
        `accepted`, how many; `unconverged`, how many of these by `max_iter`; `residual`, the largest of the values
        accepted, relative to its value.

    Cost:
        One product in one call per step. The test reads two numbers per product from the device, as a tolerance must.
        Memory: k + 4 vectors; own work at the i-th eigenvalue 4 i n multiplications a product.

    Raises:
        ValueError: If an argument is out of range.

    Source:
        Yao, Gholami, Keutzer and Mahoney, PyHessian (2020), arXiv:1912.07145; `hessian.eigenvalues`
        of https://github.com/amirgholami/PyHessian.
    """
    wanted = count_of(k, op.dim, num_matvecs)
    check_at_least("max_iter", max_iter, 1)
    check_choice("stopping", stopping, get_args(Stopping))
    if not 0 <= tol < 1:
        raise ValueError(f"tol must be at least 0 and below 1, got {tol}")
    V = torch.empty(wanted, op.dim, dtype=op.dtype, device=op.device)
    accepted: list[float] = []
    spent = unconverged = 0
    worst = 0.0
    negligible = 10 * torch.finfo(op.dtype).eps
    while len(accepted) < wanted:
        found = V[: len(accepted)]
        v = draw_direction(op, generator)
        for _ in range(2):
            project_out(found, v)
        v = v / norm(v)
        quotient = float("nan")  # never close to anything
        for step in range(1, max_iter + 1):
            if spent == num_matvecs:
                return
            product = op.matmat(v[:, None]).detach()[:, 0]
            spent += 1
            before, quotient = quotient, float(torch.dot(v, product))
            if stopping == "relative":
                settled, value = abs(quotient - before) <= tol * abs(quotient), quotient
            else:
                settled = abs(quotient - before) < tol * (abs(before) + 1e-6)
                value = before if settled else quotient
            done = settled or step == max_iter
            if done:
                residual = float(norm(torch.add(product, v, alpha=-value)))
                relative = residual / abs(value) if value else float("inf")
                worst = max(worst, relative) if residual else worst
            image = product.clone()  # the product may be the operator's own memory
            project_out(found, image)
            stretch = norm(image)
            # An image of rounding alone has no direction: v is in the kernel, and stays.
            noise = negligible * max(map(abs, accepted), default=0.0)
            v = torch.where(stretch > noise, image / stretch, v)
            if done:
                unconverged += not settled
                V[len(accepted)] = v
                accepted.append(value)
            values = torch.tensor(accepted if done else [*accepted, quotient], dtype=torch.float64)
            estimate = Estimate(
                value=values,
                converged=len(accepted) == wanted and not unconverged and worst <= tol**0.5,
                diagnostics={"accepted": len(accepted), "unconverged": unconverged, "residual": worst},
            )
            yield Estimate(partial(_with_vectors, estimate, V, None if done else v)) if vectors else estimate
            if settled:
                break


def _with_vectors(estimate: Estimate, V: Tensor, current: Tensor | None) -> Estimate:
    """Add the vectors accepted by then, rows of V that nothing writes to again, and the current one."""
    columns = V[: estimate.diagnostics["accepted"]].T
    vectors = columns if current is None else torch.cat([columns, current[:, None]], dim=1)
    return replace(estimate, vectors=vectors, also={TopEigenspace: Estimate(vectors)})


def _least(dim: int, *, k: int | None, **_: object) -> int:
    return least_of(k, dim)


def _footprint(dim: int, num_matvecs: int, *, vectors: bool, k: int | None, **_: object) -> Footprint:
    wanted = min(k or 10, dim)
    # On average half of the k vectors are there to project out, and each is read twice.
    return Footprint(vectors=wanted + 4 + wanted * vectors, passes=num_matvecs * (wanted + 12.0))


POWER_ITERATION = Method(
    name="power-iteration",
    run=power_iteration,
    estimands=(TopEigenvalues, TopEigenspace),
    citation=(
        "Yao, Gholami, Keutzer and Mahoney, PyHessian: Neural networks through the lens of the Hessian, IEEE Big Data "
        "(2020), arXiv:1912.07145, https://github.com/amirgholami/PyHessian"
    ),
    version="1",
    min_matvecs=_least,
    block_widths=single_columns,
    footprint=_footprint,
    presets=("power-iteration", "power-iteration[stopping=pyhessian]"),
)
