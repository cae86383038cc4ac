"""The diagonal from every probe twice: XDiag, a range finder and its own residual, each probe left out in turn."""

from __future__ import annotations

import torch

from hessbench.estimand import Diagonal, Estimate
from hessbench.method import Footprint, Method
from hessbench.methods.arguments import check_at_least
from hessbench.methods.leave_one_out import CITATION, half_widths, left_out
from hessbench.methods.probes import draw_signs
from hessbench.methods.small_dense import to_device, to_host
from hessbench.operators import LinearOperator


def xdiag(op: LinearOperator, /, *, num_matvecs: int, generator: torch.Generator) -> Estimate:
    """XDiag: the mean over i of diag(Q_i Q_i^T A) + w_i * (I - Q_i Q_i^T) A w_i, entrywise.

    Q_i is an orthonormal basis of the products A w_j with all of k sign probes but w_i, so that each estimate is
    unbiased, and all of them come from one QR factorisation. Exact, up to rounding, for an operator of rank below k,
    and where k reaches n.

    Args:
        op: Symmetric operator of dimension n.
        num_matvecs: Products, at least 2; 2 k are spent, k = min(num_matvecs // 2, n).
        generator: Source of the signs.

    Returns:
        The diagonal, shape (n,). Diagnostics: `probes`, k.

    Cost:
        2 k products in 2 calls of width k; own work about 6 k^2 n for QR and two blocks of combinations; 6 k vectors.

    Raises:
        ValueError: If `num_matvecs` is below 2.

    Source:
        Epperly, Tropp and Webber, SIAM J. Matrix Anal. Appl. 45 (2024), arXiv:2301.07825, section 2.4.
    """
    check_at_least("num_matvecs", num_matvecs, 2)
    n = op.dim
    k = min(num_matvecs // 2, n)
    Omega = draw_signs(n, k, op, generator)
    Q, factor = torch.linalg.qr(op.matmat(Omega).detach())
    Z = op.matmat(Q).detach()
    known, said = (Q * Z).sum(dim=1), {"probes": k}
    R = to_host(factor)
    if not bool(torch.isfinite(factor).all()):
        return Estimate(torch.full_like(known, torch.nan), diagnostics=said)
    if k == n:  # Q spans the whole space, and nothing is to be left out
        return Estimate(known, diagnostics=said)
    S, couplings = left_out(R, torch.finfo(op.dtype).eps)
    directions = to_device(S, Q)
    QS = Q @ directions
    # (I - Q_i Q_i^T) A w_i = Q s_i (s_i^T r_i).
    each = QS * (Omega * to_device(couplings, Q) - Z @ directions)
    return Estimate(known + each.mean(dim=1), diagnostics=said)


def _footprint(dim: int, num_matvecs: int, **_: object) -> Footprint:
    k = min(num_matvecs // 2, dim)
    return Footprint(vectors=6.0 * k, passes=2.0 * k * k + 14.0 * k)


XDIAG = Method(
    name="xdiag",
    run=xdiag,
    estimands=(Diagonal,),
    citation=CITATION,
    version="1",
    min_matvecs=2,
    block_widths=half_widths,
    footprint=_footprint,
)
