"""Which engine: the one asked for, or the fastest one that memory allows, found by measuring once.

The order is stable: an engine further down the table is chosen only where it was clearly faster, so that the same
problem gets the same engine on a noisy machine. Engines that keep nothing are slower by their multiplications, and
are taken only where none that keeps its graphs fits.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from hessbench.clock import seconds_a_call, wait_for
from hessbench.exceptions import first_line
from hessbench.problems.curvature.engines.engine import Engine, Make, Products
from hessbench.problems.curvature.engines.live_bytes import LiveBytes
from hessbench.problems.curvature.engines.micro_batches import pieces
from hessbench.problems.curvature.engines.table import ENGINES
from hessbench.problems.networks.network import Batch, Network

CLEARLY: Final = 0.7
"""Share of the time of an engine before it that an engine must stay under to be chosen."""

FEW_PRODUCTS: Final = 40
"""Products up to which no engine is tried that takes seconds to set up."""

MANY_PRODUCTS: Final = 1000
"""Products from which a compiled engine is tried."""

_SMALL_PART: Final = 8
_QUICK_S: Final = 0.02
_REPEATS: Final = 3


@dataclass(frozen=True)
class Limits:
    """What is asked of an engine.

    Attributes:
        num_products: How many products are going to be made: with few, nothing is tried that is costly to set up.
        micro_batch: Samples that are multiplied at a time, nothing being kept from one micro-batch to the next; by
            default whole batches, or what memory holds where `auto` finds that they do not fit.
        cap_bytes: Memory that an engine and a product may take, for `auto`, and for blocks, which are split where they
            would take more; half of what is free by default.
    """

    num_products: int = FEW_PRODUCTS
    micro_batch: int | None = None
    cap_bytes: int | None = None

    def __post_init__(self) -> None:
        for name in ("num_products", "micro_batch", "cap_bytes"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")


LIMITS: Final = Limits()
"""A short run of products with whole batches."""


@dataclass(frozen=True)
class Choice:
    """An engine, and what is known of it.

    Attributes:
        engine: The engine.
        micro_batch: Samples it takes at a time; None for whole batches.
        column_bytes: Bytes that one more column of a block takes; None where it was not measured.
        note: What choosing found and cost, for the ledger.
    """

    engine: Engine
    micro_batch: int | None = None
    column_bytes: int | None = None
    note: str = ""


@dataclass(frozen=True)
class MemoryUse:
    """Bytes, of which some do not depend on the number of samples."""

    fixed: float
    by_sample: float

    def of(self, samples: int) -> int:
        """Bytes with that many samples."""
        return int(self.fixed + samples * self.by_sample)

    def samples_in(self, cap_bytes: float) -> int:
        """Most samples that a cap holds, at least 1."""
        room = (cap_bytes - self.fixed) / max(self.by_sample, 1.0)
        return max(1, int(room))


@dataclass(frozen=True)
class Trial:
    """What an engine took on a part of the data.

    Attributes:
        engine: The engine.
        setup_s: Seconds to set up, where that is costly; what takes no longer than a few products does not count.
        product_s: Seconds of one product with all data, by proportion.
        kept: Memory kept between products.
        column: Memory that a product of one column takes on top.
    """

    engine: Engine
    setup_s: float
    product_s: float
    kept: MemoryUse
    column: MemoryUse

    def seconds(self, num_products: int) -> float:
        """Set-up and products together."""
        return self.setup_s + num_products * self.product_s

    @property
    def together(self) -> MemoryUse:
        """Memory of a product of one column, with what is kept."""
        return MemoryUse(self.kept.fixed + self.column.fixed, self.kept.by_sample + self.column.by_sample)


def measured_choice(network: Network, matrix: str, limits: Limits) -> Choice:
    """Try the engines on a part of the data, and choose.

    Args:
        network: The network.
        matrix: hessian or ggn.
        limits: What is asked of the engine; without `cap_bytes`, memory does not matter.

    Cost: for each engine that is tried, its set-up and two to four products, on an eighth of the data where a product
    takes long; the engines tried are two where the rules know the network.

    Raises:
        ValueError: If the network has no such matrix.
        RuntimeError: If torch can make no such product, or memory runs out.
    """
    start = time.perf_counter()
    part = _part(network, limits.micro_batch)
    trials, refused = _trials(network, part, matrix, limits)
    samples = network.num_samples if limits.micro_batch is None else part.size
    cap = math.inf if limits.cap_bytes is None else limits.cap_bytes
    fitting = [trial for trial in trials if trial.together.of(samples) <= cap]
    best = _first_or_clearly_faster(fitting or trials, limits.num_products)
    engine, size = best.engine, limits.micro_batch
    if not fitting and size is None and not network.group:
        # Nothing that is kept fits: pieces of the data in turn, as many samples as memory holds.
        engine = engine if engine.name == "rules" else ENGINES["double-backward"]
        size = MemoryUse(best.kept.fixed + best.column.fixed, best.kept.by_sample + best.column.by_sample).samples_in(
            cap
        )
        samples = min(size, samples)
    seconds = time.perf_counter() - start
    note = f"auto of {len(trials)}, {seconds:.2g} s, {_written(best.together.of(samples))}"
    if "rules" in refused:
        note += f"; rules: {first_line(refused['rules'])}"
    return Choice(engine, size, best.column.of(samples) if size is None else None, note)


def _trials(network: Network, part: Batch, matrix: str, limits: Limits) -> tuple[list[Trial], dict[str, Exception]]:
    """What the engines that come into question took, and why others could not be tried.

    Raises:
        ValueError: If the network has no such matrix.
        RuntimeError: If torch can make no such product, or memory runs out.
    """
    streams = limits.micro_batch is not None
    names = ["rules", "double-backward"] if streams else ["rules", "kept-graph"]
    if not streams and limits.num_products > FEW_PRODUCTS:
        names.append("linearised")
    if not streams and limits.num_products > MANY_PRODUCTS:
        names.append("compiled")
    trials: list[Trial] = []
    refused: dict[str, Exception] = {}
    for name in names:
        try:
            trials.append(_tried(network, part, ENGINES[name], matrix, streams=streams))
        except (ValueError, RuntimeError) as failure:
            if isinstance(failure, ValueError) and name != "rules":
                raise  # about the network itself
            refused[name] = failure
    if not trials:
        raise refused[names[1]]
    return trials, refused


def _first_or_clearly_faster(trials: list[Trial], num_products: int) -> Trial:
    best = trials[0]
    for trial in trials[1:]:
        if trial.seconds(num_products) < CLEARLY * best.seconds(num_products):
            best = trial
    return best


def _part(network: Network, micro_batch: int | None) -> Batch:
    """What engines are tried on: an eighth of the first batch, all of it where that is quick, or a micro-batch."""
    first = network.batches[0]
    if network.group:
        return first
    if micro_batch is not None:
        return next(pieces(first, micro_batch))
    part = next(pieces(first, max(_SMALL_PART, first.size // 8)))
    return first if _gradient_s(network, part) * first.size / part.size < _QUICK_S else part


def _gradient_s(network: Network, part: Batch) -> float:
    parameters = network.parameters.detach().clone().requires_grad_()
    with torch.enable_grad():
        return _least_seconds(lambda: torch.autograd.grad(network.part_of(part)(parameters), parameters), parameters)


def _tried(network: Network, part: Batch, engine: Engine, matrix: str, *, streams: bool) -> Trial:
    """Set up and multiply once under the meter, then multiply against the clock."""
    make = engine.of(matrix)
    block = network.parameters.new_full((network.parameters.numel(), 1), network.parameters.numel() ** -0.5)
    share = network.num_samples / part.size
    products, setup_s, kept, column = _metered(make, network, part, block)
    fixed_kept = fixed_column = 0.0
    if part.size > 1 and part.size < network.num_samples:
        half = next(pieces(part, part.size // 2))
        again = engine.of(matrix, again=True)
        _, _, half_kept, half_column = _metered(again, network, half, block)
        gone = part.size / (part.size - half.size)
        fixed_kept = max(0.0, kept - (kept - half_kept) * gone)
        fixed_column = max(0.0, column - (column - half_column) * gone)
    keeps = MemoryUse(fixed_kept, (kept - fixed_kept) / part.size)
    takes = MemoryUse(fixed_column, (column - fixed_column) / part.size)
    if streams:
        del products
        again = engine.of(matrix, again=True)
        seconds = _least_seconds(lambda: again(network, part).multiply(block), block)
        return Trial(engine, 0.0, seconds * share, keeps, takes)
    seconds = _least_seconds(lambda: products.multiply(block), block)
    return Trial(engine, setup_s if engine.is_costly else 0.0, seconds * share, keeps, takes)


def _metered(make: Make, network: Network, part: Batch, block: Tensor) -> tuple[Products, float, int, int]:
    """Products that are set up, the seconds that took, and bytes: those kept, and those of a product on top."""
    with LiveBytes() as meter:
        start = time.perf_counter()
        products = make(network, part)
        wait_for(block.device)
        setup_s = time.perf_counter() - start
        kept = meter.live
        meter.restart()
        products.multiply(block)
        return products, setup_s, kept, meter.peak - kept


def _least_seconds(run: Callable[[], object], where: Tensor) -> float:
    """The least of three runs, or one run that takes long."""
    least = math.inf
    for _ in range(_REPEATS):
        least = min(least, seconds_a_call(run, where.device))
        if least > _QUICK_S:
            break
    return least


def _written(size: int) -> str:
    """Bytes in words."""
    return f"{size / 1e6:.3g} MB" if size < 1e9 else f"{size / 1e9:.3g} GB"
