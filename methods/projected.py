"""Small results on the CPU in float64: eigenvalues of a projected matrix, mean and standard error of samples."""

from __future__ import annotations

import numpy as np

from hessbench.estimand import Array


def eigenvalues_of(B: Array) -> Array:
    """Eigenvalues, ascending, of the symmetric part of B, shape (m, m); all NaN where an entry is not finite."""
    if not np.isfinite(B).all():
        return np.full(B.shape[0], np.nan)
    return np.linalg.eigvalsh((B + B.T) / 2).astype(np.float64, copy=False)


def mean_and_stderr(samples: Array) -> tuple[float, float | None]:
    """Mean of independent samples, shape (m,), and its standard error; None for a single one."""
    mean = float(samples.mean())
    if samples.size < 2:
        return mean, None
    return mean, float(samples.std(ddof=1)) / samples.size**0.5


def eigenpairs_of(B: Array) -> tuple[Array, Array]:
    """Eigenvalues, ascending, and eigenvectors of the symmetric part of B; all NaN where an entry is not finite."""
    if not np.isfinite(B).all():
        return np.full(B.shape[0], np.nan), np.full(B.shape, np.nan)
    values, vectors = np.linalg.eigh((B + B.T) / 2)
    return values.astype(np.float64, copy=False), vectors.astype(np.float64, copy=False)
