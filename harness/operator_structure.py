"""What an operator knows about its own entries, beyond its products."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, eq=False)
class Structure:
    """Where the diagonal of a residual R = Hessian - GGN vanishes, shown from what the network computes.

    Attributes:
        flat: Per parameter, whether every output is affine in it and in all of its group together, (n,) bool on the
            CPU. False says that nothing was shown.
        groups: Parts start..stop of the parameters, ascending and disjoint, that together are exactly the flat ones; in
            each of them all outputs are jointly piecewise affine, so that v^T R v = 0 for every v inside one.
    """

    flat: Tensor
    groups: tuple[tuple[int, int], ...]
