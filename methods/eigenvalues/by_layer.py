"""Layers of a matrix beside the whole of it: the spectra of its diagonal blocks, and how much lies between them."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

import torch
from torch import Tensor

from hessbench.estimand import Array
from hessbench.estimand.base import real_vector
from hessbench.methods.arguments import Which, check_at_least
from hessbench.methods.eigenvalues.lanczos import lanczos
from hessbench.methods.probes import draw_signs
from hessbench.operators import LinearOperator, Multiplies, info_of

_WIDTH: Final = 64
"""Columns multiplied at a time."""


class DiagonalBlock(Multiplies):
    """The block of a matrix in some of its rows and columns, by products with the whole of it.

    Where a problem is made with `block=` the product of a network leaves out what the block does not need; this takes
    any operator, and a product costs what one with the whole does.

    Args:
        op: The whole, of dimension n.
        where: Rows and columns, inside 0:n, of step 1.

    Raises:
        ValueError: If the range is empty or leaves the matrix.
    """

    def __init__(self, op: LinearOperator, where: range) -> None:
        if not where or where.step != 1 or where.start < 0 or where.stop > op.dim:
            raise ValueError(f"a block takes a range inside 0:{op.dim} of step 1, not empty, got {where}")
        self._op = op
        self._where = slice(where.start, where.stop)
        self.dim = len(where)
        self.dtype = op.dtype
        self.device = op.device
        info = info_of(op)
        self.info = replace(info, engine=f"{info.engine}, cut to a block" if info.engine else "cut to a block")

    def matmat(self, block: Tensor, /) -> Tensor:
        """Multiply a block of shape (dim, k)."""
        whole = block.new_zeros(self._op.dim, block.shape[1])
        whole[self._where] = block
        return self._op.matmat(whole)[self._where]


def layer_ranges(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, range]:
    """Where the layers are in a vector: neighbouring pieces whose names end below one module, as weight and bias.

    Args:
        shapes: Names and shapes of the pieces, in order, as `Problem.shapes`.

    Raises:
        ValueError: If there is no piece.
    """
    if not shapes:
        raise ValueError("shapes must name the pieces of a vector, and it names none")
    found: dict[str, range] = {}
    start, latest = 0, None
    for name, shape in shapes.items():
        stop = start + math.prod(shape)
        layer = name.rpartition(".")[0] or name
        if layer in found and layer != latest:
            layer = name  # a module whose pieces are apart: each by itself
        found[layer] = range(found[layer].start if layer in found else start, stop)
        start, latest = stop, layer
    return found


def layer_eigenvalues(
    op: LinearOperator,
    layers: Mapping[str, range],
    *,
    num_matvecs: int,
    generator: torch.Generator,
    k: int = 1,
    which: Which = "magnitude",
) -> dict[str, Array]:
    """The first eigenvalues of the diagonal block of each layer, by Lanczos.

    Of a positive semi-definite matrix each block's largest is at most lambda_1 of the whole, and those of all layers
    sum to at least as much.

    Args:
        op: The whole, of dimension n.
        layers: Where each layer is, such as `layer_ranges(problem.shapes)`.
        num_matvecs: Most products of each layer, at least k.
        generator: Source of the starts.
        k: Number of eigenvalues; as many as the layer has where that is less.
        which: Their order: magnitude, algebraic or smallest.

    Returns:
        For each layer its first k eigenvalues, in order.

    Cost: `num_matvecs` products with the whole for each layer, or as many as the layer has parameters; memory of as
    many vectors of the layer's length.

    Raises:
        ValueError: If an argument is out of range.
    """
    check_at_least("num_matvecs", num_matvecs, k)
    found: dict[str, Array] = {}
    for name, where in layers.items():
        block = DiagonalBlock(op, where)
        count = min(k, block.dim)
        steps = lanczos(block, num_matvecs=num_matvecs, generator=generator, k=count, which=which)
        (latest,) = deque(steps, maxlen=1)
        found[name] = real_vector(latest.resolve().value, "eigenvalues")
    return found


def layer_coupling(
    op: LinearOperator, layers: Mapping[str, range], *, num_probes: int, generator: torch.Generator
) -> Array:
    """Squared Frobenius norms of all blocks between layers, ||A_bc||_F^2, by sign probes of one layer at a time.

    A probe z of the signs of layer c has E ||(A z)_b||^2 = ||A_bc||_F^2 for every b. With as many probes as a layer has
    parameters, unit vectors take their place and its column is exact. The share outside of the diagonal is what a
    block-diagonal approximation leaves out.

    Args:
        op: The whole, of dimension n.
        layers: Where each layer is, such as `layer_ranges(problem.shapes)`.
        num_probes: Probes of each layer, at least 1.
        generator: Source of the signs.

    Returns:
        Symmetric matrix (L, L), the mean of what both layers say of a block.

    Cost: `num_probes` products for each layer, or as many as it has parameters.

    Raises:
        ValueError: If an argument is out of range.

    Source:
        Hutchinson 1990, doi:10.1080/03610919008812866, for the squared norm of a matrix.
    """
    check_at_least("num_probes", num_probes, 1)
    columns: list[Tensor] = []
    for where in layers.values():
        total = torch.zeros(len(layers), dtype=torch.float64)
        for weight, probes in layer_probes(op, where, num_probes, generator):
            squares = op.matmat(probes).double().square().sum(dim=1).cpu()
            total += weight * torch.stack([squares[other.start : other.stop].sum() for other in layers.values()])
        columns.append(total)
    masses = torch.stack(columns, dim=1)
    return ((masses + masses.T) / 2).numpy()


def layer_probes(
    op: LinearOperator, where: range, num_probes: int, generator: torch.Generator
) -> Iterator[tuple[float, Tensor]]:
    """Columns that are zero outside of a layer, whose weighted squares sum to squared norms of its columns.

    Random signs, or all unit vectors of the layer where that takes no more.

    Args:
        op: The whole, whose dtype and device they take.
        where: Where the layer is.
        num_probes: Most columns, at least 1.
        generator: Source of the signs.

    Yields:
        A weight, and up to 64 columns (n, m).

    Raises:
        ValueError: If the range leaves the matrix.
    """
    size = DiagonalBlock(op, where).dim
    count = min(num_probes, size)
    for start in range(0, count, _WIDTH):
        width = min(_WIDTH, count - start)
        z = torch.zeros(op.dim, width, dtype=op.dtype, device=op.device)
        if count == size:
            z[torch.arange(where.start + start, where.start + start + width), torch.arange(width)] = 1
        else:
            z[where.start : where.stop] = draw_signs(size, width, op, generator)
        yield 1.0 if count == size else 1 / count, z
