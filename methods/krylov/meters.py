"""Meters of a Krylov run: copies of Ritz values, and orthogonality step by step."""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from torch import Tensor

from hessbench.estimand.base import Array
from hessbench.methods.krylov.tridiagonal import tridiagonal_values

_CHUNK: Final = 2**16


def count_ghosts(alphas: Array, betas: Array, eps: float) -> int:
    """Ritz values that repeat another one of the same unreduced block of T.

    In exact arithmetic the Ritz values of a block with nonzero betas are different, whatever the operator: one start
    sees one vector of every eigenspace. Values closer than 64 eps |T| are copies made by rounding. Those below
    sqrt(eps) |T| are not judged: true eigenvalues may be that close there.

    Args:
        alphas: Diagonal of T, shape (m,).
        betas: Off-diagonal, shape (m,); zeros separate blocks, the last entry is not part of T.
        eps: Rounding unit of the operator's dtype.

    Returns:
        Number of copies, the first of each value not counted; 0 where T is not finite.

    Cost:
        No product; O(m^2) on the host.

    Source:
        Paige, J. Inst. Math. Appl. 10 (1972), doi:10.1093/imamat/10.3.373; Cullum and Willoughby, Lanczos Algorithms
        for Large Symmetric Eigenvalue Computations (1985), doi:10.1137/1.9780898719192.
    """
    ends = [*(int(end) + 1 for end in np.flatnonzero(betas[:-1] == 0)), alphas.size]
    blocks = [tridiagonal_values(alphas[a:b], betas[a:b]) for a, b in zip([0, *ends], ends, strict=False)]
    scale = max(float(np.abs(values).max()) for values in blocks)
    copies = 0
    for values in blocks:
        judged = values[np.abs(values) > eps**0.5 * scale]
        copies += int((np.diff(judged) <= 64 * eps * scale).sum())
    return copies


def orthogonality(Q: Tensor) -> Array:
    """Loss of orthogonality by step: max |Q_j^T Q_j - I| over the first j vectors.

    Args:
        Q: Vectors as rows, shape (m, n).

    Returns:
        One number for each j from 1 to m, float64, never falling.

    Cost:
        No product; 2 m^2 n multiplications in float64 and, in chunks, no copy of Q in float64.
    """
    m, n = Q.shape
    gram = torch.zeros(m, m, dtype=torch.float64, device=Q.device)
    for begin in range(0, n, _CHUNK):
        part = Q[:, begin : begin + _CHUNK].double()
        gram.addmm_(part, part.T)
    gap = (gram - torch.eye(m, dtype=torch.float64, device=Q.device)).abs().tril().cpu().numpy()
    return np.maximum.accumulate(gap.max(axis=1))
