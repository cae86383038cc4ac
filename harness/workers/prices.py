"""What a product costs: in seconds at growing dimensions, and in gradients of the same network."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final, Protocol, runtime_checkable

import torch

from hessbench.cells.build import dtype_of
from hessbench.clock import Stopwatch, seconds_a_call, wait_for
from hessbench.counting import PRICES
from hessbench.operators import Differentiable, Factored, ProductKind, info_of
from hessbench.problem import FACTOR, Problem
from hessbench.seeding import derive_seed, make_generator
from hessbench.workers.messages import PriceJob, UnitJob
from hessbench.workers.price_messages import Price, UnitPrice

RUNGS: Final = (10_000, 100_000, 1_000_000, 10_000_000)
"""Dimensions at which a product is priced."""

_RUNG_LIMIT_S: Final = 6.0
"""Seconds the next rung may take: four products, and a build ten times the last."""

_UNIT_LIMIT_S: Final = 6.0
_UNIT_ROUNDS: Final = 7
"""Most rounds in which every kind of product is timed beside a gradient, and the seconds that all may take."""

_COPY_BYTES: Final = 1 << 28
_SHORT_S: Final = 0.005
"""Seconds up to which calls are timed in batches."""


def prices(job: PriceJob, problem: Problem) -> Iterator[Price]:
    """Time one product at growing dimensions, as long as a rung stays affordable, and the memory bandwidth."""
    if problem.ladder is None:
        return
    torch.set_num_threads(job.threads)
    device, dtype = _where(job)
    bandwidth = copy_bandwidth(device)
    measured: list[tuple[int, float]] = []
    build_s = 0.0
    for rung in RUNGS:
        if len(measured) >= 2 and _extrapolate(measured, rung) * 4 + build_s * 10 > _RUNG_LIMIT_S:
            break
        watch = Stopwatch()
        watch.start()
        sized = problem.ladder(rung)
        op = sized.build(device, dtype)
        build_s = watch.seconds
        block = torch.randn(
            op.dim, 1, generator=make_generator(derive_seed("price"), device), device=device, dtype=dtype
        )
        seconds = _product_seconds(partial(op.matmat, block), device)
        predicted = _extrapolate(measured, sized.dim) if len(measured) >= 2 else None
        measured.append((sized.dim, seconds))
        yield Price(
            problem=problem.name,
            measured_problem=sized.name,
            kind_of_product=info_of(op).kind,
            dim=sized.dim,
            seconds=seconds,
            predicted_seconds=predicted,
            bandwidth=bandwidth,
            device=job.device,
            dtype=job.dtype,
            threads=job.threads,
        )


def unit_prices(job: UnitJob, problem: Problem) -> Iterator[UnitPrice]:
    """Time one column of every kind of product of a problem beside one gradient of it, in rounds that hold them all.

    Where there are no data, and so no gradient, a product of the matrix is what counts as one.
    """
    network = problem.network() if problem.network is not None else None
    if problem.network is not None and not isinstance(network, Differentiable):
        return
    torch.set_num_threads(job.threads)
    device, dtype = _where(job)
    op = problem.build(device, dtype)
    generator = make_generator(derive_seed("unit"), device)
    block = torch.randn(op.dim, 1, generator=generator, device=device, dtype=dtype)
    kind, unit = info_of(op).kind, ProductKind.GRADIENT
    ways: dict[ProductKind, Callable[[], object]] = {kind: partial(op.matmat, block)}
    if isinstance(network, Differentiable):
        ways = {unit: _gradient_of(network.to(device, dtype)), **ways}
    elif kind is ProductKind.PRODUCT:
        unit = kind
    else:
        return
    if isinstance(op, Factored) and FACTOR in problem.traits:
        signs = torch.ones(op.factor.num_columns, 1, device=device, dtype=dtype)
        ways[ProductKind.VJP] = partial(op.factor.rmatmat, signs)
        ways[ProductKind.PER_EXAMPLE_SQUARE] = partial(op.factor.squared_sum, signs)
    for way in ways.values():
        way()
    once = {kind: _seconds_of(way, 1, device) for kind, way in ways.items()}
    rounds = max(1, min(_UNIT_ROUNDS, int(_UNIT_LIMIT_S / sum(once.values()))))
    batches = {kind: _batch(seconds) for kind, seconds in once.items()}
    times = [{kind: _seconds_of(way, batches[kind], device) for kind, way in ways.items()} for _ in range(rounds)]
    for kind in ways:
        ratios = [seconds[kind] / seconds[unit] for seconds in times]
        yield UnitPrice(
            problem=problem.name,
            measured_problem=problem.name,
            kind_of_product=kind,
            dim=op.dim,
            nominal=PRICES[kind],
            in_gradients=statistics.median(ratios),
            in_gradients_min=min(ratios),
            in_gradients_max=max(ratios),
            column_seconds=statistics.median(seconds[kind] for seconds in times),
            gradient_seconds=statistics.median(seconds[unit] for seconds in times),
            device=job.device,
            dtype=job.dtype,
            threads=job.threads,
        )


@runtime_checkable
class _Owned(Protocol):
    """A network that knows how its user takes a gradient."""

    def own_gradient(self) -> Callable[[], object]: ...


def _gradient_of(network: Differentiable) -> Callable[[], object]:
    """One gradient as the user of a model takes it, where the network has a model, else as the network takes it."""
    return network.own_gradient() if isinstance(network, _Owned) else network.gradient


def _where(job: PriceJob | UnitJob) -> tuple[torch.device, torch.dtype]:
    return torch.device(job.device), dtype_of(job.dtype)


def _seconds_of(way: Callable[[], object], batch: int, device: torch.device) -> float:
    """Seconds of one call, of a batch of them that begins when the device is idle."""
    wait_for(device)
    return seconds_a_call(way, device, batch)


def _batch(once: float) -> int:
    """Calls that are timed together, of one that takes `once` seconds."""
    return max(1, int(_SHORT_S / max(once, 1e-7)))


def _product_seconds(product: Callable[[], object], device: torch.device) -> float:
    """Median time of five products after one that is thrown away; short ones are timed in batches of 5 ms."""
    product()
    once = seconds_a_call(product, device)
    batch = _batch(once)
    return statistics.median(seconds_a_call(product, device, batch) for _ in range(5 if once < 0.3 else 2))


def copy_bandwidth(device: torch.device) -> float:
    """Bytes per second, read and written, of a copy into place that does not fit any cache."""
    source = torch.zeros(_COPY_BYTES // 4, device=device)
    target = torch.zeros_like(source)
    return 2 * _COPY_BYTES / _product_seconds(lambda: target.copy_(source), device)


def _extrapolate(measured: list[tuple[int, float]], dim: int) -> float:
    """Price at another dimension, on the log-log line through the two largest rungs."""
    (n0, s0), (n1, s1) = measured[-2:]
    slope = math.log(s1 / s0) / math.log(n1 / n0)
    return s1 * (dim / n1) ** slope
