"""Trace and diagonal of a GGN from the rows of its factor, where these are too many for a Gram matrix."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Final

import numpy as np
import torch

from hessbench.estimand import Array, Diagonal, Reference, Source, Trace
from hessbench.estimand.from_dense import References
from hessbench.estimand.work import OwnWork
from hessbench.problems.networks.network import Network
from hessbench.problems.references.gram import squares_of
from hessbench.problems.references.rows import ggn_rows

NOTE: Final = "sums of the squares of all rows of the factor; the trace stands for the norm, which it bounds"


def factor_entries(network: Callable[[], Network], shift: float) -> tuple[Array, float]:
    """The diagonal of GGN + shift I, (n,), and the bound of its sum: that of sums of n squares, eps sqrt(n) tr GGN.

    Args:
        network: Makes the network.
        shift: Weight decay.

    Cost: a backward pass of one sample for each row of the factor.
    """
    squares = squares_of(ggn_rows(network().to(torch.device("cpu"), torch.float64))).numpy()
    return squares + shift, 2.0**-52 * squares.size**0.5 * (float(squares.sum()) + shift)


def factor_references(network: Callable[[], Network], rounding: float, shift: float = 0.0) -> References:
    """References of trace and diagonal of GGN + shift I.

    Args:
        network: Makes the network.
        rounding: Constant c in the rounding c eps ||A|| of the operator that is compared with these references.
        shift: Weight decay.

    Cost: that of `factor_entries`, once.
    """

    @cache
    def entries() -> tuple[Array, float]:
        return factor_entries(network, shift)

    def reference(arrays: dict[str, Array]) -> Reference:
        diagonal, bound = entries()
        return Reference(arrays, Source.GRAM, float(diagonal.sum()), bound, rounding, NOTE, semidefinite=True)

    def trace(_: Trace) -> Reference:
        total = np.asarray([float(entries()[0].sum())])
        return reference({"trace": total, "abs_sum": total})

    def diagonal(_: Diagonal) -> Reference:
        return reference({"diagonal": entries()[0]})

    return {Trace: OwnWork(trace), Diagonal: OwnWork(diagonal)}
