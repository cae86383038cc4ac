"""The rows of a network's GGN: what each sample and each direction of its outputs adds to the matrix."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Final, final

import torch
from torch import Tensor

from hessbench.operator_checks import checked_numbers
from hessbench.problems.curvature.layer_rows import layer_rows
from hessbench.problems.curvature.sample_rows import sample_rows
from hessbench.problems.networks.inputs import taken, tensors_of
from hessbench.problems.networks.network import Batch, Network, refuse_infinite, root_of

_ENTRIES: Final = 2**24
"""Entries of rows that are made in one pass."""

_SMALL_ROOT: Final = 64
"""Columns of a root up to which singular vectors are taken in their place."""


@final
class _Columns:
    """The columns of roots (p, W, R) by descending norm, found for those that are asked for.

    Args:
        matrices: The roots.
    """

    def __init__(self, matrices: Tensor) -> None:
        p, width, columns = matrices.shape
        self._matrices = matrices
        self._known = torch.zeros(p, dtype=torch.bool, device=matrices.device)
        self._found = matrices.new_empty(p, min(width, columns), width)

    def __call__(self, roots: Tensor, columns: Tensor) -> Tensor:
        """Columns (r, W) of these numbers of these roots, (r,)."""
        wanted = roots.unique()
        new = wanted[~self._known[wanted]]
        if new.numel():
            left, sizes, _ = torch.linalg.svd(self._matrices[new], full_matrices=False)
            self._found[new] = (left * sizes[:, None, :]).transpose(1, 2)
            self._known[new] = True
        return self._found[roots, columns]


@final
class NetworkRows:
    """The rows b_r = J_i^T s_r (n,) of a GGN = sum_r b_r b_r^T; see `hessbench.operator_parts.Rows`.

    The columns s_r of a sample are U_i D_i of the singular value decomposition of the root S_i of its loss, which has
    the same S_i S_i^T: no other columns put as much of their squares into the first ones.

    Args:
        network: The network, each of whose samples stands by itself.

    Raises:
        ValueError: If its loss has no root.
    """

    def __init__(self, network: Network) -> None:
        self._network = network
        self._root = root_of(network)
        self.num_samples = network.num_samples
        # In float64 the passes that rows of a sample share are worth more than the vectorised pass of convolutions.
        self._at_once = network.batched or network.parameters.dtype == torch.float32
        self._by_layers: bool | None = None if network.batched else False

    @property
    def per_sample(self) -> int:
        """Rows of each sample."""
        return self.root_norms().numel() // self.num_samples

    def root_norms(self) -> Tensor:
        """Norms ||s_r|| (num_rows,) on the CPU.

        Cost: one forward pass and the singular values of N small matrices, the first time; vectors come with the rows.

        Raises:
            ValueError: If the loss is not finite.
        """
        return self._norms

    def sample_norms(self) -> Tensor:
        """Norms ||S_i||_F of the roots of the samples, (num_samples,) on the CPU.

        Cost: found in the same forward pass, without the singular values.

        Raises:
            ValueError: If the loss is not finite.
        """
        roots = self._roots.reshape(self.num_samples, -1)
        # In float64, as what a sample weighs is squared, and a network may be sure of all of them.
        return torch.linalg.vector_norm(roots, dim=1, dtype=torch.float64).cpu()

    def slope_norms(self) -> Tensor:
        """Norms of the gradients of the losses in their outputs, (num_samples,) on the CPU.

        Cost: found in the same forward pass as the roots.

        Raises:
            ValueError: If the loss is not finite.
        """
        network = self._network
        slopes = [
            network.loss.slope(outputs, batch.targets).reshape(batch.size, -1).norm(dim=1)
            for outputs, batch in self._with_batches()
        ]
        return torch.cat(slopes).cpu() * network.scale

    def input_norms(self) -> Tensor:
        """Norms of the real inputs of each sample, (num_samples,) in float64 on the CPU; all 1 where there are none."""
        squares = torch.cat([_input_squares(batch) for batch in self._network.batches])
        return squares.sqrt().cpu()

    def __call__(self, indices: Tensor, /) -> Tensor:
        """Rows of numbers (r,) as a block (dim, r).

        Cost: a forward and a backward pass of one sample each, as many at once as a fixed memory holds.

        Raises:
            ValueError: If the numbers are no tensor of integers (r,) with r at least 1, or one is out of range.
        """
        indices = checked_numbers(indices, self.root_norms().numel(), "rows")
        order = indices.argsort(stable=True)
        made = self._made(indices[order])
        if torch.equal(order, torch.arange(order.numel())):
            return made.T
        rows = torch.empty_like(made)
        rows[order.to(made.device)] = made
        return rows.T

    def _made(self, numbers: Tensor) -> Tensor:
        """Rows of ascending numbers, (r, n)."""
        network = self._network
        samples = numbers // self.per_sample
        chunk = max(1, _ENTRIES // network.parameters.numel())
        pieces: list[Tensor] = []
        first = 0
        for batch in network.batches:
            low, high = torch.searchsorted(samples, torch.tensor([first, first + batch.size])).tolist()
            for start in range(low, high, chunk):
                part = slice(start, min(start + chunk, high))
                places = (samples[part] - first).to(network.parameters.device)
                weights = self._weights(numbers[part])
                pieces.append(self._piece(batch, places, weights))
            first += batch.size
        return torch.cat(pieces) if len(pieces) != 1 else pieces[0]

    def _piece(self, batch: Batch, places: Tensor, weights: Tensor) -> Tensor:
        """Rows of some samples of a batch: by layers where these have shown the rows of two samples to be theirs."""
        network = self._network
        rows = layer_rows(network, taken(batch.inputs, places), weights) if self._by_layers is not False else None
        if rows is None:
            self._by_layers = False
        elif not self._by_layers:
            ends = torch.tensor([0, rows.shape[0] - 1])
            expected = sample_rows(network, batch, places[ends], weights[ends], at_once=self._at_once)
            gap, size = (rows[ends] - expected).norm(dim=1), expected.norm(dim=1)
            is_same = bool((gap <= torch.finfo(rows.dtype).eps ** 0.5 * size).all())
            # Those of one sample would not tell whose they are, nor would rows of zeros.
            if (places[0] != places[-1] and bool((size > 0).all())) or not is_same:
                self._by_layers = is_same
        if rows is None or not self._by_layers:
            return sample_rows(network, batch, places, weights, at_once=self._at_once)
        return rows

    def _weights(self, numbers: Tensor) -> Tensor:
        """Weights (r, C) of all outputs of the samples."""
        groups, columns = self._roots.shape[0] // self.num_samples, self._num_columns
        numbers = numbers.to(self._roots.device)
        found = self._columns(numbers // columns, numbers % columns)
        if groups == 1:
            return found
        spread = found.new_zeros(numbers.numel(), groups, found.shape[1])
        spread[torch.arange(numbers.numel(), device=found.device), numbers // columns % groups] = found
        return spread.flatten(1)

    @property
    def _num_columns(self) -> int:
        """Columns of a root."""
        _, width, columns = self._roots.shape
        return min(width, columns) if columns <= _SMALL_ROOT else columns

    @cached_property
    def _norms(self) -> Tensor:
        """Norms of the columns s_r of all roots, on the CPU."""
        matrices = self._roots
        few = matrices.shape[2] <= _SMALL_ROOT
        return (torch.linalg.svdvals(matrices) if few else matrices.norm(dim=1)).flatten().cpu()

    @cached_property
    def _columns(self) -> Callable[[Tensor, Tensor], Tensor]:
        matrices = self._roots
        if matrices.shape[2] > _SMALL_ROOT:
            return lambda roots, columns: matrices[roots, :, columns]
        return _Columns(matrices)

    @cached_property
    def _roots(self) -> Tensor:
        """Roots (N L, W, R) of rows of W outputs, L of which are those of a sample."""
        roots = [self._root(outputs, batch.targets) for outputs, batch in self._with_batches()]
        return torch.cat(roots) * self._network.scale**0.5

    def _with_batches(self) -> Iterator[tuple[Tensor, Batch]]:
        return zip(self._outputs, self._network.batches, strict=True)

    @cached_property
    def _outputs(self) -> list[Tensor]:
        """Outputs (m, C) of each batch."""
        network = self._network
        found: list[Tensor] = []
        for number, batch in enumerate(network.batches, 1):
            with torch.no_grad():
                outputs = network.forward(network.parameters, batch.inputs)
            refuse_infinite(network.loss.total(outputs, batch.targets), number)
            found.append(outputs)
        return found


def _input_squares(batch: Batch) -> Tensor:
    """Sums of the squares of the real inputs of each sample, (m,); of no such input, ones."""
    reals = [tensor for tensor in tensors_of(batch.inputs) if tensor.is_floating_point()]
    if not reals:
        return torch.ones(batch.size, dtype=torch.float64)
    return torch.stack([real.double().reshape(batch.size, -1).square().sum(dim=1) for real in reals]).sum(dim=0)
