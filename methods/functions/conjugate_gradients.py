"""The recurrence of conjugate gradients, preconditioned or not, and what it says when it stops."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal, NamedTuple, TypeAlias, final, get_args

import torch
from torch import Tensor

from hessbench.estimand import Estimate
from hessbench.method import Footprint
from hessbench.methods.arguments import check_at_least, check_choice
from hessbench.methods.krylov.vectors import norm, project_out
from hessbench.operators import LinearOperator

Precondition: TypeAlias = Callable[[Tensor], Tensor]
KeptOrthogonal: TypeAlias = Literal["none", "full", "first"]
"""Ways to keep the residuals orthogonal: by the recurrence alone, against all earlier ones, or the first of them."""

KEPT: Final = 150
"""Number of the first residuals that are kept by default."""

TOLERANCE: Final = 1e-10
"""Relative residual at which a run ends by default."""

_UNLOOKED: Final = 10
"""Steps between two looks at a run elsewhere than on a CPU, where every look waits for the device."""

_FLAT: Final = 4
"""Multiples of eps ||A + damping I|| up to which a curvature cannot be told from zero."""

_CUT: Final = 0.5**0.5
"""A pass that leaves less than this of the norm has lost digits and is repeated."""


class _Numbers(NamedTuple):
    """What a step is judged by, as tensors of one number.

    Attributes:
        residual: Norm of the residual by the recurrence, over |b|.
        attainable: What the true residual does not fall below, however far the recurrence goes, likewise.
        curvature: Rayleigh quotient of A + damping I on the last direction.
        norm: Largest |(A + damping I) p| / |p| so far.
    """

    residual: Tensor
    attainable: Tensor
    curvature: Tensor
    norm: Tensor


@dataclass(frozen=True)
class System:
    """A + damping I, and what is asked of it.

    Attributes:
        op: Symmetric operator A of dimension n.
        b: Right-hand side (n,).
        damping: At least 0.
        tolerance: Relative residual at which the run ends, above 0 and below 1.
        reorth: none, full or first.
        kept: With first, how many residuals are kept.
    """

    op: LinearOperator
    b: Tensor
    damping: float
    tolerance: float
    reorth: str
    kept: int = KEPT

    @property
    def most_kept(self) -> int:
        """Most residuals that are kept, at least 1."""
        return min(self.kept, self.op.dim) if self.reorth == "first" else self.op.dim

    def check(self) -> None:
        """Refuse what is out of range.

        Raises:
            ValueError: Naming the argument and what is accepted.
        """
        op, b = self.op, self.b
        if b.shape != (op.dim,) or b.dtype != op.dtype:
            raise ValueError(f"b must be a vector ({op.dim},) of {op.dtype}, got {tuple(b.shape)} of {b.dtype}")
        if not bool(torch.isfinite(b).all()):
            raise ValueError("b must be finite")
        if not 0 <= self.damping < math.inf:
            raise ValueError(f"damping must be finite and at least 0, got {self.damping}")
        if not 0 < self.tolerance < 1:
            raise ValueError(f"tolerance must be above 0 and below 1, got {self.tolerance}")
        check_choice("reorth", self.reorth, get_args(KeptOrthogonal))
        check_at_least("kept", self.kept, 1)


def conjugate_gradients(
    system: System, num_steps: int, precondition: Precondition | None = None, *, before: int = 0, known: float = 0.0
) -> Iterator[Estimate]:
    """Conjugate gradients from x = 0 on (A + damping I) x = b.

    The run ends where the residual of the recurrence reaches tolerance |b|, or eps ||A + damping I|| max |x|, below
    which the true residual does not follow it; and where a curvature p^T (A + damping I) p is negative or rounding: the
    system is not positive definite, and `breakdown` says so. Elsewhere than on a CPU it is looked at every tenth step,
    and stands still between its end and the next look.

    In finite precision the residuals lose their orthogonality as the first eigenvectors converge, and steps are spent
    on finding these again. With `full` each residual is orthogonalised against all earlier ones, in the inner product
    of the preconditioner, by two matrix-vector products with a basis of `num_steps` vectors, repeated where digits were
    lost: the steps are those of exact arithmetic. With `first` it is orthogonalised against the first `kept` residuals
    alone, whose span has taken in the eigenvectors that would be found again.

    Args:
        system: The system, checked.
        num_steps: Most steps, each one product.
        precondition: Multiplies a vector by the inverse P^-1 of a positive definite preconditioner.
        before: Products spent before, which the message of a breakdown counts.
        known: Lower bound of ||A + damping I||, which preconditioned directions may not show.

    Yields:
        After each step x (n,), and what `_answer` says of it; at once, without a product, where b is 0.

    Raises:
        ValueError: If `num_steps` is below 1.

    Source:
        Hestenes and Stiefel, J. Res. Natl. Bur. Stand. 49 (1952), doi:10.6028/jres.049.044; for what is attainable
        Greenbaum, SIAM J. Matrix Anal. Appl. 18 (1997), doi:10.1137/S0895479895284944.
    """
    check_at_least("num_matvecs", num_steps, 1)
    op, b, damping = system.op, system.b, system.damping
    size = norm(b)
    x = torch.zeros_like(b)
    if not bool(size):
        yield Estimate(x, converged=True, diagnostics={"residual": 0.0, "stopped": "b is zero"})
        return
    apply = precondition or _same
    eps = torch.finfo(op.dtype).eps
    on_host = op.device.type == "cpu"
    zero = torch.zeros((), dtype=op.dtype, device=op.device)
    r = b / size  # of norm 1, so that no square of a small one underflows
    z = apply(r)
    p, rz = z, r @ z
    kept = None if system.reorth == "none" else _Residuals(op, min(num_steps, system.most_kept), apply)
    largest, done = zero, torch.zeros_like(zero, dtype=torch.bool)
    numbers = _Numbers(zero, zero, zero, zero + known)
    for step in range(1, num_steps + 1):
        if kept is not None:
            kept.append(r, rz)
        Ap = torch.add(op.matmat(p[:, None])[:, 0].detach(), p, alpha=damping)
        pp, pAp = p @ p, p @ Ap
        curvature, scale = pAp / pp, torch.maximum(numbers.norm, norm(Ap) / pp.sqrt())
        broken = ~(curvature > _FLAT * eps * scale)
        alpha = torch.where(done | broken, zero, rz / pAp)
        x = torch.addcmul(x, alpha, p)  # a new tensor: a checkpoint keeps the one it was made from
        earlier_r, r = r, torch.addcmul(r, -alpha, Ap)
        if kept is not None:
            kept.take_out(r, on_host=on_host)
            r = torch.where(alpha == 0, earlier_r, r)  # where no step was made, it is the last one that is kept
        largest = torch.maximum(largest, norm(x))
        latest = _Numbers(norm(r), eps * scale * largest, curvature, scale)
        numbers = latest if on_host else _Numbers(*map(partial(torch.where, done), numbers, latest))
        done = done | broken | (latest.residual <= system.tolerance) | (latest.residual <= latest.attainable)
        yield Estimate(partial(_answer, system, x, size, numbers, done, before + step))
        if (on_host or step % _UNLOOKED == 0) and bool(done):
            return
        z = apply(r)
        earlier, rz = rz, r @ z
        p = torch.where(done, p, torch.addcmul(z, rz / earlier, p))


def footprint_of_steps(dim: int, num_steps: int, reorth: str, kept: int) -> Footprint:
    """What some steps need of their own.

    Args:
        dim: Dimension n.
        num_steps: Number of steps.
        reorth: none, full or first.
        kept: With first, how many residuals are kept.
    """
    if reorth == "none":
        return Footprint(vectors=6, passes=24.0 * num_steps)
    rows = min(num_steps, dim, kept if reorth == "first" else dim)
    return Footprint(vectors=rows + 6.0, passes=float(rows) * (2 * num_steps - rows) + 30.0 * num_steps)


@final
class _Residuals:
    """The first residuals as rows, of length 1 in the inner product of P^-1."""

    def __init__(self, op: LinearOperator, most: int, apply: Precondition) -> None:
        self._rows = torch.empty(most, op.dim, dtype=op.dtype, device=op.device)
        self._apply = apply
        self._count = 0

    def append(self, r: Tensor, squared: Tensor) -> None:
        """Keep a residual, given its square r^T P^-1 r, while there is room."""
        if self._count < self._rows.shape[0]:
            self._rows[self._count] = r / squared.sqrt()
            self._count += 1

    def take_out(self, r: Tensor, *, on_host: bool) -> None:
        """Take the components along those kept out of a residual, in place."""
        before = norm(r)
        self._pass(r)
        if not on_host or bool(norm(r) < _CUT * before):
            self._pass(r)

    def _pass(self, r: Tensor) -> None:
        rows = self._rows[: self._count]
        if self._apply is _same:
            project_out(rows, r)
        else:
            r.addmv_(rows.T, rows @ self._apply(r), alpha=-1)


def _same(r: Tensor) -> Tensor:
    return r


def _answer(system: System, x: Tensor, size: Tensor, numbers: _Numbers, done: Tensor, spent: int) -> Estimate:
    """An iterate, and what is said of it.

    Diagnostics: `residual`, by the recurrence, over |b|; `attainable`, what rounding leaves of it at best, likewise;
    `stopped`, why the run ends here; `breakdown`, why there is no solution to be had. Converged is only
    what the true residual can have followed.
    """
    residual, attainable, curvature, scale = (float(number) for number in numbers)
    flat = _FLAT * torch.finfo(x.dtype).eps * scale
    said: dict[str, float | str] = {"residual": residual, "attainable": attainable}
    broken = not curvature > flat
    converged = not broken and max(residual, attainable) <= system.tolerance
    if broken:
        said["breakdown"] = said["stopped"] = _breakdown(curvature, flat, spent)
    elif converged:
        said["stopped"] = f"the residual reached {system.tolerance:g}"
    elif bool(done):
        dtype = str(x.dtype).removeprefix("torch.")
        said["stopped"] = f"the residual reached {attainable:.1e}, what rounding in {dtype} leaves of it"
    return Estimate(x * size, converged=converged, diagnostics=said)


def _breakdown(curvature: float, flat: float, spent: int) -> str:
    """Why conjugate gradients cannot go on, in one sentence."""
    if not math.isfinite(curvature):
        return f"product {spent} is not finite"
    if curvature < -flat:
        return (
            f"negative curvature {curvature:.2e} at product {spent}: A + damping I is not positive definite, a larger "
            "damping is accepted"
        )
    return (
        f"curvature {curvature:.1e} at product {spent} is within its rounding {flat:.1e}: A + damping I is singular, "
        "a larger damping is accepted"
    )
