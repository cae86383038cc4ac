"""A product of small cosine transforms: a fast orthogonal transform for every length with small prime factors.

U = C_1 x C_2 x ... x C_m (Kronecker), where C_t is the orthogonal cosine transform (DCT-II) of length r_t and
n = r_1 r_2 ... r_m, multiplies a vector by m small matrices, n r_t multiplications each. A radix near 16 is best:
a smaller one only reads memory, a larger one multiplies more.

A product with U^T diag(l) U touches main memory three times rather than 4 m times: the first two factors act on pieces
of columns of the vector seen as an (r_1 r_2) x (n / (r_1 r_2)) matrix, the others, diag(l) and their inverses on pieces
of rows, and the first two inverses on pieces of columns again; a piece stays in the cache through its passes. The
result is the only long vector it needs. Signs on both sides ride on the copies of pieces in and out.
"""

from __future__ import annotations

import math
from functools import cache
from types import MappingProxyType
from typing import Final, final

import numpy as np
import torch
from torch import Tensor

from hessbench.estimand.base import Array

MAX_RADIX: Final = 40
"""Largest order of a factor: beyond it a matrix product costs more than it saves."""

MIN_RADICES: Final = 3
"""Factors needed: two for the columns, and one or more for the rows."""

PIECE: Final = 2**19
"""Numbers in a piece on a CPU: two of them are held, and each is divided among the threads."""

COLUMNS: Final = 16
"""Columns of a block taken together: as many as fill a line of the cache in float32."""

_PASS: Final = 20
"""Price of a pass itself, in multiplications per number."""

_NUMPY_TYPES: Final = MappingProxyType({torch.float32: np.float32, torch.float64: np.float64})


