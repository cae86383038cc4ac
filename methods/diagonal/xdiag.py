"""The diagonal from every probe twice: XDiag, a range finder and its own residual, each probe left out in turn."""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from torch import Tensor

from hessbench.estimand import Array, Diagonal, Estimate
from hessbench.method import Footprint, Method
from hessbench.methods.arguments import check_at_least
from hessbench.methods.diagonal.entry_fits import norm_stderr
from hessbench.methods.leave_one_out import (
    CITATION,
    are_dependent,
    half_widths,
    left_out,
    sines,
    without_two_weights,
)
from hessbench.methods.probes import draw_signs
from hessbench.methods.small_dense import freedom, to_device, to_host
from hessbench.operators import LinearOperator

_LEAST_LEFT: Final = 3  # probes; of two, leaving one out leaves no range, which is another estimator


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
        The diagonal, shape (n,), from three probes on with the standard error of its 2-norm by the jackknife, as in
        `xtrace`; 0 where k is n. Diagnostics: `probes`, k; `spread`, the standard error that the k estimates would have
        if they were independent, which is too small, and is claimed only where the range has been exhausted, where it
        is rounding.

    Cost:
        2 k products in 2 calls of width k; own work about 12 k^2 n for QR and five blocks of combinations; 7.5 k
        vectors.

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
    known = (Q * Z).sum(dim=1)
    said: dict[str, float | None] = {"probes": k}
    R = to_host(factor)
    if not bool(torch.isfinite(factor).all()):
        return Estimate(torch.full_like(known, torch.nan), diagnostics=said)
    if k == n:  # Q spans the whole space, and nothing is to be left out
        return Estimate(known, stderr=0.0, diagnostics=said)
    S, couplings = left_out(R, torch.finfo(op.dtype).eps)
    directions = to_device(S, Q)
    QS, ZS = Q @ directions, Z @ directions
    # (I - Q_i Q_i^T) A w_i = Q s_i (s_i^T r_i).
    left = Omega * to_device(couplings, Q) - ZS
    each = QS * left
    del Q, Z, Omega  # a third of what would be held from here on
    value, said["spread"] = known + each.mean(dim=1), norm_stderr(each)
    if k < _LEAST_LEFT:
        return Estimate(value, diagnostics=said)
    G = S.T @ S
    squares = sines(G)
    samples = each if are_dependent(squares) else without_each(QS, ZS, left, each, *without_two_weights(G, squares))
    return Estimate(value, stderr=norm_stderr(samples), stderr_dof=freedom(k), diagnostics=said)


def without_each(QS: Tensor, ZS: Tensor, left: Tensor, each: Tensor, M: Array, N: Array) -> Tensor:
    """Samples (n, k) whose mean has the spread that the jackknife gives the estimate.

    Column i is k - 1 times what leaving probe i out makes of the estimate, a constant apart: the sum over all other j
    of the estimate from probe j and a basis without the products of i and j. With c the cosine between s_i and s_j and
    h = 1 / (1 - c^2), that estimate differs from diag(Q Q^T A) by

        h (Q s_j * l_j - c Q s_i * l_j + c Q s_j * A Q s_i - Q s_i * A Q s_i),  l_j = (s_j^T r_j) w_j - A Q s_j.

    Args:
        QS: Columns Q s_i, shape (n, k).
        ZS: Columns A Q s_i, shape (n, k).
        left: Columns l_i, shape (n, k).
        each: Columns Q s_i * l_i, shape (n, k).
        M: Entries h, zero on the diagonal, shape (k, k).
        N: Entries c h, likewise.

    Cost:
        Three products of (n, k) with (k, k).
    """
    own = N - np.diag(M.sum(axis=0))
    samples = each @ to_device(M, QS)
    samples.sub_(QS * (left @ to_device(N, QS)))
    return samples.add_(ZS * (QS @ to_device(own, QS)))


def _footprint(dim: int, num_matvecs: int, **_: object) -> Footprint:
    k = min(num_matvecs // 2, dim)
    return Footprint(vectors=7.5 * k, passes=2.0 * k * k + 30.0 * k)


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
