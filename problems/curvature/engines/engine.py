"""What an engine is: a way to multiply with a curvature matrix of one batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Protocol, TypeAlias

from torch import Tensor

from hessbench.operators import Matmat, ProductKind
from hessbench.problems.networks.network import Batch, Network

MATRICES: Final[Mapping[str, str]] = MappingProxyType(
    {"hessian": "hessian", "ggn": "ggn", "residual": "hessian", "monte-carlo-fisher": "ggn"}
)
"""The operators that engines multiply with, and of which of the two matrices, of a network of their own, each is."""


KINDS: Final[Mapping[str, ProductKind]] = MappingProxyType({"hessian": ProductKind.HESSIAN, "ggn": ProductKind.GGN})
"""What a product with a matrix counts as."""


class EngineUnavailable(ValueError):  # noqa: N818 -- says what is the case, as the sentences that show it do
    """An engine cannot make these products; another can."""


class Jacobian(Protocol):
    """J, the derivative of the outputs (m, C) of a batch in the parameters (n,)."""

    @property
    def outputs(self) -> Tensor:
        """The outputs (m, C)."""
        ...

    def vjp(self, block: Tensor) -> Tensor:
        """J^T @ block: (m, C, k) -> (n, k)."""
        ...


@dataclass(frozen=True)
class Products:
    """Products with one batch's part of a matrix, set up.

    Attributes:
        multiply: (n, k) -> (n, k), k at least 1, in memory of its own: the part of the sum over samples that belongs to
            the batch, times the network's `scale`.
        total: Sum of the losses of the batch, where setting up computed it.
        jacobian: The derivative of the outputs, where it is kept.
        note: What the ledger shall know beside the engine's name.
        width: Columns that are multiplied at a time; 0 for as many as come.
        column_bytes: Bytes that one more column takes at most; 0 where that is not known.
    """

    multiply: Matmat
    total: Tensor | None = None
    jacobian: Jacobian | None = None
    note: str = ""
    width: int = 0
    column_bytes: int = 0


Make: TypeAlias = Callable[[Network, Batch], Products]


@dataclass(frozen=True)
class Engine:
    """A way to make products.

    Attributes:
        name: How specs write it.
        summary: One line for lists.
        ggn: Sets up products with the GGN of a batch.
        hessian: Sets up products with its Hessian; None where the engine makes none.
        ggn_again: The same for a further batch of the same network, without what the first has shown once and for all.
        hessian_again: The same of the Hessian.
        is_costly: Whether setting up takes seconds, so that it does not suit few products or for micro-batches.
        blocks: How it multiplies blocks, where it does not do as the network says: folded or looped.
    """

    name: str
    summary: str
    ggn: Make
    hessian: Make | None = None
    ggn_again: Make | None = None
    hessian_again: Make | None = None
    is_costly: bool = False
    blocks: str = ""

    def of(self, matrix: str, *, again: bool = False) -> Make:
        """What sets up products with a matrix; `again` with a further batch of a network that it has taken.

        Raises:
            EngineUnavailable: If the engine does not multiply with it.
        """
        first, further = {"hessian": (self.hessian, self.hessian_again), "ggn": (self.ggn, self.ggn_again)}[matrix]
        make = further if again and further is not None else first
        if make is None:
            raise EngineUnavailable(f"the engine {self.name} makes products with the GGN only, not with the {matrix}")
        return make

    def columns_at_once(self, network: Network) -> bool:
        """Whether a wider block takes more memory: not where its columns are multiplied one by one."""
        return self.blocks == "folded" or (not self.blocks and network.batched)
