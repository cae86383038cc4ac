"""Top eigenvalues by simultaneous iteration: a block multiplied and orthonormalised again and again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeAlias, get_args

import torch
from torch import Tensor

from hessbench.estimand import Estimate, TopEigenspace, TopEigenvalues
from hessbench.method import Footprint, Method
from hessbench.methods.arguments import Which, check_at_least, check_choice, count_of
from hessbench.methods.krylov.ritz import ritz_vectors, tolerance
from hessbench.methods.krylov.vectors import norm
from hessbench.methods.probes import draw_normal
from hessbench.methods.small_dense import eigenpairs_of
from hessbench.operators import LinearOperator

Eigenvalue: TypeAlias = Literal["rayleigh", "norm", "ritz"]


def simultaneous_steps(op: LinearOperator, start: Tensor, *, num_matvecs: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Iterate Q <- qr(A Q) from Q = qr(start).

    Args:
        op: Operator A.
        start: Block of shape (n, b), b at most n; left as it is.
        num_matvecs: Most products; up to b - 1 stay unspent.

    Yields:
        (Q, V) with V = A Q, both (n, b), after every product of the block. Neither is written to again.

    Cost:
        b products in one call per step; own work about 4 b^2 n multiplications a QR factorisation. Memory: 3 b vectors.

    Raises:
        ValueError: If b is not between 1 and n, or `num_matvecs` is below b.

    Source:
        Bauer, Z. Angew. Math. Phys. 8 (1957), doi:10.1007/BF01600502; Parlett, The Symmetric Eigenvalue Problem
        (1998), chapter 14, doi:10.1137/1.9781611971163.
    """
    n, width = start.shape
    if not 1 <= width <= n:
        raise ValueError(f"the start must have between 1 and {n} columns, got {width}")
    check_at_least("num_matvecs", num_matvecs, width)
    block = start
    for _ in range(num_matvecs // width):
        Q = torch.linalg.qr(block).Q.contiguous()
        block = op.matmat(Q).detach()
        yield Q, block


def simultaneous_iteration(
    op: LinearOperator,
    /,
    *,
    num_matvecs: int,
    generator: torch.Generator,
    eigenvalue: Eigenvalue = "rayleigh",
    oversampling: int = 0,
    vectors: bool = False,
    k: int | None = None,
    which: Which = "magnitude",
) -> Iterator[Estimate]:
    """Simultaneous (orthogonal) iteration Q <- qr(A Q) on k + oversampling columns, from a Gaussian block.

    `eigenvalue` says what is read off. `rayleigh`: the quotients q^T A q, one a column. `ritz`: the eigenvalues of
    Q^T A Q, better for the same products. `norm`: ||A q||, one a column, the form of the low-rank deflation of Papyan;
    known harm: it is never negative, so an indefinite operator's signs are lost, and a column between two eigenvalues
    reads as their root mean square.

    Args:
        op: Symmetric operator of dimension n.
        num_matvecs: Most products, at least k + oversampling; what is left of a last block stays unspent.
        generator: Source of the block.
        eigenvalue: `rayleigh`, `norm` or `ritz`.
        oversampling: Columns beyond k, as far as n allows.
        vectors: Hand back the vectors (n, k) too, columns of Q, turned to Ritz vectors for `ritz`; and in `also` their
            space.
        k: Number of eigenvalues, 1 to n; by default 10, or as many as n and num_matvecs allow.
        which: The order of what was found. The iteration itself always tends to the largest in magnitude.

    Yields:
        After each block the k eigenvalues. Diagnostics: `residual`, the largest ||A v - theta v|| over the values
        given. `converged`: whether it is below eps^(3/4) of the largest ||A q||, for the order `magnitude` only.

    Cost:
        k + oversampling products in one call per step; own work as in `simultaneous_steps`, and 6 b^2 n multiplications
        at a checkpoint.

    Raises:
        ValueError: If an argument is out of range.

    Source:
        Bauer, Z. Angew. Math. Phys. 8 (1957), doi:10.1007/BF01600502; the form with norms: Papyan, The full spectrum of
        deep net Hessians at scale (2018), arXiv:1811.07062, algorithm 5.
    """
    check_choice("eigenvalue", eigenvalue, get_args(Eigenvalue))
    check_at_least("oversampling", oversampling, 0)
    check_at_least("num_matvecs", num_matvecs, _least(op.dim, k=k, oversampling=oversampling))
    order = TopEigenvalues(count_of(k, op.dim, num_matvecs if k else max(1, num_matvecs - oversampling)), which)
    start = draw_normal(op.dim, min(order.k + oversampling, op.dim), op, generator)
    for Q, V in simultaneous_steps(op, start, num_matvecs=num_matvecs):
        yield Estimate(partial(_answer, _Block(Q, V), order, eigenvalue, vectors))


@dataclass(frozen=True)
class _Block:
    Q: Tensor
    V: Tensor


def _answer(block: _Block, order: TopEigenvalues, eigenvalue: str, vectors: bool) -> Estimate:
    """Read the values off a block and measure their residuals."""
    found, images = block.Q, block.V
    if eigenvalue == "ritz":
        values, S = eigenpairs_of((found.T @ images).cpu().double().numpy())
        found, images = ritz_vectors(found.T, S), ritz_vectors(images.T, S)
    else:
        read = norm(images, dim=0) if eigenvalue == "norm" else (found * images).sum(dim=0)
        values = read.cpu().double().numpy()
    theta = torch.from_numpy(values).to(dtype=images.dtype, device=images.device)
    sizes = torch.stack([norm(images - found * theta, dim=0), norm(images, dim=0)]).cpu().double().numpy()
    first = order.places(values)[: order.k]
    residual = float(sizes[0, first].max())
    small = residual <= tolerance(found.dtype) * float(sizes[1].max())
    given = found[:, torch.from_numpy(first).to(found.device)] if vectors else None
    return Estimate(
        value=values[first],
        vectors=given,
        converged=small and order.which == "magnitude",
        diagnostics={"residual": residual},
        also={} if given is None else {TopEigenspace: Estimate(given)},
    )


def _least(dim: int, *, k: int | None, oversampling: int, **_: object) -> int:
    return min((1 if k is None else k) + oversampling, dim)


def _widths(num_matvecs: int, *, k: int | None, oversampling: int, **_: object) -> tuple[int, ...]:
    return (min(num_matvecs, (k or 10) + oversampling),)


def _footprint(
    dim: int, num_matvecs: int, *, k: int | None, oversampling: int, vectors: bool, **_: object
) -> Footprint:
    width = min((k or 10) + oversampling, dim)
    steps = max(1, num_matvecs // width)
    # Householder QR reads and writes what is left of the block once a column, and again to make Q.
    held = 3.0 * width + (k or 10) * vectors
    return Footprint(vectors=held, passes=steps * (2.0 * width * width + 6.0 * width))


SIMULTANEOUS_ITERATION = Method(
    name="simultaneous-iteration",
    run=simultaneous_iteration,
    estimands=(TopEigenvalues, TopEigenspace),
    citation=(
        "Bauer, Das Verfahren der Treppeniteration und verwandte Verfahren zur Loesung algebraischer "
        "Eigenwertprobleme, Z. Angew. Math. Phys. 8 (1957) 214-235, doi:10.1007/BF01600502; Papyan, The full spectrum "
        "of deep net Hessians at scale: dynamics with sample size (2018), arXiv:1811.07062"
    ),
    version="1",
    min_matvecs=_least,
    block_widths=_widths,
    footprint=_footprint,
    presets=("simultaneous-iteration", "simultaneous-iteration[eigenvalue=norm]"),
)
