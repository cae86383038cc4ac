"""Costs of Lanczos without reorthogonalisation: seconds by steps, images and parameters, and vectors alive."""

from __future__ import annotations

import gc
import time
from typing import Final

import torch
from torch import Tensor

from hessbench.methods.krylov.lockstep import lanczos_lockstep
from hessbench.operators import FunctionOperator, LinearOperator
from hessbench.reports.full_spectrum import cost_verdicts as names
from hessbench.studies.full_spectrum.networks import built
from hessbench.studies.units import UnitRecord

REPEATS: Final = 3
_DATA: Final = "mnist"
_STEPS: Final = (32, 64, 128, 256)
_PER_CLASS: Final = (10, 20, 40, 80)
_WIDTHS: Final = (128, 256, 512)
_MIDDLE: Final = (64, 20, 256)
"""Steps, images a class and width of what is not varied."""

_LONG: Final = 50_000
"""Dimension of the matrix in whose run vectors are counted: far above anything else that is alive."""


def measure_costs(record: UnitRecord, device: str) -> None:
    """Seconds of Lanczos on Hessians of perceptrons, and how many vectors of their length it keeps alive.

    Args:
        record: Takes them down.
        device: Where products are made.
    """
    steps, per_class, width = _MIDDLE
    for more in _STEPS:
        _seconds(record, names.by(names.STEPS, more), _hessian(width, per_class, device), more)
    for more in _PER_CLASS:
        _seconds(record, names.by(names.IMAGES, 10 * more), _hessian(width, more, device), steps)
    for more in _WIDTHS:
        op = _hessian(more, per_class, device)
        _seconds(record, names.by(names.PARAMETERS, op.dim), op, steps)
    for reorth in ("none", "full"):
        for more in (_STEPS[0], _STEPS[-1]):
            alive = vectors_alive(_LONG, more, reorth)
            record.add(names.ALIVE, alive, problem=names.by(names.STEPS, more), method=reorth)


def vectors_alive(dim: int, steps: int, reorth: str) -> float:
    """Most vectors of length `dim` that a run of Lanczos holds when it asks for a product, the asked one included.

    Args:
        dim: Dimension n of a diagonal matrix.
        steps: Products.
        reorth: As in `lanczos_lockstep`.
    """
    diagonal = torch.linspace(-1.0, 1.0, dim, dtype=torch.float64)[:, None]
    before = _bytes_alive(dim)
    seen: list[int] = []
    asked = 0

    def multiply(block: Tensor) -> Tensor:
        nonlocal asked
        asked += 1
        if asked in (2, steps // 2, steps):
            seen.append(_bytes_alive(dim) - before)
        return diagonal * block

    op = FunctionOperator(multiply, dim, dtype=torch.float64)
    start = torch.ones(dim, 1, dtype=torch.float64)
    lanczos_lockstep(op, start, steps, reorth=reorth)
    return max(seen) / (dim * diagonal.element_size())


def _bytes_alive(dim: int) -> int:
    """Memory of the tensors of `dim` numbers at least, each storage once."""
    storages = {
        it.untyped_storage().data_ptr(): it.untyped_storage().nbytes()
        for it in gc.get_objects()
        if type(it) is Tensor and it.device.type == "cpu" and it.numel() >= dim
    }
    return sum(storages.values())


def _hessian(width: int, per_class: int, device: str) -> LinearOperator:
    """A Hessian at drawn weights: prices depend on shapes alone; one engine, so that sizes are compared."""
    network = f"data={_DATA},widths={width}-{width},per_class={per_class},weights=random"
    spec = f"mlp[{network},operator=hessian,engine=kept-graph]"
    return built(spec, torch.device(device), torch.float32)


def _seconds(record: UnitRecord, problem: str, op: LinearOperator, steps: int) -> None:
    start = torch.randn(op.dim, 1, generator=torch.Generator().manual_seed(0)).to(op.device)
    op.matmat(start)
    # Of the process, on a CPU: who else computes there plays no part.
    clock = time.process_time if op.device.type == "cpu" else time.perf_counter
    for _ in range(REPEATS):
        begin = clock()
        lanczos_lockstep(op, start, steps, reorth="none")
        record.add(names.SECONDS, clock() - begin, problem=problem)
