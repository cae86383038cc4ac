"""What a worker process can be asked to do: run a cell, build references, measure prices, check a method."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Final, cast

import torch

from hessbench.catalog import Catalog
from hessbench.cells.cell import Cell
from hessbench.cells.execute import Emit, classify, execute
from hessbench.counting import PRICES
from hessbench.estimand import parse_estimand
from hessbench.laws.checks import check_method
from hessbench.ledger.stored_references import ReferenceStore, cached_references
from hessbench.operators import Differentiable, Factored, ProductKind, info_of
from hessbench.problem import FACTOR, Problem
from hessbench.redact import redact
from hessbench.seeding import derive_seed, make_generator

RUNGS: Final = (10_000, 100_000, 1_000_000, 10_000_000)
"""Dimensions at which a product is priced."""

_RUNG_LIMIT_S: Final = 6.0
"""Seconds the next rung may take: four products, and a build ten times the last."""

_UNIT_LIMIT_S: Final = 6.0
_UNIT_ROUNDS: Final = 7
"""Most rounds in which every kind of product is timed beside a gradient, and the seconds that all may take."""

_COPY_BYTES: Final = 1 << 28


def perform(job: dict[str, Any], catalog: Catalog, emit: Emit, on_charge: Callable[[int], None]) -> None:
    """Do one job, emitting its results; the last message has `"type": "end"`."""
    kind = job["job"]
    if kind == "cell":
        cell = Cell.from_json(job["cell"])
        # The answer is not for whoever looks around in this process.
        problem = replace(catalog.problem(cell.problem), references={})
        execute(cell, problem, catalog.method(cell.method, parse_estimand(cell.estimand)), emit, on_charge)
        return
    try:
        if kind == "reference":
            _references(job, catalog.problem(job["problem"]), emit)
        elif kind == "price":
            _prices(job, catalog.problem(job["problem"]), emit)
        elif kind == "unit":
            _units(job, catalog.problem(job["problem"]), emit)
        elif kind == "conformance":
            _conformance(job, catalog, emit)
        else:
            raise ValueError(f"unknown job {kind!r}")
    except Exception as failure:  # noqa: BLE001 -- a problem's own code may raise anything; its cells say what
        status, reason = classify(failure)
        emit({"type": "end", "status": status, "reason": reason}, {})
        return
    emit({"type": "end", "status": "ok", "reason": ""}, {})


def _references(job: dict[str, Any], problem: Problem, emit: Emit) -> None:
    """Hash the problem's content, then build every reference that no store holds under that hash."""
    torch.set_num_threads(job["threads"])
    problem_hash = problem.hash
    # A hash of a few products tells one run's problems apart, but is no ground for an answer from another day.
    of_content = problem.fingerprint is not None
    emit({"type": "problem", "hash": problem_hash, "of_content": of_content}, {})
    stores = [ReferenceStore(job["folder"]), *([cached_references()] if of_content else [])]
    for text in job["estimands"]:
        estimand = parse_estimand(text)
        build = problem.references.get(type(estimand))
        if build is None or any(store.holds(problem_hash, text) for store in stores):
            continue
        try:
            reference = build(estimand)
            numbers = {name: float(getattr(reference, name)) for name in ("norm", "bound", "rounding")}
            for name, number in numbers.items():
                if not 0 <= number < math.inf:
                    raise ValueError(f"{name} of a reference must be finite and at least 0, got {number}")
        except Exception as failure:  # noqa: BLE001 -- one reference that fails must not cost the others
            emit({"type": "no-reference", "estimand": text, "reason": classify(failure)[1]}, {})
            continue
        header = {
            "type": "reference",
            "estimand": text,
            "source": reference.source,
            **numbers,
            "note": redact(reference.note),
        }
        emit(header, reference.arrays)


def _prices(job: dict[str, Any], problem: Problem, emit: Emit) -> None:
    """Time one product at growing dimensions, as long as a rung stays affordable, and the memory bandwidth."""
    if problem.ladder is None:
        return
    torch.set_num_threads(job["threads"])
    device, dtype = torch.device(job["device"]), cast("torch.dtype", getattr(torch, job["dtype"]))
    bandwidth = _bandwidth(device)
    measured: list[tuple[int, float]] = []
    build_s = 0.0
    for rung in RUNGS:
        if len(measured) >= 2 and _extrapolate(measured, rung) * 4 + build_s * 10 > _RUNG_LIMIT_S:
            break
        begin = time.perf_counter()
        sized = problem.ladder(rung)
        op = sized.build(device, dtype)
        build_s = time.perf_counter() - begin
        block = torch.randn(
            op.dim, 1, generator=make_generator(derive_seed("price"), device), device=device, dtype=dtype
        )
        seconds = _product_seconds(partial(op.matmat, block), device)
        predicted = _extrapolate(measured, sized.dim) if len(measured) >= 2 else None
        measured.append((sized.dim, seconds))
        row = {
            "type": "price",
            "problem": problem.name,
            "measured_problem": sized.name,
            "kind_of_product": info_of(op).kind,
            "dim": sized.dim,
            "seconds": seconds,
            "predicted_seconds": predicted,
            "bandwidth": bandwidth,
            "device": job["device"],
            "dtype": job["dtype"],
            "threads": job["threads"],
        }
        emit(row, {})


