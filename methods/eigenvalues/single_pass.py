"""Top eigenpairs from one block product: the range and the projection out of the same A Omega."""

from __future__ import annotations

import numpy as np
import torch

from hessbench.estimand import Array, Estimate, TopEigenspace, TopEigenvalues
from hessbench.method import Footprint, Method
from hessbench.methods.arguments import Which, check_at_least
from hessbench.methods.probes import draw_normal
from hessbench.methods.small_dense import eigenpairs_of, singular_triples_of, to_device, to_host, top_pairs
from hessbench.operators import LinearOperator


def single_pass(
    op: LinearOperator, /, *, num_matvecs: int, generator: torch.Generator, k: int = 10, which: Which = "magnitude"
) -> Estimate:
    """One-pass randomised eigendecomposition: Y = A Omega is all that is seen of A.

    Q holds the first w left singular vectors of Y (n, m), and B is the symmetric matrix that explains best what was
    seen: min ||B (Q^T Omega) - Q^T Y||_F. Its eigenpairs (theta, x) give those of A as (theta, Q x). With w = m the
    system is square and ill-conditioned; w = floor(m / 2) leaves twice as many equations as unknowns. Where m >= n,
    w = n, and B is A in the basis Q.

    Args:
        op: Symmetric operator of dimension n.
        num_matvecs: Size m of the block; min(m, n) are spent.
        generator: Source of the Gaussian block.
        k: Number of eigenvalues, at most w.
        which: Their order: `magnitude`, `algebraic` or `smallest`.

    Returns:
        k eigenvalues, their vectors, and in `also` the space of these. Diagnostics: `width`, w.

    Cost:
        m products in one call; own work about 4 m^2 n for a QR factorisation and 4 w m n for Q and Q^T Omega; 4 m
        vectors.

    Raises:
        ValueError: If `num_matvecs` is below min(2 k, n).

    Source:
        Halko, Martinsson and Tropp, SIAM Rev. 53 (2011), section 5.5, doi:10.1137/090771806; the overdetermined form:
        Tropp, Yurtsever, Udell and Cevher, SIAM J. Matrix Anal. Appl. 38 (2017), doi:10.1137/17M1111590.
    """
    n = op.dim
    wanted = min(k, n)
    check_at_least("num_matvecs", num_matvecs, _least(n, k=k))
    m = min(num_matvecs, n)
    w = n if m == n else m // 2
    Omega = draw_normal(n, m, op, generator)
    Y = op.matmat(Omega).detach()
    basis, R = torch.linalg.qr(Y)
    small = to_host(R)
    if not np.isfinite(small).all():
        gone = torch.full((n, wanted), float("nan"), dtype=op.dtype, device=op.device)
        return Estimate(np.full(wanted, np.nan), gone, diagnostics={"width": w}, also={TopEigenspace: Estimate(gone)})
    left, sizes, right = singular_triples_of(small)
    Q = basis @ to_device(left[:, :w], basis)
    # Q^T Y is known from the factors of Y: no further product of long vectors.
    B = least_squares_symmetric(to_host(Q.T @ Omega), sizes[:w, None] * right[:w])
    top, W = top_pairs(B, wanted, which)
    vectors = Q @ to_device(W, Q)
    return Estimate(top, vectors, diagnostics={"width": w}, also={TopEigenspace: Estimate(vectors)})


def least_squares_symmetric(G: Array, H: Array) -> Array:
    """The symmetric B (w, w) that minimises ||B G - H||_F, for G and H of shape (w, m).

    Setting the derivative among symmetric matrices to zero gives B M + M B = H G^T + G H^T with M = G G^T, which the
    eigenvectors of M turn into a division by the sums of its eigenvalues.
    """
    squares, P = eigenpairs_of(G @ G.T)
    right = P.T @ (H @ G.T + G @ H.T) @ P
    sums = squares[:, None] + squares[None, :]
    floor = np.finfo(np.float64).eps * max(float(squares.max()), np.finfo(np.float64).tiny)
    return P @ np.divide(right, sums, out=np.zeros_like(right), where=sums > floor) @ P.T


def _least(dim: int, *, k: int, **_: object) -> int:
    return min(2 * k, dim)


def _widths(num_matvecs: int, **_: object) -> tuple[int, ...]:
    return (num_matvecs,)


def _footprint(dim: int, num_matvecs: int, **_: object) -> Footprint:
    m = min(num_matvecs, dim)
    return Footprint(vectors=4 * m, passes=2.0 * m * m + 4.0 * m)


SINGLE_PASS = Method(
    name="single-pass",
    run=single_pass,
    estimands=(TopEigenvalues, TopEigenspace),
    citation=(
        "Tropp, Yurtsever, Udell and Cevher, Practical sketching algorithms for low-rank matrix approximation, SIAM J. "
        "Matrix Anal. Appl. 38 (2017) 1454-1485, doi:10.1137/17M1111590; Halko, Martinsson and Tropp, Finding "
        "structure with randomness, SIAM Rev. 53 (2011) 217-288, section 5.5, doi:10.1137/090771806"
    ),
    version="1",
    min_matvecs=_least,
    block_widths=_widths,
    footprint=_footprint,
)
