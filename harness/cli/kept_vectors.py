"""Eigenvectors that `hessbench spectrum --keep-vectors` keeps beside a run's ledger, and what is said of them."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import torch
from rich.console import Console

from hessbench.cells.build import dtype_of
from hessbench.cli.spectrum_suite import SuitePrice
from hessbench.eigenvectors import (
    StoredEigenvectors,
    keep_eigenvectors,
    layer_shares,
    participation_ratio,
    read_eigenvectors,
)
from hessbench.files import write_whole
from hessbench.problem import Problem
from hessbench.reports.writing.terminal import print_table
from hessbench.running.plan import Conditions

FOLDER: Final = "eigenvectors"
TABLE: Final = "localisation.csv"


def vector_products(k: int, dim: int, budget: int) -> int:
    """Products for the first k eigenvectors and the check of each: as many as the eigenvalues get, and k."""
    count = min(k, dim)
    return max(count, 2 * budget // 5) + count


def with_vectors(price: SuitePrice, products: int) -> SuitePrice:
    """The price of a suite and of so many products more, each as dear as the others."""
    whole = price.products + products
    seconds = None if price.seconds is None else price.seconds * whole / price.products
    return replace(price, seconds=seconds, products=whole)


def keep_vectors(
    problem: Problem, folder: Path, k: int, products: int, conditions: Conditions, tell: Callable[[str], None]
) -> StoredEigenvectors:
    """Keep the first eigenvectors of a problem in a run's folder; what is there of the same problem stays.

    Args:
        problem: The problem.
        folder: The run's folder; they go into `eigenvectors` in it, a table of where they live beside them.
        k: Number of eigenvectors, as many as the dimension where that is less.
        products: In all.
        conditions: Device, dtype and threads.
        tell: Told what is done.
    """
    home = folder / FOLDER
    asked: Mapping[str, Any] = {
        "problem_hash": problem.hash,
        "budget": products,
        "device": conditions.device or "cpu",
        "dtype": conditions.dtype or "float32",
    }
    found = _kept(home, asked, min(k, problem.dim))
    if found is None:
        threads = torch.get_num_threads()
        torch.set_num_threads(conditions.threads or 1)
        try:
            found = keep_eigenvectors(
                problem, home, k=min(k, problem.dim), num_matvecs=products, device=asked["device"],
                dtype=dtype_of(asked["dtype"]),
            )  # fmt: skip
        finally:
            torch.set_num_threads(threads)
        tell(f"kept {found.values.size} eigenvectors of {found.vectors.shape[0]:,} entries, {found.facts['matvecs']} "
             "products")  # fmt: skip
    write_whole(home / TABLE, _csv(found).encode())
    return found


def print_vectors(found: StoredEigenvectors, console: Console) -> None:
    """Print the eigenvalue, the residual, the participation and the heaviest piece of each vector."""
    ratios = participation_ratio(found.vectors)
    shares = layer_shares(found.vectors, found.shapes) if found.shapes else {}
    rows: list[tuple[str, ...]] = []
    for place, value in enumerate(found.values):
        heaviest = max(shares, key=lambda name: shares[name][place], default="")
        share = f"{shares[heaviest][place]:.0%} in {heaviest}" if heaviest else ""
        rows.append((f"{value:.5g}", f"{found.facts['residuals'][place]:.1e}", f"{ratios[place]:,.1f}", share))
    console.print(f"eigenvectors, in {FOLDER}: spread over so many of {found.vectors.shape[0]:,} entries", markup=False)
    print_table(console, ("eigenvalue", "residual", "spread over", "most mass"), rows, numbers=(0, 1, 2))


def _kept(home: Path, asked: Mapping[str, Any], count: int) -> StoredEigenvectors | None:
    """What was kept under the same conditions; None where there is none."""
    try:
        found = read_eigenvectors(home)
        whole = found.vectors.shape[1] == count
    except ValueError:
        return None
    return found if whole and all(found.facts.get(name) == value for name, value in asked.items()) else None


def _csv(found: StoredEigenvectors) -> str:
    """Eigenvalue, residual, participation ratio and the share of each piece, a row for each vector."""
    shares = layer_shares(found.vectors, found.shapes) if found.shapes else {}
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["eigenvalue", "residual", "participation_ratio", *shares])
    for place, ratio in enumerate(participation_ratio(found.vectors).tolist()):
        own = [float(share[place]) for share in shares.values()]
        writer.writerow([float(found.values[place]), found.facts["residuals"][place], ratio, *own])
    return file.getvalue()
