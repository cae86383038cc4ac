"""The tangent kernel across the training, and how lazy a training is by width."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch

from hessbench.problems.tangent_kernel import (
    class_shares,
    eigenfunction_images,
    kernel_drift,
    kernel_matrix,
    lazy_regime,
    top_eigenfunctions,
)
from hessbench.reports.capstone.measures import EIGENFUNCTIONS, STEPS, step, width
from hessbench.studies.capstone.computations import record_kernel
from hessbench.studies.capstone.trained import network_of
from hessbench.studies.unit import UnitRecord


def record_kernels(record: UnitRecord, run: int, *, drawn: bool) -> None:
    """Take down the first eigenfunctions of the kernel on test images at each step.

    Args:
        record: Of the unit.
        run: Number of the training.
        drawn: Whether they are kept as images.
    """
    first = kernel_matrix(network_of(run, 0, test=True))
    for number in STEPS:
        network = network_of(run, number, test=True)
        (batch,) = network.batches
        kernel = first if number == 0 else kernel_matrix(network)
        values, functions = top_eigenfunctions(kernel, EIGENFUNCTIONS)
        record.add("class_share", float(class_shares(functions, batch.targets).mean()), problem=step(number))
        record.add("kernel_drift_by_step", kernel_drift(first, kernel), problem=step(number))
        found = record_kernel(record, run, number, kernel)
        record.keep(f"{step(number)} kernel eigenvalues", values.numpy())
        if drawn:
            pixels = torch.as_tensor(batch.inputs)
            # Each found column by the sign of the exact one it is nearest to.
            found = found * np.sign(np.einsum("ik,ik->k", found, functions.numpy()))
            images = partial(eigenfunction_images, inputs=pixels)
            record.keep(f"{step(number)} images", images(functions).squeeze().numpy())
            record.keep(f"{step(number)} images found", images(torch.as_tensor(found)).squeeze().numpy())


def measure_laziness(record: UnitRecord, *, run: int, units: int, device: str) -> None:
    """Compare a network of some width before and after its training.

    Args:
        record: Of the unit.
        run: Number of the training.
        units: Hidden units.
        device: Where the kernels are made.
    """
    dtype = torch.float64 if units <= 512 else torch.float32
    before, after = (
        network_of(run, number, units=units, test=True, device=device, dtype=dtype) for number in (0, STEPS[-1])
    )
    found = lazy_regime(before, after, k=EIGENFUNCTIONS)
    at = width(units)
    record.add("loss_before", float(before.objective(before.parameters)), problem=at)
    record.add("loss_after", float(after.objective(after.parameters)), problem=at)
    record.add("overlap", found.overlap, problem=at)
    record.add("random_overlap", found.random_overlap, problem=at)
    record.add("kernel_drift", found.kernel_drift, problem=at)
    record.add("prediction_r2", found.prediction_r2, problem=at)
    record.add("change_r2", found.change_r2, problem=at)
    record.add("parameter_change", found.parameter_change, problem=at)
