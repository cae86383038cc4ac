"""The solution of a damped system by conjugate gradients with a randomized Nystrom preconditioner."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final, Literal, TypeAlias, get_args

import numpy as np
import torch
from torch import Tensor

from hessbench.estimand import Estimate, Solve
from hessbench.method import Footprint, Method
from hessbench.methods.arguments import check_at_least, check_choice
from hessbench.methods.eigenvalues.nystrom import NystromPairs, nystrom_pairs
from hessbench.methods.functions.cg import CITATION
from hessbench.methods.functions.conjugate_gradients import (
    KEPT,
    TOLERANCE,
    KeptOrthogonal,
    Precondition,
    System,
    conjugate_gradients,
    footprint_of_steps,
)
from hessbench.methods.functions.growing_sketch import growing_pairs, is_large_enough, sketched_solution
from hessbench.methods.small_dense import to_device
from hessbench.operators import LinearOperator
from hessbench.problem import PSD

Sizing: TypeAlias = Literal["fixed", "adaptive"]
"""Ways to size the sketch: as asked for, or doubled until it is large enough."""

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
    kept: int = KEPT,
    sizing: Sizing = "fixed",
) -> Iterator[Estimate]:
    """Conjugate gradients whose preconditioner knows the top of the spectrum from a sketch.

    A Nystrom approximation U diag(l) U^T of rank r gives P^-1 = (l_r + damping) U (diag(l) + damping I)^-1 U^T +
    (I - U U^T), which brings the eigenvalues that the sketch sees down to the level of the last of them. With r twice
    the effective dimension sum lambda / (lambda + damping), and some more, the condition number is a small constant in
    expectation: the steps no longer depend on that of A.

    With `sizing=adaptive` the sketch begins with `rank` columns and doubles, all its products kept, until its last
    eigenvalue is at most ten times the damping, or the steps that the condition number then takes are fewer than the
    products spent. What each size gives is an answer: P^-1 b / (l_r + damping).

    Args:
        op: Positive semi-definite operator A of dimension n.
        num_matvecs: Most products: above min(rank, n), which the sketch takes; with `adaptive` no less than that.
        generator: Source of the sketch.
        b: Right-hand side (n,).
        damping: Multiple of the identity that is added, at least 0.
        rank: Columns r of the sketch, or of the first one, at least 1.
        tolerance: Relative residual, by the recurrence, at which the run ends; above 0 and below 1.
        reorth: `none`, `full` or `first`, as of `cg`.
        kept: As of `cg`.
        sizing: `fixed` or `adaptive`.

    Yields:
        After each product behind the sketch x (n,). Diagnostics as of `cg`. With `adaptive` after each sketch too, with
        its `rank` and its `last_eigenvalue`.

    Cost:
        min(rank, n) products in one call, with `adaptive` then one of as many as there were before, again and again;
        then one in one call a step. Own work about 12 r^2 n for the sketch and 4 r n a step; r vectors beside those of
        `cg`, 4 r while the sketch is factorised, 6 r with `adaptive`.

    Raises:
        ValueError: If an argument is out of range, or the sketch shows a negative eigenvalue.

    Source:
        Frangella, Tropp and Udell, SIAM J. Matrix Anal. Appl. 44 (2023), arXiv:2110.02820.
    """
    check_choice("sizing", sizing, get_args(Sizing))
    check_at_least("num_matvecs", num_matvecs, _least(op.dim, rank=rank, sizing=sizing))
    system = System(op, b, damping, tolerance, reorth, kept)
    system.check()
    grows = sizing == "adaptive"
    sketches = growing_pairs(op, rank, generator) if grows else _once(op, min(rank, op.dim), generator)
    for pairs in sketches:
        sketched = pairs.values.size
        if not np.isfinite(pairs.values).all():
            yield Estimate(torch.full_like(b, torch.nan), converged=False)
            return
        precondition = _preconditioner(pairs, damping)
        last = float(pairs.values.min())
        if grows:
            said = {"rank": sketched, "last_eigenvalue": last}
            yield Estimate(partial(_of_sketch, b, precondition, last, damping), converged=False, diagnostics=said)
        if not grows or is_large_enough(pairs, damping, tolerance) or sketched == op.dim:
            break
        if min(2 * sketched, op.dim) > num_matvecs:
            return
    else:
        return
    if sketched < num_matvecs:
        known = float(pairs.values.max()) + damping
        yield from conjugate_gradients(system, num_matvecs - sketched, precondition, before=sketched, known=known)


def _once(op: LinearOperator, rank: int, generator: torch.Generator) -> Iterator[NystromPairs]:
    yield nystrom_pairs(op, rank, generator)


def _of_sketch(b: Tensor, precondition: Precondition | None, last: float, damping: float) -> Tensor:
    return sketched_solution(b, b if precondition is None else precondition(b), last, damping)


def _preconditioner(pairs: NystromPairs, damping: float) -> Precondition | None:
    """The map r -> P^-1 r; None where the sketch saw nothing but rounding."""
    values, Q, W, shift = pairs
    seen = np.flatnonzero(values > shift)
    if not seen.size:
        return None
    U = Q @ to_device(W[:, seen], Q)
    # What P^-1 adds to the identity along U.
    gains = (values[seen].min() + damping) / (values[seen] + damping) - 1
    weights = to_device(gains, Q)
    return lambda r: torch.addmv(r, U, weights * (U.T @ r))


def _least(dim: int, *, rank: int, sizing: str, **_: object) -> int:
    check_at_least("rank", rank, 1)
    return min(rank, dim) + (sizing == "fixed")


def _widths(num_matvecs: int, *, rank: int, sizing: str, **_: object) -> tuple[int, ...]:
    widths = [rank]
    while sizing == "adaptive" and 2 * sum(widths) <= num_matvecs:
        widths.append(sum(widths))
    return tuple(sorted({1, *(min(width, num_matvecs) for width in widths)}))


def _footprint(dim: int, num_matvecs: int, *, rank: int, reorth: str, kept: int, sizing: str, **_: object) -> Footprint:
    grows = sizing == "adaptive"
    r = min(rank, dim)
    while grows and 2 * r < min(num_matvecs, dim):  # at most: how large it grows is found in a run
        r *= 2
    steps = footprint_of_steps(dim, max(num_matvecs - r, 1), reorth, kept)
    applied = 2.0 * r * (num_matvecs - r) * (1 if reorth == "none" else 2)
    vectors, passes = (6.0 * r, 10.0 * r * r) if grows else (4.0 * r, 6.0 * r * r)
    return Footprint(max(vectors, r + steps.vectors), passes + 6.0 * r + steps.passes + applied)


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
    presets=(
        "nystrom-cg",
        "nystrom-cg[rank=100]",
        "nystrom-cg[rank=100,reorth=full]",
        "nystrom-cg[sizing=adaptive]",
    ),
)
