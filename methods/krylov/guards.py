"""Guards of the Lanczos recurrence: what is taken out of the residual of a step, and what follows an exhausted space.

A residual that is rounding after its passes shows an invariant subspace. Where the basis is kept the run goes on from a
random direction orthogonal to it, so that repeated eigenvalues are found; elsewhere it ends or stands still.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

import torch
from torch import Tensor

from hessbench.methods.krylov.vectors import along, norm, project_out
from hessbench.methods.probes import draw_direction
from hessbench.operators import LinearOperator

_CUT: Final = 0.5**0.5  # a pass that leaves less than this of the norm has lost digits and is repeated


@dataclass(frozen=True)
class Guarded:
    """What a guard makes of the residual of a step.

    Attributes:
        r: The next direction, not normalised, shape (n,), or (p, n) for p starts in lock-step.
        size: What r is to be divided by, shape () or (p,).
        beta: Coupling of this step to the next: `size`, or zero where a space was exhausted.
        operations: Vectors of length n read or written, for a start.
        ends: Whether no step can follow.
    """

    r: Tensor
    size: Tensor
    beta: Tensor
    operations: int = 0
    ends: bool = False


class Guard(Protocol):
    """Keeps the Lanczos vectors orthogonal, as far as it does."""

    def __call__(self, basis: Tensor, r: Tensor, alpha: Tensor, size: Tensor) -> Guarded:
        """Take in a step.

        Args:
            basis: The Lanczos vectors kept so far as rows (j, n), the latest among them, or (p, j, n).
            r: Residual of the three terms, shape (n,) or (p, n); may be written to.
            alpha: Diagonal entry of the step, shape () or (p,).
            size: Norm of r, shape () or (p,).
        """
        ...


class _Negligible:
    """The residual that counts as rounding: some eps of the largest entry of T so far, or of a size known before."""

    def __init__(self, op: LinearOperator, multiple: int, scale: float = 0.0) -> None:
        self._unit = multiple * torch.finfo(op.dtype).eps
        self._scale = torch.full((), scale, dtype=op.dtype, device=op.device)

    def after(self, alpha: Tensor, size: Tensor) -> Tensor:
        self._scale = torch.maximum(self._scale, torch.maximum(alpha.abs(), size))
        return self._unit * self._scale


class Window:
    """A pass against the last few vectors, which are all that is kept; without passes, nothing but the three terms.

    The run ends with an invariant subspace; off the host, where nobody looks, it stands still.

    Args:
        op: Operator A.
        on_host: Whether the host looks.
        passes: Passes a step.
        scale: Size by which products of A round, where it is known to be more than T shows.
    """

    def __init__(self, op: LinearOperator, *, on_host: bool, passes: int, scale: float = 0.0) -> None:
        self._on_host = on_host
        self._passes = passes
        # Without a full pass the rounding of the three terms, amplified by the steps before, is still in the residual.
        self._negligible = _Negligible(op, 100, scale)

    def __call__(self, basis: Tensor, r: Tensor, alpha: Tensor, size: Tensor) -> Guarded:
        """Take in a step; see `Guard`."""
        limit = self._negligible.after(alpha, size)
        for _ in range(self._passes):
            size = pass_over(basis, r)
        operations = self._passes * cost_of(basis)
        broken = size <= limit
        if not self._on_host:
            return stand_still(r, size, broken, operations)
        return Guarded(r, size, size.masked_fill(broken, 0), operations, ends=bool(broken))


class Full:
    """Classical Gram-Schmidt against the whole basis, as two matrix-vector products.

    A second pass follows only where the first cut the norm below 1/sqrt(2); off the host it always follows, because
    asking would cost a synchronisation a step. The run ends when the basis spans the whole space.

    Args:
        op: Operator A.
        generator: Source of the directions after an invariant subspace.
        on_host: Whether the host takes these decisions.

    Source:
        Daniel, Gragg, Kaufman and Stewart, Math. Comp. 30 (1976), doi:10.1090/S0025-5718-1976-0431641-8.
    """

    def __init__(self, op: LinearOperator, generator: torch.Generator, *, on_host: bool) -> None:
        self._op = op
        self._generator = generator
        self._on_host = on_host
        self._negligible = _Negligible(op, 10)

    def __call__(self, basis: Tensor, r: Tensor, alpha: Tensor, size: Tensor) -> Guarded:
        """Take in a step; see `Guard`."""
        if basis.shape[0] == self._op.dim:
            return spanned(r, size)
        before, limit = size, self._negligible.after(alpha, size)
        size, passes = pass_over(basis, r), 1
        broken = size <= limit
        if not self._on_host:
            r = torch.where(broken, draw_direction(self._op, self._generator), r)
            size, passes = pass_over(basis, r), 2
        else:
            if broken:
                r = draw_direction(self._op, self._generator)
                before = norm(r)
                size, passes = pass_over(basis, r), 2
            if size < _CUT * before:
                size, passes = pass_over(basis, r), passes + 1
        return Guarded(r, size, size.masked_fill(broken, 0), passes * cost_of(basis))


class FullInLockstep:
    """`Full` for several starts at once: where one of them asks for a second pass, all get it.

    A start whose space is exhausted stands still. The last residual is left as it is: its direction is not used.

    Args:
        op: Operator A.
        num_steps: Number of steps.
        on_host: Whether the host decides on second passes.
        scale: Size by which products of A round, where it is known to be more than T shows.
    """

    def __init__(self, op: LinearOperator, num_steps: int, *, on_host: bool, scale: float = 0.0) -> None:
        self._num_steps = num_steps
        self._on_host = on_host
        self._negligible = _Negligible(op, 10, scale)

    def __call__(self, basis: Tensor, r: Tensor, alpha: Tensor, size: Tensor) -> Guarded:
        """Take in a step; see `Guard`."""
        before, limit = size, self._negligible.after(alpha, size)
        if basis.shape[-2] == self._num_steps:
            return Guarded(r, size, size, ends=True)
        size, passes = pass_over(basis, r, batched=not self._on_host), 1
        broken = size <= limit
        if not self._on_host or bool((~broken & (size < _CUT * before)).any()):
            size, passes = pass_over(basis, r, batched=not self._on_host), 2
        return stand_still(r, size, broken, passes * cost_of(basis))


def pass_over(basis: Tensor, r: Tensor, *, batched: bool = False) -> Tensor:
    """Take the components along the basis out of a residual, in place, as `project_out` does; return the norm left."""
    project_out(basis, r, batched=batched)
    return norm(r, dim=-1)


def cost_of(basis: Tensor) -> int:
    """Vector operations of a pass and its norm, for a start."""
    return 2 * basis.shape[-2] + 1


def spanned(r: Tensor, size: Tensor) -> Guarded:
    """The end of a run whose basis spans the whole space."""
    return Guarded(r, size, torch.zeros_like(size), ends=True)


def stand_still(r: Tensor, size: Tensor, broken: Tensor, operations: int) -> Guarded:
    """Zero vectors and zero couplings from here on, where a space is exhausted; nothing is read from a device.

    Args:
        r: Residual, shape (n,) or (p, n); written to.
        size: Its norm, shape () or (p,).
        broken: Where it is rounding, shape () or (p,).
        operations: What has been spent on it.
    """
    r.mul_(~along(broken, r))
    beta = size.masked_fill(broken, 0)
    return Guarded(r, size.masked_fill(broken, 1), beta, operations)
