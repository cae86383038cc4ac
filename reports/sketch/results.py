"""What the sketch study measured, as arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hessbench.estimand.base import Array


@dataclass(frozen=True)
class SketchResults:
    """Sketches of nested matrices: axes are zero fraction, sketch ratio, matrix, sketch and, for errors, rank.

    Attributes:
        n: Dimension of the matrices.
        zero_fractions: Shares of zero eigenvalues, ascending.
        ratios: Columns of the sketch over n, ascending.
        document_matrices: Number of matrices, the first ones, that make up the document's own design.
        errors: Signed per-cent errors by basis, shape (Z, R, M, T, K): 100 (theta_i - lambda_i) / lambda_i.
        traces: tr(sketch) / tr(A) - 1 by basis, shape (Z, R, M, T).
        negatives: Negative eigenvalues of sketches of signed matrices by basis, shape (Z, R, M, T').
        negatives_of_matrix: Those of the signed matrices, shape (Z, M).
        races: Sketch-and-refine against Lanczos, one for each problem.
        seconds: Wall time of the whole.
    """

    n: int
    zero_fractions: tuple[float, ...]
    ratios: tuple[float, ...]
    document_matrices: int
    errors: Mapping[str, Array]
    traces: Mapping[str, Array]
    negatives: Mapping[str, NDArray[np.int64]]
    negatives_of_matrix: NDArray[np.int64]
    races: tuple[Race, ...]


@dataclass(frozen=True)
class Race:
    """Errors of methods on one problem at equal products, from the same starts.

    Attributes:
        problem: Its spec.
        budgets: Products, ascending.
        errors: Error by method, shape (starts, budgets), NaN where a method has no answer yet.
        floor: Bound of the reference in the same unit.
    """

    problem: str
    budgets: tuple[int, ...]
    errors: Mapping[str, Array]
    floor: float
