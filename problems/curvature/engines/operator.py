"""The Hessian or the GGN of a network's objective, multiplied by an engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from hessbench.exceptions import first_line
from hessbench.network_copy import NetworkCopy
from hessbench.operators import Matmat, OperatorInfo, check_block, multiply
from hessbench.problems.curvature.engines.choosing import Choice, measured_choice
from hessbench.problems.curvature.engines.comparing import EngineDisagrees, compare
from hessbench.problems.curvature.engines.engine import KINDS, EngineUnavailable, Jacobian, Products
from hessbench.problems.curvature.engines.limits import LIMITS, Limits
from hessbench.problems.curvature.engines.live_bytes import LiveBytes
from hessbench.problems.curvature.engines.micro_batches import streamed, whole
from hessbench.problems.curvature.engines.output_rounding import rounding_size
from hessbench.problems.curvature.engines.remembered import remember, remembered_choice
from hessbench.problems.curvature.engines.splitting import SplitBlocks, memory_of
from hessbench.problems.curvature.engines.table import AUTO, ENGINES, engine_names
from hessbench.problems.networks.network import Network
from hessbench.problems.networks.user_copy import user_copy
from hessbench.specs import suggest


class EngineOperator:
    """A curvature matrix of a network by one engine, chosen when it is built and kept.

    Args:
        network: The network, where the operator shall live and in its dtype.
        matrix: hessian or ggn.
        engine: Name of an engine, or auto for the one that is fastest here; see `choosing`.
        limits: How many products are going to be made, and what they may take at a time.
        compared: Whether an engine that is asked for was compared before, on other samples of the same network.

    Attributes:
        network: The network.

    Cost: the engine's set-up, and its comparison with the kept graph on a few samples; `auto` also tries engines, on a
    part of the data where that is slow, unless the cache remembers which one it was.

    Raises:
        ValueError: If the engine is unknown or cannot make these products, if they are not those of the kept graph, or
            if the loss is not finite.
    """

    def __init__(
        self,
        network: Network,
        matrix: str,
        engine: str = AUTO,
        limits: Limits = LIMITS,
        *,
        compared: bool = False,
    ) -> None:
        check_engine(matrix, engine)
        self.network = network
        self._matrix = matrix
        self.dim = network.parameters.numel()
        self.dtype = network.parameters.dtype
        self.device = network.parameters.device
        cap = memory_of(self.device) if limits.cap_bytes is None else limits.cap_bytes
        if engine == AUTO:
            choice, product, self._kept = _automatic(network, matrix, limits, cap)
        else:
            choice = Choice(ENGINES[engine], limits.micro_batch)
            product, self._kept = _asked(network, choice, matrix, compared=compared)
        most = max((products.column_bytes for products in self._kept), default=0)
        self._product = SplitBlocks(product, cap, self._measure(choice, product), most)
        self.info = OperatorInfo(
            KINDS[matrix], network.num_samples, network.num_samples, _engine_text(network, choice, self._kept)
        )

    def matmat(self, block: Tensor, /) -> Tensor:
        """Multiply a block of shape (dim, k); in parts where it is too wide for the memory there is."""
        check_block(block, self.dim, self.dtype, self.device, least=0)
        return self._product(block.detach())

    def __matmul__(self, x: Tensor) -> Tensor:
        return multiply(self, x)

    def network_copy(self) -> NetworkCopy:
        """The network as its user has it; see `networks.user_copy`."""
        return user_copy(self.network, KINDS[self._matrix])

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


def _asked(network: Network, choice: Choice, matrix: str, *, compared: bool) -> tuple[Matmat, list[Products]]:
    """The product by an engine that was asked for, compared with the kept graph unless it was before.

    Where setting up is cheap, the comparison comes first, so that what is set up for all samples needs no check of its
    own.

    Raises:
        RuntimeError: If memory runs out.
        EngineUnavailable: If the engine cannot make it, or is wrong.
    """
    name = choice.engine.name
    try:
        if not compared and not choice.engine.is_costly:
            compare(network, choice.engine, matrix, again=False)
        product, kept = _products(network, choice, matrix, again=True)
        if not compared and choice.engine.is_costly:
            compare(network, choice.engine, matrix, kept[0])
    except RuntimeError as failure:
        if isinstance(failure, torch.OutOfMemoryError) or "memory" in str(failure):
            raise
        said = first_line(failure).rstrip(".")
        raise EngineUnavailable(
            f"the engine {name} cannot multiply with the {matrix} of this network ({said}): take engine=auto or "
            "engine=kept-graph"
        ) from failure
    return product, kept


def _automatic(network: Network, matrix: str, limits: Limits, cap: int) -> tuple[Choice, Matmat, list[Products]]:
    """The engine that was chosen, its product, and what it keeps; the kept graph where that engine is wrong.

    Raises:
        RuntimeError: If torch can make no such product, or memory runs out.
        EngineUnavailable: If no engine is left.
    """
    choice, key = remembered_choice(network, matrix, limits, cap)
    try:
        product, kept = _products(network, choice, matrix, again=True)
    except (EngineUnavailable, RuntimeError):
        if not choice.recalled:
            raise
        # What is remembered cannot be made here after all: as if nothing were.
        choice = measured_choice(network, matrix, replace(limits, cap_bytes=cap))
        remember(key, choice, capped=limits.cap_bytes is not None)
        product, kept = _products(network, choice, matrix, again=True)
    try:
        compare(network, choice.engine, matrix, kept[0] if choice.engine.is_costly else None)
    except EngineDisagrees as failure:
        remedy = "kept-graph" if choice.micro_batch is None else "double-backward"
        choice = replace(choice, engine=ENGINES[remedy], note=f"{choice.note}; {failure}", made=None)
        remember(key, choice, capped=limits.cap_bytes is not None)
        product, kept = _products(network, choice, matrix)
    return choice, product, kept


def _products(network: Network, choice: Choice, matrix: str, *, again: bool = False) -> tuple[Matmat, list[Products]]:
    """The product by an engine, and what it keeps of each batch."""
    if choice.micro_batch is None:
        return whole(network, choice.engine, matrix, again=again, first=choice.made)
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
