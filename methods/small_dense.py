"""Small results on the CPU in float64: eigenpairs of a projected matrix, mean and standard error of samples.

Decompositions are torch's, whose threads are those of the products: with NumPy's, a second library's threads spin on
the processors that the next product waits for, and block Krylov took three times as long on two of them.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hessbench.estimand.base import Array, sort_key
from hessbench.methods.arguments import Which


def eigenvalues_of(B: Array) -> Array:
    """Eigenvalues, ascending, of the symmetric part of B, shape (m, m); all NaN where an entry is not finite."""
    if not np.isfinite(B).all():
        return np.full(B.shape[0], np.nan)
    return to_host(torch.linalg.eigvalsh(_symmetric(B)))


def first_places(values: Array, k: int, which: Which) -> NDArray[np.intp]:
    """Places of the first k eigenvalues in an order."""
    return np.argsort(sort_key(values, which), kind="stable")[:k]


def top_pairs(B: Array, k: int, which: Which) -> tuple[Array, Array]:
    """First k eigenvalues (k,) of the symmetric part of B, shape (m, m), and their eigenvectors (m, k).

    All NaN where an entry is not finite.
    """
    values, W = eigenpairs_of(B)
    first = first_places(values, k, which)
    return values[first], W[:, first]


def to_host(block: Tensor) -> Array:
    """A small tensor as a float64 array on the CPU."""
    return block.detach().cpu().double().numpy()


def to_device(array: Array, like: Tensor) -> Tensor:
    """An array with the dtype and on the device of a tensor."""
    return torch.from_numpy(np.ascontiguousarray(array)).to(like)


def mean_and_stderr(samples: Array) -> tuple[float, float | None]:
    """Mean of independent samples, shape (m,), and its standard error; None for a single one."""
    mean = float(samples.mean())
    if samples.size < 2:
        return mean, None
    return mean, float(samples.std(ddof=1)) / samples.size**0.5


def freedom(samples: int) -> float | None:
    """Degrees of freedom of the standard error of so many samples; None for a single one."""
    return samples - 1.0 if samples > 1 else None


def eigenpairs_of(B: Array) -> tuple[Array, Array]:
    """Eigenvalues, ascending, and eigenvectors of the symmetric part of B; all NaN where an entry is not finite."""
    if not np.isfinite(B).all():
        return np.full(B.shape[0], np.nan), np.full(B.shape, np.nan)
    values, vectors = torch.linalg.eigh(_symmetric(B))
    return to_host(values), to_host(vectors)


def singular_triples_of(B: Array, *, full: bool = True) -> tuple[Array, Array, Array]:
    """U, singular values, descending, and V^T of a small matrix (m, k); not `full`: min(m, k) of U and V alone."""
    U, sizes, Vt = torch.linalg.svd(torch.from_numpy(np.ascontiguousarray(B)), full_matrices=full)
    return to_host(U), to_host(sizes), to_host(Vt)


def _symmetric(B: Array) -> Tensor:
    """The symmetric part of B."""
    return torch.from_numpy(np.ascontiguousarray((B + B.T) / 2))


def cholesky(core: Array, shift: float, method: str) -> Array:
    """Lower factor C, C C^T = (B + B^T) / 2 + shift I, of a core B of shape (m, m).

    Args:
        core: B = Omega^T A Omega.
        shift: Added to the diagonal.
        method: Name for the message.

    Raises:
        ValueError: If it is not positive definite: the operator has eigenvalues below 0 that Omega sees.
    """
    shifted = (core + core.T) / 2 + shift * np.eye(core.shape[0])
    try:
        return np.linalg.cholesky(shifted).astype(np.float64, copy=False)
    except np.linalg.LinAlgError:
        least = float(eigenvalues_of(shifted)[0])
        raise ValueError(
            f"op must be positive semi-definite for {method}: with its shift the projected operator still has the "
            f"eigenvalue {least:.3g}"
        ) from None
