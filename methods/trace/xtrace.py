"""The trace from every probe twice: XTrace, a range finder and its own residual, each probe left out in turn."""

from __future__ import annotations

from typing import get_args

import numpy as np
import torch

from hessbench.estimand import Array, Estimate, Trace
from hessbench.method import Footprint, Method
from hessbench.methods.arguments import Probe, check_at_least, check_choice
from hessbench.methods.leave_one_out import CITATION, half_widths, jackknife, left_out, sines
from hessbench.methods.probes import draw_probes
from hessbench.methods.small_dense import freedom, mean_and_stderr, to_host
from hessbench.operators import LinearOperator


def xtrace(op: LinearOperator, /, *, num_matvecs: int, generator: torch.Generator, probe: Probe = "sphere") -> Estimate:
    """XTrace: the mean over i of tr(Q_i^T A Q_i) + w_i^T (I - Q_i Q_i^T) A (I - Q_i Q_i^T) w_i.

    Q_i is an orthonormal basis of the products A w_j with all of k probes but w_i, so that each estimate is unbiased,
    and all of them come from one QR factorisation. Probes on the sphere are resphered: what is left of w_i outside of
    Q_i is scaled to the length sqrt(n - k + 1) that it has in the mean, which takes a part of the variance away.
    Exact, up to rounding, for an operator of rank below k, and where k reaches n.

    Args:
        op: Symmetric operator of dimension n.
        num_matvecs: Products, at least 2; 2 k are spent, k = min(num_matvecs // 2, n).
        generator: Source of the probes.
        probe: `sphere`, `signs` or `normal`; only the first is resphered.

    Returns:
        The trace, from two probes on with a standard error by the `jackknife`. Diagnostics: `probes`, k; `spread`, the
        standard error that the k estimates would have if they were independent, which is too small.

    Cost:
        2 k products in 2 calls of width k; own work about 8 k^2 n for QR and three blocks of inner products.

    Raises:
        ValueError: If an argument is out of range.

    Source:
        Epperly, Tropp and Webber, XTrace: Making the most of every sample in stochastic trace estimation, SIAM J.
        Matrix Anal. Appl. 45 (2024), arXiv:2301.07825; resphering in its section 2.3.
    """
    check_at_least("num_matvecs", num_matvecs, 2)
    check_choice("probe", probe, get_args(Probe))
    n = op.dim
    k = min(num_matvecs // 2, n)
    Omega = draw_probes(probe, n, k, op, generator)
    Q, factor = torch.linalg.qr(op.matmat(Omega).detach())
    W, H, R = to_host(Q.T @ Omega), to_host(Q.T @ op.matmat(Q).detach()), to_host(factor)
    said: dict[str, float | None] = {"probes": k}
    if not (np.isfinite(R).all() and np.isfinite(H).all()):
        return Estimate(float("nan"), diagnostics=said)
    S = left_out(R, torch.finfo(op.dtype).eps).S
    along = (S * W).sum(axis=0)
    X = W - S * along  # Q X are the parts of the probes in the range of the others
    # w^T A w = (Q^T w)^T r, since A w = Q r; and Q^T A w = r.
    rest = (W * R).sum(axis=0) - 2 * (X * R).sum(axis=0) + (X * (H @ X)).sum(axis=0)
    if probe == "sphere":
        left = n - (W * W).sum(axis=0) + along**2
        rest *= (n - k + 1) / np.maximum(left, np.finfo(np.float64).tiny)
    estimates = H.trace() - (S * (H @ S)).sum(axis=0) + rest
    value, spread = mean_and_stderr(estimates)
    squares = sines(S.T @ S)
    pairs = without_two(R, W, H, S, n if probe == "sphere" else None)
    said["spread"] = spread
    return Estimate(value, stderr=jackknife(pairs, squares, estimates), stderr_dof=freedom(k), diagnostics=said)


def without_two(R: Array, W: Array, H: Array, S: Array, n: int | None) -> Array:
    """Entry (i, j): the estimate of probe j from a basis without the products of probes i and j, for all i != j.

    Args:
        R: Q^T A Omega, triangular.
        W: Q^T Omega.
        H: Q^T A Q.
        S: Directions of `left_out`. The two that a pair leaves out are spanned by s_i and u, what s_j has beside s_i.
        n: Dimension, for resphered probes.
    """
    G, SHS, SW, SHW = S.T @ S, S.T @ H @ S, S.T @ W, S.T @ (H @ W)
    couplings, own = (S * R).sum(axis=0), np.diagonal(SHS)
    sine = np.sqrt(np.maximum(sines(G), np.finfo(np.float64).tiny))
    # Products with u = (s_j - g s_i) / sine, i along the rows and j along the columns.
    uHu = (own[None, :] - 2 * G * SHS + G * G * own[:, None]) / sine**2
    iHu = (SHS - G * own[:, None]) / sine
    a = SW
    b = (np.diagonal(SW)[None, :] - G * SW) / sine
    uHw = (np.diagonal(SHW)[None, :] - G * SHW) / sine
    form = (W * R).sum(axis=0)
    inside = (W * (H @ W)).sum(axis=0) - 2 * (a * SHW + b * uHw) + a * a * own[:, None] + 2 * a * b * iHu + b * b * uHu
    rest = inside - form + 2 * b * couplings / sine
    if n is not None:
        left = n - (W * W).sum(axis=0) + a * a + b * b
        rest = rest * (n - R.shape[0] + 2) / np.maximum(left, np.finfo(np.float64).tiny)
    return H.trace() - own[:, None] - uHu + rest


def _footprint(dim: int, num_matvecs: int, **_: object) -> Footprint:
    k = min(num_matvecs // 2, dim)
    return Footprint(vectors=4.0 * k, passes=2.0 * k * k + 8.0 * k)


XTRACE = Method(
    name="xtrace",
    run=xtrace,
    estimands=(Trace,),
    citation=CITATION,
    version="1",
    min_matvecs=2,
    block_widths=half_widths,
    footprint=_footprint,
)
