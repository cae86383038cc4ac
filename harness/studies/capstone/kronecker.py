"""What stands for the Fisher matrix: its block diagonal, K-FAC and EKFAC, each against the matrix itself."""

from __future__ import annotations

from typing import Final

import numpy as np
import torch

from hessbench.estimand.base import Array
from hessbench.methods.eigenvalues.by_layer import layer_ranges
from hessbench.methods.functions.approximations import frobenius_distance
from hessbench.operators import LinearOperator, dense_operator, to_dense
from hessbench.problems.curvature.kronecker import Approximation, kronecker_operator
from hessbench.reports.capstone.measures import BLOCKS, DAMPING, EKFAC, KFAC, step
from hessbench.seeding import make_generator
from hessbench.studies.capstone.spectra import ExactStep
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
    layers = layer_ranges(exact.shapes)
    damping = DAMPING * float(np.linalg.eigvalsh(fisher)[-1])
    own = _damped(fisher, exact.gradient, damping)
    whole = dense_operator(torch.from_numpy(fisher))
    for name, op in _approximations(exact, layers).items():
        other = _damped(to_dense(op).numpy(), exact.gradient, damping)
        cosine = float(own @ other / (np.linalg.norm(own) * np.linalg.norm(other)))
        # As many probes as there are parameters: unit vectors, and no estimate.
        found = frobenius_distance(op, whole, layers, num_probes=whole.dim, generator=make_generator(0))
        record.add("step_cosine", cosine, problem=at, method=name)
        record.add("distance_to_fisher", found.to_whole, problem=at, method=name)
        record.add("distance_to_blocks", found.to_blocks, problem=at, method=name)


def _approximations(exact: ExactStep, layers: dict[str, range]) -> dict[str, LinearOperator]:
    """The block diagonal, and the factored forms where the library is installed."""
    blocks = np.zeros_like(exact.ggn)
    for where in layers.values():
        piece = slice(where.start, where.stop)
        blocks[piece, piece] = exact.ggn[piece, piece]
    found: dict[str, LinearOperator] = {BLOCKS: dense_operator(torch.from_numpy(blocks))}
    network = network_of(exact.run, exact.number)
    try:
        found |= {name: kronecker_operator(network, kind) for name, kind in _KINDS.items()}
    except ImportError:  # the verdict says how to install it
        return found
    return found


def _damped(matrix: Array, gradient: Array, damping: float) -> Array:
    """(A + damping I)^-1 g."""
    shifted = (matrix + matrix.T) / 2 + damping * np.eye(matrix.shape[0])
    return np.asarray(np.linalg.solve(shifted, gradient), dtype=np.float64)
