"""What stands for the Fisher matrix: its block diagonal, K-FAC and EKFAC, each against the matrix itself."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final
from warnings import catch_warnings, simplefilter

import numpy as np
import scipy.linalg
import torch
from torch import nn

from hessbench.estimand.base import Array
from hessbench.methods.eigenvalues.by_layer import layer_ranges
from hessbench.problems.networks.network import Network
from hessbench.reports.capstone.measures import BLOCKS, DAMPING, EKFAC, KFAC, step
from hessbench.studies.capstone.spectra import ExactStep
from hessbench.studies.capstone.trained import network_of
from hessbench.studies.unit import UnitRecord

LIBRARY: Final = "curvlinops"
_CLASSES: Final = {KFAC: "KFACLinearOperator", EKFAC: "EKFACLinearOperator"}


def record_kronecker(record: UnitRecord, exact: ExactStep) -> None:
    """Take down how near the approximations are to the Fisher matrix, and their damped steps to its own.

    Of cross-entropy the Fisher matrix is the GGN. Without the library only the block diagonal is looked at.

    Args:
        record: Of the unit.
        exact: The network at the step.
    """
    fisher = exact.ggn
    at = step(exact.number)
    blocks = np.zeros_like(fisher)
    for where in layer_ranges(exact.shapes).values():
        piece = slice(where.start, where.stop)
        blocks[piece, piece] = fisher[piece, piece]
    damping = DAMPING * float(np.linalg.eigvalsh(fisher)[-1])
    own = _damped(fisher, exact.gradient, damping)
    approximations: Mapping[str, Array] = {BLOCKS: blocks, **_factored(network_of(exact.run, exact.number))}
    for name, matrix in approximations.items():
        other = _damped(matrix, exact.gradient, damping)
        cosine = float(own @ other / (np.linalg.norm(own) * np.linalg.norm(other)))
        record.add("step_cosine", cosine, problem=at, method=name)
        record.add("distance_to_fisher", _distance(matrix, fisher), problem=at, method=name)
        record.add("distance_to_blocks", _distance(matrix, blocks), problem=at, method=name)


def _factored(network: Network) -> dict[str, Array]:
    """K-FAC and EKFAC of the GGN as dense matrices, by the library; none where it is not installed."""
    if find_spec(LIBRARY) is None or network.own is None:
        return {}
    with catch_warnings():
        simplefilter("ignore")
        library: Any = import_module(LIBRARY)
        model, parameters = network.own.placed(network.parameters)
        data = [(batch.inputs, batch.targets) for batch in network.batches]
        found: dict[str, Array] = {}
        for name, kind in _CLASSES.items():
            operator = getattr(library, kind)(
                model, nn.CrossEntropyLoss(), parameters, data, check_deterministic=False,
                fisher_type=library.FisherType.TYPE2, separate_weight_and_bias=False,
            )  # fmt: skip
            identity = torch.eye(network.parameters.numel(), dtype=network.parameters.dtype)
            found[name] = np.asarray((operator @ identity).detach().numpy(), dtype=np.float64)
    return found


def _damped(matrix: Array, gradient: Array, damping: float) -> Array:
    """(A + damping I)^-1 g."""
    shifted = (matrix + matrix.T) / 2 + damping * np.eye(matrix.shape[0])
    return np.asarray(scipy.linalg.solve(shifted, gradient, assume_a="pos"))


def _distance(matrix: Array, truth: Array) -> float:
    return float(np.linalg.norm(matrix - truth) / np.linalg.norm(truth))
