"""Ritz values in the order asked for, and when a run may say that they have converged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor

from hessbench.estimand import Array, TopEigenvalues
from hessbench.methods.krylov.tridiagonal import latest_begin, solve_tridiagonal

_SEEN: Final = (
    0.01  # of the rounding in one direction: at 0.1 three of 2391 flags beside a triple eigenvalue were wrong
)


@dataclass(frozen=True)
class Leading:
    """The first k Ritz values in their order.

    Attributes:
        values: Ritz values, shape (k,).
        coefficients: Their vectors in coordinates of the basis, shape (m, k).
        residuals: Norms |A y - theta y| by the recurrence, shape (k,).
        rival: The earliest place in the order, as a key, that a later Ritz value may still reach: an eigenvalue lies
            within its residual. Infinite where there is none.
    """

    values: Array
    coefficients: Array
    residuals: Array
    rival: float

    @property
    def residual(self) -> float:
        """The largest residual; NaN where one is."""
        return float(self.residuals.max()) if self.residuals.size else 0.0


def leading(order: TopEigenvalues, values: Array, vectors: Array, coupling: Array) -> Leading:
    """Take the first k Ritz pairs.

    Args:
        order: k and the order; fewer where there are fewer values.
        values: Ritz values, shape (m,).
        vectors: Eigenvectors of the projected matrix as columns, shape (m, m).
        coupling: Rows B, shape (b, m), with |A y - theta y| = |B s| for y = Q s.
    """
    keys, places = order.sort_key(values), order.places(values)
    first, later = places[: order.k], places[order.k :]
    residuals = np.linalg.norm(coupling @ vectors, axis=0)
    rival = float((keys[later] - residuals[later]).min(initial=np.inf))
    return Leading(values[first], vectors[:, first], residuals[first], rival)


def last_row(beta: float, size: int) -> Array:
    """The coupling (1, size) of a recurrence that goes on from its last vector."""
    row = np.zeros((1, size))
    row[0, -1] = beta
    return row


def tolerance(dtype: torch.dtype) -> float:
    """Residual, in units of the operator's norm, below which a value counts as converged: eps^(3/4).

    Two copies of an eigenvalue that are further apart are seen as two, which at sqrt(eps) in float32 they are not.
    """
    return float(torch.finfo(dtype).eps) ** 0.75


def has_converged(order: TopEigenvalues, found: Leading, limit: float, *, unseen: float, probe: Leading | None) -> bool:
    """Whether k values have residuals within `limit`, and nothing earlier in the order is in sight or can be hidden.

    In sight is a later Ritz value whose residual lets it reach a place before the k-th. Hidden may be a further copy of
    a value before the k-th: a Krylov space from b starts holds b vectors of every eigenspace. There are two witnesses.

    Rounding, while no space has been exhausted. With A Q = Q T + q R + F, F the rounding of the products, a copy u of
    an eigenvalue theta of T, T s = theta s, has u^T q R s = -u^T F s: about eps |A| / sqrt(n). The residual |R s| far
    below that, u would be in the basis. So values before the k-th must have residuals that are.

    A random start, once a space has been exhausted. Orthogonal to it, the start shows the second copies and nothing
    that the first did not hold: where its own first Ritz value has converged and comes no earlier than the k-th value,
    nothing earlier is left.

    Args:
        order: k and the order.
        found: The leading Ritz pairs of everything.
        limit: Largest residual, absolute.
        unseen: Largest residual at which rounding has shown every copy, see `rounding`; infinite where the basis
            spans the whole space.
        probe: The first Ritz pair since the latest random start, or of all where the first space has just been
            exhausted; None where none has been exhausted or the whole dimension has been.

    Source:
        Paige, Linear Algebra Appl. 34 (1980), doi:10.1016/0024-3795(80)90167-6.
    """
    if found.values.size < order.k or not found.residual <= limit:
        return False
    keys = order.sort_key(found.values)
    first = keys[-1] - limit
    if not found.rival >= first:
        return False
    if probe is None:
        return bool((found.residuals[keys < first] <= unseen).all())
    return bool(probe.residual <= limit and order.sort_key(probe.values)[0] >= first)


def rounding(dtype: torch.dtype, dim: int) -> float:
    """Residual, in units of the norm, so far below the rounding of a product in one direction that copies show."""
    return _SEEN * float(torch.finfo(dtype).eps) / dim**0.5


def probe_of(order: TopEigenvalues, alphas: Array, betas: Array) -> Leading | None:
    """First Ritz pair of the latest block of a tridiagonal matrix, for `has_converged`."""
    begin = latest_begin(betas)
    if begin is None:
        return None
    ritz = solve_tridiagonal(alphas[begin:], betas[begin:])
    return leading(TopEigenvalues(1, order.which), ritz.values, ritz.vectors, last_row(betas[-1], ritz.values.size))


def ritz_vectors(Q: Tensor, coefficients: Array) -> Tensor:
    """Vectors y = Q s as columns (n, k), from a basis as rows (m, n) and coefficients (m, k)."""
    return torch.mm(Q.T, torch.from_numpy(coefficients.copy()).to(dtype=Q.dtype, device=Q.device))
