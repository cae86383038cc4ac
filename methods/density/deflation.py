"""Low-rank deflation: a few eigenpairs taken out of an operator before the density of the rest is estimated."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import torch
from torch import Tensor

from hessbench.estimand import Array, Estimate, TopEigenvalues, Trace
from hessbench.method import Footprint
from hessbench.methods.arguments import check_at_least, check_choice
from hessbench.methods.eigenvalues.simultaneous import simultaneous_steps
from hessbench.methods.krylov.lockstep import lanczos_lockstep
from hessbench.methods.krylov.recurrence import lanczos_steps
from hessbench.methods.krylov.ritz import last_row, leading, ritz_vectors
from hessbench.methods.krylov.tridiagonal import quadrature, solve_tridiagonal
from hessbench.methods.krylov.vectors import norm
from hessbench.methods.probes import draw_direction, draw_normal
from hessbench.methods.small_dense import eigenpairs_of, freedom, mean_and_stderr, to_device, to_host
from hessbench.operators import FunctionOperator, LinearOperator

DeflatedBy: TypeAlias = Literal["lanczos", "simultaneous"]


@dataclass(frozen=True)
class Deflation:
    """Ritz pairs that are taken out of an operator.

    Attributes:
        values: Rayleigh quotients y^T A y, shape (C,), the largest in magnitude first.
        vectors: Orthonormal columns y, shape (n, C).
        residual: The largest ||A y - theta y||; by Kahan's theorem the spectrum that is put together again is within
            it of the true one.
        spent: Products.
    """

    values: Array
    vectors: Tensor
    residual: float
    spent: int


def deflate(op: LinearOperator, by: str, rank: int, num_matvecs: int, generator: torch.Generator) -> Deflation:
    """Find eigenpairs of the largest magnitude.

    The values are Rayleigh quotients of orthonormal vectors. The document takes ||v_c||, the norms of the columns that
    simultaneous iteration has just multiplied: these lose the sign of a negative eigenvalue.

    Args:
        op: Symmetric operator of dimension n.
        by: `lanczos`, one start, fully reorthogonalised, as many steps as the budget holds; or `simultaneous`,
            iteration on a Gaussian block of C columns, followed by Rayleigh-Ritz on the last block.
        rank: Their number C, as far as n holds them.
        num_matvecs: Most products, at least min(C, n).
        generator: Source of the starts.

    Cost:
        min(num_matvecs, n) products one at a time and a basis of as many vectors; or num_matvecs // C blocks of C
        columns and 4 C vectors.

    Raises:
        ValueError: If an argument is out of range.

    Source:
        Papyan, The full spectrum of deep net Hessians at scale (2018), arXiv:1811.07062, algorithm 5.
    """
    check_choice("by", by, get_args(DeflatedBy))
    check_at_least("rank", rank, 1)
    count = min(rank, op.dim)
    check_at_least("num_matvecs", num_matvecs, count)
    order = TopEigenvalues(count, "magnitude")
    if by == "lanczos":
        start = draw_direction(op, generator)
        steps = lanczos_steps(op, start, reorth="full", num_steps=num_matvecs, generator=generator)
        T = deque(steps, maxlen=1)[0]
        alphas, betas = T.read()
        ritz = solve_tridiagonal(alphas, betas)
        found = leading(order, ritz.values, ritz.vectors, last_row(betas[-1], T.size))
        assert T.basis is not None, "full reorthogonalisation keeps the basis"
        return Deflation(found.values, ritz_vectors(T.basis[: T.size], found.coefficients), found.residual, T.size)
    start = draw_normal(op.dim, count, op, generator)
    Q, V = deque(simultaneous_steps(op, start, num_matvecs=num_matvecs), maxlen=1)[0]
    values, S = eigenpairs_of(to_host(Q.T @ V))
    first = order.places(values)
    values, turn = values[first], to_device(S[:, first], Q)
    Y = Q @ turn
    residuals = norm(V @ turn - Y * to_device(values, Y), dim=0)
    return Deflation(values, Y, float(residuals.max()), num_matvecs // count * count)


def check_share(share: float) -> None:
    """Refuse a part of the budget that leaves nothing for one side.

    Raises:
        ValueError: If it is not above 0 and below 1.
    """
    if not 0 < share < 1:
        raise ValueError(f"share must be above 0 and below 1, got {share}")


def no_deflation(op: LinearOperator) -> Deflation:
    """Nothing taken out."""
    return Deflation(np.zeros(0), torch.empty(op.dim, 0, dtype=op.dtype, device=op.device), 0.0, 0)


def outside(vectors: Tensor, block: Tensor) -> Tensor:
    """(I - Y Y^T) X for orthonormal columns Y (n, C), in new memory."""
    return torch.addmm(block, vectors, vectors.T @ block, alpha=-1)


def outside_operator(op: LinearOperator, vectors: Tensor) -> LinearOperator:
    """(I - Y Y^T) A, which on the complement of the orthonormal columns Y (n, C) is the deflated operator.

    Cost:
        A product and 4 n C multiplications a column.
    """
    if not vectors.shape[1]:
        return op
    return FunctionOperator(lambda block: outside(vectors, op.matmat(block).detach()), op.dim, op.dtype, op.device)


def draw_outside(op: LinearOperator, space: Tensor, columns: int, generator: torch.Generator) -> Tensor:
    """Columns whose directions are uniform on the complement of a space.

    Args:
        op: Operator whose dimension n, dtype and device they take.
        space: Orthonormal columns (n, r), r below n.
        columns: Their number.
        generator: Source of randomness.

    Returns:
        Block of shape (n, columns).
    """
    drawn = draw_normal(op.dim, columns, op, generator)
    if not space.shape[1]:
        return drawn
    return outside(space, outside(space, drawn))  # the second pass takes out what rounding left of the first


def rules_outside(
    op: LinearOperator,
    space: Tensor,
    starts: int,
    steps: int,
    generator: torch.Generator,
    *,
    scale: float,
    reorth: str = "full",
) -> list[tuple[Array, Array]]:
    """Gauss quadratures of starts that are uniform on the complement of a space, in lock-step.

    Args:
        op: The operator whose quadratures they are; where it keeps the complement, so do they.
        space: Orthonormal columns (n, r), r below n.
        starts: Number of starts.
        steps: Lanczos steps of each.
        generator: Source of the starts.
        scale: Norm of the whole operator, by which its products round.
        reorth: As in `lanczos_lockstep`.

    Returns:
        Nodes and weights of each start; the weights of one sum to one.

    Cost:
        steps calls of width `starts`.
    """
    X = draw_outside(op, space, starts, generator)
    return [quadrature(alphas, betas) for alphas, betas in lanczos_lockstep(op, X, steps, reorth=reorth, scale=scale)]


def put_together(
    dim: int,
    known: tuple[Array, Array],
    known_trace: float,
    taken: int,
    rules: Sequence[tuple[Array, Array]],
    diagnostics: Mapping[str, Any],
) -> Estimate:
    """The density of a known part and of what is left, which the quadratures of the starts share.

    Args:
        dim: Dimension n.
        known: Nodes and weights of the known part, of mass taken / n.
        known_trace: Its trace.
        taken: Its dimension.
        rules: Nodes and weights of each start, of mass one; none where the known part is everything.
        diagnostics: What is said of the whole.

    Returns:
        (nodes, weights), first those known, and which start each node is from, -1 for what all share; in `also` the
        trace, with its standard error over the starts, 0 where there are none.
    """
    left, starts = dim - taken, len(rules)
    nodes, weights = [known[0]], [known[1]]
    for values, mass in rules:
        nodes.append(values)
        weights.append(mass * left / dim / starts)
    labels = np.repeat(np.arange(-1, starts), [values.size for values in nodes])
    mean, stderr = 0.0, 0.0
    if rules:
        mean, stderr = mean_and_stderr(np.asarray([left * float(values @ mass) for values, mass in rules]))
    return Estimate(
        (np.concatenate(nodes), np.concatenate(weights)),
        diagnostics=diagnostics,
        also={Trace: Estimate(known_trace + mean, stderr=stderr, stderr_dof=freedom(starts))},
        starts=labels,
    )


def deflation_footprint(dim: int, by: str, rank: int, num_matvecs: int) -> Footprint:
    """What `deflate` needs of its own.

    Args:
        dim: Dimension n.
        by: As in `deflate`.
        rank: As in `deflate`.
        num_matvecs: Products it spends.
    """
    count, d = min(rank, dim), min(num_matvecs, dim)
    if by == "lanczos":
        return Footprint(vectors=d + 4.0 + count, passes=d * (d + 1) + 18.0 * d + d * count)
    return Footprint(vectors=4.0 * count, passes=(d // count) * (2.0 * count * count + 6.0 * count) + d * count)
