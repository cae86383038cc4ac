"""The solution of a damped system by conjugate gradients."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import torch
from torch import Tensor

from hessbench.estimand import Estimate, Solve
from hessbench.method import Footprint, Method
from hessbench.methods.functions.conjugate_gradients import (
    KEPT,
    TOLERANCE,
    KeptOrthogonal,
    System,
    conjugate_gradients,
    footprint_of_steps,
)
from hessbench.methods.probes import single_columns
from hessbench.operators import LinearOperator

CITATION: Final = (
    "Hestenes and Stiefel, Methods of conjugate gradients for solving linear systems, J. Res. Natl. Bur. Stand. 49 "
    "(1952) 409-436, doi:10.6028/jres.049.044"
)


def cg(
    op: LinearOperator,
    /,
    *,
    num_matvecs: int,
    generator: torch.Generator,
    b: Tensor,
    damping: float = 0.0,
    tolerance: float = TOLERANCE,
    reorth: KeptOrthogonal = "none",
    kept: int = KEPT,
) -> Iterator[Estimate]:
    """Conjugate gradients from zero: each x makes the error in the norm of A + damping I least over a Krylov space.

    After k products the error in that norm is at most 2 ((sqrt(c) - 1) / (sqrt(c) + 1))^k of the first, c the condition
    number of A + damping I, and less where eigenvalues lie in clusters or few lie apart; that is so in exact
    arithmetic, and with `full`. With `none` residuals lose their orthogonality, which costs steps, not accuracy. Nearly
    all of these are saved by `first`, once `kept` steps have found the eigenvectors far from the others.

    Args:
        op: Symmetric operator A of dimension n, with A + damping I positive definite.
        num_matvecs: Most products.
        generator: Not used.
        b: Right-hand side (n,).
        damping: Multiple of the identity that is added, at least 0.
        tolerance: Relative residual, by the recurrence, at which the run ends; above 0 and below 1.
        reorth: `none`; `full`, which keeps all residuals and orthogonalises each new one against them; or `first`,
            which does so with the first of them.
        kept: How many are kept with `first`, at least 1.

    Yields:
        After each product x (n,). Diagnostics: `residual`, |b - (A + damping I) x| / |b| by the recurrence;
        `attainable`, below which the true one does not follow it in this dtype: the run ends there too; `stopped`, why
        it ended; `breakdown`, where a negative curvature, or one that is rounding, shows that the system is indefinite
        or singular: no solution is claimed then.

    Cost:
        One product in one call a step; own work of some 20 vectors read or written a step, and 6 vectors. With `full`
        min(num_matvecs, n) vectors more, with `first` at most `kept`, read twice a step, four times where a pass is
        repeated.

    Raises:
        ValueError: If an argument is out of range.

    Source:
        Hestenes and Stiefel, J. Res. Natl. Bur. Stand. 49 (1952), doi:10.6028/jres.049.044.
    """
    del generator
    system = System(op, b, damping, tolerance, reorth, kept)
    system.check()
    yield from conjugate_gradients(system, num_matvecs)


def _footprint(dim: int, num_matvecs: int, *, reorth: str, kept: int, **_: object) -> Footprint:
    return footprint_of_steps(dim, num_matvecs, reorth, kept)


CG = Method(
    name="cg",
    run=cg,
    estimands=(Solve,),
    citation=CITATION,
    version="1",
    min_matvecs=1,
    block_widths=single_columns,
    footprint=_footprint,
    presets=("cg", "cg[reorth=full]", "cg[reorth=first]"),
)
