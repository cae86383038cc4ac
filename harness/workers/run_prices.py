"""What a run on a problem takes: its build, blocks of products of the widths that methods ask for, and rehearsals."""

from __future__ import annotations

import contextlib
import ctypes
import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final

import torch
from torch import Tensor

from hessbench.cells.build import dtype_of
from hessbench.cells.meter import KeptMeter, PeakMeter, file_bytes, resident_bytes
from hessbench.clock import Stopwatch, seconds_a_call, wait_for
from hessbench.demand import Demand, demanding
from hessbench.flops import counting_flops
from hessbench.method import BoundMethod
from hessbench.operators import Factored, LinearOperator, ProductKind, info_of
from hessbench.problem import FACTOR, Problem
from hessbench.seeding import derive_seed, make_generator
from hessbench.workers.allocator import MEMORY_ALLOCATOR
from hessbench.workers.messages import RunPriceJob
from hessbench.workers.price_messages import BlockPrice, BuiltPrice, MemoryPassPrice, Rehearsal
from hessbench.workers.prices import copy_bandwidth
from hessbench.workers.rehearsal import rehearse

LONG_DIM: Final = 100_000
"""Dimension from which a method's own arithmetic is bound by memory."""

_WIDER: Final = 4
"""Factor between the widths of blocks that are timed, up to the widest that a method asks for."""

_BLOCKS: Final = 0.5
_REHEARSALS: Final = 0.9
"""Share of the limit at which no wider block is timed, and at which no other run is rehearsed."""

_MALLOPT: Final = {-3: "MALLOC_MMAP_THRESHOLD_", -1: "MALLOC_TRIM_THRESHOLD_"}
"""Parameters of the C library's `mallopt`, by the variables that set them."""


_BATCH_S: Final = 0.01
_TIMES: Final = 5
_LONG_S: Final = 1.0
"""Seconds from which a product is timed once after the first."""

Multiply = Callable[[Tensor], Tensor]


def run_prices(
    job: RunPriceJob, problem: Problem, runs: Sequence[tuple[BoundMethod, int]]
) -> Iterator[BuiltPrice | BlockPrice | Rehearsal | MemoryPassPrice]:
    """Measure what the runs on a problem take, what matters most first, until the limit of the job.

    Args:
        job: Conditions and limit.
        problem: The problem.
        runs: Methods, bound to their estimands, and the products each may spend.
    """
    begin = time.perf_counter()
    torch.set_num_threads(job.threads)
    device, dtype = torch.device(job.device), dtype_of(job.dtype)
    base = resident_bytes()
    keeps, peaks, watch = KeptMeter(device), PeakMeter(device), Stopwatch()
    peaks.start()
    pages = file_bytes()
    watch.start()
    with demanding(Demand(max(job.budgets, default=None), job.memory_cap_bytes)):
        op = problem.build(device, dtype)
    wait_for(device)
    build_s = watch.seconds
    peak = peaks.device_peak() if device.type == "cuda" else peaks.host_peak()
    if peak is not None and device.type == "cpu":
        peak = max(peak - max(file_bytes() - pages, 0), 0)  # pages of libraries are nobody's own
    info = info_of(op)
    yield BuiltPrice(
        kind_of_product=info.kind,
        dim=op.dim,
        engine=info.engine,
        build_s=build_s,
        build_peak_bytes=peak,
        operator_bytes=keeps.kept_bytes(),
        base_bytes=base,
        bandwidth=copy_bandwidth(device) if op.dim >= LONG_DIM else None,
    )
    single = _block_price(op, info.kind, op.matmat, op.dim, 1)
    yield single
    factor = None
    if isinstance(op, Factored) and any(FACTOR in bound.method.requires for bound, _ in runs):
        factor = op.factor.num_samples, op.factor.num_outputs
        yield _block_price(op, ProductKind.VJP, op.factor.rmatmat, op.factor.num_columns, 1)
        yield _block_price(op, ProductKind.PER_EXAMPLE_SQUARE, op.factor.squared_sum, op.factor.num_columns, 1)
    widths = [min(width, op.dim) for bound, budget in runs for width in bound.block_widths(budget)]
    widest, last, width, seconds = max(widths, default=1), 1, 1, single.seconds
    while width < widest:
        width = min(width * _WIDER, widest)
        # Warmed up, timed, and once more for its memory.
        if time.perf_counter() - begin + 3 * seconds * width / last > build_s + _BLOCKS * job.limit_s:
            break
        price = _block_price(op, info.kind, op.matmat, op.dim, width)
        seconds, last = price.seconds, width
        yield price
    like = torch.empty(0, dtype=dtype, device=device)
    with counting_flops():
        like.add(like)  # the first count in a process imports what it needs
    for (bound, budget), is_asked in zip(runs, job.rehearsed, strict=True):
        if not is_asked:
            continue
        if time.perf_counter() - begin > build_s + _REHEARSALS * job.limit_s:
            break
        # A method that fails on it does so in its cell, or has no rehearsal.
        with contextlib.suppress(Exception):
            yield rehearse(bound, budget, op.dim, like, factor if FACTOR in bound.method.requires else None)
    # Last, since these settings cannot be taken back.
    _allocate_as_in_the_memory_pass()
    if factor is not None and isinstance(op, Factored):
        yield _memory_price(op, ProductKind.VJP, op.factor.rmatmat, op.factor.num_columns, 1)
        yield _memory_price(op, ProductKind.PER_EXAMPLE_SQUARE, op.factor.squared_sum, op.factor.num_columns, 1)
    for width in sorted({1, min(_WIDER, widest)}):
        yield _memory_price(op, info.kind, op.matmat, op.dim, width)


