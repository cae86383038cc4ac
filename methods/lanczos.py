"""Top eigenvalues, and a one-start density, by the Lanczos recurrence."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import torch

from hessbench.estimand import Density, Estimate, TopEigenvalues
from hessbench.method import Footprint, Method
from hessbench.methods.arguments import Reorth, Which, check_at_least, check_choice
from hessbench.methods.krylov import REORTH, Tridiagonal, first_block, lanczos_steps, solve_tridiagonal
from hessbench.methods.probes import draw_normal, single_columns
from hessbench.operators import LinearOperator


def lanczos(
    op: LinearOperator,
    /,
    *,
    num_matvecs: int,
    generator: torch.Generator,
    reorth: Reorth = "full",
    k: int = 10,
    which: Which = "magnitude",
) -> Iterator[Estimate]:
    """Lanczos from one random start, fully reorthogonalised or not at all.

    Ritz values of T are the eigenvalue estimates. The same run answers `Density`: the measure with the Ritz values of
    the start's Krylov space as nodes and squared first components as weights.

    Without reorthogonalisation converged eigenvalues come back as copies (ghosts), which push true ones out of the
    first k. That is reported as it is: it is the known harm of the method, and `converged` stays unset there.

    Args:
        op: Symmetric operator of dimension n.
        num_matvecs: Most products; `full` stops after n, `none` with an invariant subspace.
        generator: Source of the start.
        reorth: `full` keeps min(num_matvecs, n) basis vectors, `none` two.
        k: Number of eigenvalues.
        which: Their order: `magnitude`, `algebraic` or `smallest`.

    Yields:
        After each product the eigenvalues, up to k, and in `also` the density. Diagnostics: `steps`; `beta`, the norm
        of the last residual; `residual`, the largest ||A y - theta y|| over the values given, by the recurrence.

    Cost:
        One product in one call per step. Full reorthogonalisation reads the basis twice a step, four times where it
        is repeated; nothing is read from a device before a checkpoint asks.

    Raises:
        ValueError: If an argument is out of range.

    Source:
        Lanczos, J. Res. Natl. Bur. Stand. 45 (1950), doi:10.6028/jres.045.026; Parlett, The Symmetric Eigenvalue
        Problem (1998), doi:10.1137/1.9781611971163.
    """
    check_at_least("num_matvecs", num_matvecs, 1)
    check_choice("reorth", reorth, REORTH)
    order = TopEigenvalues(k, which)
    start = draw_normal(op.dim, 1, op, generator)[:, 0]
    tolerance = torch.finfo(op.dtype).eps ** 0.5
    for T in lanczos_steps(op, start, reorth=reorth, num_steps=num_matvecs, generator=generator):
        yield Estimate(value=partial(_answer, T, order, tolerance, reorth == "full"))


def _answer(T: Tridiagonal, order: TopEigenvalues, tolerance: float, full: bool) -> Estimate:
    """Read T and solve it."""
    alphas, betas = T.read()
    start_alphas, start_betas = first_block(alphas, betas)
    if not full:  # elsewhere than on a CPU the run may have gone on past its end
        alphas, betas = start_alphas, start_betas
    ritz = solve_tridiagonal(alphas, betas)
    top = order.rank(ritz.values)[: order.k]
    residual = float(np.abs(betas[-1] * ritz.last[np.isin(ritz.values, top)]).max(initial=0.0))
    block = ritz if start_alphas.size == alphas.size else solve_tridiagonal(start_alphas, start_betas)
    small = residual <= tolerance * float(np.abs(ritz.values).max())
    converged = top.size == order.k and small if full else None
    return Estimate(
        value=top,
        converged=converged,
        diagnostics={"steps": alphas.size, "beta": float(betas[-1]), "residual": residual},
        also={Density: Estimate((block.values, block.first**2))},
    )


def _footprint(dim: int, num_matvecs: int, *, reorth: str, **_: object) -> Footprint:
    steps = min(num_matvecs, dim) if reorth == "full" else num_matvecs
    if reorth == "none":
        return Footprint(vectors=6, passes=14.0 * steps)
    return Footprint(vectors=steps + 4, passes=steps * (steps + 1) + 18.0 * steps)


LANCZOS = Method(
    name="lanczos",
    run=lanczos,
    estimands=(TopEigenvalues, Density),
    citation=(
        "Lanczos, An iteration method for the solution of the eigenvalue problem of linear differential and integral "
        "operators, J. Res. Natl. Bur. Stand. 45 (1950) 255-282, doi:10.6028/jres.045.026; Golub and Welsch, "
        "Calculation of Gauss quadrature rules, Math. Comp. 23 (1969) 221-230, doi:10.1090/S0025-5718-69-99647-1"
    ),
    version="1",
    min_matvecs=1,
    block_widths=single_columns,
    footprint=_footprint,
    presets=("lanczos[reorth=full]", "lanczos[reorth=none]"),
)
