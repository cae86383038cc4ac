"""How long a random start can be along an eigenvector that no Ritz value shows; see `block_lanczos` for the proof."""

from __future__ import annotations

import math
from typing import Final, final

import torch
from torch import Tensor

from hessbench.estimand import TopEigenvalues

DOUBT: Final = 1e-8
"""Probability that a run takes an eigenvalue for absent which its random start has next to no part in."""


@final
class Unseen:
    """How long the random start can be along an eigenvector beyond place k, that no Ritz value shows."""

    def __init__(self, estimand: TopEigenvalues, known: Tensor, margin: float, whole: int) -> None:
        self._estimand = estimand
        keys = estimand.sort_key(known)
        self._keys = keys.flip(0) - margin
        # Beyond +border, beyond -border of the negated matrix, or both. Without a norm any number is a margin.
        self._border = max(margin, 1e-300) - float(keys[-1])
        self._signs = torch.tensor({"magnitude": [1.0, -1.0], "algebraic": [1.0], "smallest": [-1.0]}[estimand.which])
        self._limit = math.log(DOUBT * math.sqrt(math.pi / (2 * whole)))
        self._carried = torch.zeros(len(self._signs), dtype=torch.float64)

    def earlier(self, theta: Tensor) -> int:
        """How many of the first Ritz values push known ones from their places, by more than the margin."""
        return int((self._estimand.sort_key(theta) < self._keys[: theta.numel()]).sum())

    def add(self, coupling: Tensor) -> None:
        """A step: its beta, zero where the Krylov space has closed."""
        self._carried += torch.log(torch.linalg.vector_norm(coupling))

    def is_excluded(self, theta: Tensor) -> bool:
        """Whether the start would have to be shorter along such an eigenvector than chance allows."""
        longest, limit = self.shown(theta)
        return longest <= limit

    def shown(self, theta: Tensor) -> tuple[float, float]:
        """Logarithms of how long the start can be along such an eigenvector, and of what is too short for chance."""
        return float((self._carried - self._log_distances(theta)).max()), self._limit

    def restart(self, theta: Tensor, kept: Tensor) -> None:
        """The basis goes on from the Ritz vectors kept."""
        self._carried += self._log_distances(kept) - self._log_distances(theta)

    def _log_distances(self, theta: Tensor) -> Tensor:
        return torch.log(self._border - self._signs[:, None] * theta).sum(1)