def _block_price(op: LinearOperator, kind: ProductKind, multiply: Multiply, rows: int, width: int) -> BlockPrice:
    """Time a product with a block, and then its memory."""
    generator = make_generator(derive_seed("run-price"), op.device)
    block = torch.randn(rows, width, generator=generator, device=op.device, dtype=op.dtype)
    product = partial(multiply, block)
    first = seconds_a_call(product, op.device)
    seconds = _seconds(product, first, op.device)
    peaks = PeakMeter(op.device)
    peaks.start()
    product()
    peak = peaks.device_peak() if op.device.type == "cuda" else peaks.host_peak()
    return BlockPrice(
        kind_of_product=kind, width=width, seconds=seconds, working_bytes=peak
    )  # fmt: skip


def _memory_price(
    op: LinearOperator, kind: ProductKind, multiply: Multiply, rows: int, width: int
) -> MemoryPassPrice:  # fmt: skip
    """Time a product as the memory pass makes it, plain and counted."""
    generator = make_generator(derive_seed("run-price"), op.device)
    block = torch.randn(rows, width, generator=generator, device=op.device, dtype=op.dtype)
    product = partial(multiply, block)
    with counting_flops():
        product()
        counted_s = seconds_a_call(product, op.device)
    seconds = _seconds(product, seconds_a_call(product, op.device), op.device)
    return MemoryPassPrice(kind_of_product=kind, width=width, seconds=seconds, counted_s=counted_s)


def _allocate_as_in_the_memory_pass() -> None:
    """Give this process the allocator settings of the memory pass, which come with the environment there."""
    setting = getattr(ctypes.CDLL(None), "mallopt", None)
    if setting is not None:
        for parameter, variable in _MALLOPT.items():
            setting(parameter, int(MEMORY_ALLOCATOR[variable]))


def _seconds(product: Callable[[], object], first: float, device: torch.device) -> float:
    """Median seconds of a product; of one that takes long, the better of the first and a second."""
    if first > _LONG_S:
        return min(first, seconds_a_call(product, device))
    batch = max(1, math.ceil(_BATCH_S / max(first, 1e-7) / _TIMES))
    return statistics.median(seconds_a_call(product, device, min(batch, 100)) for _ in range(_TIMES))
