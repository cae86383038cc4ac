"""Which engine: the one asked for, or the fastest one that memory allows, found by measuring once.

The rules come first. Where a product of theirs takes no longer than its multiplications, told in gradients of the same
samples, no other engine is tried: those make the same multiplications.

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
from hessbench.counting import PRICES
from hessbench.exceptions import first_line
from hessbench.operators import ProductKind
from hessbench.problems.curvature.engines.engine import KINDS, Engine, Make, Products
from hessbench.problems.curvature.engines.limits import FEW_PRODUCTS, MANY_PRODUCTS
from hessbench.problems.curvature.engines.limits import Limits as Limits
from hessbench.problems.curvature.engines.live_bytes import LiveBytes
from hessbench.problems.curvature.engines.micro_batches import pieces
from hessbench.problems.curvature.engines.repaying import may_repay
from hessbench.problems.curvature.engines.table import ENGINES
from hessbench.problems.networks.network import Batch, Network

CLEARLY: Final = 0.7
"""Share of the time of an engine before it that an engine must stay under to be chosen."""

_SMALL_PART: Final = 8
_QUICK_S: Final = 0.02
_REPEATS: Final = 20


@dataclass(frozen=True)
class Choice:
    """An engine, and what is known of it.

    Attributes:
        engine: The engine.
        micro_batch: Samples it takes at a time; None for whole batches.
        column_bytes: Bytes that one more column of a block takes; None where it was not measured.
        note: What choosing found and cost, for the ledger.
        needed_bytes: What is kept and a product of one column together; 0 where it was not measured.
        recalled: Whether it was made at another time, and is only remembered.
        made: Products with the first batch that choosing has set up already; only the whole batch's.
    """

    engine: Engine
    micro_batch: int | None = None
    column_bytes: int | None = None
    note: str = ""
    needed_bytes: int = 0
    recalled: bool = False
    made: Products | None = None


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
        made: What was set up, where the part was all of the first batch.
    """

    engine: Engine
    setup_s: float
    product_s: float
    kept: MemoryUse
    column: MemoryUse
    made: Products | None = None

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
    takes long. That is the rules alone, where they know the network and need no more gradients than are counted.

    Raises:
        ValueError: If the network has no such matrix.
        RuntimeError: If torch can make no such product, or memory runs out.
    """
    start = time.perf_counter()
    part, gradient_s = _part(network, limits.micro_batch)
    trials, refused = _trials(network, part, gradient_s, matrix, limits)
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
    return Choice(
        engine,
        size,
        best.column.of(samples) if size is None else None,
        note,
        best.together.of(samples),
        made=best.made if size is None else None,
    )


def _trials(
    network: Network, part: Batch, gradient_s: float, matrix: str, limits: Limits
) -> tuple[list[Trial], dict[str, Exception]]:
    """What the engines that come into question took, and why others could not be tried.

    Args:
        network: The network.
        part: What they are tried on.
        gradient_s: Seconds of a gradient of the part.
        matrix: hessian or ggn.
        limits: What is asked of them.

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
    cap = math.inf if limits.cap_bytes is None else limits.cap_bytes
    counted = PRICES[KINDS[matrix]] + (PRICES[ProductKind.GRADIENT] if streams else 0)
    enough = counted * gradient_s * network.num_samples / part.size
    samples = part.size if streams else network.num_samples
    for name in names:
        best = min((trial.product_s for trial in trials), default=math.inf)
        if not ENGINES[name].is_costly and best <= enough and trials[0].together.of(samples) <= cap:
            continue
        if ENGINES[name].is_costly and not may_repay(name, network, part, best * limits.num_products):
            continue
        try:
            trials.append(_tried(network, part, ENGINES[name], matrix, streams=streams, cap=cap))
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


def _part(network: Network, micro_batch: int | None) -> tuple[Batch, float]:
    """What engines are tried on, and the seconds of a gradient of it.

    An eighth of the first batch, all of it where that is quick, or a micro-batch.
    """
    first = network.batches[0]
    if network.group:
        return first, _gradient_s(network, first)
    if micro_batch is not None:
        part = next(pieces(first, micro_batch))
        return part, _gradient_s(network, part)
    size = max(_SMALL_PART, first.size // 8)
    part = first if size >= first.size else next(pieces(first, size))
    seconds = _gradient_s(network, part)
    is_quick = part.size < first.size and seconds * first.size / part.size < _QUICK_S
    return (first, _gradient_s(network, first)) if is_quick else (part, seconds)


def _gradient_s(network: Network, part: Batch) -> float:
    parameters = network.parameters.detach().clone().requires_grad_()
    with torch.enable_grad():
        return _least_seconds(lambda: torch.autograd.grad(network.part_of(part)(parameters), parameters), parameters)


def _tried(
    network: Network, part: Batch, engine: Engine, matrix: str, *, streams: bool, cap: float = math.inf
) -> Trial:
    """Set up and multiply once under the meter, then multiply against the clock.

    What memory does not depend on the samples is told by a second set-up with half of them, only where what is taken
    in proportion to all of them does not fit the cap.
    """
    make = engine.of(matrix)
    block = network.parameters.new_full((network.parameters.numel(), 1), network.parameters.numel() ** -0.5)
    share = network.num_samples / part.size
    products, setup_s, kept, column = _metered(make, network, part, block)
    fixed_kept = fixed_column = 0.0
    if part.size > 1 and part.size < network.num_samples and (kept + column) * share > cap:
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
    made = products if part is network.batches[0] else None
    return Trial(engine, setup_s if engine.is_costly else 0.0, seconds * share, keeps, takes, made)


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
    """The least of many runs, as what is short is easily disturbed, or one run that takes long."""
    least, spent = math.inf, 0.0
    for _ in range(_REPEATS):
        seconds = seconds_a_call(run, where.device)
        least, spent = min(least, seconds), spent + seconds
        if spent > _QUICK_S:
            break
    return least


def _written(size: int) -> str:
    """Bytes in words."""
    return f"{size / 1e6:.3g} MB" if size < 1e9 else f"{size / 1e9:.3g} GB"
