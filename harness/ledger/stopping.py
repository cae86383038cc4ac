"""How many products a run takes until its first eigenvalues are right, and stay so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from hessbench.estimand import Array, TopEigenvalues, parse_estimand
from hessbench.estimand.base import Reference
from hessbench.ledger.reading import Ledger, load_arrays
from hessbench.ledger.record import Record
from hessbench.ledger.stored_references import ReferenceStore

TOLERANCE: Final = 0.01
"""Largest relative error with which the first k eigenvalues count as found."""


def stopping_count(products: Array, errors: Array, tolerance: float = TOLERANCE) -> float:
    """The first number of products from which the error stays within a tolerance to the end of the run.

    Args:
        products: Spent at each checkpoint, ascending, (m,).
        errors: At each checkpoint, (m,); NaN counts as beyond any tolerance.
        tolerance: Largest error accepted.

    Returns:
        The number; inf where the last checkpoint is beyond the tolerance, or there is none.

    Raises:
        ValueError: If the two differ in length, or the products do not ascend.
    """
    if products.shape != errors.shape or products.ndim != 1:
        raise ValueError(f"errors must be one for each of {products.size} checkpoints, got shape {errors.shape}")
    if bool((np.diff(products) < 0).any()):
        raise ValueError("products must ascend from checkpoint to checkpoint")
    beyond = np.flatnonzero(~(errors <= tolerance))
    first = int(beyond[-1]) + 1 if beyond.size else 0
    return float(products[first]) if first < products.size else float("inf")


def leading_errors(values: Array, truth: Array, k: int, least: float = 0.0) -> Array:
    """Largest relative error of the magnitudes of the first k eigenvalues at each checkpoint.

    Args:
        values: Eigenvalues at m checkpoints in order of magnitude, NaN where one is missing, (m, K).
        truth: True ones in the same order, at least k.
        k: How many are compared.
        least: Bound of the reference, below which no eigenvalue is a scale.

    Returns:
        Errors (m,); a missing value scores 1.

    Raises:
        ValueError: If there are fewer than k true ones.
    """
    if truth.size < k:
        raise ValueError(f"truth must hold {k} eigenvalues, got {truth.size}")
    wanted = np.abs(truth[:k])
    found = np.full((values.shape[0], k), np.nan)
    here = min(k, values.shape[1])
    found[:, :here] = np.abs(values[:, :here])
    relative = np.abs(found - wanted) / np.maximum(wanted, least)
    return np.where(np.isnan(found), 1.0, relative).max(axis=1, initial=0.0)


@dataclass(frozen=True)
class StoppedRun:
    """When one run of a ledger found its first eigenvalues.

    Attributes:
        cell: Its id.
        problem: Spec.
        method: Spec.
        repeat: Number of the start.
        k: How many eigenvalues.
        products: `stopping_count`; inf where it did not.
        spent: Products of its last checkpoint.
        error: Largest relative error there.
    """

    cell: str
    problem: str
    method: str
    repeat: int
    k: int
    products: float
    spent: int
    error: float


def stopping_counts(
    folder: Path | str, counts: Sequence[int] = (), tolerance: float = TOLERANCE
) -> tuple[StoppedRun, ...]:
    """Read from the ledger of any run when its methods found the first eigenvalues.

    Args:
        folder: Of the run, with the arrays and the references it keeps.
        counts: How many eigenvalues; all that a cell asks for where nothing is said.
        tolerance: Largest relative error accepted.

    Returns:
        One for each timed cell of top eigenvalues by magnitude and each count up to its k, in the order of the ledger.
        Cells without checkpoints, kept arrays or a reference are left out.

    Raises:
        ValueError: If the folder holds no ledger.
    """
    store, runs = ReferenceStore(folder), dict[tuple[str, str], list[Record]]()
    for record in Ledger.read(folder).records:
        if record.pass_ == "time" and record.arrays and record.checkpoint is not None:
            runs.setdefault((record.cell, record.estimand), []).append(record)
    found: list[StoppedRun] = []
    for records in runs.values():
        first = records[0]
        estimand = parse_estimand(first.estimand)
        if not isinstance(estimand, TopEigenvalues) or estimand.which != "magnitude":
            continue
        reference = store.load(first.problem_hash, [first.estimand]).get(first.estimand)
        if reference is not None:
            found += _of_run(Path(folder), records, estimand, reference, counts or (estimand.k,), tolerance)
    return tuple(found)


def _of_run(
    folder: Path,
    records: list[Record],
    estimand: TopEigenvalues,
    reference: Reference,
    counts: Sequence[int],
    tolerance: float,
) -> list[StoppedRun]:
    records = sorted({record.budget: record for record in records}.values(), key=lambda it: it.budget)
    values = np.full((len(records), estimand.k), np.nan)
    for row, record in zip(values, records, strict=True):
        kept = load_arrays(folder, record.arrays)["eigenvalues"]
        row[: kept.size] = kept[: estimand.k]
    spent = np.asarray([record.matvecs for record in records], dtype=np.float64)
    truth, first = reference.arrays["eigenvalues"], records[0]
    stopped: list[StoppedRun] = []
    for k in counts:
        if k <= min(estimand.k, truth.size):
            errors = leading_errors(values, truth, k, reference.bound_in(first.dtype))
            count = stopping_count(spent, errors, tolerance)
            stopped.append(
                StoppedRun(
                    first.cell, first.problem, first.method, first.repeat, k, count, int(spent[-1]), float(errors[-1])
                )
            )
    return stopped
