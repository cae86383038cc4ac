"""The empirical tangent kernel of a network: its eigenfunctions, how it drifts, and the network that it stands for."""

from __future__ import annotations

from hessbench.problems.tangent_kernel.eigenfunctions import (
    aligned,
    class_shares,
    eigenfunction_images,
    top_eigenfunctions,
)
from hessbench.problems.tangent_kernel.kernel_matrix import kernel_drift, kernel_matrix
from hessbench.problems.tangent_kernel.lazy_regime import LazyRegime, explained_variance, lazy_regime
from hessbench.problems.tangent_kernel.linearised import linearised_outputs

__all__ = [
    "LazyRegime",
    "aligned",
    "class_shares",
    "eigenfunction_images",
    "explained_variance",
    "kernel_drift",
    "kernel_matrix",
    "lazy_regime",
    "linearised_outputs",
    "top_eigenfunctions",
]
