"""Guards that keep the Lanczos vectors orthogonal to sqrt(eps) only: periodic and selective reorthogonalisation.

With |q_i^T q_j| below sqrt(eps) the tridiagonal matrix equals the projected operator to rounding (Simon 1984), so
Ritz values are as good as after full reorthogonalisation and no copies appear, for a fraction of the work.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

import numpy as np
import torch
from torch import Tensor

from hessbench.estimand.base import Array
from hessbench.methods.krylov.guards import Guarded, cost_of, spanned, stand_still
from hessbench.methods.krylov.tridiagonal import solve_tridiagonal
from hessbench.methods.krylov.vectors import norm, project_out
from hessbench.methods.probes import draw_direction
from hessbench.methods.small_dense import singular_triples_of
from hessbench.operators import LinearOperator

_TURNED: Final = 0.01  # sine of the angle to the locked rows from which a Ritz vector is locked
_MOST_PASSES: Final = 4
_ROUNDING: Final = 3.0  # rounding error of a step in eps |T|: that of a dense product in float32 was seen to need 3
_NONE: Final = 2**62
_TINY: Final = 1e-300


class Watch(Protocol):
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
        """Extend the estimate by a step; see `Watch`.

        Args:
            Q: The j + 1 Lanczos vectors so far, as rows.
            alphas: Diagonal of T, shape (j + 1,).
            betas: Off-diagonal, shape (j + 1,); the last entry is the norm of the residual after three terms.
            scale: Estimate of the norm of T.
        """
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
        """Extend the estimates by a step and lock what has converged; see `Watch`.

        Args:
            Q: The j + 1 Lanczos vectors so far, as rows.
            alphas: Diagonal of T, shape (j + 1,).
            betas: Off-diagonal, shape (j + 1,); the last entry is the norm of the residual after three terms.
            scale: Estimate of the norm of T.
        """
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
        directions, sizes, _ = singular_triples_of(outside, full=False)  # what is outside may be nearly parallel
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


class Semiorthogonal:
    """Passes against the rows that a watch asks for, decided on the host, which reads two numbers a step.

    A residual that looks like rounding is passed over the whole basis. If it still does, the subspace is invariant and
    the run goes on from a random direction orthogonal to the basis. It ends when the basis spans the whole space.

    Args:
        op: Operator A.
        generator: Source of the directions after an invariant subspace.
        watch: Decides what a residual is orthogonalised against.
        num_steps: Most steps.
    """

    def __init__(self, op: LinearOperator, generator: torch.Generator, watch: Watch, num_steps: int) -> None:
        self._op = op
        self._generator = generator
        self._watch = watch
        self._eps = torch.finfo(op.dtype).eps
        self._seen = np.zeros((2, num_steps))
        self._scale = 0.0

    def __call__(self, basis: Tensor, r: Tensor, alpha: Tensor, size: Tensor) -> Guarded:
        """Take in a step; see `Guard`."""
        j = basis.shape[0] - 1
        if j + 1 == self._op.dim:
            return spanned(r, size)
        seen, before = self._seen[:, : j + 1], self._watch.operations
        seen[:, j] = torch.stack([alpha, size]).cpu().double().numpy()
        self._scale = max(self._scale, *np.abs(seen[:, j]))
        against, operations, broken = self._watch.rows(basis, seen[0], seen[1], self._scale), 0, False
        if against.shape[0]:
            size, operations = take_out(against, r, self._eps)
        if float(size) <= 100 * self._eps * self._scale:
            size, spent = take_out(basis, r, self._eps)
            operations += spent
            broken = float(size) <= 10 * self._eps * self._scale
            if broken:
                r = draw_direction(self._op, self._generator)
                size, spent = take_out(basis, r, self._eps)
                operations += spent
        seen[1, j] = 0.0 if broken else float(size)
        beta = torch.zeros_like(size) if broken else size
        return Guarded(r, size, beta, operations + self._watch.operations - before)


class SemiorthogonalInLockstep:
    """`Semiorthogonal` for several starts at once, a watch each; one whose space is exhausted stands still.

    Args:
        op: Operator A.
        watches: Decide what the residual of each start is orthogonalised against.
        num_steps: Number of steps.
        scale: Size by which products of A round, where it is known to be more than T shows.
    """

    def __init__(self, op: LinearOperator, watches: Sequence[Watch], num_steps: int, scale: float = 0.0) -> None:
        self._watches = watches
        self._num_steps = num_steps
        self._eps = torch.finfo(op.dtype).eps
        self._seen = np.zeros((len(watches), 2, num_steps))
        self._scales = np.full(len(watches), scale)
        self._still = np.zeros(len(watches), dtype=bool)

    def __call__(self, basis: Tensor, r: Tensor, alpha: Tensor, size: Tensor) -> Guarded:
        """Take in a step; see `Guard`."""
        j = basis.shape[-2] - 1
        if j + 1 == self._num_steps:
            return Guarded(r, size, size, ends=True)
        read = torch.stack([alpha, size], dim=1).cpu().double().numpy()
        self._seen[:, :, j] = read
        self._scales = np.maximum(self._scales, np.abs(read).max(axis=1))
        operations = 0
        for i, watch in enumerate(self._watches):
            if not self._still[i]:
                operations += self._guard_start(i, watch, basis[i], r[i])
        # A residual that has not been passed over is unchanged: its norm is the one that was handed in.
        sizes = torch.from_numpy(self._seen[:, 1, j]).to(size)
        broken = torch.from_numpy(self._still.copy()).to(r.device)
        return stand_still(r, sizes, broken, operations // len(self._watches))

    def _guard_start(self, i: int, watch: Watch, basis: Tensor, r: Tensor) -> int:
        """Take out of one residual, in place, what its watch asks for; return the vector operations spent."""
        j, before = basis.shape[0] - 1, watch.operations
        seen, limit = self._seen[i, :, : j + 1], self._eps * self._scales[i]
        against, operations = watch.rows(basis, seen[0], seen[1], float(self._scales[i])), 0
        if against.shape[0]:
            size, operations = take_out(against, r, self._eps)
            seen[1, j] = float(size)
        if seen[1, j] <= 100 * limit:
            size, spent = take_out(basis, r, self._eps)
            seen[1, j] = float(size)
            operations += spent
            self._still[i] = seen[1, j] <= 10 * limit
        return operations + watch.operations - before


def take_out(rows: Tensor, r: Tensor, eps: float) -> tuple[Tensor, int]:
    """Orthogonalise r, in place, against rows that are orthonormal to sqrt(eps) only: its norm, and the cost.

    A pass leaves sqrt(eps) of what it took out, so it is repeated where that was more than sqrt(eps) of what was left.
    """
    passes, size, clean = 0, norm(r), False
    while not clean and passes < _MOST_PASSES:
        components = project_out(rows, r)
        size, taken = norm(r), norm(components)
        clean = bool(taken <= 10 * eps**0.5 * size)
        passes += 1
    return size, passes * cost_of(rows)
