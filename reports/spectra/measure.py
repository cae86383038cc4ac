"""A discrete measure on the line: what a density is kept as, and the shares of it that are read off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hessbench.estimand import Array


@dataclass(frozen=True)
class Measure:
    """Nodes and the mass in each.

    Attributes:
        nodes: Where the mass lies, ascending, shape (m,), m at least 1.
        weights: Mass of each, summing to about 1, shape (m,).
    """

    nodes: Array
    weights: Array

    @classmethod
    def of(cls, nodes: Array, weights: Array) -> Measure:
        """The measure of nodes in any order.

        Raises:
            ValueError: If there is no node, the two do not match, or a number is not finite.
        """
        nodes, weights = np.asarray(nodes, dtype=np.float64), np.asarray(weights, dtype=np.float64)
        if nodes.ndim != 1 or nodes.shape != weights.shape or nodes.size < 1:
            raise ValueError(f"nodes and weights of a density must match, got {nodes.shape} and {weights.shape}")
        if not (np.isfinite(nodes).all() and np.isfinite(weights).all()):
            raise ValueError("nodes and weights of a density must be finite")
        order = np.argsort(nodes, kind="stable")
        return cls(nodes[order], weights[order])

    @property
    def seen(self) -> Array:
        """The nodes with a mass that shows, at least one of them."""
        kept = self.nodes[np.abs(self.weights) > 1e-12]
        return kept if kept.size else self.nodes

    def below(self, value: float) -> float:
        """Mass below a value."""
        return float(self.weights[self.nodes < value].sum())

    def within(self, low: float, high: float) -> float:
        """Mass from one value to another, both included."""
        return float(self.weights[(self.nodes >= low) & (self.nodes <= high)].sum())

    def bracket_below(self, value: float) -> tuple[float, float]:
        """Least and most mass below a value that a measure can have whose Gauss quadrature this is.

        With theta_k < value <= theta_(k + 1) the mass is at least w_1 + ... + w_(k - 1) and at most w_1 + ... +
        w_(k + 1): a quadrature does not say on which side of the value the mass of the two nodes next to it lies.

        Source:
            The inequalities of Chebyshev, Markov and Stieltjes: Szego, Orthogonal polynomials (1939), theorem 3.41.1.
        """
        summed = np.concatenate([[0.0], np.cumsum(self.weights), [float(self.weights.sum())]])
        before = int(np.searchsorted(self.nodes, value, side="left"))
        return float(summed[max(before - 1, 0)]), float(summed[before + 1])

    def above(self, value: float) -> float:
        """Mass above a value."""
        return float(self.weights[self.nodes > value].sum())


def mean_measure(measures: Sequence[Measure]) -> Measure:
    """The mean of measures: all their nodes, each weight over their number."""
    if len(measures) == 1:
        return measures[0]
    nodes = np.concatenate([measure.nodes for measure in measures])
    weights = np.concatenate([measure.weights for measure in measures]) / len(measures)
    return Measure.of(nodes, weights)
