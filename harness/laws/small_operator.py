"""The small dense operators that the laws of a method are checked on."""

from __future__ import annotations

from typing import Final, final

import torch
from torch import Tensor

from hessbench.laws.small_network import SmallNetworkOperator
from hessbench.laws.small_structured import OUTPUTS, SAMPLES, SmallFactor, small_ggn, small_hessian
from hessbench.method import Method
from hessbench.operators import LinearOperator, OperatorInfo, ProductKind
from hessbench.problem import FACTOR, NETWORK, PARTS, PSD, ROWS, SUBSET
from hessbench.seeding import derive_seed, make_generator

DIM: Final = 48


@final
class SmallOperator:
    """A dense symmetric operator, with a factor when it is built from one.

    Args:
        A: Matrix (n, n).
        F: Factor (n, samples * outputs) with A = F F^T, or None.
    """

    def __init__(self, A: Tensor, F: Tensor | None = None) -> None:
        self._A = A
        self.dim = A.shape[0]
        self.dtype = A.dtype
        self.device = A.device
        self.info = OperatorInfo(ProductKind.PRODUCT if F is None else ProductKind.GGN, SAMPLES, SAMPLES)
        if F is not None:
            self.factor = SmallFactor(F)

    def matmat(self, block: Tensor, /) -> Tensor:
        """Multiply a block."""
        return self._A @ block


def small_operator(method: Method, dtype: torch.dtype = torch.float64, dim: int = DIM) -> LinearOperator:
    """An operator a method accepts: with what it requires, positive where it requires that, indefinite otherwise."""
    if NETWORK in method.requires:
        return SmallNetworkOperator(ProductKind.GGN if FACTOR in method.requires else ProductKind.HESSIAN, dtype)
    if PARTS in method.requires:
        return small_hessian(dim, dtype)
    if ROWS in method.requires or SUBSET in method.requires:
        return small_ggn(dim, dtype)
    generator = make_generator(derive_seed("conformance"))
    if FACTOR in method.requires:
        F = torch.randn(dim, SAMPLES * OUTPUTS, generator=generator, dtype=torch.float64) / dim**0.5
        return SmallOperator((F @ F.T).to(dtype), F.to(dtype))
    Q, _ = torch.linalg.qr(torch.randn(dim, dim, generator=generator, dtype=torch.float64))
    eigenvalues = 2.0 * 0.8 ** torch.arange(dim, dtype=torch.float64)
    if PSD not in method.requires:
        eigenvalues[1::3] *= -1
    A = (Q * eigenvalues) @ Q.T
    return SmallOperator(((A + A.T) / 2).to(dtype))
