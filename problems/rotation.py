"""A spectrum hidden behind a random orthogonal transform that costs four real FFTs and no matrix.

A = Q diag(l) Q^T with Q = D_2 U^T D_1 U^T P, where D_1 and D_2 are diagonal matrices of random signs, P is a random
permutation and U is the orthogonal real Fourier transform: cosines and sines of every frequency, in order, each row of
unit norm. U exists for every n, and so does Q. Its columns are spread like random ones: the signs between the two
transforms break every pattern of the first, and the permutation, which costs nothing in a product, keeps a smooth
spectrum from making U^T P diag(l) P^T U a narrow band. This is the sign-and-transform idea of the fast
Johnson-Lindenstrauss transform, https://doi.org/10.1137/060673096, applied twice and with nothing sampled.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from torch import Tensor

from hessbench.estimand import Array
from hessbench.operators import FunctionOperator, OperatorInfo

ROTATION_VERSION: Final = "signs-real-fourier-twice-permuted-1"
"""Part of every fingerprint: changes when the same seed gives another matrix."""

_ROOT_HALF: Final = 0.5**0.5


def random_signs(n: int, generator: np.random.Generator) -> tuple[Array, Array]:
    """Two independent sequences of n signs, as float64 arrays of -1 and 1."""
    inner, outer = (generator.integers(0, 2, size=n, dtype=np.int8).astype(np.float64) for _ in range(2))
    return 2 * inner - 1, 2 * outer - 1


def rotated_operator(eigenvalues: Array, seed: int, device: torch.device, dtype: torch.dtype) -> FunctionOperator:
    """Make A = Q diag(eigenvalues) Q^T, exact to a few roundings for every n.

    Args:
        eigenvalues: The spectrum, shape (n,), in any order.
        seed: Seed of the signs and of the permutation.
        device: Where the operator lives.
        dtype: Floating type it computes in.

    Returns:
        The operator. One column costs two real FFTs, two inverse ones and four multiplications by a vector; a block
        of k columns holds 2 k vectors of length n beside its result.

    Raises:
        ValueError: If an eigenvalue is not a finite number in `dtype`.
    """
    generator = np.random.default_rng(seed)
    scale = torch.as_tensor(generator.permutation(eigenvalues)).to(device=device, dtype=dtype)
    if not bool(torch.isfinite(scale).all()):
        largest = float(np.abs(eigenvalues).max())
        raise ValueError(f"eigenvalues up to {largest:.3g} do not fit {dtype}: use float64 or a lighter tail")
    n = scale.numel()
    inner, outer = (torch.as_tensor(signs).to(device=device, dtype=dtype) for signs in random_signs(n, generator))
    rotation = _Rotation(scale, inner, outer)
    return FunctionOperator(rotation.matmat, n, dtype, device, OperatorInfo(engine="rotated spectrum, real FFTs"))


class _Rotation:
    """The product, with the vectors it needs."""

    def __init__(self, eigenvalues: Tensor, inner: Tensor, outer: Tensor) -> None:
        self.n = eigenvalues.numel()
        self.eigenvalues = eigenvalues
        self.inner = inner
        self.outer = outer
        self.column = outer[:, None]
        self.unpaired = 1 if self.n % 2 else min(2, self.n)

    def matmat(self, block: Tensor) -> Tensor:
        k = block.shape[1]
        rows = torch.mul(block.T, self.outer, out=block.new_empty(k, self.n))
        spectrum = torch.empty(k, self.n // 2 + 1, dtype=block.dtype.to_complex(), device=block.device)
        packed = torch.view_as_real(spectrum).view(k, -1)

        self._forward(rows, spectrum, packed)
        packed[:, : self.unpaired] *= _ROOT_HALF
        torch.mul(packed[:, : self.n], self.inner, out=rows)
        # Between these two the scale of the unpaired frequencies cancels.
        self._forward(rows, spectrum, packed)
        packed[:, : self.n] *= self.eigenvalues
        self._inverse(rows, spectrum, packed)
        torch.mul(rows, self.inner, out=packed[:, : self.n])
        packed[:, : self.unpaired] /= _ROOT_HALF
        self._inverse(rows, spectrum, packed)
        return torch.mul(rows.T, self.column, out=torch.empty_like(block, memory_format=torch.contiguous_format))

    def _forward(self, rows: Tensor, spectrum: Tensor, packed: Tensor) -> None:
        """Transform rows; the real number of the last frequency takes the place of the first's empty imaginary part."""
        torch.fft.rfft(rows, norm="ortho", out=spectrum)
        if self.n > 1:
            packed[:, 1] = packed[:, self.n]

    def _inverse(self, rows: Tensor, spectrum: Tensor, packed: Tensor) -> None:
        """Undo `_forward`; the imaginary parts that a real signal does not have are zeroed."""
        if self.n > 1:
            packed[:, self.n] = packed[:, 1]
        packed[:, self.n + 1 :] = 0
        packed[:, 1] = 0
        torch.fft.irfft(spectrum, n=self.n, norm="ortho", out=rows)
