"""The network that a problem is made of, for what is done with a network rather than with its matrix."""

from __future__ import annotations

from typing import cast

import torch

from hessbench.problem import Problem
from hessbench.problems.networks.network import Network


def network_of(problem: Problem, device: torch.device | str = "cpu", dtype: torch.dtype | None = None) -> Network:
    """The network of a registered problem or of one made by `from_model`, at its weights and on its data.

    Args:
        problem: The problem; which matrix of the network it is plays no part.
        device: Where the network shall be.
        dtype: float32 or float64; that of its weights by default.

    Raises:
        ValueError: If it is not made of a network.
    """
    if problem.network is None:
        raise ValueError(f"problem {problem.name} is not made of a network: one with the trait network is accepted")
    network = cast("Network", problem.network())
    return network.to(torch.device(device), dtype or network.parameters.dtype)
