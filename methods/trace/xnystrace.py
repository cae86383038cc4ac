"""The trace of a positive semi-definite operator from one block: XNysTrace, each probe of a Nystrom sketch left out."""

from __future__ import annotations

import numpy as np
import scipy.linalg
import torch

from hessbench.estimand import Array, Estimate, Trace
from hessbench.method import Footprint, Method
from hessbench.methods.arguments import check_at_least
from hessbench.methods.leave_one_out import CITATION, jackknife, sines
from hessbench.methods.probes import draw_sphere
from hessbench.methods.small_dense import cholesky, freedom, mean_and_stderr, to_host
from hessbench.operators import LinearOperator
from hessbench.problem import PSD


def xnystrace(op: LinearOperator, /, *, num_matvecs: int, generator: torch.Generator) -> Estimate:
    """XNysTrace: the mean over i of tr(A_i) + w_i^T (A - A_i) w_i, A_i the Nystrom approximation without probe i.

    Probes are uniform on the sphere and resphered: A - A_i sees only what w_i has outside of the other probes, which is
    scaled to the length sqrt(n - m + 1) that it has in the mean. For stability A + s I is approximated, with
    s = sqrt(n) eps ||A V||_2 and V a basis of the probes, and n s taken from the trace. Exact, up to rounding, for an
    operator of rank below m.

    Args:
        op: Positive semi-definite operator of dimension n.
        num_matvecs: Number m of probes; min(m, n) products are spent.
        generator: Source of the probes.

    Returns:
        The trace, from two probes on with a standard error by the `jackknife`. Diagnostics: `shift`, s; `spread`, the
        standard error that the m estimates would have if they were independent, which is too small.

    Cost:
        m products in one call; own work about 8 m^2 n for three triangular factors and the core.

    Raises:
        ValueError: If `num_matvecs` is below 1, or the core is not positive definite, as is the case where A has
            eigenvalues below 0 that the probes see.

    Source:
        Epperly, Tropp and Webber, SIAM J. Matrix Anal. Appl. 45 (2024), arXiv:2301.07825, sections 2.2 and 2.3.
    """
    check_at_least("num_matvecs", num_matvecs, 1)
    n, eps = op.dim, torch.finfo(op.dtype).eps
    m = min(num_matvecs, n)
    basis, factor = torch.linalg.qr(draw_sphere(n, m, op, generator))
    basis = basis.contiguous()
    Y = op.matmat(basis).detach()
    small = to_host(torch.linalg.qr(Y, mode="r").R)
    if not np.isfinite(small).all():
        return Estimate(float("nan"))
    shift = n**0.5 * eps * float(np.linalg.norm(small, 2))
    if shift == 0:  # a zero block: nothing is left to be factorised
        return Estimate(0.0, stderr=0.0 if m > 1 else None, diagnostics={"shift": 0.0})
    R = to_host(torch.linalg.qr(torch.add(Y, basis, alpha=shift), mode="r").R)
    C = cholesky(to_host(basis.T @ Y), shift, "xnystrace")
    # With Omega = V T, V the basis: Omega^T A Omega = T^T C C^T T, and its inverse is G^T G.
    inverse = scipy.linalg.solve_triangular(to_host(factor), np.eye(m)).T
    G = scipy.linalg.solve_triangular(C, inverse, lower=True)
    B = scipy.linalg.solve_triangular(C, R.T, lower=True).T  # the approximation is Q B B^T Q^T
    weights = (G * G).sum(axis=0)
    lost = ((B @ G) ** 2).sum(axis=0) / weights
    # w_i has the squared length 1 / |T^-T e_i|^2 outside of the other probes.
    outside = (n - m + 1) * (inverse * inverse).sum(axis=0)
    known = (B * B).sum() - n * shift
    estimates = known - lost + outside / weights
    value, spread = mean_and_stderr(estimates)
    M = G.T @ G
    pairs = known + without_two(M, (B @ G).T @ (B @ G), inverse.T @ inverse, n)
    stderr = jackknife(pairs, sines(M), estimates)
    said = {"shift": shift, "spread": spread}
    return Estimate(value, stderr=stderr, stderr_dof=freedom(m), diagnostics=said)


def without_two(M: Array, image: Array, N: Array, n: int) -> Array:
    """Entry (i, j): the estimate of probe j without the probes i and j, less the trace of the whole approximation.

    Args:
        M: (Omega^T A Omega)^-1. Leaving out a set takes A Omega M_:S M_SS^-1 M_S: Omega^T A from the approximation, and
            what A - A_S has on these probes is M_SS^-1.
        image: M Omega^T A^2 Omega M.
        N: (Omega^T Omega)^-1.
        n: Dimension.
    """
    size, lost, apart = np.diagonal(M), np.diagonal(image), np.diagonal(N)
    determinant = np.outer(size, size) * sines(M)
    determinant = np.maximum(determinant, np.finfo(np.float64).tiny)
    taken = (lost[:, None] * size + lost * size[:, None] - 2 * image * M) / determinant
    # w_j has the squared length N_ii / det N_SS, inverted, outside of all other probes but i.
    outside = (n - M.shape[0] + 2) * np.outer(apart, apart) * sines(N) / apart[:, None]
    return size[:, None] / determinant * outside - taken


def _widths(num_matvecs: int, **_: object) -> tuple[int, ...]:
    return (num_matvecs,)


def _footprint(dim: int, num_matvecs: int, **_: object) -> Footprint:
    m = min(num_matvecs, dim)
    return Footprint(vectors=4.0 * m, passes=6.0 * m * m + 6.0 * m)


XNYSTRACE = Method(
    name="xnystrace",
    run=xnystrace,
    estimands=(Trace,),
    requires=(PSD,),
    citation=CITATION,
    version="1",
    min_matvecs=1,
    block_widths=_widths,
    footprint=_footprint,
)
