"""Exact spectra by the Gram matrix: F^T F is small where F F^T is not, and has the same nonzero eigenvalues."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor

from hessbench.estimand.base import Array, Source
from hessbench.estimand.from_dense import References
from hessbench.estimand.work import advance
from hessbench.problems.networks.network import Network
from hessbench.problems.references.rows import (
    SampleRows,
    ggn_rows,
    gradient_rows,
    jacobian_rows,
    outputs_of,
    root_rows,
    smallest,
)
from hessbench.problems.references.spectrum import Spectrum, spectrum_references

MEMORY: Final = 2**31
"""Bytes of rows held at a time, by default; the Gram matrix and its eigensolver come on top."""

ROW_LIMIT: Final = 10_000
"""Largest Gram matrix that is made."""

GRAM_OPERATORS: Final = ("ggn", "gradient-second-moment", "gradient-covariance")
"""Matrices that are a product of a factor and its transpose."""

_CHUNK: Final = 64


@dataclass(frozen=True)
class Gram:
    """What one pass over the rows B (P, n) gives.

    Attributes:
        matrix: B B^T, (P, P).
        squares: Diagonal of B^T B, (n,).
    """

    matrix: Tensor
    squares: Tensor


def gram_of(rows: SampleRows, memory: int = MEMORY) -> Gram:
    """Gram matrix of rows that need not fit into memory.

    A block of rows is kept and multiplied with itself as it fills; the rows after it then stream past it in small
    chunks. With b blocks a row is made (b + 1) / 2 times on average; never fewer with this memory, since every pair of
    rows has to meet in it.

    Args:
        rows: P rows of length n.
        memory: Bytes of rows held at a time; four rows at least must fit.

    Cost: P (b + 1) / 2 backward passes of one sample, P^2 n multiplications.

    Raises:
        ValueError: If fewer than four rows fit into `memory`.
    """
    count, n = len(rows), rows.dim
    keep, chunk = _sizes(count, n, memory)
    kept = torch.empty(keep, n, dtype=torch.float64)
    matrix = torch.zeros(count, count, dtype=torch.float64)
    squares = torch.zeros(n, dtype=torch.float64)
    made, to_make = 0, count * passes(count, n, memory) if count else 0.0
    for first in range(0, count, keep):
        last = min(first + keep, count)
        for start in range(first, last, chunk):
            advance(made, to_make)
            stop = min(start + chunk, last)
            fresh = kept[start - first : stop - first]
            fresh.copy_(rows.make(start, stop))
            matrix[start:stop, first:stop] = fresh @ kept[: stop - first].T
            squares += torch.linalg.vector_norm(fresh, dim=0).square_()
            made += stop - start
        for start in range(last, count, chunk):
            advance(made, to_make)
            stop = min(start + chunk, count)
            matrix[start:stop, first:last] = rows.make(start, stop) @ kept[: last - first].T
            made += stop - start
    lower = matrix.tril_()
    lower += lower.tril(-1).T
    return Gram(lower, squares)


def squares_of(rows: SampleRows) -> Tensor:
    """Diagonal (n,) of B^T B for rows B (P, n): that of a GGN without its Gram matrix.

    Cost: P backward passes of one sample.
    """
    squares = torch.zeros(rows.dim, dtype=torch.float64)
    for start in range(0, len(rows), _CHUNK):
        advance(start, len(rows))
        made = rows.make(start, min(start + _CHUNK, len(rows)))
        squares += torch.linalg.vector_norm(made, dim=0).square_()
    return squares


def passes(count: int, n: int, memory: int) -> float:
    """How often a row is made on average, (b + 1) / 2 with b blocks of rows kept one after the other."""
    return (math.ceil(count / _sizes(count, n, memory)[0]) + 1) / 2


def _sizes(count: int, n: int, memory: int) -> tuple[int, int]:
    """Rows kept, and rows of a chunk.

    Raises:
        ValueError: If fewer than four rows fit into `memory`.
    """
    fitting = memory // (8 * n)
    if fitting < 4:
        raise ValueError(f"memory must hold four rows of {n} parameters, {32 * n} bytes, got {memory}")
    # A vectorised backward pass holds its rows twice while it puts them together.
    chunk = max(1, min(_CHUNK, fitting // 8))
    return max(1, min(count, fitting - 2 * chunk)), chunk


def ntk_matrix(network: Network, memory: int = MEMORY) -> Array:
    """Trace kernel (N, N) in float64: entry (i, j) is the sum over outputs c of <grad f_c(x_i), grad f_c(x_j)>.

    Cost: that of C Gram matrices of N rows.
    """
    exact = network.to(torch.device("cpu"), torch.float64)
    outputs = outputs_of(exact, smallest(exact)).shape[1]
    kernel = torch.zeros(exact.num_samples, exact.num_samples, dtype=torch.float64)
    for column in range(outputs):
        kernel += gram_of(jacobian_rows(exact, column), memory).matrix
    return kernel.numpy()


def gram_matrix(network: Network) -> Array:
    """F^T F (N R, N R) in float64 with GGN = F F^T; see `hessbench.problems.curvature.gram_operator`.

    Raises:
        ValueError: If the loss has no root.
    """
    return gram_of(root_rows(network.to(torch.device("cpu"), torch.float64)), MEMORY).matrix.numpy()


def gram_spectrum(network: Network, operator: str, memory: int = MEMORY) -> Spectrum:
    """Spectrum and diagonal of a sum of outer products of rows, at any number of parameters.

    The bound is eps (P ||G|| + sqrt(n) tr G): of a backward-stable symmetric eigensolver on P rows, and of sums of n
    products, whose roundings add up like a random walk.

    Args:
        network: The network.
        operator: ggn, gradient-second-moment or gradient-covariance.
        memory: Bytes of rows held at a time.

    Raises:
        ValueError: If the operator is another, the loss has no root, or there are more than 10^4 rows.
    """
    if operator not in GRAM_OPERATORS:
        raise ValueError(f"operator must be one of {', '.join(GRAM_OPERATORS)}, got {operator!r}")
    exact = network.to(torch.device("cpu"), torch.float64)
    rows = ggn_rows(exact) if operator == "ggn" else gradient_rows(exact, centred=operator == "gradient-covariance")
    count, n = len(rows), rows.dim
    if count > ROW_LIMIT:
        raise ValueError(f"a Gram matrix of at most {ROW_LIMIT} rows is made, got {count}")
    gram = gram_of(rows, memory)
    # Positive semi-definite: a negative eigenvalue is rounding, and zero is nearer to the truth.
    eigenvalues = np.maximum(np.linalg.eigvalsh(gram.matrix.numpy()), 0.0) if count else np.zeros(0)
    norm, trace = float(eigenvalues.max(initial=0.0)), float(gram.squares.sum())
    bound = 2.0**-52 * (count * norm + n**0.5 * trace)
    # B B^T has P - n more eigenvalues than B^T B, all of them zeros, or n - P fewer.
    return Spectrum(eigenvalues[max(count - n, 0) :], max(n - count, 0), gram.squares.numpy(), bound)


def gram_references(
    network: Callable[[], Network], rounding: float, operator: str = "ggn", memory: int = MEMORY
) -> References:
    """References of the top eigenvalues, the trace, the density and the diagonal by the Gram matrix.

    Args:
        network: Makes the network.
        rounding: Constant c in the rounding c eps ||G|| of the operator that is compared with these references.
        operator: ggn, gradient-second-moment or gradient-covariance.
        memory: Bytes of rows held at a time.
    """
    return spectrum_references(lambda: gram_spectrum(network(), operator, memory), Source.GRAM, rounding)
