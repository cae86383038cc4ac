"""What products cost beside one gradient of the same batch, in one interleaved run.

The yardstick is the gradient that a user takes: by autograd, of the module itself in the list of its parameters. Every
way takes its turn in every round, so that all of them meet the same load, and a ratio is the median over rounds of
ratios taken within a round. Nothing is timed before it has agreed with the kept graph.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Final

import torch
from torch import Tensor

from hessbench.clock import seconds_a_call, wait_for
from hessbench.counting import PRICES
from hessbench.exceptions import first_line
from hessbench.flops import counting_flops
from hessbench.operators import LinearOperator, Matmat, info_of
from hessbench.problems.curvature.engines.engine import KINDS, EngineUnavailable
from hessbench.problems.curvature.engines.live_bytes import LiveBytes
from hessbench.problems.curvature.engines.operator import EngineOperator
from hessbench.problems.curvature.engines.yardstick import disagrees
from hessbench.problems.networks.network import Network
from hessbench.seeding import derive_seed, make_generator

YARDSTICK: Final = "kept-graph"
"""The engine that the others are compared with: one backward pass through the kept graph of the gradient."""

_LEAST_S: Final = 0.005


@dataclass(frozen=True)
class Way:
    """A way to multiply that takes part.

    Attributes:
        name: How the table calls it.
        make: From a network and a matrix, `hessian` or `ggn`, what multiplies a block.
        as_written: Whether it is given the network as its author would write it.
    """

    name: str
    make: Callable[[Network, str], LinearOperator | Matmat]
    as_written: bool = False


@dataclass(frozen=True)
class Timing:
    """What one way of making products cost.

    Attributes:
        matrix: hessian or ggn.
        way: Name of the way.
        engine: What the operator says of its engine.
        width: Columns of the block.
        seconds: Median seconds of a column.
        gradient_s: Median seconds of the gradient.
        ratio: Median over rounds of a column's time over the round's gradient.
        nominal: A column in gradients as budgets count it, by multiplications.
        low: Least of those ratios.
        high: Largest of them.
        over_kept: The same over one vector by the kept graph.
        setup: Set-up, in gradients.
        flops: Floating-point operations of a column, convolutions and matrix products counted.
        kept_bytes: Memory of tensors kept between products.
        peak_bytes: Memory of tensors at the peak of a product, what is kept included.
        difference: Relative 2-norm of the difference from the kept graph, of one vector or of the widest block,
            whichever is larger; None where it is not finite.
        note: Why there is no time, where there is none.
    """

    matrix: str
    way: str
    engine: str = ""
    width: int = 1
    seconds: float | None = None
    gradient_s: float | None = None
    ratio: float | None = None
    nominal: float | None = None
    low: float | None = None
    high: float | None = None
    over_kept: float | None = None
    setup: float | None = None
    flops: int | None = None
    kept_bytes: int | None = None
    peak_bytes: int | None = None
    difference: float | None = None
    note: str = ""


def engine_way(name: str) -> Way:
    """An engine, or `auto`, as a way; the yardstick is given the network as its author would write it."""
    return Way(name, lambda network, matrix: EngineOperator(network, matrix, name), as_written=name == YARDSTICK)


def measure(
    network: Network,
    matrix: str,
    ways: Sequence[Way],
    *,
    widths: Sequence[int] = (1, 16),
    repeats: int = 7,
    say: Callable[[str], None] = lambda _: None,
) -> list[Timing]:
    """Time ways to multiply with a matrix of a network.

    Args:
        network: The network, where it shall run and in its dtype.
        matrix: hessian or ggn.
        ways: What takes part; the yardstick is added where it is missing.
        widths: Columns of the blocks.
        repeats: Rounds, after one that is thrown away.
        say: Told what is being done.

    Returns:
        A row for each way and width; one without a time, and with a note, for what could not take part.

    Cost: for each way its set-up twice, and off the clock two vectors, the widest block and four blocks of each width;
    then a block of each width a round.

    Raises:
        ValueError: If a width or the number of repeats is below 1.
    """
    if repeats < 1 or not widths or min(widths) < 1:
        raise ValueError(f"repeats and widths must be at least 1, got {repeats} and {tuple(widths)}")
    if all(way.name != YARDSTICK for way in ways):
        ways = (*ways, engine_way(YARDSTICK))
    written = replace(network, forward=network.as_written) if network.as_written is not None else network
    gradient = network.own_gradient()
    gradient()
    gradient_s = median(_seconds(gradient, network.parameters, 1) for _ in range(3))
    generator = make_generator(derive_seed("operators"), network.parameters.device)
    n = network.parameters.numel()
    block = torch.randn(
        n, max(widths), generator=generator, dtype=network.parameters.dtype, device=network.parameters.device
    )
    entered: list[_Entered] = []
    left_out: list[Timing] = []
    for way in sorted(ways, key=lambda way: way.name != YARDSTICK):
        say(f"setting up {way.name} for the {matrix}")
        try:
            entered.append(_enter(way, written if way.as_written else network, matrix, block[:, :1], gradient_s))
        except (EngineUnavailable, RuntimeError, ImportError) as failure:
            said = first_line(failure)
            left_out.append(Timing(matrix, way.name, note=said))
    # One vector and the widest block: a way may take different paths for them.
    compared = [block[:, :1], block] if max(widths) > 1 else [block]
    truths = [entered[0].multiply(part) for part in compared] if entered else []
    rows: dict[tuple[str, int], Timing] = {}
    for one in entered:
        pairs = zip(compared, truths, strict=True)
        gap = max((_gap(one.multiply(part), truth) for part, truth in pairs), key=lambda gap: (gap != gap, gap))
        row = replace(one.row, difference=gap if math.isfinite(gap) else None)
        if disagrees(gap, block.dtype):
            left_out.append(replace(row, note=f"its product differs from that of the kept graph by {gap:.1e}"))
            continue
        for width in widths:
            rows[row.way, width] = replace(row, width=width, **_counted(one, block[:, :width]))
    say(f"timing {len(rows)} products with the {matrix}, {repeats} rounds")
    times = _rounds(gradient, entered, rows, block, repeats)
    order = [way.name for way in ways]
    found = [_timed(row, width, times) for (_, width), row in rows.items()]
    return sorted([*found, *left_out], key=lambda row: order.index(row.way))


@dataclass(frozen=True)
class _Entered:
    """A way that is set up."""

    multiply: Matmat
    row: Timing


def _enter(way: Way, network: Network, matrix: str, column: Tensor, gradient_s: float) -> _Entered:
    """Set a way up once against the clock and once under the meter, which slows it; multiply once."""
    with LiveBytes() as meter:
        made = way.make(network, matrix)
        kept = meter.live
    del made
    start = time.perf_counter()
    made = way.make(network, matrix)
    wait_for(column.device)
    setup = (time.perf_counter() - start) / gradient_s
    is_operator = isinstance(made, LinearOperator)
    multiply = made.matmat if is_operator else made
    multiply(column)
    engine = info_of(made).engine if is_operator else ""
    return _Entered(multiply, Timing(matrix, way.name, engine, setup=setup, kept_bytes=kept))


def _gap(product: Tensor, truth: Tensor) -> float:
    """Relative 2-norm of a difference."""
    return float((product - truth).norm() / truth.norm())


def _counted(one: _Entered, block: Tensor) -> dict[str, int | None]:
    """Operations of a column, where the counter can follow, and memory at the peak."""
    flops = None
    # Its hooks on modules do not bear derivatives that a library takes inside a module.
    with contextlib.suppress(RuntimeError):
        with counting_flops() as counter:
            one.multiply(block)
        flops = counter.get_total_flops() // block.shape[1]
    with LiveBytes() as meter:
        one.multiply(block)
    return {"flops": flops, "peak_bytes": (one.row.kept_bytes or 0) + meter.peak}


def _rounds(
    gradient: Callable[[], object],
    entered: Sequence[_Entered],
    rows: Mapping[tuple[str, int], Timing],
    block: Tensor,
    repeats: int,
) -> dict[tuple[str, int], list[float]]:
    """Seconds of a column by way and width, and of a gradient under ("gradient", 1), round by round."""
    turns: dict[tuple[str, int], Callable[[], object]] = {("gradient", 1): gradient}
    for one in entered:
        for way, width in rows:
            if way == one.row.way:
                turns[way, width] = _turn(one.multiply, block[:, :width].contiguous())
    batches: dict[tuple[str, int], int] = {}
    for key, turn in turns.items():
        turn()
        batches[key] = max(1, int(_LEAST_S / max(_seconds(turn, block, 1), 1e-7)))
    times: dict[tuple[str, int], list[float]] = {key: [] for key in turns}
    for _ in range(repeats):
        for key, turn in turns.items():
            times[key].append(_seconds(turn, block, batches[key]) / key[1])
    return times


def _turn(multiply: Matmat, block: Tensor) -> Callable[[], object]:
    return lambda: multiply(block)


def _timed(row: Timing, width: int, times: Mapping[tuple[str, int], list[float]]) -> Timing:
    mine = times[row.way, width]
    gradients = times["gradient", 1]
    ratios = [a / b for a, b in zip(mine, gradients, strict=True)]
    one_kept = times.get((YARDSTICK, 1))
    over = None if one_kept is None else median(a / b for a, b in zip(mine, one_kept, strict=True))
    return replace(
        row,
        seconds=median(mine),
        gradient_s=median(gradients),
        ratio=median(ratios),
        nominal=PRICES[KINDS[row.matrix]],
        low=min(ratios),
        high=max(ratios),
        over_kept=over,
    )


def _seconds(run: Callable[[], object], where: Tensor, batch: int) -> float:
    return seconds_a_call(run, where.device, batch)