def _units(job: dict[str, Any], problem: Problem, emit: Emit) -> None:
    """Time one column of every kind of product of a problem beside one gradient of it, in rounds that hold them all."""
    network = problem.network() if problem.network is not None else None
    if not isinstance(network, Differentiable):
        return
    torch.set_num_threads(job["threads"])
    device, dtype = torch.device(job["device"]), cast("torch.dtype", getattr(torch, job["dtype"]))
    op = problem.build(device, dtype)
    generator = make_generator(derive_seed("unit"), device)
    block = torch.randn(op.dim, 1, generator=generator, device=device, dtype=dtype)
    ways: dict[ProductKind, Callable[[], object]] = {
        ProductKind.GRADIENT: network.to(device, dtype).gradient,
        info_of(op).kind: partial(op.matmat, block),
    }
    if isinstance(op, Factored) and FACTOR in problem.traits:
        signs = torch.ones(op.factor.num_columns, 1, device=device, dtype=dtype)
        ways[ProductKind.VJP] = partial(op.factor.rmatmat, signs)
        ways[ProductKind.PER_EXAMPLE_SQUARE] = partial(op.factor.squared_sum, signs)
    for way in ways.values():
        way()
    once = {kind: _seconds_of(way, 1, device) for kind, way in ways.items()}
    rounds = max(1, min(_UNIT_ROUNDS, int(_UNIT_LIMIT_S / sum(once.values()))))
    batches = {kind: max(1, int(0.005 / max(seconds, 1e-7))) for kind, seconds in once.items()}
    times = [{kind: _seconds_of(way, batches[kind], device) for kind, way in ways.items()} for _ in range(rounds)]
    for kind in ways:
        ratios = [seconds[kind] / seconds[ProductKind.GRADIENT] for seconds in times]
        row = {
            "type": "price",
            "problem": problem.name,
            "measured_problem": problem.name,
            "kind_of_product": kind,
            "dim": op.dim,
            "nominal": PRICES[kind],
            "in_gradients": statistics.median(ratios),
            "in_gradients_min": min(ratios),
            "in_gradients_max": max(ratios),
            "column_seconds": statistics.median(seconds[kind] for seconds in times),
            "gradient_seconds": statistics.median(seconds[ProductKind.GRADIENT] for seconds in times),
            "device": job["device"],
            "dtype": job["dtype"],
            "threads": job["threads"],
        }
        emit(row, {})


def _seconds_of(way: Callable[[], object], batch: int, device: torch.device) -> float:
    """Seconds of one call, of a batch of them."""
    _wait(device)
    begin = time.perf_counter()
    for _ in range(batch):
        way()
    _wait(device)
    return (time.perf_counter() - begin) / batch


def _conformance(job: dict[str, Any], catalog: Catalog, emit: Emit) -> None:
    torch.set_num_threads(1)
    method = catalog.methods.entry_of(job["method"])
    for verdict in check_method(method, job["method"]):
        emit({"type": "law", "law": verdict.law, "passed": verdict.passed, "detail": redact(verdict.detail)}, {})


def _product_seconds(product: Callable[[], object], device: torch.device) -> float:
    """Median time of five products after one that is thrown away; short ones are timed in batches of 5 ms."""
    product()
    begin = time.perf_counter()
    product()
    _wait(device)
    once = time.perf_counter() - begin
    batch = max(1, int(0.005 / max(once, 1e-7)))
    samples: list[float] = []
    for _ in range(5 if once < 0.3 else 2):
        begin = time.perf_counter()
        for _ in range(batch):
            product()
        _wait(device)
        samples.append((time.perf_counter() - begin) / batch)
    return statistics.median(samples)


def _bandwidth(device: torch.device) -> float:
    """Bytes per second, read and written, of a copy into place that does not fit any cache."""
    source = torch.zeros(_COPY_BYTES // 4, device=device)
    target = torch.zeros_like(source)
    return 2 * _COPY_BYTES / _product_seconds(lambda: target.copy_(source), device)


def _extrapolate(measured: list[tuple[int, float]], dim: int) -> float:
    """Price at another dimension, on the log-log line through the two largest rungs."""
    (n0, s0), (n1, s1) = measured[-2:]
    slope = math.log(s1 / s0) / math.log(n1 / n0)
    return s1 * (dim / n1) ** slope


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
