"""Top eigenvalues of large symmetric operators with a bound: block Lanczos in float64 from two independent starts.

Full reorthogonalisation and Rayleigh-Ritz on the whole basis; thick restart where the basis is full (Wu and Simon 2000,
https://doi.org/10.1137/S0895479898334605). What is certified: with X (n, k) orthonormal, Theta = diag of its Ritz
values and R = A X - X Theta from fresh products, k eigenvalues of A lie within ||R|| of the k Ritz values, one each
(Kahan; Parlett, The Symmetric Eigenvalue Problem, theorem 11.5.1, https://doi.org/10.1137/1.9781611971163). That no
larger eigenvalue was missed is argued, not proved: two runs from independent random blocks must agree. Their blocks
differ in width, since a block of b columns sees b copies of a multiple eigenvalue: missed copies then show as well.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor

from hessbench.dense_references import References
from hessbench.estimand import Array, Reference, Source, TopEigenvalues
from hessbench.operators import LinearOperator
from hessbench.seeding import derive_seed, make_generator

MEMORY: Final = 2**31
BASIS: Final = 200
TOLERANCE: Final = 1e-10
MAX_PRODUCTS: Final = 5000
WIDTHS: Final = (2, 3)

_EPS: Final = 2.0**-52
_COLUMNS_AT_ONCE: Final = 2**20


@dataclass(frozen=True)
class Certificate:
    """Eigenvalues and what speaks for them.

    Attributes:
        eigenvalues: The k wanted, in the order of the estimand.
        bound: ||A X - X Theta||: each is this near to an eigenvalue of its own.
        norm: Largest magnitude of a Ritz value met.
        products: Products spent.
        width: Columns of a block.
    """

    eigenvalues: Array
    bound: float
    norm: float
    products: int
    width: int


@dataclass(frozen=True)
class Limits:
    """When a run stops, and what it may hold.

    Attributes:
        tolerance: Residuals to reach, as a part of the norm.
        max_products: Products one run may spend.
        basis: Vectors of the basis; at least 4 k are allowed.
        memory: Bytes of all vectors held.
    """

    tolerance: float = TOLERANCE
    max_products: int = MAX_PRODUCTS
    basis: int = BASIS
    memory: int = MEMORY


def certified_references(
    build: Callable[[], LinearOperator], rounding: float, name: str = "", limits: Limits | None = None
) -> References:
    """Reference of the top eigenvalues.

    Args:
        build: Makes the operator, in float64.
        rounding: Constant c in the rounding c eps ||A|| of the operator that is compared with the reference.
        name: Problem the random starts are seeded from.
        limits: When to stop.
    """

    def top(estimand: TopEigenvalues) -> Reference:
        return certified_reference(build(), estimand, rounding, name, limits)

    return {TopEigenvalues: top}


def certified_reference(
    op: LinearOperator, estimand: TopEigenvalues, rounding: float, name: str = "", limits: Limits | None = None
) -> Reference:
    """Find the eigenvalues of an estimand twice, from independent starts, and hold the answers against each other.

    Blocks of 2 and 3 columns are tried first; where the answers differ, once more with blocks of k and k + 1, which
    see every copy of a multiple eigenvalue.

    Args:
        op: The operator, in float64.
        estimand: Which eigenvalues.
        rounding: Constant c in the rounding c eps ||A|| of the operator that is compared with the reference.
        name: Problem the random starts are seeded from.
        limits: When to stop.

    Returns:
        The answer with the smaller bound; its note says what speaks for completeness.

    Cost: two runs of some 5 k to 20 k products each.

    Raises:
        ValueError: If a run does not converge within its limits, or the two do not agree.
    """
    estimand.check(op.dim)
    limits = limits or Limits()
    tried: list[tuple[int, int]] = []
    for widths in (WIDTHS, (estimand.k, estimand.k + 1)):
        if estimand.k <= WIDTHS[0] and tried:
            break
        first, second = (
            block_lanczos(
                op, estimand, width, make_generator(derive_seed("certified", name, estimand.spec, str(width))), limits
            )
            for width in widths
        )
        tried.append((first.width, second.width))
        if _agree(first, second, estimand):
            best = min(first, second, key=lambda found: found.bound)
            return Reference(
                {"eigenvalues": best.eigenvalues},
                Source.CERTIFIED,
                best.norm,
                best.bound,
                rounding,
                _note(first, second),
            )
    blocks = " nor ".join(f"{a} and {b}" for a, b in tried)
    raise ValueError(
        f"{estimand.spec}: two independent starts do not agree within their residuals, with blocks of {blocks} columns"
    )


def _agree(first: Certificate, second: Certificate, estimand: TopEigenvalues) -> bool:
    one, other = first.eigenvalues, second.eigenvalues
    if estimand.which == "magnitude":
        one, other = np.abs(one), np.abs(other)
    norm = max(first.norm, second.norm)
    return bool(np.abs(one - other).max() <= first.bound + second.bound + 100 * _EPS * norm)


def _note(first: Certificate, second: Certificate) -> str:
    runs = " and ".join(
        f"{run.products} products in blocks of {run.width}, residual {run.bound:.1e}" for run in (first, second)
    )
    return (
        "each value lies within the bound of an eigenvalue of its own; that none is missed is argued by two "
        f"independent block starts that agree ({runs})"
    )


def block_lanczos(
    op: LinearOperator, estimand: TopEigenvalues, width: int, generator: torch.Generator, limits: Limits
) -> Certificate:
    """One run from a random block.

    Args:
        op: The operator, in float64.
        estimand: Which eigenvalues.
        width: Columns of a block; the dimension at most.
        generator: Source of the start, and of fresh directions where the Krylov space closes.
        limits: When to stop.

    Raises:
        ValueError: If the operator is not in float64, a product is not finite, the memory does not hold a basis, or the
            products run out.
    """
    n, k = op.dim, estimand.k
    if op.dtype != torch.float64:
        raise ValueError(f"a certified reference needs an operator in float64, got {op.dtype}")
    width = min(width, n)
    capacity = _capacity(n, k, width, limits)
    Q = torch.empty(capacity, n, dtype=torch.float64)
    T = torch.zeros(capacity, capacity, dtype=torch.float64)
    fresh, _ = _next_block(torch.zeros(width, n, dtype=torch.float64), Q[:0], 0.0, width, generator)
    size, products, norm = 0, 0, 0.0
    while True:
        if products + fresh.shape[0] + k > limits.max_products:
            raise ValueError(
                f"{estimand.spec}: residuals did not reach {limits.tolerance:g} of the norm in "
                f"{limits.max_products} products"
            )
        start, size = size, size + fresh.shape[0]
        Q[start:size] = fresh
        W = _product(op, fresh)
        products += fresh.shape[0]
        coefficients = _project_out(W, Q[:size])
        T[:size, start:size] = coefficients
        T[start:size, :size] = coefficients.T
        T[start:size, start:size] = (coefficients[start:] + coefficients[start:].T) / 2
        theta, Y = torch.linalg.eigh(T[:size, :size])
        norm = max(norm, float(theta.abs().max()))
        order = _ranking(theta, estimand)
        fresh, coupling = _next_block(W, Q[:size], norm, min(width, n - size), generator)
        residuals = torch.linalg.vector_norm(coupling.T @ Y[start:size, order[:k]], dim=0)
        if size >= k and float(residuals.max()) <= limits.tolerance * norm:
            return _certificate(op, Y[:, order[:k]].T @ Q[:size], estimand, norm, products, width, limits)
        if size + fresh.shape[0] > capacity:
            kept = order[: min(capacity - 2 * width, k + (capacity - k) // 2)]
            _combine(Q, Y[:, kept], size)
            size = kept.numel()
            T.zero_()
            T[range(size), range(size)] = theta[kept]


def _capacity(n: int, k: int, width: int, limits: Limits) -> int:
    """Vectors of the basis: those allowed, less what the work beside it holds."""
    fitting = limits.memory // (8 * n) - 2 * k - 4 * width
    capacity = min(n, max(limits.basis, 4 * k), fitting)
    needed = min(n, k + 4 * width)
    if capacity < needed:
        room = 8 * n * (needed + 2 * k + 4 * width)
        raise ValueError(f"{k} eigenvalues of dimension {n} need {room} bytes of vectors, {limits.memory} are allowed")
    return capacity


def _ranking(theta: Tensor, estimand: TopEigenvalues) -> Tensor:
    key = {"magnitude": -theta.abs(), "algebraic": -theta, "smallest": theta}[estimand.which]
    return torch.argsort(key, stable=True)


def _product(op: LinearOperator, rows: Tensor) -> Tensor:
    """A times each row, as rows."""
    product = op.matmat(rows.T.contiguous()).T.contiguous()
    if not bool(torch.isfinite(product).all()):
        raise ValueError("the operator returned values that are not finite")
    return product


def _project_out(W: Tensor, Q: Tensor) -> Tensor:
    """Make W (b, n) orthogonal to the rows of Q (m, n), in place, in two passes; the coefficients Q W^T, (m, b)."""
    coefficients = torch.zeros(Q.shape[0], W.shape[0], dtype=W.dtype)
    for _ in range(2):
        change = Q @ W.T
        W.sub_(change.T @ Q)
        coefficients += change
    return coefficients


def _next_block(W: Tensor, Q: Tensor, norm: float, width: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Orthonormal rows U (width, n) that continue the basis, and C (b, width) with W = C U.

    Directions of W that are rounding are dropped, with C zero there, and random ones take their place: an invariant
    subspace is left, so that eigenvectors the start had no part in are found too.
    """
    coupling = torch.zeros(W.shape[0], width, dtype=W.dtype)
    basis, mixed = torch.linalg.qr(W.T)
    left, sizes, right = torch.linalg.svd(mixed)
    kept = min(width, int((sizes > 100 * _EPS * norm).sum()) if norm else 0)
    coupling[:, :kept] = (sizes[:kept, None] * right[:kept]).T
    continued = (basis @ left[:, :kept]).T
    if kept < width:
        random = torch.randn(width - kept, W.shape[1], generator=generator, dtype=W.dtype)
        _project_out(random, torch.cat([Q, continued]))
        continued = torch.cat([continued, random])
    # A short direction keeps parts of the basis that its length then magnifies.
    for _ in range(2):
        continued = continued.contiguous()
        _project_out(continued, Q)
        factor, triangle = torch.linalg.qr(continued.T)
        continued = (factor * triangle.diagonal().sign()).T
    return continued.contiguous(), coupling


