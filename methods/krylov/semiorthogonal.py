"""The Lanczos recurrence kept orthogonal to sqrt(eps) only: periodic and selective reorthogonalisation.

With |q_i^T q_j| below sqrt(eps) the tridiagonal matrix equals the projected operator to rounding (Simon 1984), so
Ritz values are as good as after full reorthogonalisation and no copies appear, for a fraction of the work.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Protocol

import numpy as np
import torch
from torch import Tensor

from hessbench.estimand.base import Array
from hessbench.methods.arguments import check_at_least, check_choice
from hessbench.methods.krylov.recurrence import Tridiagonal, check_start, norm, solve_tridiagonal
from hessbench.methods.probes import draw_normal
from hessbench.operators import LinearOperator

SEMIORTHOGONAL: Final = ("periodic", "selective")
_TURNED: Final = 0.01  # sine of the angle to the locked rows from which a Ritz vector is locked
_MOST_PASSES: Final = 4
_ROUNDING: Final = 3.0  # rounding error of a step in eps |T|: that of a dense product in float32 was seen to need 3
_NONE: Final = 2**62
_TINY: Final = 1e-300


class Guard(Protocol):
    """Decides from the coefficients alone what the residual of a step is orthogonalised against."""

    def rows(self, Q: Tensor, alphas: Array, betas: Array, scale: float) -> Tensor:
        """Take in step j, and answer with orthonormal rows to take out of its residual, possibly none.

        Args:
            Q: The j + 1 Lanczos vectors so far, as rows.
            alphas: Diagonal of T, shape (j + 1,).
            betas: Off-diagonal, shape (j + 1,); the last entry is the norm of the residual after three terms.
            scale: Estimate of the norm of T.
        """
        ...

    @property
    def operations(self) -> int:
        """Vector operations spent on forming rows so far."""
        ...


class Periodic:
    """Full passes on two consecutive vectors whenever the estimate of orthogonality passes sqrt(eps).

    The estimate w[j + 1, k] of q_(j+1)^T q_k follows the recurrence that the three terms impose on it:
    b[j] w[j + 1, k] = b[k] w[j, k + 1] + (a[k] - a[j]) w[j, k] + b[k - 1] w[j, k - 1] - b[j - 1] w[j - 1, k], with a
    rounding error of eps |T| added at each step.

    Args:
        eps: Rounding unit of the operator's dtype.

    Source:
        Simon, Math. Comp. 42 (1984), doi:10.1090/S0025-5718-1984-0725988-X; Grcar, Analyses of the Lanczos algorithm
        and of the approximation problem in Richardson's method, University of Illinois (1981).
    """

    def __init__(self, eps: float) -> None:
        self._eps = eps
        self._noise = _ROUNDING * eps
        self._before = np.zeros(0)
        self._now = np.zeros(0)
        self._again = False
        self.operations = 0

    def rows(self, Q: Tensor, alphas: Array, betas: Array, scale: float) -> Tensor:
        """Extend the estimate by a step; see `Guard`."""
        j = alphas.size - 1
        beta = max(float(betas[j]), self._eps * scale, _TINY)
        noise = self._noise * scale / beta
        estimate = np.full(j + 1, noise)  # against q_j itself the three terms are explicit
        if j:
            now = np.append(self._now, 1.0)
            grown = betas[:j] * now[1:] + (alphas[:j] - alphas[j]) * now[:-1]
            grown[1:] += betas[: j - 1] * now[: j - 1]
            grown[:-1] -= betas[j - 1] * self._before
            grown[-1] -= betas[j - 1]  # q_(j-1)^T q_(j-1)
            estimate[:j] = grown / beta
            estimate[:j] += np.copysign(noise, grown)
        self._before, self._now = self._now, estimate
        if not (float(np.abs(estimate).max()) > self._eps**0.5 or self._again):
            return Q[:0]
        self._again = not self._again
        self._now = np.full(j + 1, self._eps)
        return Q


class Selective:
    """Passes against converged Ritz vectors only: orthogonality is lost towards these and nothing else (Paige).

    Towards a Ritz vector whose residual is b the loss is about eps |T| / b. Where that passes sqrt(eps) the vector is
    locked: formed once, made orthogonal to those locked before, and from then on part of Y. With B = Y A Y^T the
    components t[j] = Y q_j follow b[j] t[j + 1] = (B - a[j]) t[j] - b[j - 1] t[j - 1], with a rounding error of eps |T|
    at each step. When one of them passes sqrt(eps), or a vector is locked, Y is taken out of this residual and the
    next. A Ritz vector that goes on converging may turn away from Y; the part outside is locked as well.

    Args:
        eps: Rounding unit of the operator's dtype.
        capacity: Most Ritz vectors there can be.

    Source:
        Parlett and Scott, Math. Comp. 33 (1979), doi:10.1090/S0025-5718-1979-0514820-3.
    """

    def __init__(self, eps: float, capacity: int) -> None:
        self._eps = eps
        self._noise = _ROUNDING * eps
        self._capacity = capacity
        self._held: Tensor | None = None  # Y
        self._coordinates = np.zeros((capacity, 0))  # of Y with respect to Q, orthonormal columns
        self._projected = np.zeros((0, 0))  # B
        self._before = np.zeros(0)
        self._now = np.zeros(0)
        self._again = _NONE  # first row that the next step takes out
        self.operations = 0

    def rows(self, Q: Tensor, alphas: Array, betas: Array, scale: float) -> Tensor:
        """Extend the estimates by a step and lock what has converged; see `Guard`."""
        j = alphas.size - 1
        beta = max(float(betas[j]), self._eps * scale, _TINY)
        grown = self._projected @ self._now - alphas[j] * self._now - (betas[j - 1] * self._before if j else 0.0)
        grown = grown / beta + np.copysign(self._noise * scale / beta, grown)
        fresh = self._lock(Q, alphas, betas, scale)
        # The part of a new row along q_j is that of its residual, and the recurrence cancels the two.
        self._before, self._now = np.pad(self._now, (0, fresh)), np.pad(grown, (0, fresh))
        locked = grown.size
        passed = 0 if float(np.abs(grown).max(initial=0.0)) > self._eps**0.5 else locked
        due = min(passed, self._again)
        # The second of two consecutive passes asks for none; a first one, and a new row, ask for another.
        self._again = passed if passed < self._again else locked if fresh else _NONE
        if self._held is None or due >= self._now.size:
            return Q[:0]
        self._now[due:] = self._eps
        return self._held[due : self._now.size]

    def _lock(self, Q: Tensor, alphas: Array, betas: Array, scale: float) -> int:
        """Form what has converged and is not in the span of the locked rows yet; return how many rows are new."""
        size, locked = alphas.size, self._coordinates.shape[1]
        ritz = solve_tridiagonal(alphas, betas)
        converged = betas[-1] * np.abs(ritz.last) <= self._noise / self._eps**0.5 * scale
        known, found = self._coordinates[:size], ritz.vectors[:, converged]
        outside = found - known @ (known.T @ found)
        outside = outside[:, np.linalg.norm(outside, axis=0) > _TURNED]
        if not outside.shape[1] or not np.isfinite(outside).all():
            return 0
        directions, sizes, _ = np.linalg.svd(outside, full_matrices=False)  # what is outside may be nearly parallel
        new = directions[:, sizes > _TURNED][:, : size - locked]
        new = np.linalg.qr(new - known @ (known.T @ new))[0]
        fresh = new.shape[1]
        self._coordinates = np.hstack([self._coordinates, np.pad(new, ((0, self._capacity - size), (0, 0)))])
        S = self._coordinates[:size]
        image = alphas[:, None] * S
        image[:-1] += betas[:-1, None] * S[1:]
        image[1:] += betas[:-1, None] * S[:-1]
        self._projected = S.T @ image
        if self._held is None:
            self._held = torch.empty(self._capacity, Q.shape[1], dtype=Q.dtype, device=Q.device)
        Y = self._held[locked : locked + fresh]
        torch.mm(torch.from_numpy(new.T.copy()).to(dtype=Q.dtype, device=Q.device), Q, out=Y)
        Y.div_(norm(Y, dim=1)[:, None])
        self.operations += fresh * (size + 2)
        return fresh


def semiorthogonal_steps(
    op: LinearOperator,
    start: Tensor,
    *,
    reorth: str,
    num_steps: int,
    generator: torch.Generator,
) -> Iterator[Tridiagonal]:
    """Run the Lanczos recurrence, reorthogonalised only where estimates say it is needed.

    `periodic`: `Periodic`; `selective`: `Selective`. In both, an invariant subspace (a residual that is rounding after
    two passes against the whole basis) is followed by a random direction orthogonal to the basis, with a zero in
    `betas`, as `full` does it; the run ends after `dim` steps.

    Args:
        op: Operator A.
        start: First direction, shape (n,), not zero; left as it is.
        reorth: `periodic` or `selective`.
        num_steps: Most steps.
        generator: Source of the directions after an invariant subspace.

    Yields:
        The tridiagonal matrix after every product.

    Cost:
        One product in one call per step. Estimates are made on the host: two numbers a step are read from a device.
        `operations` counts the vector operations, the forming of Ritz vectors among them. Memory: num_steps + 2
        vectors; `selective` keeps up to as many Ritz vectors again, and solves T at every step, O(j^2) on the host.

    Raises:
        ValueError: If an argument is out of range, or the start is zero or not finite.

    Source:
        See `Periodic` and `Selective`.
    """
    check_choice("reorth", reorth, SEMIORTHOGONAL)
    check_at_least("num_steps", num_steps, 1)
    n, rows = op.dim, min(num_steps, op.dim)
    eps = torch.finfo(op.dtype).eps
    guard: Guard = Periodic(eps) if reorth == "periodic" else Selective(eps, rows)
    Q = torch.empty(rows, n, dtype=op.dtype, device=op.device)
    r, size = start.clone(), check_start(start)
    zero = torch.zeros((), dtype=op.dtype, device=op.device)
    alphas: list[Tensor] = []
    betas: list[Tensor] = []
    seen = np.zeros((2, rows))
    scale, operations = 0.0, 0
    for j in range(rows):
        q = torch.div(r, size, out=Q[j])
        product = op.matmat(q[:, None]).detach()[:, 0]
        alpha = torch.dot(q, product)
        torch.addcmul(product, q, alpha, value=-1, out=r)
        if betas:
            r.addcmul_(Q[j - 1], betas[-1], value=-1)
        size = norm(r)
        operations += 5 if betas else 4
        alphas.append(alpha)
        if j + 1 == n:
            betas.append(zero)
            yield Tridiagonal(alphas, betas, n, operations + guard.operations, Q)
            return
        seen[:, j] = torch.stack([alpha, size]).cpu().double().numpy()
        scale = max(scale, *np.abs(seen[:, j]))
        basis, broken = Q[: j + 1], False
        against = guard.rows(basis, seen[0, : j + 1], seen[1, : j + 1], scale)
        if against.shape[0]:
            size, spent = _take_out(against, r, eps)
            operations += spent
        if float(size) <= 100 * eps * scale:
            size, spent = _take_out(basis, r, eps)
            operations += spent
            broken = float(size) <= 10 * eps * scale
            if broken:
                r = draw_normal(n, 1, op, generator)[:, 0]
                size, spent = _take_out(basis, r, eps)
                operations += spent
        seen[1, j] = 0.0 if broken else float(size)
        betas.append(zero if broken else size)
        yield Tridiagonal(alphas, betas, j + 1, operations + guard.operations, Q)


def _take_out(rows: Tensor, r: Tensor, eps: float) -> tuple[Tensor, int]:
    """Orthogonalise r, in place, against rows that are orthonormal to sqrt(eps) only; return its norm and the cost.

    A pass leaves sqrt(eps) of what it took out, so it is repeated where that was more than sqrt(eps) of what was left.
    """
    passes, size, clean = 0, norm(r), False
    while not clean and passes < _MOST_PASSES:
        coefficients = torch.mv(rows, r)
        r.addmv_(rows.T, coefficients, alpha=-1)
        size, taken = norm(r), norm(coefficients)
        clean = bool(taken <= 10 * eps**0.5 * size)
        passes += 1
    return size, passes * (2 * rows.shape[0] + 1)
