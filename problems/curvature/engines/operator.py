"""The Hessian or the GGN of a network's objective, multiplied by an engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import torch
from torch import Tensor

from hessbench.exceptions import first_line
from hessbench.operators import Matmat, OperatorInfo, ProductKind, check_block, multiply
from hessbench.problems.curvature.engines.choosing import LIMITS, Choice, Limits, measured_choice
from hessbench.problems.curvature.engines.comparing import EngineDisagrees, compare
from hessbench.problems.curvature.engines.engine import EngineUnavailable, Jacobian, Products
from hessbench.problems.curvature.engines.live_bytes import LiveBytes
from hessbench.problems.curvature.engines.micro_batches import streamed, whole
from hessbench.problems.curvature.engines.output_rounding import rounding_size
from hessbench.problems.curvature.engines.splitting import SplitBlocks, memory_of
from hessbench.problems.curvature.engines.table import AUTO, ENGINES, engine_names
from hessbench.problems.networks.network import Network
from hessbench.specs import suggest

KINDS: Final = {"hessian": ProductKind.HESSIAN, "ggn": ProductKind.GGN}
"""What a product with a matrix counts as."""


class EngineOperator:
    """A curvature matrix of a network by one engine, chosen when it is built and kept.

    Args:
        network: The network, where the operator shall live and in its dtype.
        matrix: hessian or ggn.
        engine: Name of an engine, or auto for the one that is fastest here; see `choosing`.
        limits: How many products are going to be made, and what they may take at a time.

    Attributes:
        network: The network.

    Cost: the engine's set-up, and its comparison with the kept graph on a few samples; `auto` also tries engines, on a
    part of the data where that is slow.

    Raises:
        ValueError: If the engine is unknown or cannot make these products, if they are not those of the kept graph, or
            if the loss is not finite.
    """

    def __init__(self, network: Network, matrix: str, engine: str = AUTO, limits: Limits = LIMITS) -> None:
        check_engine(matrix, engine)
        self.network = network
        self._matrix = matrix
        self.dim = network.parameters.numel()
        self.dtype = network.parameters.dtype
        self.device = network.parameters.device
        cap = memory_of(self.device) if limits.cap_bytes is None else limits.cap_bytes
        if engine == AUTO:
            choice = measured_choice(network, matrix, replace(limits, cap_bytes=cap))
        else:
            choice = Choice(ENGINES[engine], limits.micro_batch)
        try:
            product, self._kept = _products(network, choice, matrix, again=engine == AUTO)
            compare(network, choice.engine, matrix, self._kept[0] if choice.engine.is_costly else None)
        except EngineDisagrees as failure:
            if engine != AUTO:
                raise
            remedy = "kept-graph" if choice.micro_batch is None else "double-backward"
            choice = replace(choice, engine=ENGINES[remedy], note=f"{choice.note}; {failure}")
            product, self._kept = _products(network, choice, matrix)
        except RuntimeError as failure:
            if engine == AUTO or isinstance(failure, torch.OutOfMemoryError) or "memory" in str(failure):
                raise
            said = first_line(failure).rstrip(".")
            raise EngineUnavailable(
                f"the engine {engine} cannot multiply with the {matrix} of this network ({said}): take engine=auto or "
                "engine=kept-graph"
            ) from failure
        self._product = SplitBlocks(product, cap, self._measure(choice, product))
        self.info = OperatorInfo(
            KINDS[matrix], network.num_samples, network.num_samples, _engine_text(network, choice, self._kept)
        )

    def matmat(self, block: Tensor, /) -> Tensor:
        """Multiply a block of shape (dim, k); in parts where it is too wide for the memory there is."""
        check_block(block, self.dim, self.dtype, self.device, least=0)
        return self._product(block.detach())

    def __matmul__(self, x: Tensor) -> Tensor:
        return multiply(self, x)

    def rounding_size(self) -> float:
        """What the products round by where terms cancel in them; see `curvature.engines.output_rounding`."""
        return rounding_size(self.network, self._matrix)

    @property
    def jacobians(self) -> list[Jacobian]:
        """The derivatives of the outputs of each batch that the engine keeps; empty where it keeps none."""
        found = [products.jacobian for products in self._kept]
        return [jacobian for jacobian in found if jacobian is not None]

    def _measure(self, choice: Choice, product: Callable[[Tensor], Tensor]) -> Callable[[], int]:
        """What one more column takes: measured once, by a product of one column, where auto has not done so."""

        def measure() -> int:
            if not choice.engine.columns_at_once(self.network):
                return 0
            if choice.column_bytes is not None:
                return choice.column_bytes
            column = torch.zeros(self.dim, 1, dtype=self.dtype, device=self.device)
            with LiveBytes() as meter:
                product(column)
            return meter.peak

        return measure


def _products(network: Network, choice: Choice, matrix: str, *, again: bool = False) -> tuple[Matmat, list[Products]]:
    """The product by an engine, and what it keeps of each batch."""
    if choice.micro_batch is None:
        return whole(network, choice.engine, matrix, again=again)
    return streamed(network, choice.engine, matrix, choice.micro_batch), []


def check_engine(matrix: str, engine: str) -> None:
    """Refuse an engine that a matrix cannot be multiplied with.

    Raises:
        ValueError: Naming what is accepted.
    """
    accepted = engine_names(matrix)
    if engine not in accepted:
        near = suggest(engine, accepted)
        raise ValueError(f"engine of the {matrix} must be one of {', '.join(accepted)}, got {engine!r}{near}")


def _engine_text(network: Network, choice: Choice, kept: list[Products]) -> str:
    name = choice.engine.name + (f" ({choice.note})" if choice.note else "")
    blocks = f"{choice.engine.blocks} blocks" if choice.engine.blocks else network.blocks
    streams = [] if choice.micro_batch is None else [f"micro-batches of {choice.micro_batch}"]
    notes = dict.fromkeys(products.note for products in kept if products.note)
    return ", ".join([name, blocks, *streams, *notes])
