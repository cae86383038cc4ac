"""A network as its user has it: what libraries that make products of their own are handed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import Tensor, nn

from hessbench.operator_protocol import ProductKind


@dataclass(frozen=True)
class NetworkCopy:
    """A module of one's own at the weights of a problem, with its loss and its data.

    Attributes:
        model: The module, in the mode the problem states; nobody else holds it.
        parameters: Its parameters that are differentiated, in the order of the flat vector.
        loss: torch's module of the loss, with the reduction of the problem.
        batches: Inputs and targets of each batch, in the order of the problem.
        kind: Which matrix it is: a Hessian or a GGN.
        population: Samples in all batches.
    """

    model: nn.Module
    parameters: Sequence[Tensor]
    loss: nn.Module
    batches: Sequence[tuple[Tensor, Tensor]]
    kind: ProductKind
    population: int


@runtime_checkable
class Copied(Protocol):
    """An operator that hands out its network."""

    def network_copy(self) -> NetworkCopy:
        """A copy of the network it is made of."""
        ...