def _combine(Q: Tensor, Y: Tensor, size: int) -> None:
    """Replace the first rows of Q by Y^T Q, some columns at a time."""
    for start in range(0, Q.shape[1], _COLUMNS_AT_ONCE):
        columns = slice(start, start + _COLUMNS_AT_ONCE)
        Q[: Y.shape[1], columns] = Y.T @ Q[:size, columns]


def _certificate(
    op: LinearOperator, X: Tensor, estimand: TopEigenvalues, norm: float, products: int, width: int, limits: Limits
) -> Certificate:
    """Ritz values of the rows of X and the norm of their residual, from products of their own."""
    AX = torch.cat([_product(op, rows) for rows in X.split(width)])
    S = AX @ X.T
    theta, Y = torch.linalg.eigh((S + S.T) / 2)
    residual = Y.T @ AX - theta[:, None] * (Y.T @ X)
    bound = float(torch.linalg.matrix_norm(torch.linalg.qr(residual.T, mode="r").R, 2))
    if bound > 10 * limits.tolerance * norm:
        raise ValueError(
            f"{estimand.spec}: residuals are {bound:.1e} where the basis promised {limits.tolerance * norm:.1e}: "
            "the products are not those of one symmetric operator in float64"
        )
    values = theta[_ranking(theta, estimand)].numpy()
    return Certificate(values, bound, norm, products + X.shape[0], width)
