"""Matrix-free iterations that refine a block of approximate eigenpairs: Rayleigh quotient, Jacobi-Davidson, LOBPCG.

Each is a generator of ever better `Pairs`; one yield follows each block of products, which the caller's budget bounds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor

from hessbench.estimand.base import Array
from hessbench.methods.arguments import Which
from hessbench.methods.eigenvalues.jacobi_davidson import correction
from hessbench.methods.krylov.vectors import norm, project_out
from hessbench.methods.small_dense import singular_triples_of, to_device, to_host, top_pairs
from hessbench.operators import LinearOperator

_TINY: Final = 1e-300


@dataclass(frozen=True)
class Pairs:
    """Ritz pairs, the first ones first.

    Attributes:
        values: Ritz values (b,).
        X: Orthonormal Ritz vectors (n, b).
        AX: Their products (n, b).
        residuals: ||A x - theta x|| of each, shape (b,).
    """

    values: Array
    X: Tensor
    AX: Tensor
    residuals: Array

    @property
    def is_finite(self) -> bool:
        """Whether every value is."""
        return bool(np.isfinite(self.values).all() and np.isfinite(self.residuals).all())

    def residual(self, place: int) -> Tensor:
        """A x - theta x of one pair, shape (n,)."""
        return self.AX[:, place] - float(self.values[place]) * self.X[:, place]

    def unconverged(self, first: int, tolerance: float) -> list[int]:
        """Places among the first ones whose residual is above `tolerance` times the largest |theta|."""
        scale = float(np.abs(self.values).max(initial=0.0))
        return [place for place in range(first) if not self.residuals[place] <= tolerance * scale]


def ritz_pairs(Z: Tensor, AZ: Tensor, count: int, which: Which) -> tuple[Pairs, Array]:
    """First Ritz pairs on the span of orthonormal columns.

    Args:
        Z: Orthonormal columns (n, m).
        AZ: Their products (n, m).
        count: Number of pairs, at most m.
        which: Their order.

    Returns:
        The pairs, and their coordinates (m, count).
    """
    values, W = top_pairs(to_host(Z.T @ AZ), count, which)
    turn = to_device(W, Z)
    X, AX = Z @ turn, AZ @ turn
    residuals = to_host(norm(AX - X * to_device(values, Z), dim=0))
    return Pairs(values, X, AX, residuals), W


def orthonormal_against(Z: Tensor, block: Tensor) -> Tensor:
    """What a block (n, b) adds to orthonormal columns Z (n, m): orthonormal columns (n, r), r at most b.

    Directions that leave less than 100 eps of their column are rounding and are dropped.
    """
    sizes = norm(block, dim=0)
    block = block[:, sizes > 0] / sizes[sizes > 0]
    for _ in range(2):
        block = block - Z @ (Z.T @ block)
    if block.shape[1] == 0 or not bool(torch.isfinite(block).all()):
        return block
    left, sizes, _ = torch.linalg.svd(block, full_matrices=False)
    left = left[:, sizes > 100 * torch.finfo(block.dtype).eps]
    return torch.linalg.qr(left - Z @ (Z.T @ left)).Q


def lobpcg(op: LinearOperator, pairs: Pairs, k: int, which: Which, tolerance: float) -> Iterator[Pairs]:
    """Locally optimal block conjugate gradients without preconditioner: Ritz pairs on the span of X, P and residuals.

    Only residuals of unconverged pairs are multiplied; P is the part of the new X outside of the old.

    Args:
        op: Operator A of dimension n.
        pairs: Where it begins, b pairs.
        k: How many of the first pairs must converge.
        which: The order of eigenvalues.
        tolerance: Residual at which a pair has converged, as a fraction of the largest |theta|.

    Yields:
        The b pairs after each block of products; it ends when the first k have converged.

    Cost:
        Up to b products in one call for each yield.

    Source:
        Knyazev, SIAM J. Sci. Comput. 23 (2001), doi:10.1137/S1064827500366124.
    """
    b = pairs.values.size
    space = (pairs.X, pairs.AX)
    while pairs.unconverged(k, tolerance):
        wanted = torch.stack([pairs.residual(place) for place in pairs.unconverged(b, tolerance)], dim=1)
        W = orthonormal_against(space[0], wanted)
        if W.shape[1] == 0:
            return
        Z = torch.cat([space[0], W], dim=1)
        AZ = torch.cat([space[1], op.matmat(W.contiguous()).detach()], dim=1)
        pairs, C = ritz_pairs(Z, AZ, b, which)
        yield pairs
        if not pairs.is_finite:
            return
        # Coordinates of P: what the new X has outside of the old one, made orthonormal against the new X.
        outside = np.concatenate([np.zeros((b, b)), C[b:]])
        outside -= C @ (C.T @ outside)
        directions, sizes, _ = singular_triples_of(outside, full=False)
        turn = to_device(directions[:, sizes > 1e-8], Z)
        space = (torch.cat([pairs.X, Z @ turn], dim=1), torch.cat([pairs.AX, AZ @ turn], dim=1))


def corrected(
    op: LinearOperator, pairs: Pairs, k: int, which: Which, tolerance: float, inner: int, *, grows: bool
) -> Iterator[Pairs]:
    """Correct the pair with the largest relative residual by `inner` products, then take Ritz pairs with the result.

    Where the space grows, that is Jacobi-Davidson, which holds two vectors for each correction. Where only the block is
    kept it is Rayleigh quotient iteration: u + t with the exact t is a multiple of (A - theta I)^-1 u. With one product
    t is the residual itself, a Davidson step.

    Args:
        op: Operator A of dimension n.
        pairs: Where it begins, b pairs.
        k: How many of the first pairs must converge.
        which: The order of eigenvalues.
        tolerance: Residual at which a pair has converged, as a fraction of the largest |theta|.
        inner: Products of each correction.
        grows: Whether the space grows.

    Yields:
        The b pairs after each correction; it ends when the first k have converged, or a correction adds nothing.

    Cost:
        `inner` products in as many calls for each yield.

    Source:
        Sleijpen and van der Vorst, SIAM J. Matrix Anal. Appl. 17 (1996), doi:10.1137/S0895479894270427; that inexact
        Rayleigh quotient iteration is the same without acceleration: Simoncini and Elden, BIT 42 (2002),
        doi:10.1023/A:1021930421106.
    """
    space = (pairs.X, pairs.AX)
    b = pairs.values.size
    while active := pairs.unconverged(k, tolerance):
        worst = max(active, key=lambda place: pairs.residuals[place] / max(abs(pairs.values[place]), _TINY))
        r = pairs.residual(worst)
        t, At = correction(op, pairs.X[:, worst], float(pairs.values[worst]), r, inner)
        joined = _append(*space, t, At)
        if joined is None:
            return
        pairs, _ = ritz_pairs(*joined, b, which)
        yield pairs
        if not pairs.is_finite:
            return
        space = joined if grows else (pairs.X, pairs.AX)


def _append(Z: Tensor, AZ: Tensor, t: Tensor, At: Tensor) -> tuple[Tensor, Tensor] | None:
    """Orthonormal Z with one more column along t, and its products; None where t adds nothing but rounding."""
    size = norm(t)
    for _ in range(2):
        At = At - AZ @ project_out(Z.T, t)
    left = norm(t)
    if bool(left <= 100 * torch.finfo(t.dtype).eps * size):
        return None
    return torch.cat([Z, (t / left)[:, None]], dim=1), torch.cat([AZ, (At / left)[:, None]], dim=1)
