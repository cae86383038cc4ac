"""SciPy's eigensolvers on the counted operator: ARPACK by `eigsh`, and LOBPCG."""

from __future__ import annotations

from typing import Any, Final, cast

import numpy as np
import torch
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh, lobpcg

from hessbench.counting import CountingOperator
from hessbench.estimand import Array, Estimate, TopEigenvalues
from hessbench.method import Method
from hessbench.methods.arguments import check_at_least
from hessbench.methods.peers.calling import called
from hessbench.problem import PSD

_K: Final = 10


def arpack(matrix: LinearOperator, start: Array, num_matvecs: int, k: int, tol: float, ncv: int = 0) -> Estimate:
    """The k eigenvalues of largest magnitude by ARPACK, with as many restarts as a budget holds.

    The basis is ARPACK's own choice, max(2 k + 1, 20), unless `ncv` says another; less where the budget holds no
    restart of it. A restart takes up to basis - k products, and one more is needed at the end.

    Args:
        matrix: What is multiplied with, n by n.
        start: First vector (n,).
        num_matvecs: Most products.
        k: Number of eigenvalues, below n.
        tol: ARPACK's tolerance, relative to each value.
        ncv: Vectors of the basis, above k; 0 for ARPACK's own choice.

    Returns:
        Those values that ARPACK says have converged; NaN where none has.

    Raises:
        ValueError: If `ncv` is neither 0 nor above k.
    """
    dim = start.size
    if ncv and ncv <= k:
        raise ValueError(f"ncv must be above k = {k}, or 0 for ARPACK's own choice, got {ncv}")
    basis = min(dim, ncv or max(2 * k + 1, 20))
    if num_matvecs < 2 * basis - k + 1:
        basis = max(k + 1, min(dim, (num_matvecs + k - 1) // 2))
    restarts = max(1, (num_matvecs - basis - 1) // max(basis - k, 1))
    try:
        # Its stub says that tol is an integer.
        found = eigsh(matrix, k, v0=start, ncv=basis, maxiter=restarts, tol=cast("int", tol), return_eigenvectors=False)
    except ArpackNoConvergence as stopped:
        found = stopped.eigenvalues
    number = len(found)
    said: dict[str, Any] = {
        "asked": f"eigsh(k={k}, ncv={basis}, maxiter={restarts}, tol={tol:g})",
        "reported": f"{number} of {k} converged",
    }
    if not number:
        return Estimate(torch.full((k,), torch.nan), converged=False, diagnostics={**said, "reason": said["reported"]})
    return Estimate(torch.as_tensor(np.array(found)), converged=number == k, diagnostics=said)


def eigsh_counted(
    op: CountingOperator,
    /,
    *,
    num_matvecs: int,
    generator: torch.Generator,
    tol: float = 0.0,
    ncv: int = 0,
    k: int | None = None,
) -> Estimate:
    """SciPy's `eigsh`: ARPACK's implicitly restarted Lanczos, on the counted operator.

    Args:
        op: Symmetric operator of dimension n.
        num_matvecs: Most products, at least k + 3.
        generator: Source of the start.
        tol: ARPACK's tolerance; 0, SciPy's default, is rounding.
        ncv: Vectors of its basis; 0, its default, for max(2 k + 1, 20).
        k: Number of eigenvalues by magnitude, below n; 10 by default.

    Returns:
        The values that ARPACK says have converged, all of them where `converged`; NaN where none has.

    Cost:
        Single products; one basis and whole restarts of it, as many as fit.

    Raises:
        ValueError: If the budget is too small.

    Source:
        Lehoucq, Sorensen and Yang, ARPACK users' guide (1998), doi:10.1137/1.9780898719628.
    """
    wanted = min(k or _K, op.dim - 1)
    check_at_least("num_matvecs", num_matvecs, _least_eigsh(op.dim, k=k, tol=tol))
    start = torch.randn(op.dim, generator=generator, device=op.device).cpu().double().numpy()
    return arpack(op.to_scipy(), start, num_matvecs, wanted, tol, ncv)


def lobpcg_counted(
    op: CountingOperator,
    /,
    *,
    num_matvecs: int,
    generator: torch.Generator,
    tol: float = 0.0,
    extra: int = 0,
    k: int | None = None,
) -> Estimate:
    """SciPy's `lobpcg` without a preconditioner, on the counted operator.

    Args:
        op: Positive semidefinite operator of dimension n.
        num_matvecs: Most products, at least 4 blocks.
        generator: Source of the first block.
        tol: Its tolerance, of the residuals' norms; 0 for its default, n times the root of rounding.
        extra: Columns of its block beside the k.
        k: Number of eigenvalues; 10 by default.

    Returns:
        The largest values it has, converged or not.

    Cost:
        A block of products in one call for each step and three blocks beside; where n is below five blocks it
        multiplies with the identity, n products.

    Raises:
        ValueError: If the budget is too small.

    Source:
        Knyazev, Toward the optimal preconditioned eigensolver (2001), doi:10.1137/S1064827500366124.
    """
    wanted = min(k or _K, op.dim)
    check_at_least("extra", extra, 0)
    check_at_least("num_matvecs", num_matvecs, _least_lobpcg(op.dim, k=k, extra=extra))
    width = min(wanted + extra, op.dim)
    start = torch.randn(op.dim, width, generator=generator, device=op.device).cpu().double().numpy()
    steps = num_matvecs // width - 3
    with called(generator):
        values, _ = lobpcg(op.to_scipy(), start, maxiter=steps, tol=tol or None)
    return Estimate(
        torch.as_tensor(np.array(values)[:wanted]), diagnostics={"asked": f"lobpcg(columns={width}, maxiter={steps})"}
    )


def _least_eigsh(dim: int, *, k: int | None, **_: object) -> int:
    return min(k or _K, dim - 1) + 3


def _least_lobpcg(dim: int, *, k: int | None, extra: int, **_: object) -> int:
    return 4 * min((k or _K) + extra, dim)


SCIPY_EIGSH = Method(
    name="scipy-eigsh",
    run=eigsh_counted,
    estimands=(TopEigenvalues,),
    citation="Lehoucq, Sorensen and Yang, ARPACK users' guide, SIAM (1998), doi:10.1137/1.9780898719628",
    version="1",
    min_matvecs=_least_eigsh,
    presets=("scipy-eigsh", "scipy-eigsh[tol=0.01]"),
    library="scipy",
)
SCIPY_LOBPCG = Method(
    name="scipy-lobpcg",
    run=lobpcg_counted,
    estimands=(TopEigenvalues,),
    requires=(PSD,),
    citation="Knyazev, Toward the optimal preconditioned eigensolver, SISC 23 (2001), doi:10.1137/S1064827500366124",
    version="1",
    min_matvecs=_least_lobpcg,
    library="scipy",
)
