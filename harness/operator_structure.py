"""Where the diagonal of the residual of a Hessian vanishes."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, eq=False)
class Structure:
    """Where the diagonal of a residual vanishes, shown from what the network computes.

    Attributes:
        flat: Per parameter, whether every output is affine in it and in all of its group together, (n,) bool on the CPU.
        groups: Parts start..stop of the parameters, ascending and disjoint, that together are exactly the flat ones; in
            each of them all outputs are jointly piecewise affine, so that v^T R v = 0 for every v inside one.
    """

    flat: Tensor
    groups: tuple[tuple[int, int], ...]
