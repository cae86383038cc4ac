"""Top eigenvalues by Lanczos in a basis of bounded size, restarted with the best Ritz vectors."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import torch

from hessbench.estimand import Array, Estimate, TopEigenspace, TopEigenvalues
from hessbench.method import Footprint, Method
from hessbench.methods.arguments import Which, check_at_least, count_of, least_of
from hessbench.methods.krylov.restarted import Restarted, thick_restart_steps
from hessbench.methods.krylov.ritz import Leading, has_converged, last_row, leading, ritz_vectors, rounding, tolerance
from hessbench.methods.krylov.tridiagonal import latest_begin
from hessbench.methods.probes import draw_direction, single_columns
from hessbench.methods.small_dense import eigenpairs_of
from hessbench.operators import LinearOperator


def thick_restart_lanczos(
    op: LinearOperator,
    /,
    *,
    num_matvecs: int,
    generator: torch.Generator,
    basis: int = 30,
    vectors: bool = False,
    k: int | None = None,
    which: Which = "magnitude",
) -> Iterator[Estimate]:
    """Thick-restart Lanczos: Ritz values of a basis of at most `basis` vectors, whatever the number of products.

    Of a full basis the leading k and half of the others are kept; see `thick_restart_steps`.

    Args:
        op: Symmetric operator of dimension n.
        num_matvecs: Most products, at least k; where basis >= n the run ends after n.
        generator: Source of the start.
        basis: Most Lanczos vectors held, at least k + 2, or n.
        vectors: Hand back Ritz vectors (n, k) too, and in `also` their space; restarts then take new memory.
        k: Number of eigenvalues, 1 to n; by default 10, or as many as n and num_matvecs allow.
        which: Their order: `magnitude`, `algebraic` or `smallest`.

    Yields:
        After each product the eigenvalues, up to k. Diagnostics: `size` of the basis; `residual`, the largest
        ||A y - theta y|| over the values given, by the recurrence, and `residuals`, that of each;
        `vector_operations`. `converged`: see
        `has_converged`; it stays false where a subspace was exhausted before the latest restart.

    Cost:
        One product in one call per step; own work and memory as in `thick_restart_steps`.

    Raises:
        ValueError: If an argument is out of range.

    Source:
        Wu and Simon, SIAM J. Matrix Anal. Appl. 22 (2000), doi:10.1137/S0895479898334605.
    """
    order = TopEigenvalues(count_of(k, op.dim, num_matvecs), which)
    check_at_least("basis", basis, min(order.k + 2, op.dim))
    start = draw_direction(op, generator)
    keep = _kept(order.k, basis)
    steps = thick_restart_steps(
        op,
        start,
        order=order,
        basis=basis,
        keep=keep,
        num_steps=num_matvecs,
        generator=generator,
        copy=vectors,
    )
    for state in steps:
        known = state if vectors else state.without_basis()
        yield Estimate(value=partial(_answer, known, order, op.dtype, op.dim))


def _kept(k: int, basis: int) -> int:
    return max(1, min(basis - 1, k + (basis - k) // 2))


def _answer(state: Restarted, order: TopEigenvalues, dtype: torch.dtype, dim: int) -> Estimate:
    """Read T and solve it."""
    T, betas = state.read()
    values, S = eigenpairs_of(T)
    top = leading(order, values, S, last_row(betas[-1], values.size))
    size, whole = float(np.abs(values).max()), values.size == dim
    converged = has_converged(
        order,
        top,
        tolerance(dtype) * size,
        unseen=np.inf if whole else rounding(dtype, dim) * size,
        probe=None if whole else _probe(order, T, betas),
    )
    Q = state.tail.basis
    vectors = None if Q is None else ritz_vectors(Q[: values.size], top.coefficients)
    return Estimate(
        value=top.values,
        vectors=vectors,
        converged=converged and (whole or not state.exhausted),
        diagnostics={
            "size": values.size,
            "residual": top.residual,
            "residuals": top.residuals.tolist(),
            "vector_operations": state.tail.operations,
        },
        also={} if vectors is None else {TopEigenspace: Estimate(vectors)},
    )


def _probe(order: TopEigenvalues, T: Array, betas: Array) -> Leading | None:
    """First Ritz pair since the latest exhausted subspace; None where there was none."""
    begin = latest_begin(betas)
    if begin is None:
        return None
    begin += T.shape[0] - betas.size if begin else 0
    values, S = eigenpairs_of(T[begin:, begin:])
    return leading(TopEigenvalues(1, order.which), values, S, last_row(betas[-1], values.size))


def _least(dim: int, *, k: int | None, **_: object) -> int:
    return least_of(k, dim)


def _footprint(dim: int, num_matvecs: int, *, basis: int, vectors: bool, k: int | None, **_: object) -> Footprint:
    m = min(basis, dim, num_matvecs)
    keep = min(_kept(min(k or 10, dim), basis), m)
    growth = min(num_matvecs, m) * (min(num_matvecs, m) + 1.0)
    restarts = max(0, num_matvecs - m) / max(1, m - keep)
    each = (m - keep) * (m + keep + 1.0) + 2.0 * m + keep
    # Where vectors are asked for, the old basis outlives a restart until the next estimate takes its place.
    given = ((k or 10) + keep) * vectors
    return Footprint(vectors=m + 4 + given, passes=growth + restarts * each + 18.0 * num_matvecs)


THICK_RESTART_LANCZOS = Method(
    name="thick-restart-lanczos",
    run=thick_restart_lanczos,
    estimands=(TopEigenvalues, TopEigenspace),
    citation=(
        "Wu and Simon, Thick-restart Lanczos method for large symmetric eigenvalue problems, SIAM J. Matrix Anal. "
        "Appl. 22 (2000) 602-616, doi:10.1137/S0895479898334605"
    ),
    version="2",
    min_matvecs=_least,
    block_widths=single_columns,
    footprint=_footprint,
)
