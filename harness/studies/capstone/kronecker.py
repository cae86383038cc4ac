"""What stands for the Fisher matrix: its block diagonal, K-FAC and EKFAC, each against the matrix itself."""

from __future__ import annotations

from typing import Final

import numpy as np
import scipy.linalg

from hessbench.estimand.base import Array
from hessbench.methods.eigenvalues.by_layer import layer_ranges
from hessbench.operators import to_dense
from hessbench.problems.curvature.kronecker import Approximation, kronecker_operator
from hessbench.reports.capstone.measures import BLOCKS, DAMPING, EKFAC, KFAC, step
from hessbench.studies.capstone.spectra import ExactStep, norm_of
from hessbench.studies.capstone.trained import network_of
from hessbench.studies.unit import UnitRecord

_KINDS: Final[dict[str, Approximation]] = {KFAC: "kfac", EKFAC: "ekfac"}


def record_kronecker(record: UnitRecord, exact: ExactStep) -> None:
    """Take down how near the approximations are to the Fisher matrix, and their damped steps to its own.

    Of cross-entropy the Fisher matrix is the GGN. Without the library only the block diagonal is looked at.

    Args:
        record: Of the unit.
        exact: The network at the step.
    """
    fisher, at = exact.ggn, step(exact.number)
    blocks = np.zeros_like(fisher)
    for where in layer_ranges(exact.shapes).values():
        piece = slice(where.start, where.stop)
        blocks[piece, piece] = fisher[piece, piece]
    damping = DAMPING * norm_of(fisher)
    own = _damped(fisher, exact.gradient, damping)
    for name, matrix in {BLOCKS: blocks, **_factored(exact)}.items():
        other = _damped(matrix, exact.gradient, damping)
        cosine = float(own @ other / (np.linalg.norm(own) * np.linalg.norm(other)))
        record.add("step_cosine", cosine, problem=at, method=name)
        record.add("distance_to_fisher", _distance(matrix, fisher), problem=at, method=name)
        record.add("distance_to_blocks", _distance(matrix, blocks), problem=at, method=name)


def _factored(exact: ExactStep) -> dict[str, Array]:
    """K-FAC and EKFAC as dense matrices; none where the library is not installed, which the verdict says."""
    network = network_of(exact.run, exact.number)
    try:
        made = {name: kronecker_operator(network, kind) for name, kind in _KINDS.items()}
    except ImportError:
        return {}
    return {name: np.asarray(to_dense(op, op.dim).numpy(), dtype=np.float64) for name, op in made.items()}


def _damped(matrix: Array, gradient: Array, damping: float) -> Array:
    """(A + damping I)^-1 g."""
    shifted = (matrix + matrix.T) / 2 + damping * np.eye(matrix.shape[0])
    return np.asarray(scipy.linalg.solve(shifted, gradient, assume_a="pos"), dtype=np.float64)


def _distance(matrix: Array, truth: Array) -> float:
    return float(np.linalg.norm(matrix - truth) / np.linalg.norm(truth))
