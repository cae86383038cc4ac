"""Eigenfunctions of a tangent kernel: the first of them, as images, and how much of them is about classes."""

from __future__ import annotations

import torch
from torch import Tensor


def top_eigenfunctions(kernel: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The first k eigenpairs of a kernel, from the top.

    Args:
        kernel: K (N, N), symmetric.
        k: How many, 1 to N.

    Returns:
        Eigenvalues (k,), descending, and eigenvectors (N, k), the largest entry of each positive; in float64.

    Cost: no product; O(N^3) multiplications.

    Raises:
        ValueError: If k is out of range or the kernel is no square matrix.
    """
    if kernel.ndim != 2 or kernel.shape[0] != kernel.shape[1] or not 1 <= k <= kernel.shape[0]:
        raise ValueError(f"a kernel (N, N) and k from 1 to N are accepted, got {tuple(kernel.shape)} and k = {k}")
    values, vectors = torch.linalg.eigh(kernel.double())
    found = vectors.flip(1)[:, :k]
    largest = found.gather(0, found.abs().argmax(dim=0, keepdim=True))
    return values.flip(0)[:k], found * largest.sign()


def aligned(vectors: Tensor, earlier: Tensor) -> Tensor:
    """Eigenvectors with the sign in which each is on the side of its like of an earlier step, u_j^T v_j >= 0.

    Args:
        vectors: Columns (N, k).
        earlier: Columns (N, k), in the same order.

    Raises:
        ValueError: If they are of other shapes.
    """
    if vectors.shape != earlier.shape or vectors.ndim != 2:
        raise ValueError(f"vectors of one shape (N, k) are accepted, got {vectors.shape} and {earlier.shape}")
    return torch.where((vectors * earlier.to(vectors)).sum(dim=0) < 0, -vectors, vectors)


def eigenfunction_images(vectors: Tensor, inputs: Tensor) -> Tensor:
    """Mean of the inputs weighted by each eigenfunction, sum_i u_i x_i / sum_i |u_i|.

    An eigenvector has no sign of its own, nor has its image: compare up to that.

    Args:
        vectors: Eigenfunctions on the samples, (N, k), none zero.
        inputs: The samples (N, ...), such as images (N, channels, height, width).

    Returns:
        Images (k, ...), in the units of the inputs.

    Cost: no product.

    Raises:
        ValueError: If there are not as many entries as samples.
    """
    if vectors.ndim != 2 or vectors.shape[0] != inputs.shape[0]:
        raise ValueError(
            f"eigenfunctions (N, k) on N samples are accepted, got {tuple(vectors.shape)} on {inputs.shape[0]} samples"
        )
    weights = vectors.double() / vectors.double().abs().sum(dim=0)
    return torch.tensordot(weights.T, inputs.to(weights), dims=1)


def class_shares(vectors: Tensor, labels: Tensor) -> Tensor:
    """Share of each eigenfunction that lies in the span of the centred class indicators.

    The indicator of a class is 1 on its samples and 0 elsewhere; centred, it has mean 0. With C classes they
    span C - 1 directions, all orthogonal to the constant: the share of u is the variance between the class means of
    u over sum_i u_i^2. A vector drawn at random has (C - 1) / N.

    Args:
        vectors: Eigenfunctions on the samples, (N, k), none zero.
        labels: Class numbers (N,).

    Returns:
        Shares (k,) from 0 to 1, in float64.

    Cost: no product.

    Raises:
        ValueError: If there are not as many labels as entries.
    """
    if vectors.ndim != 2 or labels.shape != vectors.shape[:1] or labels.is_floating_point():
        raise ValueError(
            f"eigenfunctions (N, k) and class numbers (N,) are accepted, got {tuple(vectors.shape)} and "
            f"{tuple(labels.shape)} of {labels.dtype}"
        )
    found = vectors.double()
    classes, places = labels.to(found.device).unique(return_inverse=True)
    counts = torch.bincount(places, minlength=classes.numel()).double()
    sums = found.new_zeros(classes.numel(), found.shape[1]).index_add_(0, places, found)
    between = (sums.square() / counts[:, None]).sum(dim=0) - found.sum(dim=0).square() / found.shape[0]
    return (between / found.square().sum(dim=0)).clamp(0, 1)
