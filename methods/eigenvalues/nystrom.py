"""Top eigenpairs of a positive semi-definite operator by the shifted Nystrom approximation."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.linalg
import torch
from torch import Tensor

from hessbench.estimand import Array, Estimate, TopEigenspace, TopEigenvalues
from hessbench.method import Footprint, Method
from hessbench.methods.arguments import Which, check_at_least
from hessbench.methods.probes import draw_normal
from hessbench.methods.small_dense import cholesky, first_places, singular_triples_of, to_device, to_host
from hessbench.operators import LinearOperator
from hessbench.problem import PSD


def nystrom(
    op: LinearOperator, /, *, num_matvecs: int, generator: torch.Generator, k: int = 10, which: Which = "magnitude"
) -> Estimate:
    """Nystrom approximation (A Omega) (Omega^T A Omega)^+ (A Omega)^T of a positive semi-definite A.

    Omega (n, m) is a Gaussian block made orthonormal. For stability A + s I is approximated, with the shift
    s = sqrt(n) eps ||A Omega||_2: Y = A Omega + s Omega, C C^T = Omega^T Y by Cholesky, and the squared singular values
    of Y C^-T, less s and not below 0, are the eigenvalues; its left singular vectors are the eigenvectors. All
    eigenvalues are at most those of A, up to the shift.

    Args:
        op: Positive semi-definite operator of dimension n.
        num_matvecs: Size m of the block; min(m, n) are spent.
        generator: Source of the Gaussian block.
        k: Number of eigenvalues, at most m.
        which: Their order: `magnitude` and `algebraic` are the same here; `smallest` is the smallest of the m found,
            which says little of the smallest of A.

    Returns:
        k eigenvalues, their vectors, and in `also` the space of these. Diagnostics: `shift`, s.

    Cost:
        m products in one call; own work about 12 m^2 n for two QR factorisations, the core and the vectors; 4 m
        vectors.

    Raises:
        ValueError: If `num_matvecs` is below min(k, n), or the core Omega^T Y is not positive definite, as is
            the case where A has eigenvalues below 0 that Omega sees.

    Source:
        Tropp, Yurtsever, Udell and Cevher, Adv. Neural Inf. Process. Syst. 30 (2017), arXiv:1706.05736.
    """
    n = op.dim
    wanted = min(k, n)
    check_at_least("num_matvecs", num_matvecs, wanted)
    values, Q, W, shift = nystrom_pairs(op, min(num_matvecs, n), generator)
    if not np.isfinite(values).all():
        gone = torch.full((n, wanted), float("nan"), dtype=op.dtype, device=op.device)
        return Estimate(np.full(wanted, np.nan), gone, also={TopEigenspace: Estimate(gone)})
    first = first_places(values, wanted, which)
    vectors = Q @ to_device(W[:, first], Q)
    return Estimate(values[first], vectors, diagnostics={"shift": shift}, also={TopEigenspace: Estimate(vectors)})


class NystromPairs(NamedTuple):
    """The shifted Nystrom approximation Q W diag(l) W^T Q^T.

    Attributes:
        values: Eigenvalues l (m,), descending; NaN where a product is not finite.
        Q: Orthonormal block (n, m).
        W: Orthogonal (m, m).
        shift: The shift s.
    """

    values: Array
    Q: Tensor
    W: Array
    shift: float


def nystrom_pairs(op: LinearOperator, m: int, generator: torch.Generator) -> NystromPairs:
    """The shifted Nystrom approximation Q W diag(l) W^T Q^T of a positive semi-definite A by m products in one call.

    Args:
        op: Positive semi-definite operator of dimension n.
        m: Columns of the Gaussian block, 1 to n.
        generator: Source of it.

    Raises:
        ValueError: If the core Omega^T Y is not positive definite.
    """
    Omega = torch.linalg.qr(draw_normal(op.dim, m, op, generator)).Q.contiguous()
    return nystrom_of(Omega, op.matmat(Omega).detach())


def nystrom_of(Omega: Tensor, Y: Tensor) -> NystromPairs:
    """The shifted Nystrom approximation from orthonormal columns Omega (n, m) and Y = A Omega.

    Raises:
        ValueError: If the core Omega^T Y is not positive definite.
    """
    n, m = Omega.shape
    small = to_host(torch.linalg.qr(Y, mode="r").R)
    if not np.isfinite(small).all():
        return NystromPairs(np.full(m, np.nan), Omega, np.eye(m), float("nan"))
    shift = n**0.5 * torch.finfo(Y.dtype).eps * float(np.linalg.norm(small, 2))
    if shift == 0:  # a zero block: nothing is left to be factorised
        return NystromPairs(np.zeros(m), Omega, np.eye(m), shift)
    core = to_host(Omega.T @ Y)
    C = cholesky(core, shift, "nystrom")
    shifted = torch.add(Y, Omega, alpha=shift)  # not in place: the product may be the operator's own memory
    del Y, Omega
    Q, R = torch.linalg.qr(shifted)
    # Y C^-T = Q (R C^-T): the small factor has the singular values.
    left, sizes, _ = singular_triples_of(scipy.linalg.solve_triangular(C, to_host(R).T, lower=True).T)
    return NystromPairs(np.maximum(sizes**2 - shift, 0.0), Q, left, shift)


def _least(dim: int, *, k: int, **_: object) -> int:
    return min(k, dim)


def _widths(num_matvecs: int, **_: object) -> tuple[int, ...]:
    return (num_matvecs,)


def _footprint(dim: int, num_matvecs: int, **_: object) -> Footprint:
    m = min(num_matvecs, dim)
    # Three Householder factorisations, each reading and writing what is left of the block once a column, twice.
    return Footprint(vectors=4 * m, passes=6.0 * m * m + 6.0 * m)


NYSTROM = Method(
    name="nystrom",
    run=nystrom,
    estimands=(TopEigenvalues, TopEigenspace),
    requires=(PSD,),
    citation=(
        "Tropp, Yurtsever, Udell and Cevher, Fixed-rank approximation of a positive-semidefinite matrix from streaming "
        "data, Adv. Neural Inf. Process. Syst. 30 (2017) 1225-1234, arXiv:1706.05736"
    ),
    version="1",
    min_matvecs=_least,
    block_widths=_widths,
    footprint=_footprint,
)
