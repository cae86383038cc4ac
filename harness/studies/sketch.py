"""The sketch study, computed: sign sketches S^T A S of matrices with heavy tails, nested across their share of zeros.

It crosses spectra with the sketch itself, so it stands with the command line, the only place that knows both. Sketches
of one matrix share their signs: that of m columns is the first m columns of the largest, scaled by 1/sqrt(m) each, as
in `hessbench.methods.eigenvalues.sketch`. So one product serves all ratios, and all zero fractions see the same signs.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, cast

import numpy as np

from hessbench.estimand.base import Array
from hessbench.problems.spectra.closed_forms import student_t
from hessbench.reports.sketch.results import SketchResults
from hessbench.seeding import derive_seed
from hessbench.studies.race import Races, run_races

ROTATED: Final = "rotated"
DIAGONAL: Final = "diagonal"


@dataclass(frozen=True)
class Design:
    """What is drawn and how often.

    Attributes:
        n: Dimension.
        zero_fractions: Shares of zero eigenvalues.
        ratios: Columns of the sketch over n.
        matrices: Number of matrices; each is there at every zero fraction.
        document_matrices: How many of them, the first, make up the document's design.
        sketches: Sketches of each matrix.
        signed_sketches: Sketches of each signed matrix, for counts of negative eigenvalues.
        ranks: Top eigenvalues compared.
        races: The comparison of sketch-and-refine with Lanczos.
    """

    n: int = 1000
    zero_fractions: tuple[float, ...] = (0.1, 0.2, 0.4, 0.6, 0.8, 0.9)
    ratios: tuple[float, ...] = (0.02, 0.05, 0.1, 0.2, 0.4, 0.6)
    matrices: int = 20
    document_matrices: int = 3
    sketches: int = 10
    signed_sketches: int = 2
    ranks: int = 20
    races: Races = field(default_factory=Races)


def run_study(design: Design, say: Callable[[str], None]) -> SketchResults:
    """Draw, sketch and compare everything.

    Args:
        design: How much of it.
        say: Told how it goes on.
    """
    begin = time.perf_counter()
    zeros, ratios = len(design.zero_fractions), len(design.ratios)
    shape = (zeros, ratios, design.matrices, design.sketches)
    errors = {basis: np.empty((*shape, design.ranks)) for basis in (ROTATED, DIAGONAL)}
    traces = {basis: np.empty(shape) for basis in (ROTATED, DIAGONAL)}
    counts = {basis: np.empty((*shape[:3], design.signed_sketches), dtype=np.int64) for basis in (ROTATED, DIAGONAL)}
    own = np.empty((zeros, design.matrices), dtype=np.int64)
    columns = [round(ratio * design.n) for ratio in design.ratios]
    for matrix in range(design.matrices):
        eigenvalues = student_t(design.n, 0.0, 1.0, signed=True, seed=derive_seed("sketch-study spectrum", str(matrix)))
        rng = np.random.default_rng(derive_seed("sketch-study matrix", str(matrix)))
        order = rng.permutation(design.n)
        Q = np.linalg.qr(rng.standard_normal((design.n, design.n)))[0]
        kept = [order[round(fraction * design.n) :] for fraction in design.zero_fractions]
        own[:, matrix] = [int((eigenvalues[places] < 0).sum()) for places in kept]
        for sketch in range(design.sketches):
            S = 2.0 * rng.integers(0, 2, size=(design.n, columns[-1])) - 1.0
            for basis in errors:
                seen = Q.T @ S if basis == ROTATED else S
                for zero, places in enumerate(kept):
                    values, Z = eigenvalues[places], cast("Array", seen[places])
                    at = (zero, slice(None), matrix, sketch)
                    errors[basis][at], traces[basis][at] = sketch_errors(np.abs(values), Z, columns, design.ranks)
                    if sketch < design.signed_sketches:
                        counts[basis][at] = negative_counts(values, Z, columns)
        say(f"matrix {matrix + 1} of {design.matrices}: {time.perf_counter() - begin:.0f} s")
    races = run_races(design.races, say)
    return SketchResults(
        design.n, design.zero_fractions, design.ratios, design.document_matrices, errors, traces, counts, own, races
    )


def sketch_errors(values: Array, Z: Array, columns: list[int], ranks: int) -> tuple[Array, Array]:
    """Errors of the sketches of one semidefinite matrix with the first m of the signs, for each m.

    Args:
        values: Its r nonzero eigenvalues.
        Z: Signs seen from its eigenvectors, V^T S of shape (r, largest m).
        columns: The m, ascending.
        ranks: Number of top eigenvalues.

    Returns:
        Signed per-cent errors (len(columns), ranks), and tr(sketch) / tr(A) - 1, shape (len(columns),).
    """
    B = np.sqrt(values)[:, None] * Z
    r = values.size
    truth = np.sort(values)[::-1][:ranks]
    squares = np.cumsum((B**2).sum(axis=0))
    inside = [m for m in columns if m <= r]
    # The leading blocks of one Gram matrix; past the rank its other side has the same nonzero eigenvalues.
    largest = B[:, : inside[-1]] if inside else B[:, :0]
    gram = largest.T @ largest
    errors = np.empty((len(columns), ranks))
    for row, m in enumerate(columns):
        G = gram[:m, :m] if m <= r else B[:, :m] @ B[:, :m].T
        found = np.linalg.eigvalsh(G / m)[::-1][:ranks]
        found = np.concatenate([found, np.zeros(max(0, ranks - found.size))])
        errors[row] = 100 * (found - truth) / truth
    return errors, np.asarray([squares[m - 1] / m for m in columns]) / values.sum() - 1


def negative_counts(values: Array, Z: Array, columns: list[int]) -> list[int]:
    """Negative eigenvalues of the sketches of one signed matrix: below -10 m eps of the largest magnitude."""
    G = Z.T @ (values[:, None] * Z)
    counts: list[int] = []
    for m in columns:
        found = np.linalg.eigvalsh(G[:m, :m] / m)
        counts.append(int((found < -10 * m * 2.0**-52 * np.abs(found).max()).sum()))
    return counts