@cache
def radices(n: int) -> tuple[int, ...] | None:
    """Orders of the factors for length n, the cheapest by a count of multiplications and passes.

    The last factor multiplies from the right, where only a multiple of the width of a vector register is fast; the
    others come in ascending order, since the one before the last multiplies narrow matrices and is the better for
    being large.

    Returns:
        Factors of n, three or more, each from 2 to 40, in the order of the transform; None where n has none.
    """
    found: list[tuple[int, tuple[int, ...]]] = []
    for last in _divisors(n):
        others = _cheapest(n // last)
        if others is not None and len(others) + 1 >= MIN_RADICES:
            found.append((_price(others) + _last_price(last), (*others, last)))
    return min(found)[1] if found else None


def _divisors(n: int) -> list[int]:
    return [radix for radix in range(2, min(n, MAX_RADIX) + 1) if n % radix == 0]


def _price(factors: tuple[int, ...]) -> int:
    return sum(radix + _PASS for radix in factors)


def _last_price(radix: int) -> int:
    """Measured: 12 and less is slow, then multiples of 16 are best and of 4 better than others."""
    if radix < 12:
        return radix + 4 * _PASS
    return radix + _PASS + (0 if radix % 16 == 0 else 10 if radix % 4 == 0 else 20)


@cache
def _cheapest(n: int) -> tuple[int, ...] | None:
    """Factors of n from 2 to 40 with the smallest price, in ascending order; None where n has none."""
    if n == 1:
        return ()
    rests = ((radix, _cheapest(n // radix)) for radix in _divisors(n))
    found = [tuple(sorted((radix, *rest))) for radix, rest in rests if rest is not None]
    return min(found, key=lambda factors: (_price(factors), factors)) if found else None


def cosine_matrix(r: int) -> Array:
    """The orthogonal DCT-II: entry (j, i) is sqrt(2 / r) cos(pi (i + 1/2) j / r), and sqrt(1 / r) in row 0."""
    # Whole multiples of pi / (2 r), reduced to [0, pi] before they are rounded.
    phase = np.outer(np.arange(r), 2 * np.arange(r) + 1) % (4 * r)
    C = (2 / r) ** 0.5 * np.cos(np.minimum(phase, 4 * r - phase) * np.pi / (2 * r))
    C[0] = r**-0.5
    return C


@final
class CosineRotation:
    """A = D U^T diag(l) U D with U the Kronecker product of cosine transforms and D a diagonal of signs.

    Holds l, D and the small factors. Calls share nothing they write to, so they may overlap.

    Args:
        orders: Orders of the factors, three or more, with product n.
        eigenvalues: l in the order of U's rows, shape (n,).
        signs: Diagonal of D, shape (n,).
        piece: Numbers in a piece; two pieces of scratch live as long as a call.

    Raises:
        ValueError: If the orders are too few or have another product.
    """

    def __init__(self, orders: tuple[int, ...], eigenvalues: Tensor, signs: Tensor, piece: int) -> None:
        n = eigenvalues.numel()
        if len(orders) < MIN_RADICES or math.prod(orders) != n:
            raise ValueError(f"orders must be at least {MIN_RADICES} numbers with product {n}, got {orders}")
        self.rows = orders[0] * orders[1]
        self.columns = n // self.rows
        self.piece = piece
        self.signs = signs.view(self.rows, self.columns, 1)
        self.eigenvalues = eigenvalues.view(self.rows, 1, self.columns)
        factors = [torch.as_tensor(cosine_matrix(r)).to(eigenvalues) for r in orders]
        # A factor acts on numbers so far apart in a row: the product of the orders after its own.
        strides = [math.prod(orders[t + 1 :]) for t in range(len(orders))]
        self.forward = list(zip(factors, strides, strict=True))
        self.inverse = [(C.T.contiguous(), stride) for C, stride in self.forward]

    def matmat(self, block: Tensor) -> Tensor:
        """Multiply a block of shape (n, k), strided in any way; the result is contiguous and new."""
        product = _fresh_like(block)
        k = min(COLUMNS, block.shape[1])
        numbers = max(self._width(k) * self.rows, self._height(k) * self.columns) * k
        scratch = (block.new_empty(numbers), block.new_empty(numbers))
        shape = (self.rows, self.columns)
        for x, y in zip(block.split(COLUMNS, dim=1), product.split(COLUMNS, dim=1), strict=True):
            self._rotate(x.unflatten(0, shape), y.unflatten(0, shape), scratch)
        return product

    def _rotate(self, X: Tensor, Y: Tensor, scratch: tuple[Tensor, Tensor]) -> None:
        """Write the product of X into Y, both of shape (rows, columns, k)."""
        k = X.shape[2]
        bands = _cuts(self.columns, self._width(k))
        for band in bands:
            piece, spare = _pieces(scratch, (self.rows, band.stop - band.start, k))
            torch.mul(X[:, band], self.signs[:, band], out=piece)
            self._act_on_columns(piece, spare, self.forward)
            Y[:, band] = piece
        by_row = Y.transpose(1, 2)
        for band in _cuts(self.rows, self._height(k)):
            piece, spare = _pieces(scratch, (band.stop - band.start, k, self.columns))
            piece.copy_(by_row[band])
            piece, spare = _act_on_rows(piece, spare, self.forward[2:])
            piece *= self.eigenvalues[band]
            piece, _ = _act_on_rows(piece, spare, self.inverse[:1:-1])
            by_row[band] = piece
        for band in bands:
            piece, spare = _pieces(scratch, (self.rows, band.stop - band.start, k))
            piece.copy_(Y[:, band])
            self._act_on_columns(piece, spare, self.inverse)
            torch.mul(piece, self.signs[:, band], out=Y[:, band])

    def _width(self, k: int) -> int:
        return max(1, min(self.columns, self.piece // (self.rows * k)))

    def _height(self, k: int) -> int:
        return max(1, min(self.rows, self.piece // (self.columns * k)))

    def _act_on_columns(self, piece: Tensor, spare: Tensor, factors: list[tuple[Tensor, int]]) -> None:
        """Apply the first two factors in place; each lets its axis and the other's change places in memory."""
        (first, _), (second, _) = factors[:2]
        p, q = first.shape[0], second.shape[0]
        outer, turned = piece.view(p, q, -1), spare.view(q, p, -1)
        torch.bmm(first.expand(q, p, p), outer.transpose(0, 1), out=turned)
        torch.bmm(second.expand(p, q, q), turned.transpose(0, 1), out=outer)


def _act_on_rows(piece: Tensor, spare: Tensor, factors: list[tuple[Tensor, int]]) -> tuple[Tensor, Tensor]:
    """Apply factors along the last axis, to and fro between two pieces; the first returned holds the result."""
    for C, stride in factors:
        r = C.shape[0]
        if stride == 1:
            torch.mm(piece.view(-1, r), C.T, out=spare.view(-1, r))
        else:
            source = piece.view(-1, r, stride)
            torch.bmm(C.expand(source.shape[0], r, r), source, out=spare.view(-1, r, stride))
        piece, spare = spare, piece
    return piece, spare


def _cuts(length: int, most: int) -> list[slice]:
    """Slices of a range, nearly equal and of at most so many."""
    size = -(-length // -(-length // most))
    return [slice(start, min(start + size, length)) for start in range(0, length, size)]


def _pieces(scratch: tuple[Tensor, Tensor], shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """The two pieces of scratch as tensors of a shape."""
    first, second = (numbers[: math.prod(shape)].view(shape) for numbers in scratch)
    return first, second


def _fresh_like(block: Tensor) -> Tensor:
    """An empty contiguous tensor of the block's shape.

    NumPy asks the system for huge pages, which the tensor library does not: the first touch of 32 MB of ordinary pages
    takes four times as long, about as long as half of a product.
    """
    if block.device.type == "cpu" and block.dtype in _NUMPY_TYPES:
        return torch.from_numpy(np.empty(tuple(block.shape), dtype=_NUMPY_TYPES[block.dtype]))
    return torch.empty_like(block, memory_format=torch.contiguous_format)
