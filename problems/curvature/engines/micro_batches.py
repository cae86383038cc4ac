"""A matrix of the whole data from products of its batches, or of micro-batches that are made and dropped in turn."""

from __future__ import annotations

from collections.abc import Generator

import torch
from torch import Tensor

from hessbench.operators import Matmat
from hessbench.problems.curvature.engines.engine import Engine, Products
from hessbench.problems.networks.network import Batch, Network, refuse_group, refuse_infinite


def whole(
    network: Network, engine: Engine, matrix: str, *, again: bool = False, first: Products | None = None
) -> tuple[Matmat, list[Products]]:
    """The product over all batches, each set up once and kept, and what was set up.

    Args:
        network: The network.
        engine: What multiplies with each batch.
        matrix: hessian or ggn.
        again: Whether the engine has taken the network before.
        first: What was set up for the first batch already.

    Raises:
        ValueError: If a loss is not finite.
    """
    kept: list[Products] = []
    for number, batch in enumerate(network.batches, 1):
        if first is not None and number == 1:
            products = first
        else:
            products = engine.of(matrix, again=again or number > 1)(network, batch)
        refuse_infinite(_total(network, batch, products), number)
        kept.append(products)

    def multiply(block: Tensor) -> Tensor:
        # One sum in place, so that no more than two products are held at a time.
        product = kept[0].multiply(block)
        for products in kept[1:]:
            product += products.multiply(block)
        return product

    return multiply, kept


def streamed(network: Network, engine: Engine, matrix: str, size: int) -> Matmat:
    """The product over all batches, `size` samples at a time, nothing kept from one to the next.

    Every sample weighs the same, in a ragged last micro-batch too: what is divided by is the number of all samples.

    Args:
        network: The network.
        engine: What multiplies with each micro-batch; set up again for each in every product.
        matrix: hessian or ggn.
        size: Samples of a micro-batch, at least 1; more than a batch has stand for all of it.

    Raises:
        ValueError: If the engine takes seconds to set up, the batch is one group, or a loss is not
            finite.
    """
    refuse_group(network, "micro_batch")
    if engine.is_costly:
        raise ValueError(
            f"the engine {engine.name} takes seconds to set up, and micro-batches set it up for each: choose another"
        )
    make = engine.of(matrix)
    make(network, next(pieces(network.batches[0], size)))  # what it cannot do shows now
    make = engine.of(matrix, again=True)
    for number, batch in enumerate(network.batches, 1):
        total = torch.stack([_total(network, piece) for piece in pieces(batch, size)]).sum()
        refuse_infinite(total, number)

    def multiply(block: Tensor) -> Tensor:
        product = torch.zeros_like(block)
        for batch in network.batches:
            for piece in pieces(batch, size):
                product += make(network, piece).multiply(block)
        return product

    return multiply


def pieces(batch: Batch, size: int) -> Generator[Batch]:
    """A batch in pieces of `size` samples, as views; the last may be smaller."""
    for start in range(0, batch.size, size):
        yield batch.part(slice(start, start + size))


def _total(network: Network, batch: Batch, made: Products | None = None) -> Tensor:
    """Sum of the losses of a batch, from what was set up for it as far as that holds it."""
    if made is not None and made.total is not None:
        return made.total
    with torch.no_grad():
        kept = None if made is None else made.jacobian
        outputs = network.forward(network.parameters, batch.inputs) if kept is None else kept.outputs
        return network.loss.total(outputs, batch.targets)
