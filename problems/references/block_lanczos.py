"""Block Lanczos in float64 in the complement of known eigenvectors, and the proof that nothing is left there.

Full reorthogonalisation and Rayleigh-Ritz on the whole basis; thick restart where the basis is full (Wu and Simon 2000,
https://doi.org/10.1137/S0895479898334605).

The proof. X holds the known eigenvectors, P projects onto their complement, B = P A P, and m is a border. Let u be a
unit eigenvector of B whose eigenvalue lies beyond m, and q a random unit vector of the complement, drawn after X. The
basis Q of the Krylov space of B and q has B Q = Q T + beta q_next e_last^T, so g = Q^T u has
(lambda - T) g = beta (q_next^T u) e_last, and its first entry is

    |u^T q| = beta_1 ... beta_j |u^T q_next| / prod |lambda - theta_i|  <=  beta_1 ... beta_j / prod |m - theta_i|,

no Ritz value theta being beyond m. A restart keeps Ritz values, and the factor that the next cycle adds is the product
of its own betas times prod over the kept |m - theta| / prod over its own |m - theta|; by interlacing that, too, falls
beyond m. The right side is computed. The left is the length of a random unit vector along one fixed direction: below t
with probability at most t sqrt(2 N / pi), N the dimension of the complement. So once the right side is below
`DOUBT` sqrt(pi / (2 N)), there is no such u, or a draw of less probability than `DOUBT` was met. One column is enough,
for it has a part in every eigenspace (van Dorsselaer, Hochstenbach and van der Vorst 2001,
https://doi.org/10.1137/S0895479800366859).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from hessbench.estimand import TopEigenvalues
from hessbench.estimand.work import advance
from hessbench.operators import LinearOperator
from hessbench.problems.references.unseen import Unseen

MEMORY: Final = 2**31
BASIS: Final = 200
TOLERANCE: Final = 1e-10
MAX_PRODUCTS: Final = 5000
EPS: Final = 2.0**-52
_COLUMNS_AT_ONCE: Final = 2**20


@dataclass(frozen=True)
class LanczosLimits:
    """When a run stops, and what it may hold.

    Attributes:
        tolerance: Residuals to reach, as a part of the norm.
        max_products: Products the first run may spend, and all that follow it together.
        basis: Vectors of the basis; at least 4 k are allowed.
        memory: Bytes of all vectors held.
    """

    tolerance: float = TOLERANCE
    max_products: int = MAX_PRODUCTS
    basis: int = BASIS
    memory: int = MEMORY


@dataclass(frozen=True)
class Known:
    """Eigenvectors found so far, by Rayleigh-Ritz on products of their own.

    Attributes:
        theta: Ritz values (j,), in the order asked for.
        X: Their vectors as orthonormal rows (j, n).
        AX: What A makes of them, (j, n).
        norm: Largest magnitude of a Ritz value met.
    """

    theta: Tensor
    X: Tensor
    AX: Tensor
    norm: float


@dataclass(frozen=True)
class Found:
    """What one run brought.

    Attributes:
        Z: Orthonormal rows (t, n) in the complement of the known vectors, to be taken among the first k.
        norm: Largest magnitude of a Ritz value met.
        products: Products spent.
        nothing_left: Whether it is shown that nothing in the complement comes before place k.
    """

    Z: Tensor
    norm: float
    products: int
    nothing_left: bool = False


def nothing_known(n: int) -> Known:
    """Where a search begins."""
    empty = torch.empty(0, n, dtype=torch.float64)
    return Known(empty[:, 0], empty, empty, 0.0)


def block_lanczos(
    op: LinearOperator,
    estimand: TopEigenvalues,
    width: int,
    generator: torch.Generator,
    limits: LanczosLimits,
    known: Known,
    at_sight: bool = False,
) -> Found:
    """One run from a random block in the complement of what is known.

    It ends where those of its Ritz values that come before known ones, by more than the tolerance, have converged; or,
    k being known and a block having one column, where it is shown that there are none. There must be some if the block
    is wider.

    Args:
        op: The operator, in float64.
        estimand: Which eigenvalues.
        width: Columns of a block; the dimension of the complement at most.
        generator: Source of the start, and of fresh directions where the Krylov space closes.
        limits: When to stop.
        known: None, or k eigenvectors and fewer than n.
        at_sight: Whether to end, with nothing found, at the first Ritz value that comes before a known one.

    Raises:
        ValueError: If the operator is not in float64, a product is not finite, the memory does not hold a basis, or the
            products run out.
    """
    n, k, X = op.dim, estimand.k, known.X
    if op.dtype != torch.float64:
        raise ValueError(f"a certified reference needs an operator in float64, got {op.dtype}")
    whole = n - X.shape[0]
    width = min(width, whole)
    capacity = min(_capacity(n, k, width, limits), whole)
    Q = torch.empty(capacity, n, dtype=torch.float64)
    T = torch.zeros(capacity, capacity, dtype=torch.float64)
    fresh, _ = _next_block(torch.zeros(width, n, dtype=torch.float64), X, Q[:0], 0.0, width, generator)
    size, looked, products, norm = 0, 0, 0, known.norm
    theta, vectors, order = T[0], T, T[0].long()
    unseen = Unseen(estimand, known.theta, limits.tolerance * norm, whole) if X.shape[0] else None
    while True:
        if products + fresh.shape[0] + k > limits.max_products:
            raise ValueError(
                f"{estimand.spec}: it was not shown in the {limits.max_products} products left that none is missed"
                if unseen
                else f"{estimand.spec}: residuals did not reach {limits.tolerance:g} of the norm in "
                f"{limits.max_products} products"
            )
        start, size = size, size + fresh.shape[0]
        Q[start:size] = fresh
        W = product(op, fresh)
        products += fresh.shape[0]
        _project_out(W, X)
        coefficients = _project_out(W, Q[:size])
        T[:size, start:size] = coefficients
        T[start:size, :size] = coefficients.T
        T[start:size, start:size] = (coefficients[start:] + coefficients[start:].T) / 2
        ahead = min(width, whole - size)
        # Decomposing T at every step would take longer than the products of a small operator.
        looks = size - looked > size // 32 or not ahead or size + ahead > capacity
        if looks:
            looked = size
            theta, vectors = torch.linalg.eigh(T[:size, :size])
            norm = max(norm, float(theta.abs().max()))
            order = ranking(theta, estimand)
        fresh, coupling = _next_block(W, X, Q[:size], norm, ahead, generator)
        if unseen:
            unseen.add(coupling)
        if not looks:
            continue
        earlier = unseen.earlier(theta[order[:k]]) if unseen else k
        if unseen and not earlier:
            advance(*unseen.shown(theta))
            if size == whole or (width == 1 and unseen.is_excluded(theta)):
                return Found(Q[:0], norm, products, nothing_left=True)
        elif at_sight:
            return Found(Q[:0], norm, products)
        elif size >= earlier:
            residuals = torch.linalg.vector_norm(coupling.T @ vectors[start:size, order[:earlier]], dim=0)
            furthest = float(residuals.max())
            advance(math.log(max(furthest / norm, EPS)) if norm else 0.0, math.log(limits.tolerance))
            if furthest <= limits.tolerance * norm:
                _combine(Q, vectors[:, order[:earlier]], size)
                return Found(Q[:earlier].clone(), norm, products)
        if size + fresh.shape[0] > capacity:
            kept = order[: min(capacity - 2 * width, k + (capacity - k) // 2)]
            _combine(Q, vectors[:, kept], size)
            if unseen:
                unseen.restart(theta, theta[kept])
            size = looked = kept.numel()
            T.zero_()
            T[range(size), range(size)] = theta[kept]


def _capacity(n: int, k: int, width: int, limits: LanczosLimits) -> int:
    """Vectors of the basis: those allowed, less what the work beside it holds.

    Raises:
        ValueError: If the memory allowed does not hold the fewest that the run needs.
    """
    fitting = limits.memory // (8 * n) - 2 * k - 4 * width
    capacity = min(n, max(limits.basis, 4 * k), fitting)
    needed = min(n, k + 4 * width)
    if capacity < needed:
        room = 8 * n * (needed + 2 * k + 4 * width)
        raise ValueError(f"{k} eigenvalues of dimension {n} need {room} bytes of vectors, {limits.memory} are allowed")
    return capacity


def ranking(theta: Tensor, estimand: TopEigenvalues) -> Tensor:
    """Places of Ritz values in the order asked for."""
    return torch.argsort(estimand.sort_key(theta), stable=True)


def product(op: LinearOperator, rows: Tensor) -> Tensor:
    """A times each row, as rows.

    Raises:
        ValueError: If a product is not finite.
    """
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


def _next_block(
    W: Tensor, X: Tensor, Q: Tensor, norm: float, width: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Orthonormal rows U (width, n) that continue the basis, and C (b, width) with W = C U.

    Directions of W that are rounding are dropped, with C zero there, and random ones take their place: an invariant
    subspace is left, so that eigenvectors the start had no part in are found too.
    """
    coupling = torch.zeros(W.shape[0], width, dtype=W.dtype)
    basis, mixed = torch.linalg.qr(W.T)
    left, sizes, right = torch.linalg.svd(mixed)
    kept = min(width, int((sizes > 100 * EPS * norm).sum()) if norm else 0)
    coupling[:, :kept] = (sizes[:kept, None] * right[:kept]).T
    random = torch.randn(width - kept, W.shape[1], generator=generator, dtype=W.dtype)
    continued = torch.cat([(basis @ left[:, :kept]).T, random])
    # A short direction keeps parts of the basis that its length then magnifies.
    for _ in range(2):
        continued = continued.contiguous()
        _project_out(continued, X)
        _project_out(continued, Q)
        factor, triangle = torch.linalg.qr(continued.T)
        continued = (factor * triangle.diagonal().sign()).T
    return continued.contiguous(), coupling


def column_pieces(n: int) -> list[slice]:
    """The n columns in pieces that are worked on one after the other, so that no second basis is held."""
    return [slice(start, start + _COLUMNS_AT_ONCE) for start in range(0, n, _COLUMNS_AT_ONCE)]


def _combine(Q: Tensor, Y: Tensor, size: int) -> None:
    """Replace the first rows of Q by Y^T Q."""
    for columns in column_pieces(Q.shape[1]):
        Q[: Y.shape[1], columns] = Y.T @ Q[:size, columns]
