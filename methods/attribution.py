"""What the outliers of a Hessian belong to: its GGN, by Rayleigh share, and the mean gradients of its classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from hessbench.operators import Factor, LinearOperator

_RANK: Final = 1e-10
"""Singular values below this share of the largest add no direction to a span."""


@dataclass(frozen=True)
class ClassMeans:
    """Mean gradients of the samples of a class, each taken as if its label were another.

    Attributes:
        cross: Column [c, d] is the mean over samples of class c of column d of the factor, (n, C, C).
        classes: Columns [c, c], (n, C), the class means.
    """

    cross: Tensor

    @property
    def classes(self) -> Tensor:
        """Class means (n, C)."""
        return torch.diagonal(self.cross, dim1=1, dim2=2)

    @property
    def all(self) -> Tensor:
        """All C^2 of them as columns (n, C^2)."""
        return self.cross.reshape(self.cross.shape[0], -1)


def rayleigh_share(ggn: LinearOperator, hessian: LinearOperator, vectors: Tensor) -> Tensor:
    """u^T G u / u^T H u for each column u: the part of the curvature along it that is the GGN's.

    Args:
        ggn: G.
        hessian: H = G + R.
        vectors: Columns (n, k).

    Returns:
        Shares (k,); above 1 where R is negative along u, infinite where H is flat.

    Cost: k products with each, in one call.
    """
    part = (vectors * ggn.matmat(vectors)).sum(dim=0)
    return part / (vectors * hessian.matmat(vectors)).sum(dim=0)


def cross_class_means(factor: Factor, labels: Tensor, weights: Tensor | None = None) -> ClassMeans:
    """Mean columns of the factor F of a GGN = F F^T, by the class of the sample and by output.

    With cross-entropy, column d of sample i is -sqrt(p_id / N) times the gradient of its loss at label d. So weights
    sqrt(p_id) give the document's later means, weighted by the predicted probabilities, and none gives the roots' own
    weights. Column d = c is the mean gradient of class c at its own label, which is less the sum of the others where
    the weights are sqrt(p).

    Args:
        factor: F (n, N C), its columns in the order of samples and then of outputs.
        labels: Class of each sample, (N,), from 0 to C - 1, in the same order.
        weights: Of each column, (N, C); 1 by default.

    Returns:
        The means; zero for a class without samples.

    Cost: C^2 vector-Jacobian products, in one call of that width; nothing of size n times N.

    Raises:
        ValueError: If the labels or weights do not fit the factor.

    Source:
        Papyan, Measurements of three-level hierarchical structure in the outliers in the spectrum of deepnet Hessians
        (2019), arXiv:1901.08244.
    """
    N, C = factor.num_samples, factor.num_outputs
    if labels.shape != (N,) or labels.is_floating_point() or not bool(((labels >= 0) & (labels < C)).all()):
        raise ValueError(f"labels must be one class from 0 to {C - 1} for each of {N} samples, got {labels.tolist()}")
    weights = torch.ones(N, C, dtype=torch.float64) if weights is None else weights
    if weights.shape != (N, C):
        raise ValueError(f"weights must have the shape ({N}, {C}), got {tuple(weights.shape)}")
    counts = torch.bincount(labels, minlength=C).clamp(min=1)
    block = weights.new_zeros(N, C, C, C)
    places = torch.arange(C, device=weights.device)
    for label in range(C):
        rows = torch.nonzero(labels == label)[:, 0]
        block[rows[:, None], places, label, places] = weights[rows] / float(counts[label])
    means = factor.rmatmat(block.reshape(N * C, C * C))
    return ClassMeans(means.reshape(-1, C, C))


def share_in_span(vectors: Tensor, columns: Tensor) -> Tensor:
    """Share of each vector's squared norm that lies in the span of columns.

    Args:
        vectors: Columns (n, k), none zero.
        columns: What spans the space, (n, m), in any dependence; directions below 1e-10 of the largest count for none.

    Returns:
        Shares (k,) from 0 to 1.

    Cost: no product; 4 n m^2 multiplications.
    """
    lengths = columns.norm(dim=0)
    used = columns[:, lengths > 0] / lengths[lengths > 0]  # of one size, or the long ones hide the directions of others
    if not used.shape[1]:
        return vectors.new_zeros(vectors.shape[1])
    U, sizes, _ = torch.linalg.svd(used, full_matrices=False)
    Q = U[:, sizes > _RANK * sizes[0]]
    return (Q.T @ vectors).square().sum(dim=0) / vectors.square().sum(dim=0)
