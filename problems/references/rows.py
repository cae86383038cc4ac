"""Rows of the factors of curvature matrices: gradients of weighted outputs of single samples, made when asked for."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from hessbench.problems.curvature.sample_rows import sample_rows
from hessbench.problems.networks.network import Batch, Network, root_of

NULL_COLUMN = 1e-12
"""Columns of the root below this part of the largest are left out: they add less than its square to a matrix."""


@dataclass(frozen=True)
class SampleRows:
    """Row p is the gradient in the parameters of <weights[p], outputs of sample samples[p]>, less a centre; (P, n).

    Where the loss is a sum over rows of W outputs, the weights may be those of one of these, the others being 0.

    Attributes:
        network: The network.
        samples: Numbers of the samples over all batches, ascending, (P,).
        weights: Weights of their outputs, (P, C), or of those W of them that `parts` names.
        parts: Numbers of the rows of W outputs within their samples, (P,); None for weights of all outputs.
        centre: What is taken off every row, (n,); nothing by default.
    """

    network: Network
    samples: Tensor
    weights: Tensor
    centre: Tensor | None = None
    parts: Tensor | None = None

    def __len__(self) -> int:
        return self.samples.numel()

    @property
    def dim(self) -> int:
        """Number n of parameters."""
        return self.network.parameters.numel()

    def make(self, start: int, stop: int) -> Tensor:
        """Rows start..stop, (stop - start, n).

        Cost: one backward pass per row; vectorised over the rows where the network is faster so. In a loop the rows of
        one sample share its forward pass: measured for ResNet20 in float64, 11 ms a row against 22 to 28 ms vectorised.
        A batch that is one group costs one backward pass of all of it per row.
        """
        pieces: list[Tensor] = []
        first = 0
        for batch in self.network.batches:
            low, high = torch.searchsorted(self.samples, torch.tensor([first, first + batch.size])).tolist()
            low, high = max(low, start), min(high, stop)
            if low < high:
                pieces.append(self._of_batch(batch, self.samples[low:high] - first, self._weights(low, high)))
            first += batch.size
        rows = torch.cat(pieces) if len(pieces) != 1 else pieces[0]
        return rows if self.centre is None else rows - self.centre

    def _weights(self, low: int, high: int) -> Tensor:
        """Weights of all outputs (high - low, C)."""
        found = self.weights[low:high]
        if self.parts is None:
            return found
        outputs = outputs_of(self.network, smallest(self.network)).shape[1]
        width = found.shape[1]
        spread = found.new_zeros(high - low, outputs // width, width)
        spread[torch.arange(high - low), self.parts[low:high]] = found
        return spread.flatten(1)

    def _of_batch(self, batch: Batch, places: Tensor, weights: Tensor) -> Tensor:
        if self.network.group:
            return self._through_the_group(batch, places, weights)
        return sample_rows(self.network, batch, places, weights, at_once=self.network.batched)

    def _through_the_group(self, batch: Batch, places: Tensor, weights: Tensor) -> Tensor:
        """Rows (P, n) where every output depends on every sample: each is a backward pass of the whole batch."""
        parameters = self.network.parameters.detach().clone().requires_grad_()
        with torch.enable_grad():
            outputs = self.network.forward(parameters, batch.inputs)
        rows = torch.empty(places.numel(), self.dim, dtype=parameters.dtype)
        for row, place, weight in zip(rows, places.tolist(), weights, strict=True):
            chosen = torch.zeros_like(outputs)
            chosen[place] = weight
            row.copy_(torch.autograd.grad(outputs, parameters, chosen, retain_graph=True)[0])
        return rows


def outputs_of(network: Network, batch: Batch) -> Tensor:
    """Outputs (m, C) of a batch, without a graph."""
    with torch.no_grad():
        return network.forward(network.parameters, batch.inputs)


def jacobian_rows(network: Network, column: int | None = None) -> SampleRows:
    """Rows of the Jacobian (N C, n) of all outputs, those of a sample together; or one row a sample, of one output."""
    classes = outputs_of(network, smallest(network)).shape[1]
    if column is not None:
        weights = network.parameters.new_zeros(1, classes)
        weights[0, column] = 1
        return SampleRows(network, torch.arange(network.num_samples), weights.repeat(network.num_samples, 1))
    width = network.loss.width or classes
    blocks = network.num_samples * (classes // width)
    eye = torch.eye(width, dtype=network.parameters.dtype)
    return _of_blocks(network, torch.arange(blocks).repeat_interleave(width), eye.repeat(blocks, 1), blocks)


def ggn_rows(network: Network) -> SampleRows:
    """Rows of F^T with GGN = F F^T: at most min(C, R) a sample, from the loss's root S_i (C, R) of each sample.

    S_i is replaced by U_i D_i of its singular values D_i, which has the same S_i S_i^T, and columns that are zero to
    rounding are left out: with cross-entropy one in C, and most of those of samples the network is sure of. Where the
    loss is a sum over rows of the outputs of a sample, there are so many for each of these.

    Raises:
        ValueError: If the loss has no root.
    """
    root = root_of(network)
    roots: list[Tensor] = []
    for batch in network.batches:
        left, sizes, _ = torch.linalg.svd(root(outputs_of(network, batch), batch.targets), False)
        roots.append((left * sizes[:, None, :]).transpose(1, 2) * network.scale**0.5)
    weights = torch.cat(roots)
    sizes = weights.norm(dim=2)
    blocks, columns = torch.nonzero(sizes > NULL_COLUMN * sizes.max(), as_tuple=True)
    return _of_blocks(network, blocks, weights[blocks, columns], weights.shape[0])


def root_rows(network: Network) -> SampleRows:
    """Rows of F^T with GGN = F F^T as they are: one for each sample and column of the loss's root, in this order.

    Raises:
        ValueError: If the loss has no root.
    """
    root = root_of(network)
    roots = torch.cat([root(outputs_of(network, batch), batch.targets) for batch in network.batches])
    blocks = torch.arange(roots.shape[0]).repeat_interleave(roots.shape[2])
    return _of_blocks(network, blocks, roots.mT.flatten(0, 1) * network.scale**0.5, roots.shape[0])


def _of_blocks(network: Network, blocks: Tensor, weights: Tensor, count: int) -> SampleRows:
    """Rows of weights that belong to a block each, of the `count` of all samples: one a sample, or as many for each."""
    each = count // network.num_samples
    if each == 1:
        return SampleRows(network, blocks, weights)
    return SampleRows(network, blocks // each, weights, parts=blocks % each)


def gradient_rows(network: Network, *, centred: bool = False) -> SampleRows:
    """Rows sqrt(scale) g_i, g_i the gradient of the loss of sample i, or that less the mean of all: (N, n)."""
    slopes = [network.loss.slope(outputs_of(network, batch), batch.targets) for batch in network.batches]
    weights = torch.cat(slopes) * network.scale**0.5
    return SampleRows(
        network, torch.arange(network.num_samples), weights, _mean_row(network, weights) if centred else None
    )


def _mean_row(network: Network, weights: Tensor) -> Tensor:
    """Mean over the samples of the gradients of <weights[i], outputs of sample i>, (n,): one gradient of each batch."""
    parameters = network.parameters.detach().clone().requires_grad_()
    total = torch.zeros_like(network.parameters)
    sizes = [batch.size for batch in network.batches]
    for batch, part in zip(network.batches, weights.split(sizes), strict=True):
        with torch.enable_grad():
            outputs = network.forward(parameters, batch.inputs)
        total += torch.autograd.grad(outputs, parameters, part)[0]
    return total / network.num_samples


def smallest(network: Network) -> Batch:
    """The first sample; the first batch where that is one group."""
    batch = network.batches[0]
    return batch if network.group else batch.part(slice(1))
