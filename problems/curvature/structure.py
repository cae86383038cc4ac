"""Where the diagonal of the residual of a network vanishes, all or nothing."""

from __future__ import annotations

import torch

from hessbench.operator_structure import Structure
from hessbench.problems.curvature.rules.affine import is_affine_in_each
from hessbench.problems.networks.network import Network


def structure_of(network: Network) -> Structure:
    """All entries flat in one group, or none."""
    size = network.parameters.numel()
    flat = is_affine_in_each(network)
    return Structure(torch.full((size,), flat), ((0, size),) if flat else ())
