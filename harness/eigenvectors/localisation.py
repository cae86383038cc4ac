"""Where eigenvectors live: on how many entries, in which layers, and how much of them an earlier step had already.

Each is one pass over the columns in slabs, so that a basis on disk may be larger than the memory. Lengths are divided
out: columns need not be normalised.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Final

import numpy as np

from hessbench.eigenvectors.slabs import Columns, check_columns, slab_of, slab_rows, slabs
from hessbench.estimand.base import Array

_DEPENDENT: Final = 1e-7  # a sine that the Gram matrix of unit vectors cannot tell from zero in float64


def participation_ratio(vectors: Columns) -> Array:
    """Number of entries that a vector is spread over, (sum u_i^2)^2 / sum u_i^4, for each column.

    1 for a unit vector of the coordinates, n for one of entries of equal magnitude, about n / 3 for one drawn at
    random. Its inverse is the inverse participation ratio.

    Args:
        vectors: Columns (n, k), none of them zero.

    Returns:
        Numbers (k,) from 1 to n.

    Cost: no product; one pass over n k numbers.

    Raises:
        ValueError: If they are no columns, or one is zero.

    Source:
        Bell and Dean, Discuss. Faraday Soc. 50 (1970) 55, doi:10.1039/DF9705000055.
    """
    squares, fourths = np.zeros(vectors.shape[-1]), np.zeros(vectors.shape[-1])
    for slab in slabs(vectors):
        np.square(slab, out=slab)
        squares += slab.sum(axis=0)
        fourths += np.einsum("ik,ik->k", slab, slab)
    _refuse_zero(squares)
    return squares**2 / fourths


def layer_shares(vectors: Columns, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Array]:
    """Share of the squared mass of each column that lies in each piece of the parameters.

    Args:
        vectors: Columns (n, k), none of them zero.
        shapes: Names and shapes of the pieces, in the order of the entries, as `Problem.shapes`.

    Returns:
        For each piece numbers (k,) from 0 to 1; over the pieces they sum to 1. A vector drawn at random has the share
        of the entries.

    Cost: no product; one pass over n k numbers.

    Raises:
        ValueError: If they are no columns, one is zero, or the pieces are not all of the entries.
    """
    check_columns(vectors)
    ends = np.cumsum([0, *(math.prod(shape) for shape in shapes.values())]).tolist()
    if ends[-1] != vectors.shape[0]:
        raise ValueError(f"shapes must name all {vectors.shape[0]} entries of a vector, got pieces of {ends[-1]}")
    masses = {name: _squares(vectors, start, stop) for name, (start, stop) in zip(shapes, pairwise(ends), strict=True)}
    total = np.sum(list(masses.values()), axis=0)
    _refuse_zero(total)
    return {name: mass / total for name, mass in masses.items()}


def overlaps(earlier: Columns, later: Columns) -> Array:
    """Squared cosines between the columns of two steps: entry (i, j) is cos^2 of u_i before and u_j after.

    Args:
        earlier: Columns (n, k), none of them zero.
        later: Columns (n, m), likewise.

    Returns:
        Squared cosines (k, m). A vector drawn at random has 1/n on average.

    Cost: no product; one pass over both.

    Raises:
        ValueError: If they are no columns of one length, or one is zero.
    """
    before, between, after = _grams(earlier, later)
    return np.minimum(1.0, between**2 / np.outer(np.diag(before), np.diag(after)))


def subspace_overlap(earlier: Columns, later: Columns) -> float:
    """Overlap of two spaces of k columns, (1/k) ||U^T V||_F^2 of orthonormal bases: the mean squared cosine.

    Only the spans count, as in `TopEigenspace`: columns are orthonormalised by their Gram matrices, so that a rotation
    among equal eigenvalues changes nothing. A space drawn at random has k/n.

    Args:
        earlier: Columns (n, k), linearly independent.
        later: Columns (n, k), likewise.

    Returns:
        A number from 0 to 1.

    Cost: no product; one pass over both.

    Raises:
        ValueError: If they are not as many columns of one length, or dependent.
    """
    if earlier.shape != later.shape:
        raise ValueError(f"spaces of one shape (n, k) are accepted, got {tuple(earlier.shape)}, {tuple(later.shape)}")
    before, between, after = _grams(earlier, later)
    # || L1^-1 (U^T V) L2^-T ||_F^2 with U^T U = L1 L1^T.
    half = np.linalg.solve(_cholesky(before), between)
    whole = np.linalg.solve(_cholesky(after), half.T)
    return float(min(1.0, np.square(whole).sum() / before.shape[0]))


def _squares(vectors: Columns, start: int, stop: int) -> Array:
    total = np.zeros(vectors.shape[1])
    for rows in slab_rows(stop - start, vectors.shape[1]):
        slab = slab_of(vectors, slice(start + rows.start, start + rows.stop)).astype(np.float64)
        total += np.einsum("ik,ik->k", slab, slab)
    return total


def _grams(earlier: Columns, later: Columns) -> tuple[Array, Array, Array]:
    """U^T U, U^T V and V^T V of earlier U and later V, summed over slabs of both.

    Raises:
        ValueError: If they are no columns of one length, or one is zero.
    """
    check_columns(earlier)
    check_columns(later)
    if earlier.shape[0] != later.shape[0]:
        raise ValueError(f"vectors of one length are accepted, got {earlier.shape[0]} and {later.shape[0]}")
    k, m = earlier.shape[1], later.shape[1]
    before, between, after = np.zeros((k, k)), np.zeros((k, m)), np.zeros((m, m))
    for rows in slab_rows(earlier.shape[0], k + m):
        first, second = slab_of(earlier, rows).astype(np.float64), slab_of(later, rows).astype(np.float64)
        before += first.T @ first
        between += first.T @ second
        after += second.T @ second
    _refuse_zero(np.concatenate([np.diag(before), np.diag(after)]))
    return before, between, after


def _cholesky(gram: Array) -> Array:
    """Lower triangular root of a Gram matrix.

    Raises:
        ValueError: If the columns are dependent.
    """
    lengths = np.sqrt(np.diag(gram))
    try:
        root = np.linalg.cholesky(gram / np.outer(lengths, lengths)).astype(np.float64)
    except np.linalg.LinAlgError:
        root = np.zeros_like(gram)
    if np.diag(root).min() < _DEPENDENT:
        raise ValueError("the columns of a space must be linearly independent, and they are not")
    return lengths[:, None] * root


def _refuse_zero(squares: Array) -> None:
    if not (squares > 0).all():
        raise ValueError("vectors must be finite and none of them zero")
