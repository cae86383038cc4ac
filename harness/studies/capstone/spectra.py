"""The exact spectra of a network at one step, and what the document claims of them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import Any, cast

import numpy as np
import scipy.linalg
import scipy.sparse.linalg
import torch
from scipy import stats

from hessbench.eigenvectors import layer_shares, participation_ratio
from hessbench.estimand.base import Array
from hessbench.operators import to_dense
from hessbench.reports.capstone.measures import CLASSES, TOP, step
from hessbench.studies.capstone.trained import network_of, problem
from hessbench.studies.unit import UnitRecord


@dataclass(frozen=True)
class ExactStep:
    """What is known exactly of a network at a step.

    Attributes:
        run: Number of the training.
        number: Step.
        hessian: H (n, n), float64.
        ggn: GGN (n, n), float64.
        eigenvalues: Of H, ascending.
        vectors: Of the largest `TOP` eigenvalues of H, descending, (n, TOP).
        gradient: Of the loss, (n,).
        loss: On the training images.
        shapes: Names and shapes of the parameters.
    """

    run: int
    number: int
    hessian: Array
    ggn: Array
    eigenvalues: Array
    vectors: Array
    gradient: Array
    loss: float
    shapes: dict[str, tuple[int, ...]]

    @property
    def pieces(self) -> dict[str, slice]:
        """Where each piece of the parameters lies in a vector."""
        ends = np.cumsum([0, *(prod(shape) for shape in self.shapes.values())]).tolist()
        return {name: slice(start, stop) for name, (start, stop) in zip(self.shapes, pairwise(ends), strict=True)}


def exact_step(run: int, number: int) -> ExactStep:
    """Build and solve both matrices of a network at a step.

    Cost: 2 n products and O(n^3) multiplications.
    """
    asked = problem(run, number)
    network = network_of(run, number)
    hessian, ggn = _dense(run, number, "hessian"), _dense(run, number, "ggn")
    n = hessian.shape[0]
    _, found = cast("tuple[Array, Array]", scipy.linalg.eigh(hessian, subset_by_index=[n - TOP, n - 1]))
    return ExactStep(
        run=run,
        number=number,
        hessian=hessian,
        ggn=ggn,
        eigenvalues=np.linalg.eigvalsh(hessian).astype(np.float64, copy=False),
        vectors=found[:, ::-1],
        gradient=network.gradient().numpy(),
        loss=float(network.objective(network.parameters)),
        shapes={name: tuple(shape) for name, shape in asked.shapes.items()},
    )


def _dense(run: int, number: int, operator: str) -> Array:
    built = problem(run, number, operator).build(torch.device("cpu"), torch.float64)
    found = to_dense(built).numpy()
    return np.asarray((found + found.T) / 2, dtype=np.float64)


def record_spectrum(record: UnitRecord, exact: ExactStep, *, drawn: bool) -> None:
    """Take down what is claimed of the spectrum of H at a step, and what its eigenvectors show.

    Args:
        record: Of the unit.
        exact: The network at the step.
        drawn: Whether the whole spectrum is kept for a figure.
    """
    at, values = step(exact.number), exact.eigenvalues
    descending = values[::-1]
    top = float(np.abs(values).max())
    share, place, ratio = near_zero_share(values), *largest_gap(values)
    record.add("loss", exact.loss, problem=at)
    record.add("gradient_norm_squared", float(exact.gradient @ exact.gradient), problem=at)
    record.add("trace", float(np.trace(exact.hessian)), problem=at)
    record.add("absolute_trace", float(np.abs(values).sum()), problem=at)
    record.add("top", float(descending[0]), problem=at)
    record.add("least", float(values[0]), problem=at)
    record.add("ks_to_normal", ks_to_normal(values), problem=at)
    record.add("near_zero_share", share, problem=at)
    record.add("gap_place", place, problem=at)
    record.add("gap_ratio", ratio, problem=at)
    record.add("relative_difference", norm_of(exact.hessian - exact.ggn) / top, problem=at)
    order = np.argsort(-np.abs(values))[:TOP]
    record.keep(f"{at} top magnitudes", np.abs(values[order]))
    _record_vectors(record, exact)
    if drawn:
        record.keep(f"{at} eigenvalues", values)


def _record_vectors(record: UnitRecord, exact: ExactStep) -> None:
    at = step(exact.number)
    spread = participation_ratio(exact.vectors)
    record.add("participation", float(spread[0]), problem=at)
    record.keep(f"{at} participation", spread)
    for name, shares in layer_shares(exact.vectors, exact.shapes).items():
        record.add("layer_share", float(shares[0]), problem=at, method=name)
    for name, piece in exact.pieces.items():
        block = exact.hessian[piece, piece]
        (largest,) = scipy.linalg.eigvalsh(block, subset_by_index=[block.shape[0] - 1] * 2)
        record.add("block_top", float(largest), problem=at, method=name)
        record.add("block_size", block.shape[0], problem=at, method=name)


def norm_of(matrix: Array) -> float:
    """Spectral norm of a symmetric matrix (n, n), to 10 digits, by Lanczos with restarts from a fixed start."""
    start = np.cos(np.arange(matrix.shape[0]))
    solve: Any = scipy.sparse.linalg.eigsh
    found = solve(matrix, k=1, which="LM", v0=start, tol=1e-10, return_eigenvectors=False)
    return float(np.abs(found[0]))


def ks_to_normal(values: Array) -> float:
    """Kolmogorov-Smirnov distance of numbers (n,) to the normal of their mean and standard deviation."""
    found: Any = stats.kstest(values, "norm", args=(values.mean(), values.std()))
    return float(found.statistic)


def near_zero_share(values: Array) -> float:
    """Share of eigenvalues whose magnitude is at most 1 % of the largest."""
    sizes = np.abs(values)
    return float((sizes <= 0.01 * sizes.max()).mean())


def largest_gap(values: Array) -> tuple[int, float]:
    """Place k and value of the largest ratio lambda_k / lambda_(k+1) of eigenvalues, 2 <= k <= 3 C.

    Only positive ones count; eigenvalues are numbered from the largest on, from 1.
    """
    descending = np.sort(values)[::-1][: 3 * CLASSES + 1]
    positive = descending[descending > 0]
    ratios = positive[1:-1] / positive[2:]
    place = int(np.argmax(ratios))
    return place + 2, float(ratios[place])
