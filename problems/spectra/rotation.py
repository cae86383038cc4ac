"""A spectrum hidden behind a fast random orthogonal transform: A = Q diag(l) Q^T, exact for every n, and no matrix.

Both kinds of Q are the sign-and-transform idea of the fast Johnson-Lindenstrauss transform,
https://doi.org/10.1137/060673096, with nothing sampled. D is a diagonal of random signs, P a random permutation, which
costs nothing in a product and keeps a smooth spectrum from giving a narrow band.

Up to n = 4096, and where n has a prime factor above 40: Q = D_2 U^T D_1 U^T P with U the orthogonal real Fourier
transform (cosines and sines of every frequency, in order, each row of unit norm), four real FFTs a product. The signs
between the two transforms break every pattern of the first.

Elsewhere: Q = D U^T P with U a Kronecker product of small cosine transforms (`spectra.cosines`), two fast
transforms a product. With one transform less, m factors leave this behind, which a Haar-random Q would not:

- To Gaussian probes nothing: what they see depends on the eigenvalues alone.
- To sign probes nothing in the variance, 2 (|A|_F^2 - sum a_ii^2) for every symmetric A.
- To a coordinate vector, e_i^T f(A) e_i scatters around the mean of f(l) with a variance near (1.5^m - 1) var(f(l)) / n
  rather than 2 var(f(l)) / n, the entries of Q having that fourth moment: m is 3 at n = 10^4 and 6 at 10^7. Hadamard
  factors, no faster, would make it exactly the mean, and the diagonal constant: free answers for whoever asks there.
- The symmetries of cosines: the diagonal has about n / 2^m different values, and |a_ij| about n^2 / 2^(2 m - 1).
"""

from __future__ import annotations

from typing import Final, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hessbench.estimand.base import Array
from hessbench.operators import FunctionOperator, OperatorInfo
from hessbench.problems.spectra.cosines import COLUMNS, PIECE, CosineRotation, radices

FOURIER_LIMIT: Final = 4096
"""Largest dimension that always has the Fourier rotation: speed does not matter there, and more references exist."""

_FOURIER_VERSION: Final = "signs-real-fourier-twice-permuted-1"
_COSINE_VERSION: Final = "signs-cosines-permuted-1"

_ROOT_HALF: Final = 0.5**0.5


def random_signs(n: int, generator: np.random.Generator) -> tuple[Array, Array]:
    """Two independent sequences of n signs, as float64 arrays of -1 and 1."""
    inner, outer = (generator.integers(0, 2, size=n, dtype=np.int8).astype(np.float64) for _ in range(2))
    return 2 * inner - 1, 2 * outer - 1


def rotation_version(n: int) -> str:
    """Part of every fingerprint: changes when the same seed gives another matrix of dimension n."""
    orders = cosine_orders(n)
    return _FOURIER_VERSION if orders is None else f"{_COSINE_VERSION} {'x'.join(map(str, orders))}"


def cosine_orders(n: int) -> tuple[int, ...] | None:
    """Orders of the cosine transforms that rotate a spectrum of n; None where Fourier transforms do."""
    return None if n <= FOURIER_LIMIT else radices(n)


def rotated_operator(eigenvalues: Array, seed: int, device: torch.device, dtype: torch.dtype) -> FunctionOperator:
    """Make A = Q diag(eigenvalues) Q^T, exact to a few roundings for every n.

    Args:
        eigenvalues: The spectrum, shape (n,), in any order.
        seed: Seed of the signs and of the permutation.
        device: Where the operator lives.
        dtype: Floating type it computes in.

    Returns:
        The operator. With cosines, one column costs 2 sum_t (r_t + 10) multiplications of n numbers, passes counted
        as ten, and a product holds a few MB beside its result. With real FFTs, one column costs two of them, two
        inverse ones and four multiplications by a vector; a block of k columns holds 2 k vectors beside its result.

    Raises:
        ValueError: If an eigenvalue is not a finite number in `dtype`.
    """
    generator = np.random.default_rng(seed)
    scale = torch.as_tensor(generator.permutation(eigenvalues)).to(device=device, dtype=dtype)
    if not bool(torch.isfinite(scale).all()):
        largest = float(np.abs(eigenvalues).max())
        raise ValueError(f"eigenvalues up to {largest:.3g} do not fit {dtype}: use float64 or a lighter tail")
    n = scale.numel()
    orders = cosine_orders(n)
    if orders is None:
        inner, outer = (torch.as_tensor(signs).to(device=device, dtype=dtype) for signs in random_signs(n, generator))
        rotation = FourierRotation(scale, inner, outer)
        return FunctionOperator(rotation.matmat, n, dtype, device, OperatorInfo(engine="rotated spectrum, real FFTs"))
    bits = torch.as_tensor(generator.integers(0, 2, size=n, dtype=np.int8))
    signs = bits.to(device=device, dtype=dtype).mul_(2).sub_(1)
    # A device is fastest on the whole block at once.
    cosines = CosineRotation(orders, scale, signs, PIECE if device.type == "cpu" else n * COLUMNS)
    return FunctionOperator(cosines.matmat, n, dtype, device, OperatorInfo(engine="rotated spectrum, small cosines"))


def rotated_vectors(n: int, seed: int, places: NDArray[np.intp]) -> Array:
    """Eigenvectors of a rotated operator: the columns of Q that belong to places of its `eigenvalues`.

    The operator of a single eigenvalue 1 in that place is q q^T: its product with anything lies along q, and a second
    one takes out what the first left of rounding. Every rotation is taken as it is, and no column costs more than two
    products.

    Args:
        n: Dimension.
        seed: Seed that `rotated_operator` was given.
        places: Places in its `eigenvalues`, shape (p,), integers.

    Returns:
        Orthonormal columns to a few roundings, shape (n, p), float64.
    """
    Q = np.empty((n, places.size))
    start = torch.as_tensor(np.random.default_rng(0).standard_normal((n, 1)))
    for column, place in enumerate(places):
        single = np.zeros(n)
        single[place] = 1.0
        op = rotated_operator(single, seed, torch.device("cpu"), torch.float64)
        q = start
        for _ in range(2):
            q = op.matmat(q / torch.linalg.vector_norm(q))
        Q[:, column] = (q / torch.linalg.vector_norm(q)).numpy()[:, 0]
    return Q


@final
class FourierRotation:
    """A = Q diag(l) Q^T with Q = D_2 U^T D_1 U^T and U the orthogonal real Fourier transform, by four real FFTs.

    Args:
        eigenvalues: l in the order of U's rows, shape (n,).
        inner: Diagonal of D_1, shape (n,).
        outer: Diagonal of D_2, shape (n,).
    """

    def __init__(self, eigenvalues: Tensor, inner: Tensor, outer: Tensor) -> None:
        self.n = eigenvalues.numel()
        self.eigenvalues = eigenvalues
        self.inner = inner
        self.outer = outer
        self.column = outer[:, None]
        self.unpaired = 1 if self.n % 2 else min(2, self.n)

    def matmat(self, block: Tensor) -> Tensor:
        """Multiply a block of shape (n, k)."""
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
