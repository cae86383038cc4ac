"""The Lanczos recurrence A Q = Q T + r e^T, for one start or many in lock-step, with reorthogonalisation handed in.

Coefficients stay on the operator's device; whoever wants eigenvalues reads them once and solves on the CPU.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, get_args

import torch
from torch import Tensor

from hessbench.methods.arguments import Reorth, check_at_least, check_choice
from hessbench.methods.krylov.guards import Full, Guard, Window
from hessbench.methods.krylov.semiorthogonal import Periodic, Selective, Semiorthogonal
from hessbench.methods.krylov.tridiagonal import Tridiagonal
from hessbench.methods.krylov.vectors import along, check_start, image, inner, norm
from hessbench.operators import LinearOperator

KEEPING: Final = ("full", "periodic", "selective")
"""Ways to reorthogonalise that keep the whole basis."""


class Recurrence:
    """Where a run stands: the vectors kept, the matrix so far, and the residual that the next step begins with.

    Args:
        op: Operator A.
        start: First direction, shape (n,), or one for each start in lock-step, rows (p, n); left as it is.
        Q: Memory for Lanczos vectors, rows (m, n) or (p, m, n); where there are more steps, a ring.
        guard: What keeps them orthogonal.
    """

    def __init__(self, op: LinearOperator, start: Tensor, Q: Tensor, guard: Guard) -> None:
        self._op = op
        self._guard = guard
        self._r = start.clone(memory_format=torch.contiguous_format)
        self._size = norm(start, dim=-1)
        self.restart(Q, start.new_empty(0))
        self.operations = 0

    def restart(self, Q: Tensor, arrow: Tensor) -> None:
        """Go on from p vectors, the first rows of Q, that T couples to the residual's direction by an arrow (p,)."""
        self.Q = Q
        self.alphas: list[Tensor] = []
        self.betas: list[Tensor] = []
        self._arrow = arrow
        self._before = arrow.shape[0]
        self.ended = False

    @property
    def held(self) -> int:
        """Vectors so far, those before the arrow included."""
        return self._before + len(self.alphas)

    def advance(self) -> None:
        """Make a step: one product with each start, the three terms, or the arrow in their place, and the guard."""
        Q, r, j = self.Q, self._r, self.held
        rows = Q.shape[-2]
        q = torch.div(r, along(self._size, r), out=Q.select(-2, j % rows))
        product = image(self._op, q)  # never written to
        alpha = inner(q, product)
        torch.addcmul(product, q, along(alpha, r), value=-1, out=r)
        self.operations += 4
        if self.betas:
            r.addcmul_(Q.select(-2, (j - 1) % rows), along(self.betas[-1], r), value=-1)
            self.operations += 1
        elif self._before:
            r.addmv_(Q[: self._before].T, self._arrow, alpha=-1)
            self.operations += self._before
        basis = Q.narrow(-2, 0, min(j + 1, rows))  # the whole ring once it is full
        found = self._guard(basis, r, alpha, norm(r, dim=-1))
        self.operations += found.operations
        self.alphas.append(alpha)
        self.betas.append(found.beta)
        self._r, self._size, self.ended = found.r, found.size, found.ends

    def matrix(self, *, keeps: bool = True) -> Tridiagonal:
        """T since the latest restart, with the basis where it is kept."""
        return Tridiagonal(self.alphas, self.betas, len(self.alphas), self.operations, self.Q if keeps else None)


def lanczos_steps(
    op: LinearOperator,
    start: Tensor,
    *,
    reorth: str,
    num_steps: int,
    generator: torch.Generator,
    window: int = 10,
    on_host: bool | None = None,
) -> Iterator[Tridiagonal]:
    """Run the Lanczos recurrence from one start, one product a step.

    `full`: `Full`; `periodic` and `selective`: `Semiorthogonal` by `Periodic` and by `Selective`. They keep the basis.
    Where the subspace is invariant (the residual is rounding), the run goes on from a random direction orthogonal to
    the basis, with a zero in `betas`, so that repeated eigenvalues are found; it ends after `dim` steps.

    `none`: two basis vectors and a residual are all that is kept. It ends with an invariant subspace; off the host,
    where nobody looks, further coefficients are zero and `first_block` leaves them out. `window` is the same with a
    Gram-Schmidt pass against the last `window` vectors, which are all that is kept: copies come later, not never.

    Args:
        op: Operator A.
        start: First direction, shape (n,), not zero; left as it is.
        reorth: `full`, `periodic`, `selective`, `window` or `none`.
        num_steps: Most steps.
        generator: Source of the directions after an invariant subspace.
        window: Vectors that `window` keeps, at least 2.
        on_host: Whether the host takes these decisions; by default only where the operator lives on the CPU. With
            `periodic` and `selective` it always does.

    Yields:
        The tridiagonal matrix after every product.

    Cost:
        One product in one call per step; own work at step j: 2 j n multiplications a Gram-Schmidt pass, which reads
        the basis twice (2 w n with a window of w). Memory: num_steps + 2 vectors, 4 for `none`, w + 2 with a window.
        `periodic` and `selective` read two numbers a step from a device; `selective` keeps up to as many Ritz vectors
        as Lanczos vectors, and solves T at every step, O(j^2) on the host.

    Raises:
        ValueError: If an argument is out of range, or the start is zero or not finite.

    Source:
        Lanczos, J. Res. Natl. Bur. Stand. 45 (1950), doi:10.6028/jres.045.026; the others with their guards.
    """
    check_choice("reorth", reorth, get_args(Reorth))
    check_at_least("num_steps", num_steps, 1)
    check_at_least("window", window, 2)
    check_start(start)
    n, keeps = op.dim, reorth in KEEPING
    on_host = op.device.type == "cpu" if on_host is None else on_host
    most = min(num_steps, n) if keeps else num_steps
    rows = most if keeps else 2 if reorth == "none" else min(window, max(num_steps, 2))
    eps = torch.finfo(op.dtype).eps
    guard: Guard
    if reorth == "full":
        guard = Full(op, generator, on_host=on_host)
    elif keeps:
        watch = Periodic(eps) if reorth == "periodic" else Selective(eps, rows)
        guard = Semiorthogonal(op, generator, watch, rows)
    else:
        guard = Window(op, on_host=on_host, passes=0 if reorth == "none" else 1)
    Q = torch.empty(rows, n, dtype=op.dtype, device=op.device)  # rows, so that products with it read it in order
    run = Recurrence(op, start, Q, guard)
    for _ in range(most):
        run.advance()
        yield run.matrix(keeps=keeps)
        if run.ended:
            return
