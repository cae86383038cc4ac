"""Top eigenvalues, and a one-start density, by the Lanczos recurrence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, get_args

import numpy as np
import torch

from hessbench.estimand import Density, Estimand, Estimate, TopEigenspace, TopEigenvalues
from hessbench.method import Footprint, Method
from hessbench.methods.arguments import Reorth, Which, check_choice, count_of, least_of
from hessbench.methods.krylov.meters import count_ghosts, orthogonality
from hessbench.methods.krylov.recurrence import KEEPING, lanczos_steps
from hessbench.methods.krylov.ritz import has_converged, last_row, leading, probe_of, ritz_vectors, rounding, tolerance
from hessbench.methods.krylov.tridiagonal import Tridiagonal, first_block, solve_tridiagonal
from hessbench.methods.probes import draw_direction, single_columns
from hessbench.operators import LinearOperator

WINDOW: Final = 10


def lanczos(
    op: LinearOperator,
    /,
    *,
    num_matvecs: int,
    generator: torch.Generator,
    reorth: Reorth = "full",
    window: int = WINDOW,
    vectors: bool = False,
    meters: bool = False,
    k: int | None = None,
    which: Which = "magnitude",
) -> Iterator[Estimate]:
    """Lanczos from one random start, A Q = Q T + r e^T, with one of five ways to keep the columns of Q orthogonal.

    `full` orthogonalises every vector against all earlier ones; `periodic` and `selective` do what keeps the loss below
    sqrt(eps), which gives the same Ritz values; `window` only against the last few; `none` not at all. Ritz values of T
    are the eigenvalue estimates. The same run answers `Density`: the measure with the Ritz values of the start's Krylov
    space as nodes and squared first components as weights.

    With `window` and `none` converged eigenvalues come back as copies (ghosts), which push true ones out of the first
    k. That is reported as it is: it is the known harm of these methods, and `converged` stays unset there.

    Args:
        op: Symmetric operator of dimension n.
        num_matvecs: Most products, at least k; at most n are spent where the basis is kept, and `none` and `window`
            end with an invariant subspace.
        generator: Source of the start.
        reorth: `full`, `periodic`, `selective`, `window` or `none`.
        window: Vectors that `window` keeps, at least 2; not accepted with another `reorth`.
        vectors: Hand back Ritz vectors (n, k) too, and in `also` their space, where the basis is kept.
        meters: Measure `orthogonality`, max |Q^T Q - I| over the basis, where it is kept; m^2 n multiplications.
        k: Number of eigenvalues, 1 to n; by default 10, or as many as n and num_matvecs allow.
        which: Their order: `magnitude`, `algebraic` or `smallest`.

    Yields:
        After each product the eigenvalues, up to k, and in `also` the density. Diagnostics: `steps`; `beta`, the norm
        of the last residual; `residual`, the largest ||A y - theta y|| over the values given, by the recurrence;
        `ghosts`, copies among the Ritz values; `vector_operations`, vectors of length n that the method itself has
        scaled, added, multiplied or measured. `converged`: see `has_converged`.

    Cost:
        One product in one call per step; own work and memory as in `lanczos_steps`: with m steps `full` keeps m + 2
        vectors and reads the basis twice a step, four times where a pass is repeated; `periodic` reads it in a few
        steps; `none` keeps 4 vectors. Nothing is read from a device before a checkpoint asks, except by `periodic` and
        `selective`.

    Raises:
        ValueError: If an argument is out of range.

    Source:
        Lanczos, J. Res. Natl. Bur. Stand. 45 (1950), doi:10.6028/jres.045.026; Parlett, The Symmetric Eigenvalue
        Problem (1998), doi:10.1137/1.9781611971163; Simon (1984) and Parlett and Scott (1979) as cited in
        `hessbench.methods.krylov.semiorthogonal`.
    """
    order = TopEigenvalues(count_of(k, op.dim, num_matvecs), which)
    check_choice("reorth", reorth, get_args(Reorth))
    kept = reorth in KEEPING
    if window != WINDOW and reorth != "window":
        raise ValueError(f"window must be {WINDOW} unless reorth is window, got {window}")
    if (vectors or meters) and not kept:
        raise ValueError(f"vectors and meters must be false with reorth {reorth}, which keeps no basis")
    start = draw_direction(op, generator)
    steps = lanczos_steps(op, start, reorth=reorth, num_steps=num_matvecs, generator=generator, window=window)
    asked = _Asked(order, op.dtype, op.dim, kept=kept, vectors=vectors, meters=meters)
    for T in steps:
        # A thunk without the basis does not keep it alive.
        yield Estimate(value=partial(_answer, T if vectors or meters else T.without_basis(), asked))


@dataclass(frozen=True)
class _Asked:
    order: TopEigenvalues
    dtype: torch.dtype
    dim: int
    kept: bool
    vectors: bool
    meters: bool


def _answer(T: Tridiagonal, asked: _Asked) -> Estimate:
    """Read T and solve it."""
    alphas, betas = T.read()
    start_alphas, start_betas = first_block(alphas, betas)
    if not asked.kept:  # elsewhere than on a CPU the run may have gone on past its end
        alphas, betas = start_alphas, start_betas
    ritz = solve_tridiagonal(alphas, betas)
    top = leading(asked.order, ritz.values, ritz.vectors, last_row(betas[-1], alphas.size))
    block = ritz if start_alphas.size == alphas.size else solve_tridiagonal(start_alphas, start_betas)
    converged = None
    if asked.kept:
        size = float(np.abs(ritz.values).max())
        whole = alphas.size == asked.dim
        converged = has_converged(
            asked.order,
            top,
            tolerance(asked.dtype) * size,
            unseen=np.inf if whole else rounding(asked.dtype, asked.dim) * size,
            probe=None if whole else probe_of(asked.order, alphas, betas),
        )
    diagnostics = {
        "steps": alphas.size,
        "beta": float(betas[-1]),
        "residual": top.residual,
        "ghosts": count_ghosts(alphas, betas, torch.finfo(asked.dtype).eps),
        "vector_operations": T.operations,
    }
    if T.basis is not None and asked.meters:
        diagnostics["orthogonality"] = float(orthogonality(T.basis[: T.size])[-1])
    density = Estimate((block.values, block.first**2))
    found = Estimate(top.values, converged=converged, diagnostics=diagnostics, also={Density: density})
    if T.basis is None or not asked.vectors:
        return found
    vectors = ritz_vectors(T.basis[: T.size], top.coefficients)
    return replace(found, vectors=vectors, also={**found.also, TopEigenspace: Estimate(vectors)})


def _refuses(kind: type[Estimand], *, reorth: str, **_: object) -> str:
    return f"reorth {reorth} keeps no basis" if kind is TopEigenspace and reorth not in KEEPING else ""


def _least(dim: int, *, k: int | None, **_: object) -> int:
    return least_of(k, dim)


def _footprint(
    dim: int, num_matvecs: int, *, reorth: str, window: int, vectors: bool, k: int | None, **_: object
) -> Footprint:
    steps = min(num_matvecs, dim) if reorth in KEEPING else num_matvecs
    given = (k or 10) * vectors
    if reorth == "none":
        return Footprint(vectors=6, passes=14.0 * steps)
    if reorth == "window":
        return Footprint(vectors=min(window, steps) + 4, passes=(2.0 * window + 18.0) * steps)
    if reorth == "periodic":  # on heavy tails a fifth of the steps were seen to ask for a pass
        return Footprint(vectors=steps + 4 + given, passes=0.25 * steps * (steps + 1) + 18.0 * steps)
    if reorth == "selective":
        return Footprint(vectors=1.5 * steps + 4 + given, passes=0.25 * steps * (steps + 1) + 18.0 * steps)
    return Footprint(vectors=steps + 4 + given, passes=steps * (steps + 1) + 18.0 * steps)


LANCZOS = Method(
    name="lanczos",
    run=lanczos,
    estimands=(TopEigenvalues, Density, TopEigenspace),
    refuses=_refuses,
    citation=(
        "Lanczos, An iteration method for the solution of the eigenvalue problem of linear differential and integral "
        "operators, J. Res. Natl. Bur. Stand. 45 (1950) 255-282, doi:10.6028/jres.045.026; Golub and Welsch, "
        "Calculation of Gauss quadrature rules, Math. Comp. 23 (1969) 221-230, doi:10.1090/S0025-5718-69-99647-1; "
        "Parlett and Scott, The Lanczos algorithm with selective orthogonalization, Math. Comp. 33 (1979) 217-238, "
        "doi:10.1090/S0025-5718-1979-0514820-3; Simon, The Lanczos algorithm with partial reorthogonalization, Math. "
        "Comp. 42 (1984) 115-142, doi:10.1090/S0025-5718-1984-0725988-X; Grcar, Analyses of the Lanczos algorithm and "
        "of the approximation problem in Richardson's method, University of Illinois (1981)"
    ),
    version="2",
    min_matvecs=_least,
    block_widths=single_columns,
    footprint=_footprint,
    presets=(
        "lanczos[reorth=full]",
        "lanczos[reorth=periodic]",
        "lanczos[reorth=selective]",
        "lanczos[reorth=window]",
        "lanczos[reorth=none]",
    ),
)
