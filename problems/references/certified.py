"""Top eigenvalues of large symmetric operators with a bound, in float64: a search, and a proof that it missed nothing.

A first run of block Lanczos finds k Ritz pairs. Every later run begins from a random vector, or block, of its own in
the complement of those found: where it finds eigenvalues that come before place k they are taken in, and another
follows. The last finds none. Searches may end early, as where a Krylov space has closed and holds too few copies of a
multiple eigenvalue; the answer is right all the same, since only the last run speaks for it.

What is proven, in exact arithmetic. With X (n, k) the vectors found, X^T A X = Theta and R = A X - X Theta, A differs
from the blocks Theta and B = P A P, P the projection on the complement of X, by a matrix of norm ||R||. No eigenvalue
of B comes before the k-th of Theta by more than tau, the tolerance times the norm, as
`hessbench.problems.references.block_lanczos` proves but for a random start of probability 1e-8 at most. So each value
is within ||R|| + tau of the eigenvalue at its place (Weyl; of magnitudes, where the order is by magnitude).

What is argued. Rounding: every recurrence is exact for a matrix that differs from A by some eps times the norm, far
below tau, since all bases are kept orthogonal. Directions of a product below 100 eps times the norm count as rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import torch
from torch import Tensor

from hessbench.estimand import Array, Reference, Source, TopEigenvalues
from hessbench.estimand.from_dense import References
from hessbench.estimand.work import OwnWork, part
from hessbench.operators import LinearOperator
from hessbench.problems.references.block_lanczos import (
    Found,
    Known,
    LanczosLimits,
    block_lanczos,
    column_pieces,
    nothing_known,
    product,
    ranking,
)
from hessbench.problems.references.unseen import DOUBT
from hessbench.seeding import derive_seed, make_generator

WIDTH: Final = 2
"""Columns of a block of the first run: a pair of equal eigenvalues costs no second one."""


@dataclass(frozen=True)
class Certificate:
    """Eigenvalues and what speaks for them.

    Attributes:
        eigenvalues: The k wanted, in the order of the estimand.
        bound: ||A X - X Theta|| and the tolerance times the norm: each is this near to the eigenvalue at its place.
        norm: Largest magnitude of a Ritz value met.
        products: Products spent.
        width: Columns of a block of the first run.
        proof: Those of the products that show that none is missed; none where all n eigenvalues are asked for.
    """

    eigenvalues: Array
    bound: float
    norm: float
    products: int
    width: int
    proof: int


def certified_references(build: Callable[[], LinearOperator], rounding: float, name: str = "") -> References:
    """Reference of the top eigenvalues.

    Args:
        build: Makes the operator, in float64.
        rounding: Constant c in the rounding c eps ||A|| of the operator that is compared with the reference.
        name: Problem the random starts are seeded from.
    """

    def top(estimand: TopEigenvalues) -> Reference:
        return certified_reference(build(), estimand, rounding, name)

    return {TopEigenvalues: OwnWork(top)}


def certified_reference(
    op: LinearOperator, estimand: TopEigenvalues, rounding: float, name: str = "", limits: LanczosLimits | None = None
) -> Reference:
    """Find the eigenvalues of an estimand, and show that none before them is missed.

    Args:
        op: The operator, in float64.
        estimand: Which eigenvalues.
        rounding: Constant c in the rounding c eps ||A|| of the operator that is compared with the reference.
        name: Problem the random starts are seeded from.
        limits: When to stop.

    Returns:
        The answer; its note says what speaks for it.

    Cost: a search of some 5 k to 20 k products, and a proof of about half as many.

    Raises:
        ValueError: If a run does not converge within its limits, or the products are not of one symmetric operator.
    """
    found = certify(op, estimand, name, limits or LanczosLimits())
    return Reference(
        {"eigenvalues": found.eigenvalues}, Source.CERTIFIED, found.norm, found.bound, rounding, _note(found)
    )


def certify(op: LinearOperator, estimand: TopEigenvalues, name: str, limits: LanczosLimits) -> Certificate:
    """Search until a run from a fresh start shows nothing before place k.

    Args:
        op: The operator, in float64.
        estimand: Which eigenvalues.
        name: Problem the random starts are seeded from.
        limits: When to stop.

    Raises:
        ValueError: As `certified_reference`.
    """
    estimand.check(op.dim)
    known, residual = nothing_known(op.dim), 0.0
    spent: list[int] = []
    proof, width, wider, at_sight = 0, WIDTH, WIDTH, False
    while known.X.shape[0] < op.dim and not proof:
        generator = make_generator(derive_seed("certified", name, estimand.spec, str(len(spent))))
        left = replace(limits, max_products=limits.max_products - sum(spent[1:]))
        # Half the way is the search, the other half the run that shows nothing is missed.
        with part(0.5, 1.0) if spent else part(0.0, 0.5):
            found = block_lanczos(op, estimand, width, generator, left, known, at_sight=at_sight)
        spent.append(found.products + found.Z.shape[0])
        if found.nothing_left:
            proof = found.products
        elif found.Z.shape[0]:
            known, residual = _take_in(op, estimand, known, found, limits)
            # The first fresh start may find what is missing. Where another is needed more copies are missing still,
            # and a block twice as wide brings them at once.
            width, at_sight = 1, len(spent) > 1 < estimand.k
        else:
            wider = min(2 * wider, estimand.k)
            width, at_sight = wider, False
    bound = residual + limits.tolerance * known.norm
    return Certificate(known.theta.numpy(), bound, known.norm, sum(spent), min(WIDTH, op.dim), proof)


def _take_in(
    op: LinearOperator, estimand: TopEigenvalues, known: Known, found: Found, limits: LanczosLimits
) -> tuple[Known, float]:
    """The first k Ritz pairs of the vectors known and found, and the norm of their residual, by products of Z alone.

    They overwrite the rows of `known`, or of Z where nothing was known, some columns at a time.

    Raises:
        ValueError: If the residuals are more than ten times those that the basis promised.
    """
    Z = found.Z
    AZ = torch.cat([product(op, rows) for rows in Z.split(WIDTH)])
    X, AX = (known.X, known.AX) if known.X.shape[0] else (Z, AZ)

    def piece(columns: slice) -> tuple[Tensor, Tensor]:
        return torch.cat([known.X[:, columns], Z[:, columns]]), torch.cat([known.AX[:, columns], AZ[:, columns]])

    S = sum((products @ vectors.T for vectors, products in map(piece, column_pieces(op.dim))), torch.zeros(()))
    values, Y = torch.linalg.eigh((S + S.T) / 2)
    first = ranking(values, estimand)[: estimand.k]
    theta = values[first]
    triangle = torch.empty(0, estimand.k, dtype=Z.dtype)
    for columns in column_pieces(op.dim):
        X[:, columns], AX[:, columns] = (Y[:, first].T @ part for part in piece(columns))
        residual = AX[:, columns] - theta[:, None] * X[:, columns]
        triangle = torch.linalg.qr(torch.cat([triangle, residual.T]), mode="r").R
    bound = float(torch.linalg.matrix_norm(triangle, 2))
    norm = max(found.norm, float(theta.abs().max()))
    if bound > 10 * limits.tolerance * norm:
        raise ValueError(
            f"{estimand.spec}: residuals are {bound:.1e} where the basis promised {limits.tolerance * norm:.1e}: "
            "the products are not those of one symmetric operator in float64"
        )
    return Known(theta, X, AX, norm), bound


def _note(found: Certificate) -> str:
    shown = (
        f"{found.proof} from a fresh start in their complement show that none before place k is missed"
        if found.proof
        else "there are no others"
    )
    return (
        "each value lies within the bound of the eigenvalue at its place, but for random starts of probability "
        f"{DOUBT:g} a run: {found.products - found.proof} products found them, beginning with blocks of {found.width}, "
        f"and {shown}"
    )
